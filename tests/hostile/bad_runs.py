"""Checkpoints and frozen networks that are damaged, of something else, or made to do harm."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from hostile_case import Case
from payloads import arrays_in, bad_npz, npy, npz, npz_member, zipped

from minigan.commands.cli import main
from minigan.layers import Dense
from minigan.training import RunFolder
from minigan.training.checkpoint import checksum
from minigan.training.npz_files import load_frozen

SAMPLE = "sample run --checkpoint run/x.npz --n 4"
RESUME = "train --resume run --n-steps 5 --quiet"
DRAW = "sample run --n 4"
REPORT = "report run"
DAMAGED = "run/x.npz is damaged, or no checkpoint of minigan"
TRAIN = "train dcgan --features 2 --latent-dim 4 --batch-size 8 --limit 16 --n-steps 3 --checkpoint-interval 1 --quiet"
NEWEST, BEFORE = "run/checkpoints/step-000003.npz", "run/checkpoints/step-000002.npz"


@functools.cache
def good_run() -> Path:
    """A run of three steps, with a checkpoint of each."""
    keeper = tempfile.TemporaryDirectory()
    good_run.keeper = keeper  # goes when Python ends
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*TRAIN.split(), "--out", f"{keeper.name}/run"]) == 0
    return Path(keeper.name) / "run"


@functools.cache
def good_arrays() -> dict[str, np.ndarray]:
    """The arrays of its last checkpoint."""
    return arrays_in(good_run().parent / NEWEST)


def run_with(path: str, data: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    """The run, with other contents in one file."""

    def make(folder: Path) -> None:
        shutil.copytree(good_run(), folder / "run")
        (folder / path).write_bytes(data() if callable(data) else data)

    return make


def instead(path: str, kind: str) -> Callable[[Path], None]:
    """The run, with something that is no file in the place of one."""

    def make(folder: Path) -> None:
        shutil.copytree(good_run(), folder / "run")
        (folder / path).unlink(missing_ok=True)
        if kind == "a folder":
            (folder / path).mkdir()
        elif kind == "a pipe":
            os.mkfifo(folder / path)
        else:
            (folder / path).symlink_to({"a device": "/dev/zero", "a link to nothing": "nowhere"}[kind])

    return make


def flipped(seed: int) -> bytes:
    """The checkpoint with one bit turned in the numbers of one of its arrays."""
    data = bytearray((good_run().parent / NEWEST).read_bytes())
    rng = np.random.default_rng(seed)
    numbers = good_arrays()[sorted(good_arrays())[seed % len(good_arrays())]].tobytes()
    data[data.index(numbers) + int(rng.integers(len(numbers)))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def sealed(arrays: dict[str, np.ndarray]) -> bytes:
    """A checkpoint with the right checksum: whoever means harm can make one."""
    rest = {name: array for name, array in arrays.items() if name != "checksum"}
    return npz(**rest, checksum=checksum(rest))


def state(change: Callable[[dict], Any]) -> bytes:
    """A checkpoint with another state; `change` returns a new one, or changes it."""
    found = json.loads(good_arrays()["state"].tobytes())
    found = change(found) or found
    return sealed(good_arrays() | {"state": np.frombuffer(json.dumps(found).encode(), np.uint8)})


def raw_state(text: bytes) -> bytes:
    return sealed(good_arrays() | {"state": np.frombuffer(text, np.uint8)})


def array(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[], bytes]:
    """A checkpoint with another array; None leaves it out."""

    def make() -> bytes:
        arrays = dict(good_arrays())
        new = change(arrays.pop(name))
        return sealed(arrays if new is None else arrays | {name: new})

    return make


def spoiled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """The array with one other number in it."""

    def change(old: np.ndarray) -> np.ndarray:
        new = old.copy()
        new.flat[-1] = value
        return new

    return change


def all_damaged(folder: Path) -> None:
    """Not one checkpoint is left."""
    shutil.copytree(good_run(), folder / "run")
    for path in (folder / "run" / "checkpoints").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-100])


def swapped(folder: Path) -> None:
    """The newest checkpoint is that of another model, whole as it is."""
    shutil.copytree(good_run(), folder / "run")
    (folder / NEWEST).write_bytes(state(lambda old: old | {"model": "gan"}))


def saved(name: str, says: str, data: bytes | Callable[[], bytes]) -> Case:
    """A case of one checkpoint that is handed over."""
    return Case(name, run_with("run/x.npz", data), SAMPLE, says)


W = "networks.G.1.W"
DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = b'{"format": ' + b"9" * 5000 + b"}"
SURROGATE = b'{"model": "\\ud800", "data": "\\udfff"}'
OTHER_FORMAT = "run/x.npz was made by a"

CHECKPOINTS = [
    *(
        Case(name, run_with("run/x.npz", lambda name=name: bad_npz(good_arrays(), W)[name]()), SAMPLE, DAMAGED)
        for name in bad_npz({"a": np.zeros(2)}, "a")
    ),
    *(saved(f"a bit turned, {seed}", "run/x.npz", functools.partial(flipped, seed)) for seed in range(20)),
    saved(
        "a wrong checksum",
        f"{DAMAGED}: its contents don't match its checksum",
        lambda: npz(**good_arrays() | {W: good_arrays()[W] + 1}),
    ),
    saved("no checksum", DAMAGED, lambda: npz(**{k: v for k, v in good_arrays().items() if k != "checksum"})),
    saved(
        "a checksum of text",
        DAMAGED,
        lambda: zipped(
            {f"{k}.npy": npz_member(v) for k, v in good_arrays().items() if k != "checksum"}
            | {"checksum.npy": npy("<U2", "(1,)")}
        ),
    ),
    saved("an array too few", f"run/x.npz lacks {W}", array(W, lambda old: None)),
    saved(
        "an array too many",
        "run/x.npz has networks.G.99.W",
        lambda: sealed(good_arrays() | {"networks.G.99.W": np.zeros(3)}),
    ),
    saved(
        "an array whose name climbs out",
        "run/x.npz has ../../executed",
        lambda: sealed(good_arrays() | {"../../executed": np.zeros(3)}),
    ),
    saved(
        "an array whose name is a command",
        r"run/x.npz has a\x1b[2J\nb",
        lambda: sealed(good_arrays() | {"a\x1b[2J\nb": np.zeros(3)}),
    ),
    saved("an array of another shape", f"run/x.npz: {W} is", array(W, lambda old: old[..., :1])),
    saved("an array of integers", f"run/x.npz: {W} is int64", array(W, lambda old: old.astype(np.int64) + 1)),
    saved("an array of truth values", f"{DAMAGED}: {W} holds no numbers", array(W, lambda old: old > 0)),
    saved("NaN among the weights", f"{DAMAGED}: {W} is not finite", array(W, spoiled(np.nan))),
    saved("an infinite weight", f"{DAMAGED}: {W} is not finite", array(W, spoiled(-np.inf))),
    saved(
        "weights of 1e300",
        f"run/x.npz: {W} has numbers that are too large for float32",
        array(W, lambda old: np.full(old.shape, 1e300)),
    ),
    saved(
        "weights of 3e38",
        "the generator draws numbers that aren't finite",
        array(W, lambda old: np.full(old.shape, 3e38, np.float32)),
    ),
    saved(
        "a negative count of updates",
        f"{DAMAGED}: optimizers.G.t is negative",
        array("optimizers.G.t", lambda old: old * 0 - 1),
    ),
    saved("no state", DAMAGED, array("state", lambda old: None)),
    saved("a state of floats", DAMAGED, array("state", lambda old: old.astype(float))),
    saved("a state that is no JSON", DAMAGED, lambda: raw_state(b"{'a': 1}")),
    saved("a state that is a list", DAMAGED, lambda: raw_state(b"[1, 2]")),
    saved("a state that is a number", DAMAGED, lambda: raw_state(b"3")),
    saved("a state nested 100,000 deep", DAMAGED, lambda: raw_state(DEEP)),
    saved("a state with a number of 5,000 digits", DAMAGED, lambda: raw_state(LONG)),
    saved("a state that is no UTF-8", DAMAGED, lambda: raw_state(b'{"model": "\xff"}')),
    saved("a state with lone surrogates", DAMAGED, lambda: raw_state(SURROGATE)),
    saved(
        "a newer format",
        OTHER_FORMAT + " newer minigan",
        lambda: state(lambda old: old | {"format": old["format"] + 1}),
    ),
    saved("a format of -1", OTHER_FORMAT + "n older minigan", lambda: state(lambda old: old | {"format": -1})),
    saved("a format that is text", DAMAGED, lambda: state(lambda old: old | {"format": "2"})),
    saved("a format of true", DAMAGED, lambda: state(lambda old: old | {"format": True})),
    saved(
        "a model that nobody knows",
        r"run/x.npz is a checkpoint of \x1b[31m",
        lambda: state(lambda old: old | {"model": "\x1b[31m" * 9}),
    ),
    saved("a model that is a list", DAMAGED, lambda: state(lambda old: old | {"model": []})),
    *(
        saved(
            f"{name} is {value!r:.20}", DAMAGED, lambda name=name, value=value: state(lambda old: old | {name: value})
        )
        for name in ("step", "samples", "seconds")
        for value in (-1, "3", None, [], float("nan"), float("inf"), True)
    ),
    saved("a phase that is a list", DAMAGED, lambda: state(lambda old: old | {"phase": []})),
    *(
        Case(f"{kind} for a checkpoint", instead("run/x.npz", kind), SAMPLE, "run/x.npz")
        for kind in ("a folder", "a pipe", "a device", "a link to nothing")
    ),
    *(
        Case(f"the newest checkpoint: {name}; {line.split()[0]}", run_with(NEWEST, data), line, NEWEST, warns=True)
        for name, data in (
            ("cut", lambda: (good_run().parent / NEWEST).read_bytes()[:-1]),
            ("no bytes", b""),
            ("a bit turned", lambda: flipped(7)),
        )
        for line in (RESUME, DRAW)
    ),
    Case("every checkpoint is damaged", all_damaged, RESUME, "run/checkpoints/step-00000"),
    Case("every checkpoint is damaged, to draw", all_damaged, DRAW, "run/checkpoints/step-00000"),
    Case(
        "the newest checkpoint is of another model", swapped, RESUME, f"{NEWEST} is a checkpoint of gan, not of dcgan"
    ),
    *(
        Case(
            f"to go on from: {name}",
            run_with(NEWEST, lambda change=change: state(change)),
            RESUME,
            f"{NEWEST} is damaged",
            warns=True,
        )
        for name, change in (
            ("a count of samples of 10^30", lambda old: old | {"samples": 10**30}),
            ("a step of 10^30", lambda old: old | {"step": 10**30}),
        )
    ),
    *(
        Case(
            f"to go on from: {name}",
            run_with(NEWEST, lambda change=change: state(change)),
            RESUME,
            f"{NEWEST} is damaged: its state makes no sense",
        )
        for name, change in (
            ("measures that are a number", lambda old: old | {"measured": 3}),
            ("measures of text", lambda old: old | {"measured": [[1, {"d_loss": "x"}]]}),
            ("measures of steps of 10^4000", lambda old: old | {"measured": [[10**4000, 3]]}),
            ("notes of other kinds", lambda old: old | {"notes": [{"check": "x"}]}),
            ("a doctor that has seen a list", lambda old: old | {"doctor": {"signs": []}}),
            ("a doctor of an unknown phase", lambda old: old | {"doctor": old["doctor"] | {"phase": "x"}}),
            ("a factor that is text", lambda old: old | {"lr_factor": "x"}),
            ("rollbacks without end", lambda old: old | {"rollbacks": float("inf")}),
            ("a factor that is negative", lambda old: old | {"lr_factor": -1.0}),
            ("a factor of infinity", lambda old: old | {"lr_factor": float("inf")}),
            ("fewer rollbacks than none", lambda old: old | {"rollbacks": -1}),
        )
    ),
]

FEATURES = {"features.W": np.ones((2, 3), np.float32), "features.b": np.zeros(3, np.float32)}


def frozen(folder: Path) -> None:
    """Read frozen.npz into a model that has such a network."""
    load_frozen(RunFolder(folder), SimpleNamespace(frozen={"features": Dense(2, 3)}))


def unthawed(name: str, says: str, data: Callable[[], bytes]) -> Case:
    """A case of frozen.npz."""
    return Case(name, lambda folder: (folder / "frozen.npz").write_bytes(data()), frozen, f"frozen.npz {says}")


FROZEN = [
    *(
        unthawed(name, "is damaged", bad_npz(FEATURES | {"checksum": checksum(FEATURES)}, "features.W")[name])
        for name in bad_npz(FEATURES, "features.W")
    ),
    unthawed("a wrong checksum", "is damaged", lambda: npz(**FEATURES, checksum=checksum({}))),
    unthawed("no checksum", "is damaged", lambda: npz(**FEATURES)),
    *(
        unthawed(name, says, lambda change=change: sealed(FEATURES | change))
        for name, says, change in (
            ("an array too many", "is of another model", {"../../executed": np.zeros(3)}),
            ("another shape", "is of another model", {"features.W": np.zeros((3, 2), np.float32)}),
            ("an array of truth values", "is of another model", {"features.b": np.array([True, False, True])}),
            ("NaN", "is damaged: features.b is not finite", {"features.b": np.full(3, np.nan, np.float32)}),
        )
    ),
    Case("a folder for frozen.npz", lambda folder: (folder / "frozen.npz").mkdir(), frozen, "frozen.npz"),
    Case("a pipe for frozen.npz", lambda folder: os.mkfifo(folder / "frozen.npz"), frozen, "frozen.npz"),
    Case("no frozen.npz", lambda folder: None, frozen, "frozen.npz is missing"),
]

"""config.json and metrics.jsonl that are damaged, of something else, or made to do harm."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_runs import DEEP, DRAW, REPORT, RESUME, good_run, instead, run_with
from hostile_case import Case


def config(change: Callable[[dict], Any]) -> Callable[[Path], None]:
    """The run with another configuration; `change` returns a new one, or changes it."""

    def make(folder: Path) -> None:
        found = json.loads((good_run() / "config.json").read_text())
        found = change(found) or found
        run_with("run/config.json", json.dumps(found).encode())(folder)

    return make


def put(**changes: Any) -> Callable[[Path], None]:
    return config(lambda old: old | changes)


def without(name: str) -> Callable[[Path], None]:
    return config(lambda old: {key: value for key, value in old.items() if key != name})


def model_args(**changes: Any) -> Callable[[Path], None]:
    return config(lambda old: old | {"model_args": old["model_args"] | changes})


CONFIG = "run/config.json is damaged"
BAD_CONFIGS = {
    "no bytes": b"",
    "text": b"hello",
    "half of it": b'{"model": "dcgan", "model_args": {"lat',
    "a list": b"[1, 2, 3]",
    "a number": b"3",
    "null": b"null",
    "an empty dictionary": b"{}",
    "nested 100,000 deep": DEEP,
    "a number of 5,000 digits": b'{"seed": ' + b"9" * 5000 + b"}",
    "binary": bytes(range(256)),
    "UTF-16": '{"model": "dcgan"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "Latin-1": '{"model": "dcgän"}'.encode("latin1"),
    "zeros": bytes(4096),
    "three megabytes": b"[" + b"[]," * (1 << 20) + b"[]]",
}
WRONG = {
    "model": (3, None, ["dcgan"], {}),
    "model_args": ([], None, "x", 3),
    "data": (3, None, ["digits"]),
    "shapes": (
        *(3, None, [], "16", {"real": 3}, {"real": ["a"]}, {"real": None}, {"real": [16, 16, 0]}),
        *({"real": shape} for shape in ([-16, 16, 1], [16.0, 16, 1], [True, 16, 1], [1e400, 1, 1])),
    ),
    "samples": (3, None, [], {}, *({"data": n} for n in (0, -1, 1.5, "64", None, float("nan")))),
    "img_size": (16, [], [16], [16, 0], [16, 16, 16], "16x16", [16.0, 16]),
    "own": (3, [], {"my_gan.py": 3}, {"my_gan.py": None}),
    "batch_size": (0, -8, 2.5, None, "8", True),
    "n_steps": (0, -1, None, 1e9),
    "seed": (-1, 0.5, None, "0"),
    "augment": ("crop", ["nothing"], [3], 3),
    "classes": ([1], [None], 3),
    "ema": (1, 1.0, -0.5, float("nan"), "0.9"),
    "lr_decay": ("no", 3, None),
    "sample_interval": (0, -1, None, 1.5),
    "checkpoint_interval": (0, None, "1"),
    "eval_samples": (0, 3, None),
    "eval_features": ("no", None),
    "on_nan": ("go on", None),
    "versions": ([], 3),
}
METRICS = {
    "binary": os.urandom,
    "half a line": lambda n: b'{"step": 1, "d_loss": 0.5',
    "zeros": bytes,
    "a line of a megabyte": lambda n: b"[" * (1 << 20) + b"\n",
    "NaN and Infinity": lambda n: b'{"step": 1, "d_loss": NaN, "g_loss": -Infinity}\n',
    "steps that are none": lambda n: b'{"step": -1}\n{"step": true}\n{"step": "1"}\n{"step": 1e400}\n{"step": null}\n',
    "numbers of 5,000 digits": lambda n: (
        b'{"step": ' + b"9" * 5000 + b"}\n" + b'{"step": 1, "d_loss": 1' + b"0" * 400 + b"}\n"
    ),
    "tables and notes of other kinds": lambda n: (
        b'{"step": 1, "gradients": [], "notes": {"check": 3}}\n{"step": 1, "notes": [3]}\n'
    ),
    "lone surrogates": lambda n: (
        b'{"step": 1, "\\ud800": 1.0, "notes": [{"check": "\\ud800", "sentence": "\\ud800"}]}\n'
    ),
    "no UTF-8": lambda n: b'{"step": 1, "\xff": 1.0}\n',
}

CONFIGS = [
    *(Case(name, run_with("run/config.json", data), DRAW, CONFIG) for name, data in BAD_CONFIGS.items()),
    *(
        Case(f"to go on: {name}", run_with("run/config.json", data), RESUME, CONFIG)
        for name, data in list(BAD_CONFIGS.items())[:4]
    ),
    *(
        Case(f"without {name}", without(name), DRAW, CONFIG)
        for name in ("model", "model_args", "data", "shapes", "samples", "batch_size", "n_steps")
    ),
    *(
        Case(f"{name} is {json.dumps(value)}", put(**{name: value}), DRAW, CONFIG)
        for name, values in WRONG.items()
        for value in values
    ),
    Case(
        "an unknown model", put(model="dcgen"), DRAW, f"{CONFIG}: there is no model called 'dcgen': did you mean dcgan?"
    ),
    Case("a model in a file", put(model="/tmp/evil.py:Evil"), DRAW, "minigan sample run --model /tmp/evil.py:Evil"),
    Case("data in a file", put(data="/tmp/evil.py:evil"), RESUME, "--data /tmp/evil.py:evil"),
    Case(
        "a model with colors and line breaks",
        put(model="\x1b[31m\n\r\u202e\ud800"),
        DRAW,
        CONFIG + r": there is no model called '\x1b[31m\n\r\u202e\ud800'",
    ),
    Case(
        "a model with a name of half a megabyte",
        put(model="x" * 500_000),
        DRAW,
        f"{CONFIG}: there is no model called 'xxx",
    ),
    Case(
        "an argument that the model lacks",
        model_args(clip_value=0.01),
        DRAW,
        "clip_value is 0.01, which dcgan can't take",
    ),
    Case("an argument that is no name", model_args(__class__=1), DRAW, "__class__ is 1, which dcgan can't take"),
    Case("an argument of a megabyte", model_args(lr="x" * 900_000), DRAW, "lr is"),
    *(
        Case(f"{name} is {json.dumps(value)}", model_args(**{name: value}), DRAW, f"{CONFIG}: {name} is")
        for name, value in (
            ("latent_dim", 0),
            ("latent_dim", -4),
            ("latent_dim", 1.5),
            ("latent_dim", "4"),
            ("features", None),
            ("features", []),
            ("lr", -1),
            ("lr", float("nan")),
            ("lr", float("inf")),
            ("b1", 1),
            ("label_smoothing", True),
        )
    ),
    Case("a latent space of 10^15", model_args(latent_dim=10**15), DRAW, ""),
    Case("10^12 features", model_args(features=10**12), DRAW, ""),
    Case("10^30 features", model_args(features=10**30), DRAW, ""),
    Case("pictures of 2^31 x 2^31", put(shapes={"real": [2**31, 2**31, 3]}), DRAW, "dcgan makes square pictures"),
    Case("pictures with 10^9 channels", put(shapes={"real": [16, 16, 10**9]}), DRAW, "dcgan makes square pictures"),
    Case("pictures with nine axes", put(shapes={"real": [16] * 9}), DRAW, "dcgan"),
    Case("a device that isn't there", put(device="cuda:99"), RESUME, "cuda"),
    Case("a device that is none", put(device="\x1b[31m"), RESUME, r"\x1b[31m"),
    Case("data that isn't there", put(data="/nowhere/\n\x1b[31m"), RESUME, r"/nowhere/\n\x1b[31m"),
    Case("data with a NUL", put(data="/tmp/\x00/etc"), RESUME, r"/tmp/\x00/etc"),
    Case("data with lone surrogates", put(data="/\ud800"), RESUME, r"/\ud800"),
    Case("data that is a device", put(data="/dev/zero"), RESUME, "cannot read /dev/zero"),
    Case(
        "data of other sizes",
        put(samples={"data": 99}),
        RESUME,
        "the data has changed (99 before, 16 now)",
        warns=True,
    ),
    *(
        Case(f"{kind} for config.json", instead("run/config.json", kind), DRAW, "run")
        for kind in ("a folder", "a pipe", "a device", "a link to nothing")
    ),
    *(
        Case(f"metrics.jsonl: {name}", run_with("run/metrics.jsonl", functools.partial(data, 4096)), REPORT, None)
        for name, data in METRICS.items()
    ),
    Case(
        "metrics.jsonl: half a line, to go on", run_with("run/metrics.jsonl", METRICS["half a line"](0)), RESUME, None
    ),
    *(
        Case(f"{kind} for metrics.jsonl", instead("run/metrics.jsonl", kind), RESUME, "run/metrics.jsonl")
        for kind in ("a folder", "a pipe", "a device")
    ),
]

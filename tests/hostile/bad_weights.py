"""Weights of feature networks and statistics of references, in three formats, from somebody who means harm."""

from __future__ import annotations

import functools
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bad_pictures import picture
from hostile_case import Case
from payloads import bad_npz, exhausting, flagged, gadgets, npz, text, zipped

from minigan.metrics import DigitClassifier, read_statistics
from minigan.metrics.inception import read_weights
from minigan.metrics.safetensors import read_safetensors
from minigan.metrics.torch_file import LEGACY, read_torch_file


def written(name: str, data: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    """One file, and what some payloads would run."""

    def make(folder: Path) -> None:
        (folder / name).write_bytes(data() if callable(data) else data)
        (folder / "payload.py").write_text("open('executed', 'w')")

    return make


def special(name: str, kind: str) -> Callable[[Path], None]:
    """Something that is no file."""

    def make(folder: Path) -> None:
        path = folder / name
        if kind == "a pipe":
            os.mkfifo(path)
        elif kind == "a folder":
            path.mkdir()
        else:
            path.symlink_to({"a device": "/dev/zero", "a link to nothing": "nowhere"}[kind])

    return make


NO_FILES = ("a pipe", "a folder", "a device", "a link to nothing")

# safetensors: {name: [dtype, shape, [start, end]]}


def safe(header: Any, data: bytes = bytes(8), length: int | None = None) -> bytes:
    """A .safetensors file with any header."""
    said = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(said) if length is None else length) + said + data


def entry(dtype: Any = "F32", shape: Any = (2,), place: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": place}


GOOD_SAFE = safe({"a": entry()})
SAFETENSORS = {
    "no bytes": b"",
    "seven bytes": bytes(7),
    "text": b"hello, this is no safetensors file",
    "a pickle": gadgets()["os.system"],
    "a header of 2^64": safe(b"{}", length=2**64 - 1),
    "a header of 2^63": safe(b"{}", length=2**63),
    "a header that is longer than the file": safe({"a": entry()}, length=10_000),
    "a header that is too short": safe({"a": entry()}, length=10),
    "a header of nothing": safe(b""),
    "a header that is a list": safe([1, 2]),
    "a header that is a number": safe(3),
    "a header that is null": safe(None),
    "a header nested 100,000 deep": safe(b"[" * 100_000 + b"]" * 100_000),
    "a header with a number of 5,000 digits": safe(b'{"a": ' + b"9" * 5000 + b"}"),
    "a header that is no UTF-8": safe(b'{"\xff": 1}'),
    "a header with lone surrogates": safe(b'{"\\ud800": 1}'),
    "a header of 30 MB": safe(b'{"a": [' + b"[]," * (10 << 20) + b"[]]}"),
    "a name twice": safe(b'{"a": {}, "a": {}}'),
    "an entry that is a list": safe({"a": []}),
    "an entry that is null": safe({"a": None}),
    "an entry without a dtype": safe({"a": {"shape": [2], "data_offsets": [0, 8]}}),
    "an unknown dtype": safe({"a": entry("F128")}),
    "a dtype that is a list": safe({"a": entry(["F32"])}),
    "a dtype of objects": safe({"a": entry("O")}),
    "an array longer than its place": safe({"a": entry(shape=[3])}),
    "a shape of 2^62": safe({"a": entry(shape=[2**62])}),
    "a shape of 2^62 x 4 (an overflow to nothing)": safe({"a": entry(shape=[2**62, 4], place=[0, 0])}, b""),
    "a negative shape": safe({"a": entry(shape=[-2, -1])}),
    "a shape of fractions": safe({"a": entry(shape=[2.0])}),
    "a shape of truth values": safe({"a": entry("U8", shape=[True] * 8)}),
    "a shape of text": safe({"a": entry(shape="ab")}),
    "a shape of a thousand axes": safe({"a": entry(shape=[1] * 1000, place=[0, 4])}, bytes(4)),
    "a place beyond the end": safe({"a": entry(place=[8, 16])}),
    "a place before the beginning": safe({"a": entry(place=[-8, 0])}),
    "a place turned round": safe({"a": entry(place=[8, 0])}),
    "a place of 2^64": safe({"a": entry(shape=[2**62], place=[0, 2**64])}),
    "a place with three ends": safe({"a": entry(place=[0, 4, 8])}),
    "two arrays in one place": safe({"a": entry(), "b": entry()}),
    "two arrays that overlap": safe({"a": entry(), "b": entry(place=[4, 12])}, bytes(12)),
    "a gap": safe({"a": entry(), "b": entry(place=[12, 20])}, bytes(20)),
    "a byte too many": GOOD_SAFE + b"x",
    "a byte too few": GOOD_SAFE[:-1],
    "a name with colors": safe({"\x1b[31m\n": entry(shape=[3])}),
    "a name of a megabyte": safe({"x" * (1 << 20): entry(shape=[3])}),
}

# PyTorch: a tensor is a call of _rebuild_tensor_v2 with (storage, offset, shape, strides)

DICTIONARY = b"ccollections\nOrderedDict\n)R"


def plain(value: Any) -> bytes:
    """The instructions that push a value."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(
    offset: Any = 0, shape: Any = (2,), strides: Any = (1,), numel: Any = 2, kind: str = "Float", key: Any = "0"
) -> bytes:
    storage = b"(" + plain("storage") + b"ctorch\n" + kind.encode() + b"Storage\n" + plain(key) + plain("cpu")
    view = plain(offset) + plain(shape) + plain(strides) + b"\x89" + DICTIONARY
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + plain(numel) + b"tQ" + view + b"tR"


def dictionary(value: bytes) -> bytes:
    return b"\x80\x02" + DICTIONARY + b"(" + plain("a") + value + b"u."


def archive(program: bytes, storage: bytes = bytes(8), compression: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    """The newer form."""
    return zipped({"net/data.pkl": program, "net/data/0": storage} | more, compression)


def stream(program: bytes, storage: bytes = struct.pack("<q", 2) + bytes(8)) -> bytes:
    """The older form."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    return LEGACY + pickle.dumps(1001, 2) + pickle.dumps(system, 2) + program + pickle.dumps(["0"], 2) + storage


TENSORS = {
    "an offset beyond the end": tensor(offset=1),
    "a negative offset": tensor(offset=-1),
    "an offset of 2^70": tensor(offset=2**70),
    "a shape of 2^62": tensor(shape=(2**62,)),
    "a shape of 2^62 x 4": tensor(shape=(2**62, 4), strides=(0, 0)),
    "numbers repeated by strides of 0": tensor(shape=(10**9, 10**9), strides=(0, 0)),
    "negative strides": tensor(strides=(-1,)),
    "strides of 2^62": tensor(strides=(2**62,)),
    "shape and strides of other lengths": tensor(shape=(1, 2)),
    "forty axes": tensor(shape=(1,) * 40, strides=(1,) * 40),
    "a shape of text": tensor(shape=("a",)),
    "a storage of another size": tensor(numel=3),
    "a storage of 2^60": tensor(numel=2**60),
    "a storage of -1": tensor(numel=-1),
    "a storage of another type": tensor(kind="Double"),
    "a storage of complex numbers": tensor(kind="ComplexFloat"),
    "a storage that isn't there": tensor(key="7"),
    "a storage whose key climbs out": tensor(key="../../../etc/passwd"),
    "a key that is a number": tensor(key=0),
    "no tensor": plain(3),
    "text for a tensor": plain("tensor"),
    "a tensor in a list": b"]" + tensor() + b"a",
}


def many(what: bytes) -> bytes:
    """A program of 8 million instructions of a byte."""
    return b"\x80\x02(" + what * (8 << 20) + b"l."


GOOD_TORCH = archive(dictionary(tensor()))
TORCH = {
    **{f"{name}, {form.__name__}": form(program) for name, program in gadgets().items() for form in (archive, stream)},
    **{
        f"{name}, {form.__name__}": form(dictionary(value))
        for name, value in TENSORS.items()
        for form in (archive, stream)
    },
    **{f"{name}, archive": archive(program) for name, program in exhausting().items() if "memo" not in name},
    "8 million dictionaries, stream": stream(many(b"}")),
    "a gadget among the tensors": archive(dictionary(b"cos\nsystem\n(" + text("touch executed") + b"tR")),
    "a gadget in the arguments of a tensor": archive(
        dictionary(tensor().replace(b"\x89" + DICTIONARY, b"\x89cos\nsystem\n(" + text("touch executed") + b"tR"))
    ),
    "no bytes": b"",
    "text": b"hello" * 9,
    "HTML": b"<!doctype html><title>404</title>",
    "a zip archive of nothing": zipped({}),
    "two data.pkl": zipped(
        {"a/data.pkl": dictionary(tensor()), "b/data.pkl": dictionary(tensor()), "a/data/0": bytes(8)}
    ),
    "packed, as PyTorch's never are": archive(dictionary(tensor()), compression=zipfile.ZIP_DEFLATED),
    "encrypted": flagged(GOOD_TORCH, 0, 1),
    "an unknown byte order": archive(dictionary(tensor()), **{"net/byteorder": b"middle"}),
    "a byte order of a megabyte": archive(dictionary(tensor()), **{"net/byteorder": b"x" * (1 << 20)}),
    "code beside it": archive(
        gadgets()["os.system"], **{"net/code/__torch__.py": b"import os; os.system('touch executed')"}
    ),
    **{f"cut after {share:.0%}": GOOD_TORCH[: int(share * len(GOOD_TORCH))] for share in (0.1, 0.5, 0.98)},
    **{
        f"a stream cut after {share:.0%}": (data := stream(dictionary(tensor())))[: int(share * len(data))]
        for share in (0.1, 0.5, 0.98)
    },
    "a stream of 2^62 numbers": stream(dictionary(tensor(numel=2**62)), struct.pack("<q", 2**62)),
    "a stream of -1 numbers": stream(dictionary(tensor(numel=-1)), struct.pack("<q", -1)),
}

# Statistics: mu, sigma, features, about


@functools.cache
def network() -> DigitClassifier:
    return DigitClassifier()


def about(**changes: Any) -> np.ndarray:
    net = network()
    said = {"source": "digits", "n": 99, "network": net.name, "weights": net.weights, "resizer": net.resizer} | changes
    return np.frombuffer(json.dumps(said).encode(), np.uint8)


def statistics(**changes: Any) -> Callable[[], bytes]:
    """A file of statistics with other arrays; a function makes one of them, None leaves it out."""

    def make() -> bytes:
        arrays = {"mu": np.zeros(64), "sigma": np.eye(64), "about": about} | changes
        arrays = {name: array() if callable(array) else array for name, array in arrays.items()}
        return npz(**{name: array for name, array in arrays.items() if array is not None})

    return make


def spoiled(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array.flat[-1] = value
    return array


STATISTICS = {
    **bad_npz({"mu": np.zeros(64), "sigma": np.eye(64)}, "sigma"),
    "without mu": statistics(mu=None),
    "without sigma": statistics(sigma=None),
    "mu of integers": statistics(mu=np.zeros(64, int)),
    "mu of another length": statistics(mu=np.zeros(63)),
    "mu with two axes": statistics(mu=np.zeros((1, 64))),
    "mu of nothing": statistics(mu=np.zeros(0), sigma=np.zeros((0, 0))),
    "sigma of another shape": statistics(sigma=np.eye(63)),
    "sigma that is a vector": statistics(sigma=np.zeros(4096)),
    "NaN in mu": statistics(mu=spoiled(np.zeros(64), np.nan)),
    "infinity in sigma": statistics(sigma=spoiled(np.eye(64), np.inf)),
    "features of another width": statistics(features=np.zeros((5, 3), np.float32)),
    "features of integers": statistics(features=np.zeros((5, 64), int)),
    "about of floats": statistics(about=np.zeros(3)),
    "about that is no JSON": statistics(about=np.frombuffer(b"hello", np.uint8)),
    "about that is a list": statistics(about=np.frombuffer(b"[1, 2]", np.uint8)),
    "about nested 100,000 deep": statistics(about=np.frombuffer(b"[" * 100_000 + b"]" * 100_000, np.uint8)),
    "n of -1": statistics(about=lambda: about(n=-1)),
    "n of text": statistics(about=lambda: about(n="many")),
    "n of 10^400": statistics(about=lambda: about(n=1e400)),
    "a network that is a list": statistics(about=lambda: about(network=[])),
    "another network, with colors": statistics(about=lambda: about(network="\x1b[31m\n")),
    "other weights": statistics(about=lambda: about(weights={"a": []})),
    "another resizer": statistics(about=lambda: about(resizer="none")),
}


def against(folder: Path) -> None:
    """Two pictures to be measured, and statistics that are none."""
    (folder / "set").mkdir()
    for name in ("a.png", "b.png"):
        (folder / "set" / name).write_bytes(picture("PNG"))
    (folder / "x.npz").write_bytes(statistics(sigma=-np.eye(64))())


def with_pictures(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        against(folder)
        (folder / name).unlink(missing_ok=True)
        make(folder)

    return both


def reading(read: Callable[[Path], Any], name: str) -> Callable[[Path], Any]:
    return lambda folder: read(folder / name)


SAFE, PTH = reading(read_safetensors, "x.safetensors"), reading(read_torch_file, "x.pth")
NPZ, STATS = reading(read_weights, "x.npz"), reading(lambda path: read_statistics(path, network()), "x.npz")
DIGITS = "evaluate set --metrics is --features digits --weights w.npz"
MEASURE = "evaluate set --metrics fid --features digits --against x.npz"
INCEPTION = "evaluate set --metrics is --features inception --weights"

CASES = [
    *(
        Case(f"safetensors: {name}", written("x.safetensors", data), SAFE, "is not a usable .safetensors file")
        for name, data in SAFETENSORS.items()
    ),
    *(Case(f"safetensors: {kind}", special("x.safetensors", kind), SAFE, "cannot read") for kind in NO_FILES),
    *(
        Case(f"PyTorch: {name}", written("x.pth", data), PTH, "x.pth is not a usable file of PyTorch weights")
        for name, data in TORCH.items()
    ),
    *(Case(f"PyTorch: {kind}", special("x.pth", kind), PTH, "cannot read") for kind in NO_FILES),
    *(
        Case(
            f"weights in .npz: {name}",
            written("x.npz", lambda make=make: make()),
            NPZ,
            "x.npz is not a usable .npz file of weights",
        )
        for name, make in bad_npz({"a": np.zeros(2), "b": np.ones(3)}, "a").items()
        if name != "a zip archive of nothing"
    ),
    *(Case(f"weights in .npz: {kind}", special("x.npz", kind), NPZ, "cannot read") for kind in NO_FILES),
    *(Case(f"statistics: {name}", written("x.npz", make), STATS, "x.npz") for name, make in STATISTICS.items()),
    *(Case(f"statistics: {kind}", special("x.npz", kind), STATS, "x.npz") for kind in NO_FILES),
    Case("evaluate: a covariance that is none", against, MEASURE, "x.npz"),
    *(
        Case(f"evaluate: {kind} for statistics", with_pictures("x.npz", special("x.npz", kind)), MEASURE, "x.npz")
        for kind in NO_FILES
    ),
    *(
        Case(
            f"evaluate: {kind} for weights",
            with_pictures("w.pth", special("w.pth", kind)),
            f"{INCEPTION} w.pth",
            "w.pth",
        )
        for kind in NO_FILES
    ),
    Case(
        "evaluate: weights that call os.system",
        with_pictures("w.pth", written("w.pth", TORCH["os.system, archive"])),
        f"{INCEPTION} w.pth",
        "w.pth is not a usable file",
    ),
    Case(
        "evaluate: weights of nothing",
        with_pictures("w.npz", written("w.npz", zipped({}))),
        f"{INCEPTION} w.npz",
        "these are not the weights",
    ),
    *(
        Case(
            f"evaluate: {name} for the classifier of digits",
            with_pictures("w.npz", written("w.npz", make)),
            DIGITS,
            "w.npz",
        )
        for name, make in bad_npz({"a": np.zeros(2), "b": np.ones(3)}, "a").items()
    ),
    *(
        Case(
            f"evaluate: {kind} for the classifier of digits",
            with_pictures("w.npz", special("w.npz", kind)),
            DIGITS,
            "w.npz",
        )
        for kind in NO_FILES
    ),
    Case(
        "evaluate: statistics of another network",
        with_pictures("x.npz", written("x.npz", STATISTICS["another network, with colors"])),
        MEASURE,
        r"features of \x1b[31m\n",
    ),
]

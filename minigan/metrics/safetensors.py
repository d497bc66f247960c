"""Read a .safetensors file: named arrays, and nothing that could be executed.

    8 bytes     the length n of the header, little-endian
    n bytes     JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …, "__metadata__": {…}}
    the rest    the numbers, in row-major order, little-endian, without gaps

https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from minigan.common.untrusted import Unreadable, open_file
from minigan.errors import MiniganError

MAX_HEADER = 4 << 20  # bytes. The format allows 100 MB, which may take gigabytes once parsed; Inception has 60 kB
MAX_AXES = 32
FLOATS = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bf2"}
INTEGERS = {f"{letter}{8 * n}": f"{code}{n}" for letter, code in (("I", "i"), ("U", "u")) for n in (1, 2, 4, 8)}
DTYPES = FLOATS | INTEGERS | {"BOOL": "u1"}


def read_safetensors(path: Path | str) -> dict[str, np.ndarray]:
    """Read all arrays, by name. They are read-only; bfloat16 becomes float32, booleans become bytes.

    Raises MiniganError if the file can't be read, is damaged, or has another format.
    """
    try:
        with open_file(path) as file:
            return _arrays(file.read())
    except OSError as error:
        raise MiniganError(f"cannot read {path}: {error.strerror}") from error
    except Unreadable as error:
        raise MiniganError(f"{path} is not a usable .safetensors file: {error}") from error


def _arrays(data: bytes) -> dict[str, np.ndarray]:
    header, body = _header(data)
    entries = {name: _entry(name, value) for name, value in header.items() if name != "__metadata__"}
    stop = 0
    for name, (_, _, start, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if start != stop:
            raise Unreadable(f"there is a gap or an overlap before {name[:80]!r}")
        stop = end
    if stop != len(body):
        raise Unreadable(f"its header describes {stop:,} bytes, but {len(body):,} are there")
    return {name: decode(body[start:end], code).reshape(shape) for name, (code, shape, start, end) in entries.items()}


def _header(data: bytes) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, MAX_HEADER):
        raise Unreadable("it has no header, or is cut off")
    try:
        header = json.loads(data[8 : 8 + length].decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Unreadable("its header is not JSON") from error
    if not isinstance(header, dict):
        raise Unreadable("its header is not a dictionary")
    return header, memoryview(data)[8 + length :]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a name occurs twice")
    return names


def _entry(name: str, value: Any) -> tuple[str, list[int], int, int]:
    """Check the header's entry of one array; return its dtype code, its shape, and where it starts and ends."""
    try:
        code, shape, (start, end) = DTYPES[value["dtype"]], value["shape"], value["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, start, end))
    except (TypeError, KeyError, ValueError) as error:
        raise Unreadable(f"its header says nothing usable of {name[:80]!r}") from error
    if not whole or len(shape) > MAX_AXES or end - start != prod(shape) * itemsize(code):
        raise Unreadable(f"shape, dtype and place of {name[:80]!r} don't agree")
    return code, shape, start, end


def itemsize(code: str) -> int:
    """Return the bytes per number of a code: NumPy's dtype without the byte order, or "bf2" for bfloat16."""
    return int(code[-1])


def decode(raw: Any, code: str, order: str = "<") -> np.ndarray:
    """Decode bytes, "<" little- or ">" big-endian, to a flat read-only array in native byte order."""
    if code == "bf2":  # the upper 16 bits of a float32
        numbers = (np.frombuffer(raw, order + "u2").astype(np.uint32) << 16).view(np.float32)
    else:
        numbers = np.frombuffer(raw, order + code).astype(code, copy=False)
    numbers.flags.writeable = False
    return numbers

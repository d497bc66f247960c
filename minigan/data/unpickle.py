"""Read the pickles of CIFAR-10 and CIFAR-100 without trusting them.

A pickle is a program that can call any function it can name, and `find_class` looks these names up. Here only `ALLOWED`
names and `_codecs.encode` can be found, and all of them lead to code in this file. So a pickle can't run any other
code, not even NumPy's.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

import numpy as np

# Limits against pickles that exhaust memory or time without calling a function: the memo grows to the largest index,
# nested tuples used as keys take exponential time, an instruction of one byte creates a dictionary, and numbers that
# differ by multiples of 2^61 - 1 have equal hashes. The files read here have six tuples, and up to four instructions
# for each of 50,000 pictures: two labels, and a name that is put into the memo.
MAX_MEMO = 1 << 20
MAX_TUPLES = 16
MAX_INSTRUCTIONS = 1 << 18
MAX_NUMBER = 1 << 32
SHOWN = 80  # characters of a name


class _DType:
    """Stands in for `numpy.dtype`: unsigned bytes only."""

    def __init__(self, code: Any, *_: Any):
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError("an array of another type than unsigned bytes")

    def __setstate__(self, state: Any) -> None:
        """Ignore byte order and alignment: bytes have none."""


class _Array:
    """Stands in for `numpy.ndarray`, of which pickles first create an empty array and then set its state."""

    array: np.ndarray | None = None

    def __init__(self, *_: Any): ...

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran_order, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("an array of another type than unsigned bytes")
        self.array = np.frombuffer(data, np.uint8).reshape(shape, order="F" if fortran_order else "C")


ALLOWED = {
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,
    "numpy.ndarray": _Array,
    "numpy.dtype": _DType,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self.left = len(data)  # bytes left to encode: one text could be encoded again and again

    def encode(self, text: Any, encoding: Any) -> bytes:
        """Stands in for `_codecs.encode`, which Python 3 uses for bytes in an old protocol."""
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("text in another encoding than Latin-1")
        self.left -= len(text)
        if self.left < 0:
            raise pickle.UnpicklingError("it is not plain data")
        return text.encode("latin1")

    def persistent_load(self, identity: Any) -> Any:
        """Refuse a reference to something outside the pickle."""
        raise pickle.UnpicklingError("it refers to something that isn't in it")

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a global, or raise UnpicklingError."""
        if (module, name) == ("_codecs", "encode"):
            return self.encode
        try:
            return ALLOWED[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it calls {f'{module}.{name}'[:SHOWN]}, which no data needs") from None


def load_plain(data: bytes) -> Any:
    """Return the content of a pickle of numbers, text, lists, dictionaries and arrays of unsigned bytes.

    Strings of Python 2 become bytes. Raises UnpicklingError, without executing anything, for all other content.
    """
    try:
        _check_cost(data)
        return _bare(_Unpickler(data).load())
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle may fail in any operation, with any exception
        raise pickle.UnpicklingError("it is damaged or cut off") from error


def _check_cost(data: bytes) -> None:
    tuples = 0
    for n, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        tuples += "TUPLE" in opcode.name
        number = argument if isinstance(argument, int) else 0
        most = MAX_MEMO if opcode.name.endswith("PUT") else MAX_NUMBER
        if tuples > MAX_TUPLES or n > MAX_INSTRUCTIONS or abs(number) > most:
            raise pickle.UnpicklingError("it is not plain data")


def _bare(value: Any) -> Any:
    """Replace the stand-ins for arrays in a dictionary by their arrays."""
    if isinstance(value, dict):
        return {key: item.array if isinstance(item, _Array) else item for key, item in value.items()}
    return value

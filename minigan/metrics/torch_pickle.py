"""Interpret the part of the pickle language that a dictionary of tensors needs, and nothing else.

A pickle is a program for a small stack machine: "push this text", "make a tuple of the last three", "call that function
with these arguments". Python's interpreter calls whatever function the program names. This one implements 30 of the
instructions, enough for what `torch.save` writes for a state dict, and calls nothing: `_call` emulates the three
functions that occur, and a tensor becomes a record of where its numbers are. Keys are text and nothing else is
compared, so nested tuples cost no time; the memo is a dictionary, so a large index costs no memory. The number of
instructions is limited, because each, of one byte, may create a dictionary.
"""

from __future__ import annotations

import pickletools
from typing import Any, BinaryIO, NamedTuple

from minigan.common.untrusted import Unreadable

FLOATS = {"Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": "bf2"}
INTEGERS = {"Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "u1"}
STORAGES = {f"torch {name}Storage": code for name, code in (FLOATS | INTEGERS).items()}
MAX_INSTRUCTIONS = 1 << 18  # the weights of Inception take some 20,000
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}


class Storage(NamedTuple):
    """A flat array of numbers: its key in the file, its dtype code (see `safetensors.decode`), and its length."""

    key: str
    code: str
    numel: int


class Tensor(NamedTuple):
    """A view of a storage; offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Name(str):
    """The name of a function or class, "module name". It is never looked up."""


def load(file: BinaryIO) -> Any:
    """Interpret the pickle at the position of `file`, up to its end, and return its value: plain data and `Tensor`.

    Raises Unreadable, without executing anything, for instructions and values that a state dict doesn't need.
    A damaged program may raise IndexError or other exceptions.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        start = marks.pop()
        taken, stack[start:] = stack[start:], []
        return taken

    for n, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if n > MAX_INSTRUCTIONS:
            raise Unreadable("it is far longer than a dictionary of tensors")
        match opcode.name:
            case "PROTO":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append(CONSTANTS[opcode.name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE":
                stack.append(argument)
            case "GLOBAL":
                stack.append(_Name(argument))
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append(EMPTY[opcode.name]())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                length = int(opcode.name[-1])
                stack[-length:] = [tuple(stack[-length:])]
            case "MARK":
                marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "APPEND" | "APPENDS":
                items = since_mark() if opcode.name == "APPENDS" else [stack.pop()]
                _expect(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS":
                pairs = since_mark() if opcode.name == "SETITEMS" else [stack.pop(-2), stack.pop()]
                keys = [_expect(key, str) for key in pairs[::2]]
                _expect(stack[-1], dict).update(zip(keys, pairs[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_call(stack.pop(), arguments))
            case "BUILD":  # sets attributes of the dictionary, such as the versions of layers: ignored
                stack.pop()
                _expect(stack[-1], dict)
            case "STOP":
                return stack.pop()
            case _:
                raise Unreadable(f"it uses the pickle instruction {opcode.name}, which no dictionary of tensors needs")
    raise Unreadable("it is damaged or cut off")


def _expect(value: Any, kind: type) -> Any:
    """Return `value` if it has exactly this type. Raises Unreadable."""
    if type(value) is not kind:
        raise Unreadable("it is not a dictionary of tensors")
    return value


def _call(name: Any, arguments: Any) -> Any:
    """Return the result of a call, emulated. Raises Unreadable for all but three functions."""
    _expect(name, _Name), _expect(arguments, tuple)
    match str(name), *arguments:
        case ["collections OrderedDict"]:
            return {}
        case ["torch._utils _rebuild_tensor_v2", Storage() as storage, int(offset), tuple(shape), tuple(strides), *_]:
            return Tensor(storage, offset, shape, strides)
        case ["torch._utils _rebuild_parameter", Tensor() as tensor, *_]:
            return tensor
    raise Unreadable(f"it calls {str(name)[:80]!r}, which no dictionary of tensors needs")


def _storage(identity: Any) -> Storage:
    """Parse ("storage", type, key, device, count), in old files followed by None, which means the whole storage."""
    if type(identity) is tuple and len(identity) == 6 and identity[5] is None:
        identity = identity[:5]
    match identity:
        case ("storage", _Name() as kind, str(key), _, int(numel)) if kind in STORAGES:
            return Storage(key, STORAGES[kind], numel)
        case ("storage", _Name() as kind, *_):
            raise Unreadable(f"it has numbers of the type {str(kind)[:80]!r}, or a view of them, which can't be read")
    raise Unreadable("it refers to something that is not a storage")

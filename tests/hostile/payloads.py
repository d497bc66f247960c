"""Pickles that want to be executed or to exhaust, and archives and headers that lie: bytes, made here."""

from __future__ import annotations

import functools
import gzip
import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

TOUCH = "touch executed; export MINIGAN_CANARY=1"
SET = "__import__('os').environ.__setitem__('MINIGAN_CANARY', '1')"


class Call:
    """A call, as a pickle would make it."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple:
        return self.function, self.args


def text(value: str) -> bytes:
    """The instruction that pushes a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def gadgets() -> dict[str, bytes]:
    """Pickles that execute something when Python's own machine loads them, by name."""
    import builtins
    import subprocess

    shell = text(TOUCH)
    inner = b"cos\nsystem\n(S'" + TOUCH.encode() + b"'\ntR."
    nested = b"B" + struct.pack("<I", len(inner)) + inner
    return {
        "os.system": pickle.dumps(Call(os.system, TOUCH), 2),
        "posix.system, protocol 0": b"cposix\nsystem\n(S'" + TOUCH.encode() + b"'\ntR.",
        "nt.system": b"cnt\nsystem\n(S'" + TOUCH.encode() + b"'\ntR.",
        "subprocess.Popen": pickle.dumps(Call(subprocess.Popen, ["touch", "executed"]), 4),
        "builtins.eval": pickle.dumps(Call(builtins.eval, SET), 2),
        "builtins.exec, protocol 5": pickle.dumps(Call(builtins.exec, SET), 5),
        "__builtin__.eval of Python 2": b"c__builtin__\neval\n(S'" + SET.replace("'", '"').encode() + b"'\ntR.",
        "builtins.__import__": b"cbuiltins\n__import__\n(" + text("antigravity") + b"tR.",
        "runpy.run_path": b"crunpy\nrun_path\n(" + text("payload.py") + b"tR.",
        "getattr of an import": b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n("
        + text("os")
        + b"tR"
        + text("system")
        + b"tR("
        + shell
        + b"tR.",
        "a path of names": b"\x80\x04" + text("os") + text("path.os.system") + b"\x93(" + shell + b"tR.",
        "INST": b"(" + shell + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + shell + b"o.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(]" + text("touch") + b"a" + text("executed") + b"at\x81.",
        "NEWOBJ_EX": b"\x80\x04csubprocess\nPopen\n(]" + text("touch") + b"a" + text("executed") + b"at}\x92.",
        "SETITEM of a global": b"\x80\x02cos\nenviron\n" + text("MINIGAN_CANARY") + text("1") + b"s.",
        "copyreg._reconstructor": b"ccopyreg\n_reconstructor\n(csubprocess\nPopen\ncbuiltins\nobject\nNtR.",
        "copyreg.add_extension": b"ccopyreg\nadd_extension\n(" + text("os") + text("system") + b"K\x01tR\x82\x01.",
        "the extension registry": b"\x80\x02\x82\x01(" + shell + b"tR.",
        "a persistent id": b"\x80\x02" + shell + b"Q.",
        "a persistent id, protocol 0": b"Pos.system\n.",
        "a nested pickle": b"cpickle\nloads\n(" + nested + b"tR.",
        "setuptools": b"csetuptools.sandbox\nrun_setup\n(" + text("payload.py") + b"]tR.",
        "distutils": b"cdistutils.spawn\nspawn\n(]" + text("touch") + b"a" + text("executed") + b"atR.",
        "numpy's testing": b"cnumpy.testing._private.utils\nruntest\n(" + text("payload.py") + b"tR.",
        "numpy.load": b"cnumpy\nload\n(" + text("payload.npy") + b"NI01\ntR.",
        "numpy.f2py": b"cnumpy.f2py.crackfortran\nmyeval\n(" + text(SET) + b"tR.",
        "ctypes.CDLL": b"cctypes\nCDLL\n(" + text("libc.so.6") + b"tR.",
        "operator.methodcaller": b"coperator\nmethodcaller\n(" + text("system") + shell + b"tR(cos\n\ntR.",
        "functools.partial": b"cfunctools\npartial\n(cos\nsystem\n" + shell + b"tR)R.",
        "map in a set": b"cbuiltins\nset\n(cbuiltins\nmap\n(cos\nsystem\n]" + shell + b"atRtR.",
        "a web browser": b"cwebbrowser\nopen\n(" + text("http://127.0.0.1:9/") + b"tR.",
        "a socket": b"csocket\ncreate_connection\n(" + text("127.0.0.1") + b"K\x09\x86tR.",
        "minigan's own code": b"cminigan.commands.cli\nmain\n(]" + text("models") + b"atR.",
        "a name as long as a book": b"c" + b"o" * 200_000 + b"\nsystem\n" + b"(" + shell + b"tR.",
        "a name that colors the terminal": b"\x80\x04" + text("\x1b[31mos\n") + text("sy\rstem") + b"\x93)R.",
    }


def exhausting() -> dict[str, bytes]:
    """Pickles that execute nothing, and would take all of the memory or of the time."""
    million = 1 << 20
    colliding = b"".join(b"\x8a\x0a" + (k * ((1 << 61) - 1)).to_bytes(10, "little") + b"N" for k in range(60_000))
    copies = text("x" * (8 << 20)) + b"q\x01" + text("latin1") + b"\x86q\x02c_codecs\nencode\nq\x03]q\x04("
    return {
        "millions of lists": b"\x80\x02(" + b"]" * (8 * million) + b"l.",
        "millions of dictionaries": b"\x80\x02(" + b"}" * (8 * million) + b"l.",
        "lists in lists in lists": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
        "tuples in tuples as a key": b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s.",
        "a memo of four billion": b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b".",
        "a memo of four billion, protocol 0": b"(dp4294967295\n.",
        "keys that hash alike": b"\x80\x02}(" + colliding + b"u.",
        "a text copied again and again": b"\x80\x02" + copies + b"h\x03h\x02R" * 1000 + b"e.",
        "a number with a million digits": b"\x80\x02L" + b"9" * million + b"L\n.",
        "text that isn't there": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"abc.",
        "bytes that aren't there": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",
        "a number that isn't there": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.",
        "a list that holds itself": b"\x80\x02]q\x00h\x00a.",
        "a frame without an end": b"\x80\x04\x95" + struct.pack("<Q", 2**63 - 1) + b"N.",
    }


def npy(descr: str = "<f4", shape: str = "(2,)", data: bytes = bytes(8), version: int = 1) -> bytes:
    """A .npy file with any header."""
    header = (
        f"{{'descr': {descr if descr.startswith('[') else repr(descr)}, 'fortran_order': False, 'shape': {shape}, }}"
    )
    return raw_npy(header.encode() + b"\n", data, version)


def raw_npy(header: bytes, data: bytes = b"", version: int = 1) -> bytes:
    """A .npy file with anything in the place of its header."""
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def zipped(
    members: dict[str, bytes] | list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED, level: int | None = None
) -> bytes:
    """A zip archive; a list of members may have a name twice."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=level) as archive:
        for name, data in members.items() if isinstance(members, dict) else members:
            if name in archive.NameToInfo:
                del archive.NameToInfo[name]  # or zipfile would warn
            archive.writestr(name, data)
    return file.getvalue()


def arrays_in(path: Any) -> dict[str, np.ndarray]:
    """The arrays of an .npz file that is whole."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def npz(**arrays: Any) -> bytes:
    """An .npz file as NumPy writes it, objects and all."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def flagged(archive: bytes, at: int, bits: int) -> bytes:
    """A zip archive with bits set in every header: of its members, and of the directory at its end."""
    data = bytearray(archive)
    for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        i = data.find(start)
        while i >= 0:
            data[i + offset + at] |= bits
            i = data.find(start, i + 4)
    return bytes(data)


def bad_npz(good: dict[str, np.ndarray], victim: str) -> dict[str, Callable[[], bytes]]:
    """An archive of arrays with something wrong in its form, or with the array `victim` in another."""
    whole, rest = npz(**good), {f"{name}.npy": npz_member(array) for name, array in good.items() if name != victim}
    name, n = f"{victim}.npy", len(whole)

    def with_victim(data: bytes, key: str = name) -> Callable[[], bytes]:
        return lambda: zipped(rest | {key: data})

    deep = b"{'descr': '<f4', 'fortran_order': False, 'shape': " + b"(" * 3000 + b")" * 3000 + b", }\n"
    nested = b"{'descr': " + b"[" * 1500 + b"]" * 1500 + b", 'fortran_order': False, 'shape': (2,), }\n"
    return {
        "no bytes": lambda: b"",
        "text": lambda: b"hello, world\n" * 20,
        "a pickle": lambda: gadgets()["os.system"],
        "a zip archive of nothing": lambda: zipped({}),
        "one array in the place of an archive": lambda: npy(),
        "a pickled array in the place of an archive": lambda: npy("|O", "(1,)", gadgets()["os.system"]),
        **{f"cut after {share:.1%}": lambda share=share: whole[: int(share * n)] for share in (0.001, 0.3, 0.7, 0.999)},
        "junk before it": lambda: b"x" * 100 + whole[50:],
        "encrypted": lambda: flagged(whole, 0, 1),
        "an unknown way to pack": lambda: flagged(whole, 2, 0x63),
        "an array of objects": with_victim(npy("|O", "(1,)", gadgets()["os.system"])),
        "an array of objects, as NumPy writes it": lambda: npz(
            **good | {victim: np.array([Call(os.system, TOUCH)], object)}
        ),
        "an array of text": with_victim(npy("<U2", "(1,)")),
        "an array of dates": with_victim(npy("<M8[ns]", "(1,)")),
        "an array of records": with_victim(npy("[('a', '<f4'), ('b', '<f4')]", "(1,)")),
        "an array of records with objects": with_victim(npy("[('a', '|O')]", "(1,)")),
        "an array of complex numbers": with_victim(npy("<c8", "(1,)")),
        "an array of nothing": with_victim(npy("|V0", "(9999999999,)", b"")),
        "numbers of 2 GB each": with_victim(npy("|V2147483647", "(0,)", b"")),
        "a shape of 2^62": with_victim(npy("<f4", f"({2**62},)")),
        "a shape of 2^64 x 2^64": with_victim(npy("<f4", f"({2**64}, {2**64})")),
        "a shape of 40 GB": with_victim(npy("<f4", "(100000, 100000)")),
        "a negative shape": with_victim(npy("<f4", "(-1,)")),
        "a shape of a hundred axes": with_victim(npy("<f4", "(" + "1, " * 100 + ")", bytes(4))),
        "a shape that is no number": with_victim(npy("<f4", "('a',)")),
        "a shape that is a call": with_victim(npy("<f4", "(__import__('os').system('touch executed'),)")),
        "a header nested 3,000 deep": with_victim(raw_npy(deep)),
        "a dtype nested 1,500 deep": with_victim(raw_npy(nested)),
        "a shape of 4,000 digits": with_victim(npy("<f4", "(" + "1" * 4000 + ", x)")),
        "a shape of 1,000 numbers": with_victim(npy("<f4", "(" + "1, " * 1000 + "x)")),
        "a header without an end": with_victim(raw_npy(b"{'descr': '<f4', 'shape': (2,")),
        "a header that is no text": with_victim(raw_npy(b"\xff\xfe" * 40, version=3)),
        "a header of 60 kB": with_victim(raw_npy(b" " * 60_000 + b"\n")),
        "a header of 4 GB": with_victim(b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b"{'descr'"),
        "a version of 9": with_victim(npy(version=9)),
        "bytes that are no array": with_victim(b"hello"),
        "a member without bytes": with_victim(b""),
        "one number too few": with_victim(npy("<f4", "(3,)")),
        "one byte too many": with_victim(npy("<f4", "(2,)", bytes(9))),
        "a name twice": lambda: zipped([*rest.items(), (name, npy()), (name, npy())]),
        "300 MB of zeros, packed": lambda: swollen_zip(300, zipfile.ZIP_DEFLATED),
        "80 MB of zeros, packed by bzip2": lambda: swollen_zip(80, zipfile.ZIP_BZIP2),
        "17,000 arrays": lambda: crowded_zip(17_000),
    }


def npz_member(array: np.ndarray) -> bytes:
    """One array as .npy."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zeros(size: int) -> bytes:
    """`size` zeros, packed by gzip to a thousandth: a member of a mebibyte again and again."""
    return gzip.compress(bytes(1 << 20), mtime=0) * (size >> 20)


@functools.cache
def swollen_zip(mib: int, how: int) -> bytes:
    """A zip archive of one array of zeros, packed."""
    return zipped({"a.npy": npy("<f4", f"({mib << 18},)", bytes(mib << 20))}, how, level=1)


@functools.cache
def crowded_zip(n: int) -> bytes:
    return zipped({f"{i}.npy": npy() for i in range(n)})


def chunk(kind: bytes, body: bytes = b"", crc: int | None = None, length: int | None = None) -> bytes:
    """A chunk of a PNG file."""
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body) if length is None else length) + kind + body + struct.pack(">I", crc)


def png(width: int, height: int, depth: int = 8, color: int = 2, pixels: bytes | None = None, *more: bytes) -> bytes:
    """A PNG file of any header; `more` are chunks between the header and the pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, 1)
    if pixels is None:
        pixels = zlib.compress((b"\0" + bytes((width * channels * depth + 7) // 8)) * height, 9)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = b"".join(more) + chunk(b"IDAT", pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND")

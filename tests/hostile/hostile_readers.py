"""Every reader of minigan with files that it accepts, and ways to spoil these: for the fuzz tests and for fuzz.py.

Bytes that are turned at random are mostly caught by the first checksum. So files are also spoiled inside: a member of a
zip archive, a chunk of a PNG, what gzip has packed, the state of a checkpoint; and the checksums are made right again.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import random
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bad_archives import GOOD_ZIP, PICTURES
from bad_cifar import BINARY, GOOD, member, pickled, tar
from bad_idx import GOOD as IDX
from bad_pictures import animated, picture
from bad_runs import FEATURES, NEWEST, frozen, good_arrays, good_run, sealed
from bad_weights import GOOD_SAFE, archive, dictionary, entry, network, safe, statistics, stream, tensor
from payloads import chunk, npz
from PIL import Image

from minigan.apply import read_picture
from minigan.apply.png import write_png
from minigan.data import open_dataset, open_feeds, open_folder
from minigan.data.cifar import read_cifar
from minigan.data.idx import read_idx
from minigan.errors import MiniganError
from minigan.metrics import read_statistics
from minigan.metrics.inception import read_weights
from minigan.metrics.safetensors import read_safetensors
from minigan.metrics.torch_file import read_torch_file
from minigan.model import MAP, PICTURE
from minigan.training import RunFolder, build_model, load_checkpoint
from minigan.training.build import check_arguments

INTERESTING = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


@dataclass(frozen=True)
class Reader:
    """A function that reads `file` in a folder, files that it accepts, and how to spoil them inside."""

    file: str
    read: Callable[[Path], object]
    good: Callable[[], list[bytes]]
    inside: Callable[[random.Random, bytes], bytes] | None = None


def spoil(random: random.Random, data: bytes) -> bytes:
    """Spoil bytes in one to four places."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(changed) + 1)
        kind = random.randrange(8)
        if kind == 0 and changed:  # a bit
            changed[at % len(changed)] ^= 1 << random.randrange(8)
        elif kind == 1 and changed:  # a byte
            changed[at % len(changed)] = random.randrange(256)
        elif kind == 2:  # a number that often is one too many, of 1, 2, 4 or 8 bytes
            size, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
            number = (random.choice(INTERESTING) % 256**size).to_bytes(size, order)
            changed[at : at + size] = number
        elif kind == 3:  # cut
            del changed[at:]
        elif kind == 4:  # some bytes less
            del changed[at : at + random.choice((1, 2, 8, 64))]
        elif kind == 5:  # some bytes more
            changed[at:at] = random.randbytes(random.choice((1, 4, 16)))
        elif kind == 6:  # a part once more, elsewhere
            start = random.randrange(len(changed) + 1)
            changed[at:at] = changed[start : start + random.choice((1, 8, 100, 1000))]
        else:  # a number that is written in digits, in a header or in JSON
            numbers = list(re.finditer(rb"-?\d+", changed))
            if numbers:
                found = random.choice(numbers)
                words = (b"-1", b"1e999", b"NaN", b"null", b"[]", b'"x"', b"true", b"9" * 400)
                new = random.choice((*words, b"%d" % random.choice(INTERESTING)))
                changed[found.start() : found.end()] = new
    return bytes(changed)


def spoiled(random: random.Random, reader: Reader) -> bytes:
    """A file for a reader: one that it accepts, spoiled outside, inside or both."""
    data = random.choice(reader.good())
    inside = reader.inside is not None and random.random() < 0.7
    if inside:
        data = reader.inside(random, data)
    return spoil(random, data) if not inside or random.random() < 0.2 else data


def in_zip(random: random.Random, data: bytes) -> bytes:
    """Spoil a member of a zip archive, or its name, and pack it anew."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = [(info.filename, old.read(info)) for info in old.infolist()]
    k = random.randrange(len(members))
    name, inner = members[k]
    if random.random() < 0.15:
        name = spoil(random, name.encode()).decode("latin1").replace("\0", "")
    elif name.endswith(".npy") and random.random() < 0.5:  # the header rather than the numbers, of which there are more
        inner = spoil(random, inner[:128]) + inner[128:]
    else:
        inner = spoil(random, inner)
    members[k] = (name, inner)
    file = io.BytesIO()
    how = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(file, "w", how) as new:
        for name, inner in members:
            new.NameToInfo.pop(name, None)  # or zipfile would warn of a name that is there twice
            new.writestr(zipfile.ZipInfo(name), inner, how)
    return file.getvalue()


def in_gzip(random: random.Random, data: bytes) -> bytes:
    return (
        gzip.compress(spoil(random, gzip.decompress(data)), 1) if data.startswith(b"\x1f\x8b") else spoil(random, data)
    )


def in_tar(random: random.Random, data: bytes) -> bytes:
    """Spoil the header of a member or a batch, and make the header's checksum right again."""
    whole = bytearray(gzip.decompress(data))
    whole[:512] = spoil(random, bytes(whole[:512]))[:512].ljust(512, b"\0")
    whole[148:156] = b" " * 8
    whole[148:156] = f"{sum(whole[:512]):06o}\0 ".encode()
    return gzip.compress(bytes(whole) if random.random() < 0.6 else spoil(random, bytes(whole)), 1)


def in_png(random: random.Random, data: bytes) -> bytes:
    """Spoil a chunk of a PNG, and make its checksum right again; other pictures as they are."""
    if not data.startswith(b"\x89PNG"):
        return spoil(random, data)
    chunks, at = [], 8
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    k = random.randrange(len(chunks))
    kind, body = chunks[k]
    if kind == b"IDAT" and random.random() < 0.5:
        body = zlib.compress(spoil(random, zlib.decompress(body)))
    elif random.random() < 0.2:
        kind = random.choice(
            (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"acTL", b"fcTL", b"fdAT", b"pHYs", b"gAMA")
        )
    else:
        body = spoil(random, body)
    chunks[k] = (kind, body)
    if random.random() < 0.2:
        chunks.insert(random.randrange(len(chunks)), random.choice(chunks))
    return data[:8] + b"".join(chunk(kind, body) for kind, body in chunks)


def in_checkpoint(random: random.Random, data: bytes) -> bytes:
    """Spoil the state, or the archive; sometimes the checksum is made right again."""
    if random.random() < 0.5:
        return in_zip(random, data)
    text = spoil(random, good_arrays()["state"].tobytes())
    return sealed(good_arrays() | {"state": np.frombuffer(text, np.uint8)})


def pictures() -> list[bytes]:
    forms = [picture(form) for form in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")]
    modes = [picture("PNG", mode=mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")]
    more = [picture("JPEG", progressive=True), picture("JPEG", mode="CMYK"), picture("WEBP", lossless=True)]
    return [*forms, *modes, *more, animated("PNG"), animated("WEBP"), picture("BMP", mode="P")]


def read_pictures(folder: Path) -> None:
    open_folder(folder, 8).batch(np.array([0]))


@functools.cache
def class_maps() -> list[bytes]:
    """Maps of four classes, of every kind of file."""
    classes = np.arange(4, dtype=np.uint8).repeat(6)[:, None].repeat(24, axis=1)
    image, found = Image.fromarray(classes), []
    paletted = Image.fromarray(classes, "P")
    paletted.putpalette(bytes(range(12)))
    for form, one in (("PNG", image), ("PNG", paletted), ("GIF", paletted), ("TIFF", image), ("BMP", image)):
        found.append(io.BytesIO())
        one.save(found[-1], form)
    large = Image.fromarray(np.eye(4, 3, dtype=np.uint8)[classes] * 255)
    for form in ("PNG", "JPEG"):
        found.append(io.BytesIO())
        large.save(found[-1], form)
    wide = io.BytesIO()
    Image.fromarray(classes.astype(np.uint16) * 1000).save(wide, "PNG")
    return [file.getvalue() for file in (*found, wide)]


def read_maps(folder: Path) -> None:
    open_feeds(folder, {"m": MAP}, 8)["data"].read(np.array([0]))


@functools.cache
def halves() -> list[bytes]:
    """Pairs side by side."""
    noise, found = np.random.default_rng(0).integers(0, 256, (12, 24, 3), dtype=np.uint8), []
    for form in ("PNG", "JPEG", "BMP", "GIF"):
        found.append(io.BytesIO())
        Image.fromarray(noise).save(found[-1], form)
    return [file.getvalue() for file in found]


def read_halves(folder: Path) -> None:
    open_feeds(folder, {"input": PICTURE, "target": PICTURE}, 8, crops=True)["data"].read(np.array([0]))


def read_all(path: Path) -> None:
    data = open_dataset(path, 8)
    data.batch(np.arange(len(data)))


def read_a_run(folder: Path) -> None:
    """config.json, and the arguments of the model that it asks for, which may be too large for this machine."""
    check_arguments(RunFolder(folder).config(), folder / "config.json")


def read_records(folder: Path) -> None:
    for record in RunFolder(folder).records.read():
        json.dumps(record, allow_nan=False)


def read_a_checkpoint(folder: Path) -> None:
    load_checkpoint(folder / "x.npz", "dcgan").restore(built())


@functools.cache
def built() -> object:
    return build_model(RunFolder(good_run()).config())


def kept(path: str) -> Callable[[], list[bytes]]:
    return lambda: [(good_run().parent / path).read_bytes()]


def some_npz() -> list[bytes]:
    return [npz(a=np.zeros((2, 3), np.float32), b=np.arange(5), c=np.ones((4, 4), order="F"), d=np.array(1.5))]


LABELS = np.arange(3)
TWO = safe({"a": entry(), "b": entry("BF16", (2, 2), (8, 16)), "__metadata__": {"x": "y"}}, bytes(16))
RECORD = b'{"step": 10, "d_loss": 0.5, "gradients": {"G.0": 0.1}, "notes": [{"check": "a", "sentence": "b"}]}\n'
TAR = gzip.compress(tar(GOOD, member("a/test_batch.bin", BINARY[:3073])))
BATCH = pickled(np.zeros((2, 3072), np.uint8), (1, 2))


def deep_pictures() -> list[bytes]:
    """PNG files with 16 bits, which minigan decodes itself."""
    pixels = np.arange(5 * 7 * 4, dtype=np.uint16).reshape(5, 7, 4) * 400
    return [write_png(pixels[..., :channels]) for channels in (1, 2, 3, 4)]


def floats() -> list[bytes]:
    """Files of floats, as np.save writes them."""
    file = io.BytesIO()
    np.save(file, np.linspace(-1, 1, 60, dtype=np.float32).reshape(4, 5, 3))
    return [file.getvalue()]


READERS = {
    "pictures": Reader("x.png", read_pictures, pictures, in_png),
    "maps": Reader("x.png", read_maps, class_maps, in_png),
    "halves": Reader("x.png", read_halves, halves, in_png),
    "pictures-to-apply": Reader("x.png", lambda folder: read_picture(folder / "x.png"), deep_pictures, in_png),
    "floats-to-apply": Reader("x.npy", lambda folder: read_picture(folder / "x.npy"), floats),
    "zip-of-pictures": Reader("x.zip", lambda folder: read_all(folder / "x.zip"), lambda: [GOOD_ZIP], in_zip),
    "arrays": Reader("x.npz", lambda folder: read_all(folder / "x.npz"), lambda: [npz(x=PICTURES, y=LABELS)], in_zip),
    "idx": Reader("x", lambda folder: read_idx(folder / "x", 3), lambda: [IDX, gzip.compress(IDX)], in_gzip),
    "cifar-pickle": Reader("data_batch_1", read_cifar, lambda: [BATCH, pickled(protocol=4), pickled(protocol=0)]),
    "cifar-binary": Reader("data_batch_1.bin", read_cifar, lambda: [BINARY]),
    "cifar-archive": Reader("x.tar.gz", lambda folder: read_cifar(folder / "x.tar.gz"), lambda: [TAR], in_tar),
    "checkpoint": Reader("x.npz", read_a_checkpoint, kept(NEWEST), in_checkpoint),
    "frozen": Reader("frozen.npz", frozen, lambda: [sealed(FEATURES)], in_zip),
    "config": Reader("config.json", read_a_run, kept("run/config.json")),
    "metrics": Reader("metrics.jsonl", read_records, lambda: [RECORD * 3]),
    "safetensors": Reader("x.safetensors", lambda f: read_safetensors(f / "x.safetensors"), lambda: [GOOD_SAFE, TWO]),
    "torch-archive": Reader(
        "x.pth", lambda f: read_torch_file(f / "x.pth"), lambda: [archive(dictionary(tensor()))], in_zip
    ),
    "torch-stream": Reader("x.pth", lambda f: read_torch_file(f / "x.pth"), lambda: [stream(dictionary(tensor()))]),
    "npz-weights": Reader("x.npz", lambda f: read_weights(f / "x.npz"), some_npz, in_zip),
    "statistics": Reader("x.npz", lambda f: read_statistics(f / "x.npz", network()), lambda: [statistics()()], in_zip),
}


def attempt(reader: Reader, data: bytes, folder: Path) -> bool:
    """Give bytes to a reader; return whether it accepts them. Raises AssertionError for a sentence that is none.

    All but MiniganError goes on upwards.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / reader.file).write_bytes(data)
    try:
        reader.read(folder)
    except MiniganError as error:
        said = str(error)
        assert said.isprintable(), said
        assert folder.name in said or reader.file in said, f"no file is named: {said}"
        assert len(said) < 4000, "the sentence is endless"
        return False
    finally:
        assert [path.name for path in folder.iterdir()] == [reader.file], "something was written"
    return True

"""Open pictures that belong together, row by row, as one source: an input and its target, in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minigan.common.words import every
from minigan.data.archive import Member
from minigan.data.crops import Crops
from minigan.data.dataset import about_darkness
from minigan.data.decode import File, Half, Header, decode_whole, no_warnings, read_header
from minigan.data.folder import CACHE_BUDGET, DEFAULT_SIZE, BadFilesError, FolderDataset, name_of
from minigan.data.headers import cropped, misnamed, read_headers, resized
from minigan.data.kinds import count_kinds
from minigan.data.listing import Listing, choose_split, list_files, listed
from minigan.data.maps import MapFiles, about_classes, read_palette
from minigan.data.palette import Palette
from minigan.data.pictures import Size, as_size, size_words
from minigan.data.sides import Files, by_name, find_sides, in_order, lone_side, partners
from minigan.data.source import SHOWN, Source
from minigan.errors import DataError
from minigan.model import Kind

LOOKED_AT = 8  # files in which the edge between two pictures is looked for
EDGE = 3  # the step at that edge, in steps between other columns


@dataclass(frozen=True)
class Reading:
    """How pictures are read; as in `open_feeds`. channels: of each array; None: those of its files"""

    img_size: Size | None = None
    channels: Mapping[str, int | None] = field(default_factory=dict)
    split: str = "train"
    skip_bad: bool = False
    crops: bool = False
    swap: bool = False
    ignore: tuple[str, ...] = ()
    palettes: Mapping[str, Palette] = field(default_factory=dict)


@dataclass
class Rows:
    """The files of each array, row by row: `files[array][i]` belong together."""

    name: str
    files: dict[str, list[File]]
    notes: list[str] = field(default_factory=list)


def open_paired(data: Path | Mapping[str, Path], kinds: Mapping[str, Kind], how: Reading) -> Source:
    """Open the pictures of one folder or archive, or of one for each array, as the arrays of one feed.

    One folder has both pictures of a pair as described in `sides`. Of several folders, files of one name are a row. All
    pictures of a row have one size, or at least one aspect ratio if they are resized. With `skip_bad`, a row is left
    out if one of its pictures is bad or missing.

    Raises DataError, in one sentence, for a picture without a partner, sizes that don't fit, and files that can't be
    read.
    """
    shown = [array for array, kind in kinds.items() if kind.what in SHOWN]
    for array in kinds.keys() - set(shown):
        raise DataError(f'{data} has no array "{array}": give it by a function that returns arrays')
    rows = _one_root(data, kinds, shown, how) if isinstance(data, Path) else _by_roots(data, shown, how)
    size = as_size(how.img_size or DEFAULT_SIZE)
    maps = [array for array in shown if kinds[array].what == "map"]
    headers = _read(rows, size, maps, how, data)
    _check_sizes(rows, headers, how)
    palettes = {array: how.palettes.get(array) or _read_palette(rows, array, how, data) for array in maps}
    parts: dict[str, FolderDataset] = {}
    for array, files in rows.files.items():
        found = headers[array]
        if array in maps:
            parts[array] = MapFiles(rows.name, files, size, palettes[array])
            continue
        channels = how.channels.get(array) or (1 if all(found[file].gray for file in files) else 3)
        parts[array] = FolderDataset(rows.name, files, size, channels)
        parts[array].altered = sum(found[file].size != size for file in files)
    if how.skip_bad:
        parts = _without_damaged(parts, rows, data)
    for array, part in parts.items():
        rows.notes += [f"{array}: {note}" for note in about_darkness(part) if array not in maps]
    return Source(
        rows.name,
        {array: Crops(part, size) if how.crops else part for array, part in parts.items()},
        kinds,
        notes=[*rows.notes, *_about(parts, headers, size, how)],
    )


def _one_root(root: Path, kinds: Mapping[str, Kind], shown: Sequence[str], how: Reading) -> Rows:
    """Return the files of a folder or an archive that has all of the arrays."""
    sides = find_sides(root, how.split)
    if len(shown) > 2 or len(sides.files) > 2 and len(shown) > 1:
        many = f"{root} has pictures in {len(sides.files)} folders, {listed(sorted(sides.files))}"
        what = f"{every(shown)} are not in one folder" if len(shown) > 2 else many
        raise DataError(f"{what}: give one folder for each, as {_words(shown)}")
    notes = list(sides.notes)
    if len(shown) == 1:
        return Rows(name_of(root), {shown[0]: [p for one in sides.files.values() for _, p in one.pictures]}, notes)
    first, second = shown[:: -1 if how.swap else 1]
    if len(sides.files) == 1:
        (listing,) = sides.files.values()
        files = [path for _, path in listing.pictures]
        notes += _check_halves(files, lone_side(sides, root), _words(shown))
        halves = {array: [Half(file, side) for file in files] for side, array in enumerate((first, second))}
        notes.append(f"{first} is the left half of each file, {second} the right one: `swap` exchanges them")
        return Rows(name_of(root), {array: list(halves[array]) for array in shown}, notes)
    names = in_order(list(sides.files), shown, [array for array in shown if kinds[array].what == "map"])
    side_of = dict(zip((first, second), names, strict=True))
    called = {array: sides.words(name, root) for array, name in side_of.items()}
    notes.append(f"{first} is {called[first]}, {second} {called[second]}: `swap` exchanges them")
    found = {array: by_name(sides.files[side_of[array]].pictures) for array in shown}
    return Rows(name_of(root), _aligned(found, called, how, notes), notes)


def _by_roots(roots: Mapping[str, Path], shown: Sequence[str], how: Reading) -> Rows:
    """Return the files of a folder or an archive for each array."""
    for array in shown:
        if array not in roots:
            raise DataError(f'the data has no array "{array}", which the model takes, only {every(roots)}: add it')
    given = {array: roots[array] for array in shown}
    found, notes = {}, []
    for array, root in given.items():
        everything = list_files(root)
        listing = choose_split(everything, how.split, root)
        found[array] = by_name(listing.pictures)
        passed_over = count_kinds(everything.passed_over)
        notes += [f"{array}: {note}" for note in (*listing.notes, passed_over) if note]
    names = dict.fromkeys(name_of(root) for root in given.values())
    return Rows("-".join(names), _aligned(found, given, how, notes), notes)


def _aligned(
    found: dict[str, Files], where: Mapping[str, object], how: Reading, notes: list[str]
) -> dict[str, list[File]]:
    """Return the files of each array in the same order. `where` says where each array's files are, for messages."""
    common = [name for name in next(iter(found.values())) if all(name in files for files in found.values())]
    if how.skip_bad and common:
        missing = sum(len(files) for files in found.values()) - len(common) * len(found)
        notes += [f"{missing:,} pictures without a partner are left out"] if missing else []
        found = {array: {name: files[name] for name in common} for array, files in found.items()}
    rows = partners(list(found.values()), [where[array] for array in found])
    return {array: [row[k] for row in rows] for k, array in enumerate(found)}


def _read(
    rows: Rows, size: tuple[int, int], maps: Sequence[str], how: Reading, data: Path | Mapping[str, Path]
) -> dict[str, dict[File, Header]]:
    """Return the headers of all pictures of each array; rows with a bad one are removed, or refused.

    A class map may be smaller than a sample, unless samples are crops.
    """
    headers, bad = {}, []
    for array, files in rows.files.items():
        least = (1, 1) if array in maps and not how.crops else size
        headers[array], problems = read_headers(Listing([((file.name,), file) for file in files]), least)
        bad += problems
    bad = list(dict.fromkeys(bad))
    n = len(next(iter(rows.files.values())))
    good = [i for i in range(n) if all(files[i] in headers[array] for array, files in rows.files.items())]
    if bad and not (how.skip_bad and good):
        raise BadFilesError(_root(data), bad, bool(good))
    if bad:
        rows.notes.append(f"{n - len(good):,} pairs are left out, because of {len(bad):,} bad files such as: {bad[0]}")
        rows.files = {array: [files[i] for i in good] for array, files in rows.files.items()}
    return headers


def _read_palette(rows: Rows, array: str, how: Reading, data: Path | Mapping[str, Path]) -> Palette:
    """Return the classes of an array's maps; rows with a damaged map are removed, or refused."""
    try:
        palette, bad = read_palette(rows.files[array], how.ignore)
    except DataError as error:
        first = rows.files[array][0]
        raise DataError(f"{first.file if isinstance(first, Half) else first} and others as {array}: {error}") from error
    good = [i for i in range(len(rows.files[array])) if i not in bad]
    if bad and not how.skip_bad:
        raise BadFilesError(_root(data), list(bad.values()), bool(good))
    if bad:
        such = next(iter(bad.values()))
        rows.notes.append(f"{len(bad):,} pairs are left out, because of damaged maps such as: {such}")
        rows.files = {name: [files[i] for i in good] for name, files in rows.files.items()}
    rows.notes.append(f"{array} has {about_classes(palette)}")
    return palette


def _without_damaged(
    parts: dict[str, FolderDataset], rows: Rows, data: Path | Mapping[str, Path]
) -> dict[str, FolderDataset]:
    """Decode all pictures, and return the data sets without the rows that have a damaged one."""
    damaged = {i: problem for part in parts.values() for i, problem in part.find_bad().items()}
    n = len(next(iter(parts.values())))
    if len(damaged) == n:
        raise BadFilesError(_root(data), list(damaged.values()), False)
    if damaged:
        good = np.array([i for i in range(n) if i not in damaged])
        such = next(iter(damaged.values()))
        rows.notes.append(f"{len(damaged):,} pairs are left out, because of damaged files such as: {such}")
        parts = {array: part.select(good) for array, part in parts.items()}
    return parts


def _check_sizes(rows: Rows, headers: dict[str, dict[File, Header]], how: Reading) -> None:
    """Raise DataError if two pictures of a row differ in size; of resized ones, if they differ in aspect ratio."""
    (first, files), *others = rows.files.items()
    for array, partner_files in others:
        for one, other in zip(files, partner_files, strict=True):
            (h, w), (height, width) = headers[first][one].size, headers[array][other].size
            rounded = max(h + w, height + width)  # if one was made of the other, each side is off by at most a pixel
            if (h, w) == (height, width) or (not how.crops and abs(h * width - w * height) <= rounded):
                continue
            only = "crops of a pair need one size" if how.crops else "a pair shows the same thing in the same place"
            what = f"{one} is {size_words(h, w)}, but {other} {size_words(height, width)} in height x width"
            raise DataError(f"{what}: {only}, so create both again in one size")


def _check_halves(files: Sequence[Path | Member], lone: str, folders: str) -> list[str]:
    """Return notes about files that hold two pictures side by side. Raises DataError if they don't seem to.

    Halves that are squares are taken as they are. In other files the step between the two middle columns has to stand
    out, in half of the files looked at. `lone` says that these are one of two sides, if they are called like it.
    """
    odd, edges = [], []
    for file in [files[i] for i in np.unique(np.linspace(0, len(files) - 1, LOOKED_AT).astype(int))]:
        with no_warnings(), suppress(DataError):  # bad files are reported later
            height, width = read_header(file).size
            if width != 2 * height and width % 2 == 0:
                x = decode_whole(file, 3).astype(np.float32)
                steps = abs(x[:, 1:] - x[:, :-1]).mean(axis=(0, 2))  # (W − 1,)
                odd.append(file)
                edges.append(steps[x.shape[1] // 2 - 1] > EDGE * np.median(steps))
    if not odd:
        return []
    if np.mean(edges) < 0.5:
        if lone:
            raise DataError(f"{lone}: add them, or let the model damage single pictures by `damage`")
        what = f"{odd[0]} isn't twice as wide as high, and has no edge in the middle"
        how = f"give two folders, as {folders}, or let the model damage single pictures by `damage`"
        raise DataError(f"{what}, so that it isn't taken for two pictures side by side: {how}")
    return [f"files such as {odd[0].name} aren't twice as wide as high: their halves are no squares"]


def _about(
    parts: Mapping[str, FolderDataset], headers: dict[str, dict[File, Header]], size: tuple[int, int], how: Reading
) -> list[str]:
    """Return notes about the files of each array, once if they agree."""
    by_array = {}
    for array, part in parts.items():
        sizes = [headers[array][file].size for file in part.paths]
        default = how.img_size is None
        fitted = cropped(sizes, size, default, CACHE_BUDGET) if how.crops else resized(sizes, size, default)
        by_array[array] = [note for note in (misnamed(headers[array]), fitted) if note]
    same = len({tuple(notes) for notes in by_array.values()}) == 1
    chosen = list(by_array.items())[:1] if same else by_array.items()
    return [note if same else f"{array}: {note}" for array, notes in chosen for note in notes]


def _words(arrays: Sequence[str]) -> str:
    return ",".join(f"{array}=FOLDER" for array in arrays)


def _root(data: Path | Mapping[str, Path]) -> Path:
    return data if isinstance(data, Path) else next(iter(data.values()))

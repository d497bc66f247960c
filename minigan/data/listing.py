"""Find the pictures in a folder or a .zip archive, and the split and class of each.

    cats/a.png  dogs/b.png                  two or more folders are classes
    train/cats/a.png  test/cats/b.png       splits contain classes ...
    cats/train/a.png  cats/test/b.png       ... or classes contain splits
    trainA/a.png  trainB/b.png  testA/c.png ... or one folder names both, here the classes A and B
    photos/cats/a.png  photos/dogs/b.png    a single folder around everything is ignored

The names of splits are not case-sensitive, and a folder with such a name is never a class.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.data.archive import Member, open_archive
from minigan.data.kinds import SUFFIXES, count_kinds
from minigan.errors import DataError

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLITS = tuple(SPLIT_NAMES)
SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}
_WORDS = "|".join(sorted(SPLIT_OF, key=len, reverse=True))
SPLIT = re.compile(rf"({_WORDS})([AB]?)", re.IGNORECASE)
PAIRED_SPLIT = re.compile(rf"({_WORDS})([AB]?|annot|[ _.-].+)", re.IGNORECASE)  # train_labels: split and side
SHOWN = 8  # names in a sentence


class NoSplitError(DataError):
    """The data doesn't have the requested split: train, val or test."""


Parts = tuple[str, ...]  # a path below the root, or the rest of it: folders, and for a picture the file name


@dataclass
class Listing:
    """Pictures as (path below the root, file), sorted; folders below the root; names of files that are not pictures."""

    pictures: list[tuple[Parts, Path | Member]] = field(default_factory=list)
    folders: list[Parts] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def add(self, parts: Parts, path: Path | Member) -> None:
        """Add a file."""
        if parts[-1].lower().endswith(SUFFIXES):
            self.pictures.append((parts, path))
        else:
            self.passed_over.append(parts[-1])


def list_folder(root: Path) -> Listing:
    """List `root` and its subfolders, without hidden ones. Raises DataError if a folder can't be read."""
    listing = Listing()
    for folder, files in walk(root):
        below = folder.relative_to(root).parts
        if below:
            listing.folders.append(below)
        for name in files:
            if not name.startswith("."):
                listing.add((*below, name), folder / name)
    listing.pictures.sort(key=lambda picture: picture[0])
    return listing


def list_archive(path: Path) -> Listing:
    """List the files in a .zip archive. Raises DataError if it can't be read."""
    files, folders = open_archive(path)
    listing = Listing(folders=folders)
    for member in files:
        listing.add(member.parts, member)
    listing.pictures.sort(key=lambda picture: picture[0])
    return listing


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield `root` and its subfolders with their files, following links, each folder once so that link cycles end."""
    visited = set()
    for folder, subfolders, files in os.walk(root, onerror=_refuse_folder, followlinks=True):
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in visited:
            subfolders.clear()
            continue
        visited.add(here)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield Path(folder), files


def _refuse_folder(error: OSError) -> None:
    raise DataError(f"cannot read {error.filename}: {error.strerror}") from error


def list_files(root: Path) -> Listing:
    """List a folder or an archive. Raises DataError if it is neither, or has no pictures."""
    if not (root.is_dir() or root.is_file()):
        raise DataError(f"{root} is not a folder: give the folder, or the .zip archive, that holds the pictures")
    listing = list_folder(root) if root.is_dir() else list_archive(root)
    if not listing.pictures:
        passed_over = count_kinds(listing.passed_over)
        what = f"{root} has no pictures in it ({', '.join(SUFFIXES)})" + (passed_over and f"; {passed_over}")
        raise DataError(f"{what}: give another folder, or convert them")
    return listing


def choose_split(listing: Listing, split: str, root: Path, names: re.Pattern = SPLIT) -> Listing:
    """Keep the pictures of one split. If no folder is named like a split, all pictures are for training.

    `names` matches the name of a folder: a split, and what the folder stands for in it, such as A in trainA. Raises
    DataError if the split has no pictures, or if two folders are named like it.
    """
    listing = _unwrap(listing, names)
    places = [_place(parts, names) for parts, _ in listing.pictures]
    present = Counter(place.split for place in places if place.split)
    outside = len(places) - present.total()
    wanted = split if split in present else None
    if wanted is None and (split != "train" or (present and not outside)):
        only = f", only {listed(sorted(present))}: give the path of one of its folders" if present else ""
        raise NoSplitError(f"{root} has no {split} split{only or f': it needs a folder called {split}'}")
    _refuse_duplicates([place for place in places if place.split == wanted], root)
    chosen = zip(places, listing.pictures, strict=True)
    pictures = [(place.rest, path) for place, (_, path) in chosen if place.split == wanted]
    within = [_place((*parts, ""), names) for parts in listing.folders]
    folders = [place.rest[:-1] for place in within if place.split == wanted and len(place.rest) > 1]
    others = [f"{n:,} of {name}" for name, n in sorted(present.items()) if name != wanted]
    if wanted and outside:
        others.append(f"{outside:,} in no split")
    share = f"{split} has {len(pictures):,} of {len(places):,} pictures"
    notes = (f"{share}; left out are {listed(others)}",) if others else ()
    return _unwrap(replace(listing, pictures=pictures, folders=folders, notes=notes), names)


class Place(NamedTuple):
    """The split of a file or None, the folder that names it, what that folder stands for, and the path without it."""

    split: str | None
    folder: str
    stands_for: Parts
    rest: Parts


def _place(parts: Parts, names: re.Pattern) -> Place:
    for level, folder in enumerate(parts[:-1][:2]):
        if found := names.fullmatch(folder):
            rest = found[2].lstrip(" _.-")
            domain = (rest.upper() if len(rest) == 1 else rest,) if rest else ()
            above = (*parts[:level], *domain)
            return Place(SPLIT_OF[found[1].lower()], folder, above, (*above, *parts[level + 1 :]))
    return Place(None, "", (), parts)


def _refuse_duplicates(places: list[Place], root: Path) -> None:
    """Raise DataError if two folders, such as val and Validation, name the same split."""
    folders: dict[Parts, set[str]] = {}
    for place in places:
        folders.setdefault(place.stands_for, set()).add(place.folder)
    for names in folders.values():
        if len(names) > 1:
            several = f"{listed(sorted(names))} are folders of one split, {places[0].split}"
            raise DataError(f"in {root} {several}: give the path of one of them")


def _unwrap(listing: Listing, names: re.Pattern) -> Listing:
    """Remove the single folder around all pictures, repeatedly, unless it names a split."""
    tops = {parts[0] if len(parts) > 1 else None for parts, _ in listing.pictures}
    top = tops.pop() if len(tops) == 1 else None
    if top is None or names.fullmatch(top):
        return listing
    pictures = [(parts[1:], path) for parts, path in listing.pictures]
    folders = [parts[1:] for parts in listing.folders if parts[0] == top and len(parts) > 1]
    return _unwrap(replace(listing, pictures=pictures, folders=folders), names)


def find_classes(listing: Listing) -> tuple[np.ndarray | None, list[str] | None, tuple[str, ...]]:
    """Return the labels, the class names, and notes. Labels and names are None if the folders are not classes.

    Folders without pictures are not classes.
    """
    names = sorted({parts[0] for parts, _ in listing.pictures if len(parts) > 1})
    loose = sum(len(parts) == 1 for parts, _ in listing.pictures)
    if len(names) < 2 or loose:
        outside = f"{loose:,} picture{' is' if loose == 1 else 's are'} outside the folders {listed(names)}"
        return None, None, (f"{outside}, so that these are not classes",) if len(names) > 1 else ()
    number = {name: k for k, name in enumerate(names)}
    empty = sorted({parts[0] for parts in listing.folders} - number.keys())
    return np.array([number[parts[0]] for parts, _ in listing.pictures]), names, without_pictures(empty)


def without_pictures(classes: list[str]) -> tuple[str, ...]:
    """Return a note about the classes that are left out, if there are any."""
    if not classes:
        return ()
    n = "1 class has no pictures and is" if len(classes) == 1 else f"{len(classes):,} classes have no pictures and are"
    return (f"{n} left out: {listed(classes)}",)


def listed(names: Iterable[str]) -> str:
    """Join names by commas, of many only the first ones."""
    names = list(names)
    return ", ".join(names if len(names) <= SHOWN else [*names[: SHOWN - 1], "..."])

"""Find the two sides of pictures that come in pairs, or of two sets that belong together, in one folder or archive.

    trainA/1.jpg  trainB/1.jpg  testA/2.jpg     a split and a letter
    A/train/1.jpg  B/train/1.jpg                a side, then a split, or the other way round
    photos/1.jpg  labels/1.png                  two folders of any names
    train/1.jpg  trainannot/1.png               a split, and a folder whose name goes on
    1_input.jpg  1_target.jpg                   one folder, and names with two endings
    train/1.jpg  val/2.jpg                      both of a pair in one file, side by side

Two files are a pair if their paths below the folder of their side agree, up to the suffix and without the ending.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from minigan.data.archive import Member
from minigan.data.kinds import count_kinds
from minigan.data.listing import PAIRED_SPLIT, Listing, Parts, choose_split, list_files, listed
from minigan.errors import DataError

ENDING = re.compile(r"(.+)[_.-]([A-Za-z]+)")
LABELS = re.compile(r"annot|label|mask|segment", re.IGNORECASE)  # in the name of a folder of class maps
SIDE = re.compile(r"(|train|val|test)([AB])")  # the name of a folder
Files = dict[Parts, Path | Member]  # by folders below that of the side, and name without suffix


@dataclass(frozen=True)
class Side:
    """One of `of` sides, counted from 0, of the data in a folder or an archive."""

    root: Path
    number: int
    of: int


@dataclass
class Sides:
    """The pictures of each side, by the name of its folder; one side if pairs are side by side in one file."""

    files: dict[str, Listing]
    notes: tuple[str, ...]
    by_endings: bool = False

    def words(self, side: str, root: Path) -> str:
        """Describe a side for messages, such as `the folder trainA`, by its first picture."""
        if self.by_endings:
            return f"the files called ..._{side}"
        parts = self.folders(side, root)
        return f"the folder {'/'.join(parts)}" if parts else f"{root} itself"

    def folders(self, side: str, root: Path) -> Parts:
        """Return the folders below the root in which the first picture of a side is."""
        path = self.files[side].pictures[0][1]
        return path.parts[:-1] if isinstance(path, Member) else path.parent.relative_to(root).parts


def find_sides(root: Path, split: str) -> Sides:
    """Return the pictures of a split by their sides. Raises DataError if there are none, NoSplitError for a split."""
    everything = list_files(root)
    chosen = choose_split(everything, split, root, PAIRED_SPLIT)
    files: dict[str, Listing] = {}
    for parts, path in chosen.pictures:
        side = parts[0] if len(parts) > 1 else ""
        files.setdefault(side, Listing()).pictures.append((parts[1:] if side else parts, path))
    passed_over = count_kinds(everything.passed_over)
    notes = (*chosen.notes, *([passed_over] if passed_over else []))
    endings = _by_endings(chosen) if len(files) == 1 else {}
    return Sides(endings or files, notes, bool(endings))


def _by_endings(listing: Listing) -> dict[str, Listing]:
    """Return the pictures by the ending of their names, as in 1_input and 1_target; nothing if most have no partner."""
    found: dict[str, Listing] = {}
    for parts, path in listing.pictures:
        if not (match := ENDING.fullmatch(path.stem)):
            return {}
        found.setdefault(match[2], Listing()).pictures.append(((*parts[:-1], match[1] + path.suffix), path))
    if len(found) != 2:
        return {}
    first, second = ({(*p[:-1], PurePath(p[-1]).stem) for p, _ in one.pictures} for one in found.values())
    return found if 2 * len(first & second) >= max(len(first), len(second)) else {}


def two_sides(root: Path, split: str) -> Sides:
    """Return the sides of a split. Raises DataError unless there are exactly two."""
    sides = find_sides(root, split)
    if len(sides.files) != 2:
        folders = listed(sorted(name or "the folder itself" for name in sides.files))
        what = f"{root} has pictures in {folders}" if len(sides.files) > 1 else f"{root} has one set of pictures"
        how = f"name them {split}A and {split}B, or give two folders, one for each name"
        if lone := lone_side(sides, root):
            raise DataError(f"{lone}: add them, or give two folders, one for each name")
        raise DataError(f"{what}, and two sets of them are needed: {how}")
    return sides


def lone_side(sides: Sides, root: Path) -> str:
    """Say that all pictures are in a folder such as trainA or B/train, and none in its counterpart; "" if not so."""
    folders = sides.folders(next(iter(sides.files)), root) if len(sides.files) == 1 and not sides.by_endings else ()
    for k, folder in enumerate(folders):
        if found := SIDE.fullmatch(folder):
            other = (*folders[:k], found[1] + ("B" if found[2] == "A" else "A"), *folders[k + 1 :])
            return f"{root} has no pictures in {'/'.join(other)}, only in {'/'.join(folders)}"
    return ""


def in_order(names: Sequence[str], arrays: Sequence[str], maps: Sequence[str]) -> list[str]:
    """Return the names of two sides in the order of the arrays that they are.

    Arrays find their own names. If one of them is a class map, and one folder is called labels, masks or the like, that
    folder is the map. All others are in alphabetical order.
    """
    if set(names) == set(arrays):
        return list(arrays)
    first, second = sorted(names)
    labels = [name for name in (first, second) if LABELS.search(name)]
    if len(maps) == len(labels) == 1 and len(arrays) == 2 and (labels[0] == first) != (maps[0] == arrays[0]):
        return [second, first]
    return [first, second]


def by_name(pictures: list[tuple[Parts, Path | Member]]) -> Files:
    """Return pictures keyed by their folders and name without suffix. Raises DataError if two have one name."""
    found: Files = {}
    for parts, path in pictures:
        name = (*parts[:-1], PurePath(parts[-1]).stem)
        if name in found:
            raise DataError(f"{found[name]} and {path} have one name, so a pair isn't certain: rename one of them")
        found[name] = path
    return found


def partners(sides: Sequence[Files], roots: Sequence[object]) -> list[tuple[Path | Member, ...]]:
    """Return the files of all sides that have one name, in the order of the first side.

    Raises DataError, naming the file, for one without a partner; `roots` says where the partners are looked for.
    """
    for here in sides:
        for there, root in zip(sides, roots, strict=True):
            alone = [path for name, path in here.items() if name not in there]
            if alone:
                more = f", and so have {len(alone) - 1:,} others" if len(alone) > 1 else ""
                raise DataError(f"{alone[0]} has no picture of its name in {root}{more}: add it, or remove this one")
    return [tuple(side[name] for side in sides) for name in sides[0]]

"""Open a model's data: names, paths, data sets, or arrays in memory become one source for each feed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import is_array
from minigan.common.words import every
from minigan.data import cifar, mnist
from minigan.data.arrays import holds_arrays
from minigan.data.catalog import open_dataset
from minigan.data.crops import cropped
from minigan.data.folder import open_listing
from minigan.data.listing import NoSplitError
from minigan.data.paired import Reading, open_paired
from minigan.data.palette import Palette
from minigan.data.pictures import Size
from minigan.data.sides import Side, in_order, two_sides
from minigan.data.source import SHOWN, Source, is_data_set, quoted, source_of, source_of_arrays
from minigan.errors import DataError, described
from minigan.model import Kind

OWN_PARTS = ("val", "test")  # splits that may be held out; the first that exists is used


def open_feeds(
    data: Any,
    kinds: Mapping[str, Kind],
    img_size: Size | None = None,
    channels: int | None | Mapping[str, int | None] = None,
    limit: int | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    split: str = "train",
    name: str = "arrays",
    crops: bool = False,
    swap: bool = False,
    ignore: Sequence[str] = (),
    palettes: Mapping[str, Palette] | None = None,
) -> dict[str, Source]:
    """Open the arrays named in `kinds`, those that a model needs, as {feed: source}.

    `data` is one of

        a set: a name or a path, as `open_dataset` takes it, or a data set      for a model with one feed
        a folder or an archive with both sides of pairs, or with two sets (`sides`)
        {feed: a set}                                                           for a model with several
        {array name: an array, or a set}, or these in the order of `kinds`; or one array, if the model needs only one

    The other arguments are those of `open_dataset`; `channels` may also be {array name: 1 or 3}. `split` and `skip_bad`
    apply to paths, and `name` is the name of a source of arrays. `swap` exchanges the two sides of one folder.
    `palettes` are the classes of class maps, by array, by default those that occur except `ignore`, which are values as
    `Palette.describe` writes them. Feeds may differ in length. Raises DataError for anything that can't be opened.
    """
    feeds = _by_feed(kinds)
    opened = _by_name(data, kinds, swap)
    channels = channels if isinstance(channels, Mapping) else dict.fromkeys(kinds, channels)
    how = Reading(img_size, channels, split, skip_bad, crops, swap, tuple(ignore), palettes or {})
    sources, exchanged = {}, any(isinstance(one, Side) for one in opened.values())
    for feed, arrays in feeds.items():
        roots = {key: _pictures_at(opened[key]) for key in (feed, *arrays) if key in opened}
        if _is_paired(arrays) and roots and all(roots.values()):
            sources[feed] = open_paired(roots.get(feed, roots), arrays, how)
            exchanged |= feed in roots and len(arrays) == 2
            continue
        for key in roots:
            opened[key] = _open_set(opened[key], key, arrays, how, limit, seed)
        given = [opened[key] for key in roots]
        maps = [array for array, kind in arrays.items() if kind.what == "map"]
        if len(given) == len(arrays) == len(maps) == 1:
            opened[maps[0]] = given[0]
        if len(given) == 1 and is_data_set(given[0]) and not maps:
            sources[feed] = source_of(given[0], arrays)
        else:
            sources[feed] = source_of_arrays(opened, arrays, name, img_size, channels, crops, ignore, palettes)
    if ignore and not any(kind.what == "map" for kind in kinds.values()):
        raise DataError("`ignore` is for class maps, and the model takes none with these options: leave it out")
    if swap and not exchanged:
        raise DataError("`swap` exchanges the two sides of one folder: leave it out, or exchange the names of two")
    for feed, source in sources.items():
        if limit and limit < len(source):
            sources[feed] = source.select(np.sort(np.random.default_rng(seed).permutation(len(source))[:limit]))
    if unused := sorted(str(key) for key in opened if key not in kinds and key not in feeds):
        next(iter(sources.values())).notes += (f"the model doesn't take {quoted(unused)} of the data",)
    return sources


def open_own_parts(data: Any, kinds: Mapping[str, Kind], **options: Any) -> dict[str, Source]:
    """Open the val split, or else the test split, of each feed that has one, as {feed: source}.

    `data` and `options` are those of `open_feeds`. Only names and paths have other splits; arrays and open data sets
    have none.
    """
    named = isinstance(data, (Mapping, str, os.PathLike))
    data = _by_name(data, kinds, options.get("swap", False)) if named else {}
    found: dict[str, Source] = {}
    for feed, arrays in _by_feed(kinds).items():
        sets = {key: data[key] for key in {feed, *arrays} & data.keys()}
        if sets and all(map(_has_parts, sets.values())):
            for split in OWN_PARTS:
                with suppress(NoSplitError):
                    found |= open_feeds(sets, arrays, **options, split=split)
                    break
    return found


def _has_parts(one: Any) -> bool:
    """Whether this is a name or path that may have splits; not a single IDX file, whose split is always the same."""
    if isinstance(one, Side):
        return True
    return isinstance(one, (str, os.PathLike)) and not (Path(one).is_file() and mnist.holds_mnist(Path(one)))


def _is_paired(arrays: Mapping[str, Kind]) -> bool:
    """Whether a feed has several arrays of pictures, or maps, which are read together."""
    shown = [kind.what for kind in arrays.values() if kind.what in SHOWN]
    return len(shown) > 1 or "map" in shown


def _pictures_at(one: Any) -> Path | None:
    """Return the path of a folder or an archive of pictures; None for anything else."""
    if not isinstance(one, (str, os.PathLike)):
        return None
    path = Path(one).expanduser()
    if path.is_dir():
        return None if mnist.holds_mnist(path) or cifar.holds_cifar(path) else path
    return path if path.is_file() and zipfile.is_zipfile(path) and not holds_arrays(path) else None


def _open_set(one: Any, key: str, arrays: Mapping[str, Kind], how: Reading, limit: int | None, seed: int) -> Any:
    """Open a name, a path or a side of a folder as a data set; return everything else unchanged.

    key:    what it is given for: an array, or the feed of `arrays`, of which one has pictures or points
    """
    channels = next((how.channels[array] for array in (key, *arrays) if array in how.channels), None)
    if isinstance(one, Side):
        sides = two_sides(one.root, how.split)
        name = in_order(list(sides.files), (), ())[one.number]
        dataset = open_listing(sides.files[name], one.root, how.img_size, channels, how.skip_bad, how.crops)
        dataset.name += f"/{name or how.split}"
        about = (*sides.notes, f"{key} is {sides.words(name, one.root)}")
        dataset.notes = (*(about if one.number == 0 else about[-1:]), *dataset.notes)
        return cropped(dataset, how.img_size) if how.crops else dataset
    if isinstance(one, (str, os.PathLike)):
        return open_dataset(one, how.img_size, channels, seed, how.split, limit, how.skip_bad, how.crops)
    return one


def _by_feed(kinds: Mapping[str, Kind]) -> dict[str, dict[str, Kind]]:
    """Group the arrays by feed: {feed: {array name: kind}}."""
    return {kind.feed: {a: k for a, k in kinds.items() if k.feed == kind.feed} for kind in kinds.values()}


def _by_name(data: Any, kinds: Mapping[str, Kind], swap: bool = False) -> dict[str, Any]:
    """Return sets keyed by feed, and arrays keyed by name. Raises DataError if the data doesn't match `kinds`."""
    if isinstance(data, Mapping) and data:
        return dict(data)
    if isinstance(data, (str, os.PathLike)) or is_data_set(data):
        feeds = list(_by_feed(kinds))
        root = _pictures_at(data)
        if len(feeds) == 2 and root:
            return {feed: Side(root, k, 2) for feed, k in zip(feeds, (1, 0) if swap else (0, 1), strict=True)}
        if len(feeds) > 1:
            sets = ",".join(f"{feed}=DATA" for feed in feeds)
            what = f"the model takes {len(feeds)} sets of data, {every(feeds)}"
            raise DataError(f"{what}: give one for each of them, as {sets}")
        return {feeds[0]: data}
    several = isinstance(data, tuple) or (isinstance(data, list) and len(kinds) > 1)
    given = tuple(data) if several else (data,)
    if len(given) != len(kinds):
        what = f"{len(given)} arrays" if several else "1 array" if is_array(data) else described(data)
        raise DataError(f"the data is {what}, and the model takes {quoted(kinds)}: give all of them, and no other")
    return dict(zip(kinds, given, strict=True))

"""Open a model's data: names, paths, data sets, or arrays in memory become one source for each feed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import is_array
from minigan.common.words import every
from minigan.data import mnist
from minigan.data.catalog import open_dataset
from minigan.data.listing import NoSplitError
from minigan.data.pictures import Size
from minigan.data.source import Source, is_data_set, quoted, source_of, source_of_arrays
from minigan.errors import DataError, described
from minigan.model import Kind

OWN_PARTS = ("val", "test")  # splits that may be held out; the first that exists is used


def open_feeds(
    data: Any,
    kinds: Mapping[str, Kind],
    img_size: Size | None = None,
    channels: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    split: str = "train",
    name: str = "arrays",
    crops: bool = False,
) -> dict[str, Source]:
    """Open the arrays named in `kinds`, those that a model needs, as {feed: source}.

    `data` is one of

        a set: a name or a path, as `open_dataset` takes it, or a data set      for a model with one feed
        {feed: a set}                                                           for a model with several
        {array name: an array, or a set}, or these in the order of `kinds`; or one array, if the model needs only one

    The other arguments are those of `open_dataset`; `split` and `skip_bad` apply to paths, and `name` is the name of a
    source of arrays. Feeds may differ in length. Raises DataError, in one sentence, for anything that can't be opened.
    """
    feeds = _by_feed(kinds)
    opened = _by_name(data, kinds)
    for key, one in opened.items():
        if isinstance(one, (str, os.PathLike)):
            opened[key] = open_dataset(one, img_size, channels, seed, split, limit, skip_bad, crops)
    sources = {}
    for feed, arrays in feeds.items():
        given = [opened[key] for key in {feed, *arrays} & opened.keys()]
        if len(given) == 1 and is_data_set(given[0]):
            source = source_of(given[0], arrays)
        else:
            source = source_of_arrays(opened, arrays, name, img_size, channels, crops)
        if limit and limit < len(source):
            source = source.select(np.sort(np.random.default_rng(seed).permutation(len(source))[:limit]))
        sources[feed] = source
    if unused := sorted(str(key) for key in opened if key not in kinds and key not in feeds):
        next(iter(sources.values())).notes += (f"the model doesn't take {quoted(unused)} of the data",)
    return sources


def open_own_parts(data: Any, kinds: Mapping[str, Kind], **options: Any) -> dict[str, Source]:
    """Open the val split, or else the test split, of each feed that has one, as {feed: source}.

    `data` and `options` are those of `open_feeds`. Only names and paths have other splits; arrays and open data sets
    have none.
    """
    data = data if isinstance(data, Mapping) else dict.fromkeys(_by_feed(kinds), data)
    found: dict[str, Source] = {}
    for feed, arrays in _by_feed(kinds).items():
        sets = {key: data[key] for key in {feed, *arrays} & data.keys()}
        if sets and all(isinstance(one, (str, os.PathLike)) and not _is_one_part(Path(one)) for one in sets.values()):
            for split in OWN_PARTS:
                with suppress(NoSplitError):
                    found |= open_feeds(sets, arrays, **options, split=split)
                    break
    return found


def _is_one_part(path: Path) -> bool:
    """Whether a path is a single IDX file, which contains the same split whichever is requested."""
    return path.is_file() and mnist.holds_mnist(path)


def _by_feed(kinds: Mapping[str, Kind]) -> dict[str, dict[str, Kind]]:
    """Group the arrays by feed: {feed: {array name: kind}}."""
    return {kind.feed: {a: k for a, k in kinds.items() if k.feed == kind.feed} for kind in kinds.values()}


def _by_name(data: Any, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return sets keyed by feed, and arrays keyed by name. Raises DataError if the data doesn't match `kinds`."""
    if isinstance(data, Mapping) and data:
        return dict(data)
    if isinstance(data, (str, os.PathLike)) or is_data_set(data):
        feeds = list(_by_feed(kinds))
        if len(feeds) > 1:
            raise DataError(f"the model takes {len(feeds)} sets of data, {every(feeds)}: give one for each of them")
        return {feeds[0]: data}
    several = isinstance(data, tuple) or (isinstance(data, list) and len(kinds) > 1)
    given = tuple(data) if several else (data,)
    if len(given) != len(kinds):
        what = f"{len(given)} arrays" if several else "1 array" if is_array(data) else described(data)
        raise DataError(f"the data is {what}, and the model takes {quoted(kinds)}: give all of them, and no other")
    return dict(zip(kinds, given, strict=True))

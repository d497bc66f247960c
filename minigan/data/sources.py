"""How data becomes the sources of a model's feeds: from names, paths and data sets, or from arrays in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import is_array
from minigan.data import mnist
from minigan.data.catalogue import open_dataset
from minigan.data.dataset import Dataset
from minigan.data.listing import NoSplitError
from minigan.data.pictures import Size
from minigan.data.source import Source, quoted, source_of, source_of_arrays
from minigan.errors import DataError, described
from minigan.model import Kind
from minigan.words import every

OWN_PARTS = ("val", "test")  # splits that may be held out, the first that there is


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
) -> dict[str, Source]:
    """Open what a model needs, an array of each name in `kinds`, as {feed: source}.

    `data` is one of

        a name or a path, as `open_dataset` takes it, or a data set      for a model with one feed
        {feed: a name, a path or a data set}                             for one with several
        {array name: array}; a tuple of arrays in the order of `kinds`; or an array, if the model needs but one

    The other arguments are as those of `open_dataset`; `split` and `skip_bad` are for paths, and `name` is how arrays
    are called. Feeds may differ in length. Raises DataError, in one sentence, for everything that can't be opened.
    """
    feeds = {kind.feed: {a: k for a, k in kinds.items() if k.feed == kind.feed} for kind in kinds.values()}
    if not _is_opened(data) and not (isinstance(data, Mapping) and any(map(_is_opened, data.values()))):
        return _open_arrays(data, kinds, feeds, img_size, channels, limit, seed, name)
    sources = {}
    for feed, one in _by_feed(data, feeds).items():
        if isinstance(one, (str, os.PathLike)):
            one = open_dataset(one, img_size, channels, seed, split, limit, skip_bad)
        sources[feed] = source_of(one, feeds[feed])
    return sources


def open_own_parts(data: Any, kinds: Mapping[str, Kind], **options: Any) -> dict[str, Source]:
    """The val part, or else the test part, of each data set of `open_feeds` that has one, as {feed: source}.

    Arrays and data sets that are open already have none.
    """
    feeds = {kind.feed: {a: k for a, k in kinds.items() if k.feed == kind.feed} for kind in kinds.values()}
    if not isinstance(data, Mapping):
        data = dict.fromkeys(feeds, data)
    found: dict[str, Source] = {}
    for feed in data.keys() & feeds.keys():
        if isinstance(data[feed], (str, os.PathLike)) and not _is_one_part(Path(data[feed])):
            for split in OWN_PARTS:
                with suppress(NoSplitError):
                    found |= open_feeds(data[feed], feeds[feed], **options, split=split)
                    break
    return found


def _is_one_part(path: Path) -> bool:
    """Whether a path leads to one IDX file, which is of one part, whatever part is asked for."""
    return path.is_file() and mnist.holds_mnist(path)


def _is_opened(data: Any) -> bool:
    """Whether this is a name, a path or a data set, and not arrays."""
    return isinstance(data, (str, os.PathLike)) or callable(getattr(data, "batch", None))


def _by_feed(data: Any, feeds: Mapping[str, Any]) -> dict[str, str | os.PathLike | Dataset]:
    """Names, paths and data sets by feed. Raises DataError unless there is one for each."""
    if not isinstance(data, Mapping):
        if len(feeds) > 1:
            raise DataError(f"the model takes {len(feeds)} sets of data, {every(feeds)}: give one for each of them")
        return {next(iter(feeds)): data}
    if data.keys() != feeds.keys():
        given = every(map(str, data))
        raise DataError(f"the model takes data for {every(feeds)}, not for {given}: give a set for each of its own")
    return dict(data)


def _open_arrays(
    data: Any,
    kinds: Mapping[str, Kind],
    feeds: Mapping[str, Mapping[str, Kind]],
    img_size: Size | None,
    channels: int | None,
    limit: int | None,
    seed: int,
    name: str,
) -> dict[str, Source]:
    arrays = _by_name(data, kinds)
    sources = {feed: source_of_arrays(arrays, of_feed, name, img_size, channels) for feed, of_feed in feeds.items()}
    for feed, source in sources.items():
        if limit and limit < len(source):
            sources[feed] = source.select(np.sort(np.random.default_rng(seed).permutation(len(source))[:limit]))
    if unused := sorted(str(array) for array in arrays if array not in kinds):
        next(iter(sources.values())).notes += (f"the model doesn't take {quoted(unused)} of the data",)
    return sources


def _by_name(data: Any, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Arrays by name. Raises DataError if it isn't clear which is which."""
    if isinstance(data, Mapping) and data:
        return dict(data)
    several = isinstance(data, tuple) or (isinstance(data, list) and len(kinds) > 1)
    given = tuple(data) if several else (data,)
    if len(given) != len(kinds):
        what = f"{len(given)} arrays" if several else "1 array" if is_array(data) else described(data)
        raise DataError(f"the data is {what}, and the model takes {quoted(kinds)}: give all of them, and no other")
    return dict(zip(kinds, given, strict=True))

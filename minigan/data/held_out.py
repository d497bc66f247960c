"""Items held out from training: the val or test split of the data if it has one, else a tenth of its samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from minigan.data.batch import Batch
from minigan.data.damage import Damage, Rows, damaged
from minigan.data.draws import HELD_OUT, HELD_OUT_DAMAGED, entropy, generators
from minigan.data.listing import listed
from minigan.data.source import Source
from minigan.errors import DataError
from minigan.model import Kind

SHARE = 10  # one of this many samples is held out


def hold_out(
    sources: Mapping[str, Source],
    seed: int,
    given: Mapping[str, Source] | None = None,
    names: str = "",
    one_of: int = SHARE,
) -> tuple[dict[str, Source], dict[str, Source]]:
    """Return the sources to train on, and the sources that are held out.

    A feed in `given` is held out as given. Of every other feed, the files whose names match one of the patterns in
    `names`, such as "0001TP*,0016E5_0[45]*", move from training to held out, or without `names` one in `one_of`
    samples, at least one; which, depends on the seed and the feed's name.

    Raises DataError for a feed with a single sample, and if `names` match none of the files, or all.
    """
    training, held_out = dict(sources), dict(given or {})
    for feed, source in sources.items():
        if feed in held_out:
            continue
        n = len(source)
        if n < 2:
            raise DataError(f"{source.name} has a single sample, and one has to be held out: give more of them")
        if names:
            kept = _named(source, names)
        else:
            order = np.random.default_rng(entropy(seed, HELD_OUT, feed)).permutation(n)
            kept = np.isin(np.arange(n), order[: max(1, n // one_of)])
        held_out[feed], training[feed] = source.select(np.flatnonzero(kept)), source.select(np.flatnonzero(~kept))
    return training, held_out


def _named(source: Source, names: str) -> np.ndarray:
    """Return which samples (N,) have files whose name without suffix matches one of the patterns."""
    if source.names is None:
        raise DataError(
            f"`held_out` {names} are names of files, and {source.name} isn't in files: give other data instead"
        )
    patterns = [pattern.strip() for pattern in names.split(",")]
    kept = np.array([any(fnmatchcase(name, pattern) for pattern in patterns) for name in source.names])
    if not kept.any() or kept.all():
        which = "all" if kept.any() else "none"
        called = f"names of files in {source.name} are {listed(source.names)}"
        raise DataError(f"`held_out` {names} matches {which} of {len(kept):,} files, and some are needed: {called}")
    return kept


class HeldOut(Sequence):
    """Held-out items, each a batch of one sample {array name: (1, …)} on the device.

    Pictures are resized as in training; if training sees crops, items are whole pictures. Item i is sample i of each
    feed; shorter feeds repeat up to the length of the longest. `damage` is as in `Feeds`, and its draws depend on the
    seed and i.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        kinds: Mapping[str, Kind],
        device: Any = None,
        seed: int = 0,
        damage: Damage | None = None,
    ) -> None:
        self.sources, self.kinds = dict(sources), dict(kinds)
        self._device, self._seed, self._damage = device, seed, damage

    def __len__(self) -> int:
        return max((len(source) for source in self.sources.values()), default=0)

    def distinct(self, array: str) -> int:
        """Return the number of samples of an array's feed; later items repeat them. `damage` makes arrays of items."""
        return next((len(source) for source in self.sources.values() if array in source.kinds), len(self))

    def __getitem__(self, i: Any) -> Any:
        """Return item i, or a list of items for a slice."""
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"there are {len(self)} held-out items, and item {i} is none of them")
        i %= len(self)
        found: Rows = {}
        for source in self.sources.values():
            found |= source.item(i % len(source))
        found = {array: found[array] for array in self.kinds}
        if self._damage is not None:
            feed = next(kind.feed for kind in self.kinds.values())
            found = damaged(found, self._damage, generators(self._seed, HELD_OUT_DAMAGED, feed, [i]))
        return Batch(found if self._device is None else {array: self._device.array(x) for array, x in found.items()})


class NothingHeldOut(Sequence):
    """An empty sequence, for models that hold nothing out. Raises DataError if an item is read."""

    def __len__(self) -> int:
        return 0

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return []
        raise DataError("nothing is held out for this model: write holds_out = True in its class")

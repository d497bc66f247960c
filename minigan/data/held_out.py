"""Items that training doesn't see: the val or test part of a data set if it has one, else a tenth of its samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigan.data.batch import Batch
from minigan.data.damage import Damage, Rows, damaged
from minigan.data.draws import HELD_OUT, HELD_OUT_DAMAGED, entropy, generators
from minigan.data.source import Source
from minigan.errors import DataError
from minigan.model import Kind

SHARE = 10  # one sample of so many is held out


def hold_out(
    sources: Mapping[str, Source], seed: int, given: Mapping[str, Source] | None = None
) -> tuple[dict[str, Source], dict[str, Source]]:
    """Return the sources to train on, and those that are held out.

    What is `given` for a feed is held out; of a feed without it a tenth is taken out of training, at least one sample,
    which follows from the seed and the feed's name. Raises DataError for a feed with a single sample.
    """
    training, held_out = dict(sources), dict(given or {})
    for feed, source in sources.items():
        if feed in held_out:
            continue
        n = len(source)
        if n < 2:
            raise DataError(f"{source.name} has a single sample, and one has to be held out: give more of them")
        order = np.random.default_rng(entropy(seed, HELD_OUT, feed)).permutation(n)
        count = max(1, n // SHARE)
        held_out[feed], training[feed] = source.select(np.sort(order[:count])), source.select(np.sort(order[count:]))
    return training, held_out


class HeldOut(Sequence):
    """Held-out items, each {array name: a batch of one} on the device; pictures from files are whole.

    Item i is sample i of each feed; there are as many as in the longest one, and shorter feeds begin again. `damage` is
    as that of `Feeds`; what it draws follows from the seed and i.
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

    def __getitem__(self, i: Any) -> Any:
        """Item i, or a list of items for a slice."""
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
    """What a model that holds nothing out is handed in place of items. Raises DataError if it asks for one."""

    def __len__(self) -> int:
        return 0

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return []
        raise DataError("nothing is held out for this model: write holds_out = True in its class")

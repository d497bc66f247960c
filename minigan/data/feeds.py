"""Feeds: endless shuffled streams of samples with random access.

Sample s of a feed of N samples belongs to epoch s // N, at position s mod N of that epoch's permutation. The sample,
its crop, its augmentation and its damage depend on nothing but the seed, the feed's name and s. So batches may span
epochs, have any size and start anywhere, without changing the stream.

One thread prefetches batches, so that decoding and augmentation overlap with the training step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from numbers import Integral
from typing import Any

import numpy as np

from minigan.data.batch import Batch
from minigan.data.damage import Damage, Rows, damaged
from minigan.data.draws import AUGMENTED, CROPPED, DAMAGED, SHUFFLED, entropy, generators
from minigan.data.maps import sharpened
from minigan.data.source import Source
from minigan.errors import DataError, described
from minigan.model import Kind

PREFETCHED = 3  # batches
KEPT_ORDERS = 2  # epochs whose permutation is cached, for each feed

Augmentation = Callable[[np.ndarray, Sequence[np.random.Generator]], np.ndarray]


class Feeds:
    """The samples of all feeds of a model: `next(n)` returns the next n of each, epoch after epoch without end.

    `sources` are keyed by feed; `kinds` lists the arrays of a batch. `augment` is a sequence of functions of (x, one
    generator per sample), applied in order to pictures, points, masks and maps; all arrays of a feed get the same
    change, so that they stay aligned. Then `damage(item, rng)` derives further arrays from those of each sample. With a
    `device`, `next` moves batches there.

    `position` counts the samples already returned from each feed; an epoch has as many samples as the longest feed,
    `epoch_length`. `next` re-raises exceptions of the prefetch thread. Raises DataError for an invalid batch size, or
    an array that no source has.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        kinds: Mapping[str, Kind],
        batch_size: int,
        seed: int = 0,
        augment: Sequence[Augmentation] = (),
        damage: Damage | None = None,
        device: Any = None,
        position: int = 0,
    ) -> None:
        if not isinstance(sources, Mapping):
            made = "open_feeds(data, kinds) makes them of data"
            raise DataError(f"Feeds takes the sources of all feeds, by name, got {described(sources)}; {made}")
        self.sources, self.kinds, self.batch_size, self.position = dict(sources), dict(kinds), batch_size, position
        for array, kind in kinds.items():
            if not isinstance(sources.get(kind.feed), Source) or array not in sources[kind.feed].kinds:
                raise DataError(f'the feed "{kind.feed}" has no array "{array}": open_feeds(data, kinds) opens all')
        self.epoch_length = max(len(sources[kind.feed]) for kind in kinds.values())
        self._feeds = list(dict.fromkeys(kind.feed for kind in kinds.values()))
        self._seed, self._augment, self._damage, self._device = seed, tuple(augment), damage, device
        self._check_augmentation()
        self._orders: dict[tuple[str, int], np.ndarray] = {}  # cached permutations
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="feeds")
        self._ahead: deque[Future] = deque()
        self._ahead_n = _checked(batch_size)  # samples in each prefetched batch
        self._closed = False
        self.seek(position)

    def seek(self, position: int) -> None:
        """Continue at this sample, counted from the beginning of training."""
        for batch in self._ahead:
            batch.cancel()
        self.position = position
        n = self._ahead_n
        self._ahead = deque(self._reader.submit(self._read, position + k * n, n) for k in range(PREFETCHED))

    def next(self, n: int | None = None) -> dict[str, Any]:
        """Return the next n samples of each feed, by default `batch_size`, as {array name: rows}.

        Batches are prefetched in the size of the last call; a call with another size waits for its batch to be read.
        """
        n = _checked(self.batch_size if n is None else n)
        if self._closed:
            raise ValueError("these feeds are closed")
        if n != self._ahead_n:
            self._ahead_n = n
            self.seek(self.position)
        rows = self._ahead[0].result()  # stays in the queue if it raises, so that the next call raises again
        self._ahead.popleft()
        self._ahead.append(self._reader.submit(self._read, self.position + PREFETCHED * n, n))
        self.position += n
        return Batch(rows if self._device is None else {array: self._device.array(x) for array, x in rows.items()})

    def close(self) -> None:
        """Stop the prefetch thread, and discard its batches."""
        self._closed = True
        self._ahead.clear()
        self._reader.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Feeds:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, start: int, n: int) -> Rows:
        """Read samples start … start + n − 1 of each feed, in the prefetch thread."""
        found: Rows = {}
        for feed in self._feeds:
            source = self.sources[feed]
            places = self._generators(CROPPED, feed, start, n) if source.crops else ()
            rows = source.read(self._indices(feed, start, n), places)
            rows = {array: self._augmented(x, array, feed, start) for array, x in rows.items() if array in self.kinds}
            found |= rows
        found = {array: found[array] for array in self.kinds}
        if self._damage is not None:
            found = damaged(found, self._damage, self._generators(DAMAGED, self._feeds[0], start, n))
        return found

    def _indices(self, feed: str, start: int, n: int) -> np.ndarray:
        """Return the indices (n,), within the feed's source, of samples start … start + n − 1."""
        size, done = len(self.sources[feed]), 0
        found = np.empty(n, np.int64)  # fails at once if n exceeds the memory
        while done < n:
            epoch, place = divmod(start + done, size)
            some = self._order(feed, epoch)[place : place + n - done]
            found[done : done + len(some)] = some
            done += len(some)
        return found

    def _order(self, feed: str, epoch: int) -> np.ndarray:
        """Return the permutation of a feed in an epoch, cached or newly drawn."""
        order = self._orders.pop((feed, epoch), None)
        if order is None:
            rng = np.random.default_rng([*entropy(self._seed, SHUFFLED, feed), epoch])
            order = rng.permutation(len(self.sources[feed]))
        self._orders[feed, epoch] = order
        for key in [key for key in self._orders if key[0] == feed][:-KEPT_ORDERS]:
            del self._orders[key]
        return order

    def _augmented(self, x: np.ndarray, array: str, feed: str, start: int) -> np.ndarray:
        """Apply all augmentations. All arrays of a feed get generators in equal states, hence the same change."""
        what = self.kinds[array].what
        if not self._augment or what in ("label", "numbers"):
            return x
        rngs = self._generators(AUGMENTED, feed, start, len(x))
        changed = x.astype(np.float32) if what == "mask" else x  # interpolation needs floats
        for augment in self._augment:
            changed = augment(changed, rngs)
        if what == "map":
            return sharpened(changed)
        return (changed >= 0.5).astype(np.uint8) if what == "mask" else changed

    def _generators(self, purpose: int, feed: str, start: int, n: int) -> list[np.random.Generator]:
        return generators(self._seed, purpose, feed, range(start, start + n))

    def _check_augmentation(self) -> None:
        """Raise DataError if the pictures of a feed differ in size: the same shift in pixels would misalign them."""
        sizes: dict[str, tuple[str, tuple[int, ...]]] = {}
        for array, kind in self.kinds.items() if self._augment else ():
            shape = self.sources[kind.feed].shapes[array]
            if kind.what in ("label", "numbers") or len(shape) != 3:
                continue
            other, size = sizes.setdefault(kind.feed, (array, shape[:2]))
            if size != shape[:2]:
                raise DataError(
                    f'"{other}" and "{array}" belong together and differ in size, {size[0]}x{size[1]} and '
                    f"{shape[0]}x{shape[1]}, so that `augment` can't change both alike: leave it out"
                )


def _checked(n: Any) -> int:
    if not isinstance(n, Integral) or isinstance(n, bool):
        raise DataError(f"a batch is a whole number of samples, not {n!r}")
    if n < 1:
        raise DataError(f"a batch has at least 1 sample, not {n}: use a larger `batch_size`")
    return int(n)

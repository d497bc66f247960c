"""Random generators keyed by purpose, feed and sample, so that the draws of one sample never depend on another.

    key      64 bits derived from (seed, purpose, feed)
    sample   its number in the stream of the feed

Together they are the key of a Philox generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
whose streams are independent even for adjacent keys, and which takes microseconds to create.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.random.bit_generator import ISeedSequence

SHUFFLED, HELD_OUT, AUGMENTED, DAMAGED, HELD_OUT_DAMAGED, CROPPED = range(1, 7)  # purposes


class _Words(ISeedSequence):
    """Passes two words to Philox as its key. `Philox(key=…)` would also request entropy from the system."""

    def __init__(self, key: np.ndarray) -> None:
        self.words = np.array([key[0], 0], np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return self.words


def entropy(seed: int, purpose: int, feed: str) -> list[int]:
    """Return a seed for `numpy.random.default_rng`, for draws that are made once per feed."""
    return [seed, purpose, zlib.crc32(feed.encode())]


def generators(seed: int, purpose: int, feed: str, samples: Iterable[int]) -> list[Generator]:
    """Return one generator for each of these samples of a feed."""
    words = _Words(np.random.SeedSequence(entropy(seed, purpose, feed)).generate_state(1, np.uint64))
    found = []
    for sample in samples:
        words.words[1] = sample
        found.append(Generator(Philox(words)))  # type: ignore[arg-type]  # takes any ISeedSequence
    return found

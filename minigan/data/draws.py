"""Generators of random numbers by purpose, feed and sample: what one sample draws never depends on any other.

    key      64 bits that follow from (seed, purpose, feed)
    sample   its number in the stream of the feed

Both together are the key of a Philox generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
whose streams are independent however close their keys are, and which takes microseconds to make.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.random.bit_generator import ISeedSequence

SHUFFLED, HELD_OUT, AUGMENTED, DAMAGED, HELD_OUT_DAMAGED = range(1, 6)  # purposes


class _Words(ISeedSequence):
    """Hands two words over as the key of a Philox generator. Given a `key`, NumPy would ask the system for a seed."""

    def __init__(self, key: np.ndarray) -> None:
        self.words = np.array([key[0], 0], np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return self.words


def entropy(seed: int, purpose: int, feed: str) -> list[int]:
    """The numbers that `numpy.random.default_rng` takes, for what is drawn once for a feed."""
    return [seed, purpose, zlib.crc32(feed.encode())]


def generators(seed: int, purpose: int, feed: str, samples: Iterable[int]) -> list[Generator]:
    """A generator for each of these samples of a feed."""
    words = _Words(np.random.SeedSequence(entropy(seed, purpose, feed)).generate_state(1, np.uint64))
    found = []
    for sample in samples:
        words.words[1] = sample
        found.append(Generator(Philox(words)))  # type: ignore[arg-type]  # any ISeedSequence will do
    return found

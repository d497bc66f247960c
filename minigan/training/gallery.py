"""Draws the exhibits of a model into the folder of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.common.model_checks import check_exhibits
from minigan.data import Feeds
from minigan.model import Exhibit
from minigan.training.files import write_text
from minigan.training.folder import RunFolder
from minigan.training.memorization import COLUMNS, MOST, ROWS, Memorization, nearest
from minigan.training.pictures import draw_exhibit, save_image
from minigan.training.settings import EXHIBITED, REAL_SAMPLES, RunConfig
from minigan.training.translation_tables import translation_tables

REAL_POINTS = 1000  # drawn behind generated points


class Gallery:
    """Computes a model's exhibits, always from the same random numbers, and draws them into the run's folder."""

    def __init__(
        self,
        model: Any,
        feeds: Feeds,
        config: RunConfig,
        folder: RunFolder,
        held_out: Sequence[dict[str, Any]],
        centers: np.ndarray | None,
    ) -> None:
        self.model, self.feeds, self.seed, self.folder = model, feeds, config.seed, folder
        self.held_out, self.centers = held_out, centers
        self._real: dict[tuple[str, int], np.ndarray] = {}  # cache

    def show(self) -> dict[str, Exhibit]:
        """Return tables of the model's translations, and its exhibits, on the host.

        Raises ModelError for an exhibit that can't be drawn.
        """
        shown = self.model.show(self.held_out, self.model.device.rng([self.seed, EXHIBITED]))
        check_exhibits(self.model, shown)
        shown = translation_tables(self.model, self.held_out) | shown
        return {name: replace(exhibit, samples=to_numpy(exhibit.samples)) for name, exhibit in shown.items()}

    def keep(self, shown: dict[str, Exhibit], step: int) -> None:
        """Write a picture of each exhibit."""
        for name, exhibit in shown.items():
            behind = exhibit.samples.ndim == 2 and exhibit.like
            real = self.real(exhibit.like, REAL_POINTS) if behind else None
            self.folder.add_picture(name, step, draw_exhibit(exhibit, real, self.centers if behind else None))
        exhibit = _pictures_like_data(shown)
        if exhibit and not self.folder.real.exists():
            save_image(draw_exhibit(replace(exhibit, samples=self._real_beside(exhibit))), self.folder.real)

    def _real_beside(self, exhibit: Exhibit) -> np.ndarray:
        """Return as many real pictures as an exhibit has; with a column for each class, if the exhibit has those."""
        n, K, feed = len(exhibit.samples), self.model.n_classes, self.model.arrays[exhibit.like].feed
        labels = [name for name, kind in self.model.arrays.items() if kind.what == "label" and kind.feed == feed]
        if not labels or exhibit.columns != K:
            return self.real(exhibit.like, n)
        there = np.asarray(self.feeds.sources[feed].labels)
        order = np.random.default_rng([self.seed, REAL_SAMPLES]).permutation(len(there))
        columns = [order[there[order] == label][: n // K] for label in range(K)]
        if min(map(len, columns)) < n // K:  # a class has too few pictures
            return self.real(exhibit.like, n)
        return self.feeds.sources[feed].read(np.stack(columns, axis=1).ravel())[exhibit.like]

    def compare(self, shown: dict[str, Exhibit], step: int) -> None:
        """Write the nearest training pictures of the samples, below each, and their distances; see memorization.py."""
        exhibit = _pictures_like_data(shown)
        source = self.feeds.sources[self.model.arrays[exhibit.like].feed] if exhibit else ()
        if not exhibit or len(source) < 2 or not np.isfinite(exhibit.samples).all():
            return

        def read(at: np.ndarray) -> np.ndarray:
            return source.read(at)[exhibit.like]

        if read(np.arange(1)).shape[1:] != exhibit.samples.shape[1:]:
            return
        found, distances, real = nearest(exhibit.samples, read, len(source), [self.seed, REAL_SAMPLES])
        columns = min(len(distances), COLUMNS)
        rows = min(len(distances) // columns, ROWS)
        first = np.argsort(distances)[: rows * columns]  # the nearest ones
        pairs = np.stack([exhibit.samples[first], read(found[first])])  # (2, rows·columns, H, W, C)
        pairs = pairs.reshape(2, rows, columns, *pairs.shape[2:]).swapaxes(0, 1)  # below each row that of its pictures
        save_image(draw_exhibit(Exhibit(pairs.reshape(-1, *pairs.shape[3:]), columns)), self.folder.nearest)
        n, medians = len(source), (float(np.median(distances)), float(np.median(real)))
        result = Memorization(step, len(first), min(n, MOST), n, *medians)
        write_text(self.folder.memorization, result.text())

    def real(self, array: str, n: int) -> np.ndarray:
        """Return n real samples, the same every time, in random order: the data may be sorted by class."""
        if (array, n) not in self._real:
            source = self.feeds.sources[self.model.arrays[array].feed]
            order = np.random.default_rng([self.seed, REAL_SAMPLES]).permutation(len(source))
            self._real[array, n] = source.read(order[:n])[array]
        return self._real[array, n]


def _pictures_like_data(shown: dict[str, Exhibit]) -> Exhibit | None:
    """Return the first exhibit of pictures that should look like the data."""
    return next((one for one in shown.values() if one.like and one.samples.ndim == 4), None)

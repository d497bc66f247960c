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
from minigan.training.folder import RunFolder
from minigan.training.pictures import draw_exhibit
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

    def real(self, array: str, n: int) -> np.ndarray:
        """Return n real samples, the same every time, in random order: the data may be sorted by class."""
        if (array, n) not in self._real:
            source = self.feeds.sources[self.model.arrays[array].feed]
            order = np.random.default_rng([self.seed, REAL_SAMPLES]).permutation(len(source))
            self._real[array, n] = source.read(order[:n])[array]
        return self._real[array, n]

"""Sets of pictures for `minigan.metrics`, a batch at a time: of a data set, or of a generator.

Nothing here holds more than a batch of pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.backend import Device
from minigan.common.terminal import bar
from minigan.data import Dataset, FolderDataset, Pairs
from minigan.errors import DataError, ShapeError
from minigan.metrics import psnr, ssim

AT_ONCE = 250  # pictures
DIGIT_SETS = ("digits", "mnist")


@dataclass(frozen=True)
class Pictures:
    """`n` pictures of one shape. `source` says for people what they are.

    Iterating yields (pictures (b, H, W, C) in [-1, 1] on the device, the labels (b,) that they were asked for by, on
    the host, or None), the same every time. `dataset` and `indices` are where real ones come from.
    """

    source: str
    n: int
    batches: Callable[[], Iterator[tuple[Any, Any]]]
    dataset: Dataset | None = None
    indices: np.ndarray | None = None

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self.batches()


def real_pictures(dataset: Dataset, n: int | None, seed: int, device: Device, split: str = "") -> Pictures:
    """`n` pictures of a data set in an order that the seed draws; all if n is None or more than there are.

    In the order in which they are kept, sorted by class perhaps, the first thousands would be no sample of them all.
    `split` is only named.
    """
    chosen, source = np.random.default_rng(seed).permutation(len(dataset)), dataset.describe()
    if n is not None and n < len(dataset):
        chosen, source = chosen[:n], f"{n:,} of {source}, drawn with seed {seed}"
    if isinstance(dataset, FolderDataset) and dataset.altered:
        source += f", {dataset.altered:,} of them cut and resized"

    def batches() -> Iterator[tuple[Any, Any]]:
        for i in range(0, len(chosen), AT_ONCE):
            some = chosen[i : i + AT_ONCE]
            yield device.array(dataset.batch(some)), None

    return Pictures(source + (f", {split} split" if split else ""), len(chosen), batches, dataset, chosen)


def generated_pictures(gan: Any, n: int, seed: Any, source: str) -> Pictures:
    """`n` pictures of a generator, from latents that the seed decides.

    A conditional GAN is asked for each class in turn. Pixels are clipped to [-1, 1] and rounded to 256 levels, as a
    picture file would have them.
    """

    def batches() -> Iterator[tuple[Any, Any]]:
        rng = gan.device.rng(seed)
        for i in range(0, n, AT_ONCE):
            labels = np.arange(i, min(i + AT_ONCE, n)) % gan.n_classes if gan.n_classes else None
            z = gan.latent(min(AT_ONCE, n - i), rng)
            pictures = gan.generate(z) if labels is None else gan.generate(z, gan.device.array(labels))
            levels = ((pictures.clip(-1, 1) + 1) * 127.5).round()
            yield levels / 127.5 - 1, labels

    return Pictures(source, n, batches)


def usual_features(*datasets: Dataset | None) -> str:
    """The name of the feature network that suits data sets: the classifier of digits if one of them is of digits."""
    named = (data.name for data in datasets if data is not None and not isinstance(data, FolderDataset))
    return "digits" if any(name in DIGIT_SETS for name in named) else "inception"


def compare_pairs(pairs: Pairs, metrics: tuple[str, ...]) -> dict[str, float]:
    """The means of "ssim" and "psnr" over pairs of pictures, each pair whole and at its own size.

    Pictures count as bytes, L = 255; the SSIM of colours is the mean of those of red, green and blue. The mean of PSNR
    is infinite if a pair is equal. Raises DataError, naming the file, as `Pairs` does, and for a picture that is
    smaller than SSIM's window.
    """
    sums = dict.fromkeys(metrics, 0.0)
    for (one, _), (x, y) in zip(pairs.files, bar(pairs, desc="comparing", unit=" pairs"), strict=True):
        if "ssim" in metrics:
            try:  # a channel at a time: a large photo takes a dozen arrays of float64
                channels = [ssim(x[..., c : c + 1], y[..., c : c + 1], 255) for c in range(x.shape[2])]
            except ShapeError as error:
                raise DataError(f"{one} can't be compared: {error}") from error
            sums["ssim"] += float(np.mean(channels))
        if "psnr" in metrics:
            sums["psnr"] += float(psnr(x, y, 255))
    return {name: total / len(pairs) for name, total in sums.items()}

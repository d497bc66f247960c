"""Sets of real or generated pictures for `minigan.metrics`, produced in batches.

Only one batch of pictures is in memory at a time.
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
from minigan.metrics.inception import has_weights

AT_ONCE = 250  # pictures
DIGIT_SETS = ("digits", "mnist")


@dataclass(frozen=True)
class Pictures:
    """`n` pictures of one shape. `source` describes them for users.

    Iteration yields (pictures (b, H, W, C) in [-1, 1] on the device, labels (b,) on the host or None). The labels are
    the classes requested from a conditional generator. Every iteration yields the same pictures. `dataset` and
    `indices` are the origin of real pictures.
    """

    source: str
    n: int
    batches: Callable[[], Iterator[tuple[Any, Any]]]
    dataset: Dataset | None = None
    indices: np.ndarray | None = None

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self.batches()


def real_pictures(dataset: Dataset, n: int | None, seed: int, device: Device, split: str = "") -> Pictures:
    """Return `n` pictures of a data set in random order; all if n is None or larger than the data set.

    The order is random because data may be stored sorted by class. `split` is only used in the description.
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


def generated_pictures(gan: Any, n: int, seed: Any, source: str, **more: Any) -> Pictures:
    """Return `n` pictures of a generator, from latents drawn with the seed. `more` goes to `generate`.

    A conditional GAN draws each class in turn. Pixels are clipped to [-1, 1] and rounded to 256 levels, as in files.
    """

    def batches() -> Iterator[tuple[Any, Any]]:
        rng = gan.device.rng(seed)
        for i in range(0, n, AT_ONCE):
            labels = np.arange(i, min(i + AT_ONCE, n)) % gan.n_classes if gan.n_classes else None
            z = gan.latent(min(AT_ONCE, n - i), rng)
            pictures = gan.generate(z, **more) if labels is None else gan.generate(z, gan.device.array(labels), **more)
            yield in_levels(pictures), labels

    return Pictures(source, n, batches)


def in_levels(pictures: Any) -> Any:
    """Clip pictures to [-1, 1] and round them to 256 levels, as in files."""
    levels = ((pictures.clip(-1, 1) + 1) * 127.5).round()
    return levels / 127.5 - 1


def usual_features(*datasets: Dataset | None) -> str:
    """Return the default feature network: "digits" if one of the data sets contains digits, else one of photos.

    That is "inception" if its weights are on this machine, else "photos", which ships with the package.
    """
    named = (data.name for data in datasets if data is not None and not isinstance(data, FolderDataset))
    if any(name in DIGIT_SETS for name in named):
        return "digits"
    return "inception" if has_weights() else "photos"


def compare_pairs(pairs: Pairs, metrics: tuple[str, ...]) -> dict[str, float]:
    """Return the means of "ssim" and "psnr" over pairs of pictures, without cropping or resizing.

    The data range is 255. The SSIM of a color picture is the mean over its channels. The mean PSNR is infinite if a
    pair is identical. Raises DataError like `Pairs`, and for a picture smaller than the window of SSIM.
    """
    sums = dict.fromkeys(metrics, 0.0)
    for (one, _), (x, y) in zip(pairs.files, bar(pairs, desc="comparing", unit=" pairs"), strict=True):
        if "ssim" in metrics:
            try:  # a channel at a time: SSIM of a large photo needs a dozen arrays of float64
                channels = [ssim(x[..., c : c + 1], y[..., c : c + 1], 255) for c in range(x.shape[2])]
            except ShapeError as error:
                raise DataError(f"{one} can't be compared: {error}") from error
            sums["ssim"] += float(np.mean(channels))
        if "psnr" in metrics:
            sums["psnr"] += float(psnr(x, y, 255))
    return {name: total / len(pairs) for name, total in sums.items()}

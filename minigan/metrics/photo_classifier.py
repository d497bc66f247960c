"""A small network of photographs that ships with the package, its weights in one file.

Sets of photos are compared by its features where the 96 MB of Inception are missing. The numbers can't be compared with
published ones.

The features are the means, over a picture, of the channels at four depths, so pictures may have any size. The first
depths respond to what noise, blur and compression change, the last ones to what a picture shows. A network that is
trained for classes alone learns to ignore damage. This one was also trained to tell how a picture was damaged, and by
how many quarter turns it was rotated. examples/train_photo_classifier.py trained the weights. docs/metrics.md states
their accuracy, the photos that they were trained on, and the license of these.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.errors import CheckpointError, ShapeError
from minigan.layers import BatchNorm, Dense, Dropout, GlobalAvgPool, Layer, Parallel, Sequential
from minigan.metrics.checks import check_pictures
from minigan.metrics.classifier import read_weights
from minigan.metrics.features import FeatureNetwork, digest
from minigan.translators.content import PHOTO_WIDTHS, photo_depth

FLOWERS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
TURNS = ("0°", "90°", "180°", "270°")
DAMAGES = ("none", *(f"{what} {level}" for what in ("noise", "blur", "jpeg", "blocks") for level in (1, 2, 3)))
FEATURES = sum(PHOTO_WIDTHS)
AT_ONCE = 1 << 18  # pixels, so that the memory doesn't grow with the number of pictures


def build_photo_classifier(rng: np.random.Generator | None = None) -> Sequential:
    """Build a network from color pictures (N, H, W, 3) to logits (N, 5 + 4 + 13). Its first part gives the features.

    Each depth halves height and width, and its mean over the pixels is a part of the features (N, 216):

        x → depth 1 → depth 2 → depth 3 → depth 4
               ↓         ↓         ↓         ↓
             24 means  48 means  64 means  80 means

    The features' batch norm has no γ and β: each feature has mean 0 and variance 1 on the training data, so that no
    depth outweighs the others in a distance. The logits are of the flower, the quarter turn, and the damage.
    """
    deeper: Layer | None = None
    for k in reversed(range(len(PHOTO_WIDTHS))):
        means = GlobalAvgPool()
        deeper = Sequential(*photo_depth(k, rng), means if deeper is None else Parallel(means, deeper))
    assert deeper is not None
    logits = len(FLOWERS) + len(TURNS) + len(DAMAGES)
    return Sequential(
        Sequential(deeper, BatchNorm(FEATURES, affine=False)),
        Sequential(Dropout(0.3), Dense(FEATURES, logits, rng=rng)),
    )


def split_logits(logits: Any) -> tuple[Any, Any, Any]:
    """Logits (N, 22) → those of the flower (N, 5), the quarter turn (N, 4), and the damage (N, 13)."""
    a, b = len(FLOWERS), len(FLOWERS) + len(TURNS)
    return logits[:, :a], logits[:, a:b], logits[:, b:]


class PhotoClassifier(FeatureNetwork):
    """Pictures of any size, gray or color → 216 features. It has no classes: the pictures may show anything.

    A feature f of the network is returned as sign(f) log(1 + |f|). Strong noise makes some f a hundred times as large
    as in clean photos, and the kernel distance, which contains f⁶, would only measure the few largest.

    `weights` is a file that examples/train_photo_classifier.py wrote, by default the one in the package. Raises
    CheckpointError if the file is missing, damaged, or has the weights of another network.
    """

    name = "photos"
    describe = "a small network of photographs, trained with minigan"
    resizer = "none: at their own size"
    comparable, own_size = False, True
    usual = ("kid", "pr")
    n_features = FEATURES
    classes = ()

    def __init__(self, device: Device | str = "cpu", weights: str | os.PathLike | None = None) -> None:
        self.device = get_device(device)
        path = files("minigan.metrics") / "photo_classifier.npz" if weights is None else Path(weights)
        self.network = build_photo_classifier()
        arrays = read_weights(path, "the network of photos", "examples/train_photo_classifier.py")
        try:
            self.network.load_state_dict(arrays)
            self.weights = digest(arrays)
        except CheckpointError as error:
            raise CheckpointError(f"{path} has no weights of the network of photos: {error}") from error
        self.network.to(self.device)

    def __call__(self, pictures: Any) -> tuple[Any, Any]:
        """Pictures (N, H, W, 1 or 3), float32 in [-1, 1] → features (N, 216), probabilities (N, 0), on their device.

        Raises ShapeError for anything else, and for no pictures.
        """
        check_pictures(pictures, "the network of photos")
        if pictures.size == 0:
            raise ShapeError(f"the network of photos takes float32 pictures, N > 0, got {tuple(pictures.shape)}")
        xp, (N, H, W, _) = array_module(pictures), pictures.shape
        n = max(1, AT_ONCE // (H * W))
        features = xp.concatenate([self._features(pictures[i : i + n], xp) for i in range(0, N, n)])
        return features, xp.empty((N, 0), features.dtype)

    def _features(self, x: Any, xp: Any) -> Any:
        """Return the features (N, 216) of a few pictures."""
        if x.shape[3] == 1:
            x = xp.repeat(x, 3, axis=3)  # (N, H, W, 3)
        f = self.network[0].output(x, train=False)
        return xp.sign(f) * xp.log1p(xp.abs(f))

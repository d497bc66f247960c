"""A classifier of handwritten digits that ships with the package, its weights in one file.

It does for digits what the Inception network does for photographs. It returns the probabilities of the ten digits and
of "none", for pictures that show no digit, and the 64 activations of its last hidden layer, the features by which sets
of digits are compared. examples/train_classifier.py trained the weights, and states its accuracy.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.common.untrusted import open_file, read_npz
from minigan.errors import UNREADABLE_NPZ, CheckpointError, ShapeError
from minigan.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, ReLU, Sequential, he_normal
from minigan.metrics.checks import check_pictures
from minigan.metrics.features import FeatureNetwork, digest
from minigan.metrics.resize import resize_bilinear
from minigan.translators.luminance import luminance

SIDE = 28  # pixels, MNIST's
FEATURES = 64
DIGITS = tuple(map(str, range(10)))
MAKER = "examples/train_classifier.py"
AT_ONCE = 250  # pictures, so that the memory doesn't grow with their number


def build_classifier(rng: np.random.Generator | None = None) -> Sequential:
    """Build a network from gray pictures (N, 28, 28, 1) to logits (N, 11). Its first part gives the features (N, 64).

    There are only 64 features because a covariance needs more pictures than it has rows; a few hundred are enough here.
    The features' batch norm has no γ and β, so that each feature, before the ReLU, has about unit variance on the
    training data.
    """
    W = {"bias": False, "init": he_normal(), "rng": rng}
    return Sequential(
        Sequential(
            *(Conv2D(1, 32, 5, stride=2, padding=2, **W), BatchNorm(32), ReLU()),  # 28 → 14
            *(Conv2D(32, 64, 3, stride=2, padding=1, **W), BatchNorm(64), ReLU()),  # 14 → 7
            *(Conv2D(64, 64, 3, stride=2, padding=1, **W), BatchNorm(64), ReLU()),  # 7 → 4
            Flatten(),
            Dropout(0.3),
            *(Dense(4 * 4 * 64, FEATURES, **W), BatchNorm(FEATURES, affine=False), ReLU()),
        ),
        Dense(FEATURES, len(DIGITS) + 1, rng=rng),
    )


class DigitClassifier(FeatureNetwork):
    """Pictures of any size, gray or color → 64 features, and 11 probabilities: of 0 to 9, and last of "none".

    `classes` names the ten digits alone. `weights` is a file that examples/train_classifier.py wrote, by default the
    one in the package. Raises CheckpointError if the file is missing, damaged, or has the weights of another network.
    """

    name = "digits"
    describe = "a small classifier of handwritten digits, trained with minigan"
    resizer = f"grey, bilinear without antialiasing to {SIDE}x{SIDE}"
    comparable, knows_none = False, True
    n_features = FEATURES
    classes = DIGITS

    def __init__(self, device: Device | str = "cpu", weights: str | os.PathLike | None = None) -> None:
        self.device = get_device(device)
        path = files("minigan.metrics") / "digit_classifier.npz" if weights is None else Path(weights)
        self.network = build_classifier()
        arrays = read_weights(path)
        try:
            self.network.load_state_dict(arrays)
            self.weights = digest(arrays)
        except CheckpointError as error:
            raise CheckpointError(f"{path} has no weights of the classifier of digits: {error}") from error
        self.network.to(self.device)

    def __call__(self, pictures: Any) -> tuple[Any, Any]:
        """Pictures (N, H, W, 1 or 3), float32 in [-1, 1] → features (N, 64), probabilities (N, 11), on their device.

        Raises ShapeError for anything else, and for no pictures.
        """
        check_pictures(pictures, "the classifier of digits")
        if pictures.size == 0:
            raise ShapeError(f"the classifier of digits takes float32 pictures, N > 0, got {tuple(pictures.shape)}")
        xp = array_module(pictures)
        parts = [self._classify(pictures[i : i + AT_ONCE], xp) for i in range(0, len(pictures), AT_ONCE)]
        return tuple(xp.concatenate(part) for part in zip(*parts, strict=True))

    def _classify(self, x: Any, xp: Any) -> tuple[Any, Any]:
        """Return the features and probabilities of a few pictures."""
        if x.shape[3] == 3:
            x = luminance(x)[..., None]  # (N, H, W, 1)
        if x.shape[1:3] != (SIDE, SIDE):
            x = resize_bilinear(x, SIDE)
        features = self.network[0].output(x, train=False)  # (N, 64)
        logits = self.network[1].output(features, train=False)  # (N, 11)
        p = xp.exp(logits - logits.max(axis=1, keepdims=True))
        return features, p / p.sum(axis=1, keepdims=True)


def write_weights(network: Sequential, file: Any) -> None:
    """Write weights to an open file as float16, half the size. Measure the accuracy with the rounded weights."""
    np.savez_compressed(file, **{name: array.astype(np.float16) for name, array in network.state_dict().items()})


def read_weights(path: Any, whose: str = "the classifier of digits", maker: str = MAKER) -> dict[str, np.ndarray]:
    """Read the arrays of a file. Raises CheckpointError if it is missing or damaged, or if a number is not finite."""
    try:
        with open_file(path) if isinstance(path, os.PathLike) else path.open("rb") as file:
            arrays = read_npz(file)
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("a weight is not finite")
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}: give one that {maker} wrote") from None
    except UNREADABLE_NPZ as error:
        raise CheckpointError(f"{path} is damaged, or has no weights of {whose}") from error
    return arrays

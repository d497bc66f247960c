"""A small classifier of pictures, trained on data of the user's.

It decides which samples of a conditional generator show the class that was asked for (`minigan sample --filter`), and
examples/augmentation_study.py measures with it what generated pictures are worth as training data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.backend import Device, get_device, to_numpy
from minigan.errors import ShapeError
from minigan.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, ReLU, Sequential, Softmax, he_normal
from minigan.losses import softmax_cross_entropy
from minigan.metrics.checks import check_pictures
from minigan.optim import Adam, cosine_decay

FEATURES = 32  # channels of the first convolution
AT_ONCE = 250  # pictures, so that the memory doesn't grow with their number


def build_picture_classifier(
    shape: tuple[int, int, int], n_classes: int, features: int = FEATURES, rng: np.random.Generator | None = None
) -> Sequential:
    """Build a network from pictures (N, H, W, C) to logits (N, n_classes). Each convolution halves height and width."""
    H, W, C = shape
    h, w = -(-H // 8), -(-W // 8)  # after three halvings, rounded up
    weights = {"bias": False, "init": he_normal(), "rng": rng}
    return Sequential(
        *(Conv2D(C, features, 5, stride=2, padding=2, **weights), BatchNorm(features), ReLU()),
        *(Conv2D(features, 2 * features, 3, stride=2, padding=1, **weights), BatchNorm(2 * features), ReLU()),
        *(Conv2D(2 * features, 2 * features, 3, stride=2, padding=1, **weights), BatchNorm(2 * features), ReLU()),
        Flatten(),  # (N, h, w, 2·features) → (N, h·w·2·features)
        Dropout(0.3),
        Dense(h * w * 2 * features, n_classes, rng=rng),
    )


class PictureClassifier:
    """Pictures of one shape (H, W, C) → the probabilities of `n_classes` classes, once it is trained.

    `rng` draws the initial weights. Raises ShapeError for a shape that isn't one of gray or color pictures.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_classes: int,
        features: int = FEATURES,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        if len(shape) != 3 or shape[2] not in (1, 3):
            raise ShapeError(f"a classifier of pictures takes a shape (H, W, 1 or 3), got {shape}")
        H, W, C = shape
        self.device, self.n_classes = get_device(device), n_classes
        self.network = build_picture_classifier((H, W, C), n_classes, features, rng).to(self.device)

    def train(self, next_batch: Callable[[], tuple[Any, Any]], steps: int, seed: int, lr: float = 2e-3) -> float:
        """Make `steps` steps with Adam on −mean log p[label]; the rate falls from `lr` to 0 along a cosine.

        next_batch(): returns pictures (N, H, W, C) in [-1, 1] and labels (N,)
        seed:         of dropout

        Returns the loss of the last step.
        """
        optimizer, decay = Adam(self.network.parameters(), lr), cosine_decay(steps)
        rng, loss = self.device.rng(seed), np.zeros(())
        for step in range(steps):
            x, labels = next_batch()
            optimizer.zero_grad()
            logits, cache = self.network.forward(x, rng=rng)  # (N, H, W, C) → (N, K)
            loss, dlogits = softmax_cross_entropy(logits, labels)
            self.network.backward(dlogits, cache, wrt="params")
            optimizer.lr = lr * decay(step)
            optimizer.step()
        return float(to_numpy(loss))

    def probabilities(self, x: Any) -> np.ndarray:
        """Pictures (N, H, W, C) in [-1, 1] → probabilities (N, K), on the host. Raises ShapeError for other arrays."""
        check_pictures(x, "a classifier of pictures")
        parts = []
        for i in range(0, len(x), AT_ONCE):
            logits = self.network.output(self.device.array(x[i : i + AT_ONCE]), train=False)
            parts.append(to_numpy(Softmax().output(logits)))
        return np.concatenate(parts) if parts else np.empty((0, self.n_classes), np.float32)

    def accuracy(self, x: Any, labels: Any) -> float:
        """Return the share of pictures (N, H, W, C) whose most probable class is their label (N,)."""
        return float((self.probabilities(x).argmax(axis=1) == to_numpy(labels)).mean())


def recognized(p: np.ndarray, labels: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Return which samples show the class asked for: its probability is the largest, and at least `least`. (N,) bool.

    p (N, K), labels (N,). The filter of GaFi ("Bridging the Gap", Lampis et al. 2023).
    """
    return (p.argmax(axis=1) == labels) & (p[np.arange(len(p)), labels] >= least)

"""Open a feature network by name, or read weights of any network."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import numpy as np

from minigan.backend import Device
from minigan.errors import DataError
from minigan.metrics import classifier
from minigan.metrics.classifier import DigitClassifier
from minigan.metrics.features import FeatureNetwork
from minigan.metrics.inception import load_inception, read_weights
from minigan.metrics.photo_classifier import PhotoClassifier

FEATURE_NETWORKS = ("inception", "photos", "digits")
SHIPPED = {"photos": "photo_classifier.npz", "digits": "digit_classifier.npz"}


def open_features(name: str, device: Device | str = "cpu", weights: str | os.PathLike | None = None) -> FeatureNetwork:
    """Load a feature network: `photos` and `digits` ship with the package, `inception` doesn't.

    `weights` is another file of weights.

    Raises DataError for another name, and MiniganError, in one sentence, if the weights are missing or damaged.
    """
    if name == "digits":
        return DigitClassifier(device, weights)
    if name == "photos":
        return PhotoClassifier(device, weights)
    if name == "inception":
        return load_inception(weights, device)
    raise DataError(f"there is no feature network {name!r}: choose from {', '.join(FEATURE_NETWORKS)}")


def read_network(name: str) -> dict[str, np.ndarray]:
    """Read the weights of a network that ships, `photos` or `digits`, or of a .pth, .safetensors or .npz file.

    Raises MiniganError if the file can't be read. Nothing in it is executed.
    """
    if name in SHIPPED:
        return classifier.read_weights(files("minigan.metrics") / SHIPPED[name])
    return read_weights(Path(name))

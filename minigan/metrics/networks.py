"""Open a feature network by name."""

from __future__ import annotations

import os

from minigan.backend import Device
from minigan.errors import DataError
from minigan.metrics.classifier import DigitClassifier
from minigan.metrics.features import FeatureNetwork
from minigan.metrics.inception import load_inception
from minigan.metrics.photo_classifier import PhotoClassifier

FEATURE_NETWORKS = ("inception", "photos", "digits")


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

"""Feature statistics of a set of pictures, by which two sets are compared.

They are accumulated batch by batch, and their size doesn't depend on the number of pictures. The statistics of a set
that is used repeatedly as a reference are kept in a .npz file:

    mu, sigma               mean (F,) and covariance (F, F) of the features, float64, named as in pytorch-fid
    features                (M, F) float32, of the first pictures, if KID or precision was requested
    about                   JSON as bytes: source, n, network, its weights, resizer

Files of pytorch-fid have mu and sigma alone, and are read as statistics of the Inception network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.common.untrusted import open_file, read_npz
from minigan.errors import UNREADABLE_NPZ, DataError
from minigan.metrics.features import FeatureNetwork
from minigan.metrics.moments import Moments

KEPT = 10_000  # pictures whose features are kept for the metrics that need them
Watcher = Callable[[Any, Any, Any], None]  # called with features (N, F), probabilities (N, K), labels (N,) or None


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance of the features of `n` pictures; n is None if a file doesn't contain it.

    `source` describes the pictures for the user. `features` (M, F) are those of the first M ≤ 10,000 pictures, or None
    if they were not kept.
    """

    source: str
    n: int | None
    network: str
    weights: str
    resizer: str
    mean: np.ndarray
    covariance: np.ndarray
    features: np.ndarray | None = None


def observe(
    batches: Iterable[tuple[Any, Any]],
    network: FeatureNetwork,
    source: str,
    keep: bool = False,
    watchers: Iterable[Watcher] = (),
) -> Statistics:
    """Compute the feature statistics of batches of (pictures (N, H, W, C), labels (N,) or None).

    With `keep`, the features of the first 10,000 pictures are kept. Every watcher is called with each batch's features
    (N, F), probabilities (N, K) and labels. Raises DataError for fewer than two pictures, and for features that are not
    finite.
    """
    moments, kept, watchers = Moments(network.n_features), [], list(watchers)
    for batch in batches:
        if not isinstance(batch, tuple) or len(batch) != 2:
            raise DataError(f"{source}: pictures come in batches (pictures, labels), got {type(batch).__name__}")
        pictures, labels = batch
        features, probabilities = network(pictures)
        moments.update(features)
        if keep and moments.n - len(features) < KEPT:
            kept.append(to_numpy(features)[: KEPT - moments.n + len(features)])
        for watcher in watchers:
            watcher(features, probabilities, labels)
    if moments.n < 2:
        raise DataError(f"{source}: {moments.n or 'no'} picture has no covariance: give two at least")
    mean, covariance = to_numpy(moments.mean), to_numpy(moments.covariance)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise DataError(f"{source}: some features are not finite, so some pixels are not: look at the pictures")
    features = np.concatenate(kept).astype(np.float32) if keep else None
    return Statistics(source, moments.n, network.name, network.weights, network.resizer, mean, covariance, features)


def write_statistics(file: Any, statistics: Statistics) -> None:
    """Write statistics to an open binary file."""
    about = {name: getattr(statistics, name) for name in ("source", "n", "network", "weights", "resizer")}
    arrays = {"mu": statistics.mean, "sigma": statistics.covariance}
    if statistics.features is not None:
        arrays["features"] = statistics.features
    np.savez(file, **arrays, about=np.frombuffer(json.dumps(about).encode(), np.uint8))


def network_of(path: str | os.PathLike) -> str:
    """Return the name of the network of a file of statistics, "inception" if it has none or is another file."""
    try:
        with open_file(path) as file:
            return str(json.loads(read_npz(file)["about"].tobytes())["network"])
    except UNREADABLE_NPZ:
        return "inception"


def read_statistics(path: str | os.PathLike, network: FeatureNetwork) -> Statistics:
    """Read statistics, of minigan or pytorch-fid, to compare them with features of `network`.

    Raises DataError if the file can't be read, has other content, or belongs to another network or resizer.
    """
    try:
        with open_file(path) as file:
            arrays = read_npz(file)
        about = dict(json.loads(arrays["about"].tobytes())) if "about" in arrays else {}
        if any(arrays[name].dtype.kind != "f" for name in ("mu", "sigma")):
            raise ValueError("these are not real numbers")
        mean, covariance = (arrays[name].astype(np.float64) for name in ("mu", "sigma"))
        features = arrays.get("features")
        kind = about.get("network", "inception")
        weights, resizer = about.get("weights", network.weights), about.get("resizer", network.resizer)
        found = Statistics(
            str(about.get("source", path)), about.get("n"), kind, weights, resizer, mean, covariance, features
        )
        _check(found)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}: check the path") from None
    except UNREADABLE_NPZ as error:
        raise DataError(f"{path} is not a file of statistics, or damaged: make it with --save-stats") from error
    if found.network != network.name:
        raise DataError(f"{path} is about features of {found.network}: evaluate with --features {found.network}")
    if (found.weights, found.resizer) != (network.weights, network.resizer) or mean.shape != (network.n_features,):
        raise DataError(f"{path} comes from {network.name} with other weights or another resizer: create it again")
    return found


def _check(statistics: Statistics) -> None:
    """Raise ValueError unless the arrays are finite and belong to one set of features."""
    if any(type(text) is not str for text in (statistics.source, statistics.network, statistics.resizer)):
        raise ValueError("a name is not text")
    mean, covariance, features = statistics.mean, statistics.covariance, statistics.features
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise ValueError(f"mu is {mean.shape} and sigma {covariance.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError("a number in it is not finite")
    if not np.allclose(covariance, covariance.T) or covariance.diagonal().min(initial=0) < 0:
        raise ValueError("sigma is not a covariance")
    if features is not None and (features.ndim != 2 or features.shape[1] != len(mean) or features.dtype.kind != "f"):
        raise ValueError(f"features are {features.dtype} {features.shape}")
    if statistics.n is not None and (type(statistics.n) is not int or statistics.n < 2):
        raise ValueError(f"n is {statistics.n!r}")

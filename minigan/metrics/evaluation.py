"""Evaluate a set of pictures: the field's metrics, and what must be known to interpret them.

    fid       Fréchet Inception Distance to the reference (Heusel et al. 2017); lower is better
    is        Inception Score (Salimans et al. 2016), without a reference; higher is better. The probability of "none",
              if the network has it, is distributed over all classes, so that nonsense lowers the score
    kid       Kernel Inception Distance to the reference (Bińkowski et al. 2018); lower is better
    pr        precision: the share of samples that look real; recall: the share of the real data that is covered
              (Kynkäänniemi et al. 2019)
    classes   which classes the network recognizes, how certain it is, and whether they are the requested ones

No metric means anything on its own. FID falls as n grows; the split of the reference, the feature network and the way
pictures are resized for it can each change it by more than methods differ. So an `Evaluation` records all of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minigan.common.arguments import whole
from minigan.errors import DataError
from minigan.metrics.classes import ClassCounts
from minigan.metrics.features import FeatureNetwork
from minigan.metrics.inception_score import InceptionScore
from minigan.metrics.kernel_distance import kernel_distance, kernel_distance_error
from minigan.metrics.manifold import precision_recall
from minigan.metrics.moments import frechet_distance
from minigan.metrics.statistics import KEPT, Statistics, observe

METRICS = ("fid", "is", "kid", "pr", "classes")
NEEDS_REFERENCE = ("fid", "kid", "pr")
NEEDS_FEATURES = ("kid", "pr")  # of every picture, not only their mean and covariance
SPLITS = 10
FEWEST_FOR_PR = 4  # samples: one and its three nearest neighbors
SUBSET = 1000  # pictures in a subset of KID, but at most half of the smaller set


@dataclass(frozen=True)
class Evaluation:
    """`values` by name, and what they depend on. `reference` is None if no metric compared with one.

    `features` is the name of the feature network, and `network` its description.
    """

    values: dict[str, Any]
    source: str
    n: int
    reference: str | None
    reference_n: int | None
    features: str
    network: str
    resizer: str
    caveats: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as a dict that JSON can represent."""
        return asdict(self)


def evaluate(
    batches: Iterable[tuple[Any, Any]],
    n: int,
    source: str,
    network: FeatureNetwork,
    reference: Statistics | None = None,
    metrics: Iterable[str] = ("fid", "is"),
    seed: int = 0,
) -> tuple[Evaluation, Statistics]:
    """Measure `n` pictures, in batches of (pictures (N, H, W, C) in [-1, 1], requested labels (N,) or None).

    Returns the evaluation and the pictures' own statistics. `seed` draws the subsets of KID. Raises DataError for an
    unknown metric, a metric that lacks its reference, or too few pictures.
    """
    if reference is not None and not isinstance(reference, Statistics):
        raise DataError(f"a reference is Statistics, as read_statistics or observe gives them, got {reference!r}")
    metrics = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    check_metrics(metrics, n, network, reference is not None)
    for name in NEEDS_FEATURES:
        if name in metrics and reference.features is None:
            lacking = f"{name} needs every picture's features, which the statistics of {reference.source} lack"
            raise DataError(f"{lacking}: save them again with --metrics {name}")
    score = InceptionScore(n, SPLITS) if "is" in metrics else None
    counts = ClassCounts(network.classes) if "classes" in metrics else None

    def watch(features: Any, probabilities: Any, asked: Any) -> None:
        if score:
            score.update(_among_classes(probabilities) if network.knows_none else probabilities)
        if counts:
            counts.update(probabilities, asked)

    keep = any(name in metrics for name in NEEDS_FEATURES)
    found = observe(batches, network, source, keep, [watch])
    values = _compare(found, reference, metrics, seed) if reference else {}
    if score:
        values["is"], values["is_std"] = score.result()
    if counts:
        values |= counts.result()
    used = reference if any(name in metrics for name in NEEDS_REFERENCE) else None
    answer = Evaluation(
        values=values,
        source=source,
        n=found.n,
        reference=used.source if used else None,
        reference_n=used.n if used else None,
        features=network.name,
        network=network.describe,
        resizer=network.resizer,
        caveats=tuple(caveats(found, used, network, metrics)),
    )
    return answer, found


def _compare(found: Statistics, reference: Statistics, metrics: tuple[str, ...], seed: int) -> dict[str, Any]:
    """Compute the metrics that compare with a reference, as far as they are among `metrics`."""
    values: dict[str, Any] = {}
    if "fid" in metrics:
        values["fid"] = frechet_distance(found.mean, found.covariance, reference.mean, reference.covariance)
    if "kid" in metrics:
        fewest = min(len(found.features), len(reference.features))
        size, rng = max(2, min(SUBSET, fewest // 2)), np.random.default_rng(seed)
        kid = kernel_distance(found.features, reference.features, rng=rng, subset_size=size)
        values["kid"], values["kid_std"] = kid
        values["kid_subset"] = size
        if fewest > 2:
            _, values["kid_error"] = kernel_distance_error(found.features, reference.features)
    if "pr" in metrics:
        values["precision"], values["recall"] = precision_recall(found.features, reference.features)
    return values


def _among_classes(probabilities: Any) -> Any:
    """Distribute the last probability, that of "none", over all classes: (N, K + 1) → (N, K)."""
    K = probabilities.shape[1] - 1
    return probabilities[:, :K] + probabilities[:, K:] / K


def check_metrics(metrics: Iterable[str], n: int, network: FeatureNetwork, has_reference: bool) -> None:
    """Raise DataError for metrics that can't be measured, before any work is done."""
    n = whole(n, "an evaluation", "n")
    for name in metrics:
        if name not in METRICS:
            raise DataError(f"there is no metric {name!r}: choose from {', '.join(METRICS)}")
        if name == "classes" and not network.knows_none:
            raise DataError(f"classes are counted by a classifier of digits, not by {network.name}: leave it out")
        if name == "is" and not network.classes:
            raise DataError(f"is needs the probabilities of classes, and {network.name} has no classes: leave it out")
        if name in NEEDS_REFERENCE and not has_reference:
            raise DataError(f"{name} compares with real pictures: give them with --against")
    if n < 2:
        raise DataError("one picture can't be measured: give two at least")
    if "is" in metrics and n < SPLITS:
        raise DataError(f"is divides the samples into {SPLITS} parts, and there are {n}: use more, or other --metrics")
    if "pr" in metrics and n < FEWEST_FOR_PR:
        raise DataError(f"pr needs third neighbors, and there are {n} samples: use {FEWEST_FOR_PR} at least")


def caveats(
    found: Statistics, reference: Statistics | None, network: FeatureNetwork, metrics: tuple[str, ...]
) -> Iterable[str]:
    """Yield sentences about why these numbers may not be compared with others."""
    if not network.comparable:
        yield f"not comparable with published numbers: the features are those of {network.describe}"
    fewest = min(found.n, reference.n or found.n) if reference else found.n
    if "fid" in metrics and fewest <= network.n_features:
        counts = f"{fewest:,} pictures and {network.n_features:,} features"
        yield f"{counts}: the covariance is singular, and FID is far larger than with enough pictures"
    elif set(metrics) & {"fid", "is", "pr"}:
        counts = f"{found.n:,} pictures" + (f" against {reference.n:,}" if reference and reference.n else "")
        yield f"the number of pictures changes these numbers: compare with others of {counts} only"
    if reference and reference.n is None:
        yield "the file of statistics doesn't say how many pictures they are of, nor how these were resized"
    if any(name in metrics for name in NEEDS_FEATURES) and max(found.n, reference.n or 0) > KEPT:
        yield f"kid and pr use only {KEPT:,} of the pictures"

"""Nearest neighbours, and how far two sets of features cover each other: improved precision and recall.

Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019. A ball around each
feature of a set, reaching to its k-th nearest neighbour in the set (k = 3), and all the balls together stand for the
region from which the set was drawn. Then

    precision = share of the generated pictures in the region of the real ones      (are they good?)
    recall    = share of the real pictures in the region of the generated ones      (are they diverse?)

A picture is its own nearest neighbour, with distance 0; the k-th other one is number k + 1.

All distances between 50,000 and 50,000 pictures would fill 20 GB, so they are taken a block at a time, and only the
smallest are kept. To find those of a query q among references r,

    |q − r|² = |q|² + (|r|² − 2 q·r)

takes a matrix product, and |q|² is the same for all r and can be left out. The sum cancels where q and r are close
and far from 0. So the mean of the references is subtracted from both before, products are in float64, and once found,
the few that matter are measured again as Σ (q − r)²: the distance of a picture from its copy is 0 and nothing else.

To lie in one of many balls of radius ρ_r is to have a smallest |q − r|² − ρ_r² that is 0 or less: the same search.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minigan.backend import array_module, to_numpy
from minigan.common.arguments import numbers, whole
from minigan.errors import MiniganError
from minigan.kernels.elementwise import product
from minigan.metrics.checks import feature_sets

QUERIES, REFERENCES = 1024, 4096  # of a block: 32 MiB of products, and 64 MiB of 2048 features in float64


def precision_recall(generated: Any, real: Any, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall of generated features (N, F) against real ones (M, F).

    Raises ShapeError for shapes that don't fit, MiniganError for NaN and for sets of k pictures or fewer.
    """
    if (k := whole(k, "precision and recall", "k")) < 1:
        raise MiniganError(f"precision and recall need a first neighbour or a later one, not k = {k}")
    generated, real = feature_sets(generated, real, k + 1, f"precision and recall with k = {k}")
    return _covered(generated, real, k), _covered(real, generated, k)


def nearest(queries: Any, references: Any, k: int = 1) -> tuple[Any, Any]:
    """The k nearest of references (M, F) to each of queries (N, F), nearest first: indices (N, k), distances (N, k).

    Distances are Euclidean and in float64. Where references are equally far, any of them may be named. Raises
    ShapeError for shapes that don't fit, MiniganError for NaN and for k that isn't from 1 to M.
    """
    what = "the distance to the nearest neighbours"
    k, references = whole(k, what, "k"), numbers(references, what, "features")
    if references.ndim and not 1 <= k <= len(references):
        raise MiniganError(f"there are 1 to {len(references)} nearest neighbours among as many pictures, not {k}")
    queries, references = feature_sets(queries, references, 1, what)
    indices, squares = _nearest(queries, references, k)
    return indices, array_module(squares).sqrt(squares)


def _covered(queries: Any, references: Any, k: int) -> float:
    """The share of queries that lie in a ball around one of the references."""
    _, squares = _nearest(references, references, k + 1)
    radii = squares[:, k]  # ρ² (M,)
    index, square = _nearest(queries, references, 1, radii)
    return float(to_numpy((square <= radii[index]).mean()))


def _nearest(queries: Any, references: Any, k: int, radii: Any = None) -> tuple[Any, Any]:
    """Indices (N, k) and |q − r|² (N, k) of the k smallest |q − r|² − ρ_r² of each query; `radii` ρ² (M,) or None."""
    xp = array_module(queries)
    center = references.mean(axis=0, dtype=xp.float64)  # (F,)
    found = []
    for rows in _blocks(len(queries), QUERIES):
        q = queries[rows].astype(xp.float64)
        indices, values = None, None
        for columns in _blocks(len(references), REFERENCES):
            r = references[columns] - center
            own = xp.einsum("mf,mf->m", r, r) - (0 if radii is None else radii[columns])  # (m,)
            scores = own - 2 * product(q - center, r.T)  # (n, F) @ (F, m) → (n, m)
            here = xp.argpartition(scores, min(k, scores.shape[1]) - 1, axis=1)[:, :k]
            there = xp.take_along_axis(scores, here, axis=1)
            here = here + columns.start
            if indices is not None:
                here, there = xp.concatenate([indices, here], axis=1), xp.concatenate([values, there], axis=1)
            smallest = xp.argsort(there, axis=1)[:, :k]
            indices, values = (xp.take_along_axis(a, smallest, axis=1) for a in (here, there))
        found.append(_measured(q, references, indices))
    indices, squares = zip(*found, strict=True)
    return xp.concatenate(indices), xp.concatenate(squares)


def _measured(q: Any, references: Any, indices: Any) -> tuple[Any, Any]:
    """Indices (n, k) of references and their |q − r|² as a sum of squares, in ascending order."""
    xp = array_module(q)
    gap = q[:, None] - references[indices]  # (n, 1, F) − (n, k, F)
    squares = xp.einsum("nkf,nkf->nk", gap, gap)
    order = xp.argsort(squares, axis=1)
    return xp.take_along_axis(indices, order, axis=1), xp.take_along_axis(squares, order, axis=1)


def _blocks(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))

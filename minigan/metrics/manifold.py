"""Nearest neighbors, and how far two sets of features cover each other: improved precision and recall.

Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019. The region from which
a set was drawn is approximated by a union of balls: one around each feature of the set, with the distance to its k-th
nearest neighbor in the set (k = 3) as radius. Then

    precision = share of the generated pictures in the region of the real ones      (are they good?)
    recall    = share of the real pictures in the region of the generated ones      (are they diverse?)

A picture is its own nearest neighbor at distance 0, so its k-th nearest other picture has rank k + 1.

All distances between 50,000 and 50,000 pictures would take 20 GB, so they are computed in blocks, and only the smallest
are kept. The nearest references r of a query q minimize

    |q − r|² = |q|² + (|r|² − 2 q·r)

which takes a matrix product; |q|² is the same for all r and is left out. The sum cancels where q and r are close to
each other and far from 0. So the mean of the references is subtracted from both, products are in float64, and the k
distances found are recomputed as Σ (q − r)², so that a picture has exactly the distance 0 from its copy.

The same search finds whether a query is in one of many balls of radius ρ_r: the smallest |q − r|² − ρ_r² is then ≤ 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minigan.backend import array_module, to_numpy
from minigan.common.arguments import numbers, whole
from minigan.errors import MiniganError
from minigan.kernels.elementwise import product
from minigan.metrics.checks import feature_sets

QUERIES, REFERENCES = 1024, 4096  # in a block: 32 MiB of products, and 64 MiB of 2048 features in float64


def precision_recall(generated: Any, real: Any, k: int = 3) -> tuple[float, float]:
    """Return improved precision and recall of generated features (N, F) against real ones (M, F).

    Raises ShapeError for shapes that don't fit, MiniganError for NaN and for sets of k pictures or fewer.
    """
    if (k := whole(k, "precision and recall", "k")) < 1:
        raise MiniganError(f"precision and recall need a k of at least 1, not {k}")
    generated, real = feature_sets(generated, real, k + 1, f"precision and recall with k = {k}")
    return _covered(generated, real, k), _covered(real, generated, k)


def nearest(queries: Any, references: Any, k: int = 1) -> tuple[Any, Any]:
    """Return the k nearest of references (M, F) to each of queries (N, F), as indices (N, k) and distances (N, k).

    They are in ascending order of distance, Euclidean and in float64. Ties are broken arbitrarily. Raises ShapeError
    for shapes that don't fit, MiniganError for NaN and for k outside 1 … M.
    """
    what = "the distance to the nearest neighbors"
    k, references = whole(k, what, "k"), numbers(references, what, "features")
    if references.ndim and not 1 <= k <= len(references):
        raise MiniganError(f"there are 1 to {len(references)} nearest neighbors among as many pictures, not {k}")
    queries, references = feature_sets(queries, references, 1, what)
    indices, squares = _nearest(queries, references, k)
    return indices, array_module(squares).sqrt(squares)


def _covered(queries: Any, references: Any, k: int) -> float:
    """Return the share of queries that are inside a ball around one of the references."""
    _, squares = _nearest(references, references, k + 1)
    radii = squares[:, k]  # ρ² (M,)
    index, square = _nearest(queries, references, 1, radii)
    return float(to_numpy((square <= radii[index]).mean()))


def _nearest(queries: Any, references: Any, k: int, radii: Any = None) -> tuple[Any, Any]:
    """Return indices and |q − r|², both (N, k), of the k smallest |q − r|² − ρ_r² per query; `radii` are ρ² (M,)."""
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
        found.append(_exact(q, references, indices))
    indices, squares = zip(*found, strict=True)
    return xp.concatenate(indices), xp.concatenate(squares)


def _exact(q: Any, references: Any, indices: Any) -> tuple[Any, Any]:
    """Return indices (n, k) of references and |q − r|² as sums of squares, in ascending order."""
    xp = array_module(q)
    gap = q[:, None] - references[indices]  # (n, 1, F) − (n, k, F)
    squares = xp.einsum("nkf,nkf->nk", gap, gap)
    order = xp.argsort(squares, axis=1)
    return xp.take_along_axis(indices, order, axis=1), xp.take_along_axis(squares, order, axis=1)


def _blocks(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))

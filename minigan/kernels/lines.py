"""Weighted sums over windows along one axis, and their adjoint: a one-dimensional convolution of every line of pixels.

A window of K pixels moves along the axis by `stride`. All windows have the same weights w (K,). With n pixels and m
windows, n = (m − 1)·stride + K, and ⟨a, b⟩ = Σ a·b,

    line_sum        x (n) → y (m)       y[o] = Σ_k w[k] x[o·stride + k]
    line_spread     y (m) → x (n)       x[o·stride + k] += w[k] y[o]        ⟨line_sum(x), y⟩ = ⟨x, line_spread(y)⟩

The pictures are (N, H, W, C). `axis` is 1, along a column of pixels, or 2, along a row; the other axes keep their
length. Nothing is added at the ends of a line.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast import lines as fast
from minigan.kernels.twin import runs_as


@runs_as(fast.line_sum)
def line_sum(x: Any, weights: np.ndarray, stride: int, axis: int) -> Any:
    """Sum each window: n pixels along `axis` → ⌊(n − K)/stride⌋ + 1; pixels that are left over are in no window."""
    lines = array_module(x).moveaxis(x, axis, 0)  # (n, …)
    m = (len(lines) - len(weights)) // stride + 1
    y = array_module(x).zeros((m, *lines.shape[1:]), x.dtype)
    for k, weight in enumerate(weights):
        y += x.dtype.type(weight) * lines[k : k + (m - 1) * stride + 1 : stride]  # (m, …)
    return array_module(x).ascontiguousarray(array_module(x).moveaxis(y, 0, axis))


@runs_as(fast.line_spread)
def line_spread(y: Any, weights: np.ndarray, stride: int, axis: int) -> Any:
    """Add each number to its window: m numbers along `axis` → (m − 1)·stride + K pixels."""
    lines = array_module(y).moveaxis(y, axis, 0)  # (m, …)
    m = len(lines)
    x = array_module(y).zeros(((m - 1) * stride + len(weights), *lines.shape[1:]), y.dtype)
    for k, weight in enumerate(weights):
        x[k : k + (m - 1) * stride + 1 : stride] += y.dtype.type(weight) * lines  # (m, …)
    return array_module(y).ascontiguousarray(array_module(y).moveaxis(x, 0, axis))

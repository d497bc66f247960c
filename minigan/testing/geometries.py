"""Hypothesis strategies for seeds, shapes, pictures, and the geometries of convolutions and pooling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from minigan.testing.points import smooth_point

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution, or of a transposed convolution, which alone uses `output_padding`."""

    batch: int
    in_channels: int
    out_channels: int
    size: Pair
    kernel_size: Pair
    stride: Pair
    padding: Pair
    output_padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        return (self.batch, *self.size, self.in_channels)


def seeds() -> st.SearchStrategy[int]:
    """Draw seeds for `np.random.default_rng`; they shrink to 0."""
    return st.integers(0, 2**32 - 1)


def sizes(least: int = 1, most: int = 4) -> st.SearchStrategy[int]:
    """Draw small axis lengths."""
    return st.integers(least, most)


@st.composite
def shapes(draw: Callable, channels: int | None = None, ndim: int | None = None, least: int = 1) -> tuple[int, ...]:
    """Draw shapes (N, C) or (N, H, W, C); N, H and W are at least `least`."""
    axes = ndim or draw(st.sampled_from((2, 4)))
    return (*(draw(sizes(least)) for _ in range(axes - 1)), channels or draw(sizes()))


@st.composite
def pictures(draw: Callable, channels: int | None = None, ndim: int | None = 4, least: int = 1) -> np.ndarray:
    """Draw float64 arrays at which every layer is smooth: (N, H, W, C), (N, C) for ndim=2, either for ndim=None.

    |x| is between 0.2 and 2, signs alternate along every axis, and magnitudes along the last axis all differ: see
    `smooth_point`.
    """
    return smooth_point(np.random.default_rng(draw(seeds())), draw(shapes(channels, ndim, least)))


@st.composite
def conv_geometries(draw: Callable, most_dilation: int = 3, most_groups: int = 3) -> Geometry:
    """Draw geometries of Conv2D, from the output size back to the input size, with extent = dilation·(kernel − 1) + 1.

    size = (output − 1)·stride + extent + remainder − 2·padding, where the last `remainder` < stride pixels are unused.
    """
    axes = []
    for _ in range(2):
        kernel, stride, dilation = draw(sizes(1, 4)), draw(sizes(1, 3)), draw(sizes(1, most_dilation))
        padded = (draw(sizes(1, 3)) - 1) * stride + dilation * (kernel - 1) + 1 + draw(sizes(0, stride - 1))
        padding = draw(sizes(0, min(2, (padded - 1) // 2)))
        axes.append((padded - 2 * padding, kernel, stride, padding, 0, dilation))
    return _geometry(draw, axes, most_groups)


@st.composite
def conv_transpose_geometries(draw: Callable, most_dilation: int = 3, most_groups: int = 3) -> Geometry:
    """Draw geometries of ConvTranspose2D: output = (size − 1)·stride + extent + output_padding − 2·padding ≥ 1."""
    axes = []
    for _ in range(2):
        size, kernel, stride = draw(sizes(1, 3)), draw(sizes(1, 4)), draw(sizes(1, 3))
        output_padding, dilation = draw(sizes(0, stride - 1)), draw(sizes(1, most_dilation))
        unpadded = (size - 1) * stride + dilation * (kernel - 1) + 1 + output_padding
        padding = draw(sizes(0, min(2, (unpadded - 1) // 2)))
        axes.append((size, kernel, stride, padding, output_padding, dilation))
    return _geometry(draw, axes, most_groups)


def _geometry(draw: Callable, axes: list[tuple], most_groups: int) -> Geometry:
    """Draw batch size, channels and groups for two axes (size, kernel, stride, padding, output_padding, dilation)."""
    size, *windows = zip(*axes, strict=True)
    groups = draw(st.one_of(st.just(1), sizes(1, most_groups)))
    in_channels, out_channels = groups * draw(sizes(1, 3)), groups * draw(sizes(1, 3))
    return Geometry(draw(sizes(1, 3)), in_channels, out_channels, size, *windows, groups)

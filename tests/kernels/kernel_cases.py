"""Arrays of a convolution's geometry, and its three kernels by any way that there is."""

from types import SimpleNamespace

import numpy as np

from minigan.kernels import convolution
from minigan.kernels.geometry import output_size

NAMES = ("conv2d", "conv2d_input_grad", "conv2d_weight_grad")
reference = SimpleNamespace(**{name: getattr(convolution, name).reference for name in NAMES})


def arrays_of(g, seed, dtype=np.float64):
    """Random x, W and dy."""
    rng, out = np.random.default_rng(seed), output_size(g.size, g.kernel_size, g.stride, g.padding, g.dilation)
    W_shape = (*g.kernel_size, g.in_channels // g.groups, g.out_channels)
    shapes = g.x_shape, W_shape, (g.batch, *out, g.out_channels)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def steps_of(g):
    """What all three kernels are told."""
    return {"stride": g.stride, "padding": g.padding, "dilation": g.dilation, "groups": g.groups}


def three_results(way, g, x, W, dy):
    """y, dx and dW of the functions of `way`. The fast ways are called for one group at a time."""
    how = steps_of(g)
    if way not in (reference, convolution):
        del how["groups"]
    return [
        way.conv2d(x, W, **how),
        way.conv2d_input_grad(dy, W, g.size, **how),
        way.conv2d_weight_grad(x, dy, g.kernel_size, **how),
    ]


def assert_close(found, expected, tolerance):
    """Relative to the largest number of each array."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1, abs(other).max(initial=0)))

"""Pooling, upsampling, minibatch deviation and residual blocks against PyTorch, where the sums are as long as in use.

`test_layers_torch` compares the layers over random small geometries. Here both orders are in float32, and the blocks
are written a second time, with PyTorch's modules and in the order of the papers' code.
"""

from functools import partial

import numpy as np
import pytest

from minigan.layers import (
    AvgPool2D,
    BatchNorm,
    BilinearUpsample,
    GlobalAvgPool,
    GlobalSumPool,
    MaxPool2D,
    MinibatchStdDev,
    ReflectionPad2D,
    ReplicationPad2D,
    Upsample,
    down_block,
    first_down_block,
    up_block,
)
from minigan.testing import shake

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.oracle


def channels_first(x):
    return x.permute(0, 3, 1, 2)


def channels_last(x):
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def our_results(layer, x, dy, ddx, names=()):
    """y, dx, gradients of the parameters `names`, then ddy, dx2 and the same gradients at second order."""
    named = layer.parameters().named()
    y, cache = layer.forward(x)
    layer.parameters().zero_grad()
    first = [y, layer.backward(dy, cache), *(named[name][1].copy() for name in names)]
    layer.parameters().zero_grad()
    ddy, dx2 = layer.double_backward(ddx, dy, cache)
    return [*first, ddy, np.zeros_like(x) if dx2 is None else dx2, *(named[name][1].copy() for name in names)]


def their_results(function, x, dy, ddx, parameters=()):
    """The same by autograd, for a function of pictures with channels first; kernels come as (R, S, C, K)."""
    x, dy = torch.tensor(x, requires_grad=True), torch.tensor(dy, requires_grad=True)
    y = channels_last(function(channels_first(x)))
    dx, *first = torch.autograd.grad(y, [x, *parameters], dy, create_graph=True)
    inputs = [dy, x, *parameters]
    ddy, dx2, *second = torch.autograd.grad((dx * torch.tensor(ddx)).sum(), inputs, materialize_grads=True)
    first, second = ([g.permute(2, 3, 1, 0) if g.ndim == 4 else g for g in order] for order in (first, second))
    return [a.detach().numpy() for a in (y, dx, *first, ddy, dx2, *second)]


def assert_same(found, expected, tolerance):
    """Relative to the largest magnitude of each array, or to a thousandth of the largest of all: some are zero."""
    largest = max(abs(b).max() for b in expected)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), i
        np.testing.assert_allclose(
            a, b, rtol=0, atol=tolerance * max(abs(b).max(), 1e-3 * largest), err_msg=f"result {i}"
        )


def minibatch_stddev_layer(x, group_size=4):
    """The function of this name in the progressive growing code, line by line, for x (N, C, H, W)."""
    group_size = min(group_size, x.shape[0])
    s = x.shape
    y = x.reshape(group_size, -1, s[1], s[2], s[3])  # (G, M, C, H, W)
    y = y - y.mean(dim=0, keepdim=True)
    y = y.square().mean(dim=0)  # (M, C, H, W)
    y = torch.sqrt(y + 1e-8)
    y = y.mean(dim=(1, 2, 3), keepdim=True)  # (M, 1, 1, 1)
    y = y.tile(group_size, 1, s[2], s[3])
    return torch.cat([x, y], dim=1)


LAYERS = {
    "pool": (AvgPool2D(2), nn.AvgPool2d(2)),
    "pool, overlapping": (AvgPool2D(3, 2, 1), nn.AvgPool2d(3, 2, 1)),
    "pool, 4 by 3": (AvgPool2D((4, 3), (2, 3), (2, 0)), nn.AvgPool2d((4, 3), (2, 3), (2, 0))),
    "pool, without the padding": (AvgPool2D(3, 1, 1, False), nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
    "max": (MaxPool2D(2), nn.MaxPool2d(2)),
    "max, overlapping": (MaxPool2D(3, 2, 1), nn.MaxPool2d(3, 2, 1)),
    "upsample": (Upsample(2), nn.Upsample(scale_factor=2)),
    "reflection": (ReflectionPad2D((3, 1)), nn.ReflectionPad2d((1, 1, 3, 3))),
    "replication": (ReplicationPad2D((3, 1)), nn.ReplicationPad2d((1, 1, 3, 3))),
    "bilinear": (BilinearUpsample(2), nn.Upsample(scale_factor=2, mode="bilinear")),
    "bilinear, 3 by 4": (BilinearUpsample((3, 4)), nn.Upsample(scale_factor=(3, 4), mode="bilinear")),
    "global sum": (GlobalSumPool(), lambda x: x.sum((2, 3))),
    "global mean": (GlobalAvgPool(), lambda x: x.mean((2, 3))),
    "minibatch": (MinibatchStdDev(), minibatch_stddev_layer),
    "minibatch, groups of 8": (MinibatchStdDev(8), partial(minibatch_stddev_layer, group_size=8)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_both_orders_in_float32(name):
    layer, function = LAYERS[name]
    rng = np.random.default_rng(0)
    x, ddx = (rng.standard_normal((16, 16, 16, 32)).astype(np.float32) for _ in range(2))
    dy = rng.standard_normal(layer.forward(x)[0].shape).astype(np.float32)
    assert_same(our_results(layer, x, dy, ddx), their_results(function, x, dy, ddx), 1e-5)


class Up(nn.Module):
    """The generators' block."""

    def __init__(self, C, K):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(C), nn.Conv2d(C, K, 3, padding=1)
        self.norm2, self.conv2 = nn.BatchNorm2d(K), nn.Conv2d(K, K, 3, padding=1)
        self.shortcut = nn.Conv2d(C, K, 1)

    def forward(self, x):
        h = self.conv1(F.interpolate(F.relu(self.norm1(x)), scale_factor=2))
        return self.conv2(F.relu(self.norm2(h))) + self.shortcut(F.interpolate(x, scale_factor=2))


class Down(nn.Module):
    """The critics' block, with norms."""

    def __init__(self, C, K):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(C), nn.Conv2d(C, C, 3, padding=1)
        self.norm2, self.conv2 = nn.BatchNorm2d(C), nn.Conv2d(C, K, 3, padding=1)
        self.shortcut = nn.Conv2d(C, K, 1)

    def forward(self, x):
        h = self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))
        return F.avg_pool2d(h, 2) + F.avg_pool2d(self.shortcut(x), 2)


class FirstDown(nn.Module):
    """The critics' first block."""

    def __init__(self, C, K):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(C, K, 3, padding=1), nn.Conv2d(K, K, 3, padding=1)
        self.shortcut = nn.Conv2d(C, K, 1)

    def forward(self, x):
        return F.avg_pool2d(self.conv2(F.relu(self.conv1(x))), 2) + self.shortcut(F.avg_pool2d(x, 2))


# PyTorch's name of each inner layer, and ours
BLOCKS = {
    "up": (up_block, Up, "norm1 body.0, conv1 body.3, norm2 body.4, conv2 body.6, shortcut shortcut.0"),
    "down": (
        partial(down_block, norm=BatchNorm),
        Down,
        "norm1 body.0, conv1 body.2, norm2 body.3, conv2 body.5, shortcut shortcut.1",
    ),
    "first down": (first_down_block, FirstDown, "conv1 body.0, conv2 body.2, shortcut shortcut.1"),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_are_those_of_the_papers(name):
    make, module, pairs = BLOCKS[name]
    rng = np.random.default_rng(0)
    block, theirs = shake(make(5, 3, rng=rng), rng).to(dtype=np.float64), module(5, 3).double()
    names, parameters = [], []
    for their_name, our_name in (pair.split() for pair in pairs.split(", ")):
        names += [f"{our_name}.{n}" for n in (("gamma", "beta") if "norm" in their_name else ("W", "b"))]
        parameters += list(getattr(theirs, their_name).parameters())
    with torch.no_grad():
        for our_name, p in zip(names, parameters, strict=True):
            array = torch.tensor(block.parameters().named()[our_name][0])
            p[...] = array.permute(3, 2, 0, 1) if array.ndim == 4 else array  # (R, S, C, K) → (K, C, R, S)
    assert len(names) == len(block.parameters().named())
    x, ddx = rng.standard_normal((2, 4, 6, 8, 5))
    dy = rng.standard_normal(block.forward(x)[0].shape)
    assert_same(our_results(block, x, dy, ddx, names), their_results(theirs, x, dy, ddx, parameters), 1e-9)

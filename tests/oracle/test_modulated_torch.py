"""Modulated convolution beside PyTorch's grouped convolution with a kernel for each sample, to second order."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from minigan.layers import ModulatedConv2D  # noqa: E402

F = torch.nn.functional
pytestmark = pytest.mark.oracle


def modulated(layer, x, s, W):
    """`modulated_conv2d` of the authors with fused_modconv: groups are samples. x (N, H, W, C), W (R, R, C, K)."""
    (N, H, _, C), K, k = x.shape, W.shape[3], layer.kernel_size
    w = W.permute(3, 2, 0, 1)[None] * (s * layer.gain)[:, None, :, None, None]  # (N, K, C, R, R)
    if layer.demodulate:
        w = w * (w.square().sum((2, 3, 4), keepdim=True) + layer.eps).rsqrt()
    x = x.permute(0, 3, 1, 2).reshape(1, N * C, H, -1)
    if layer.up:
        y = F.conv_transpose2d(x, w.transpose(1, 2).reshape(N * C, K, k, k), stride=2, groups=N)
    else:
        y = F.conv2d(x, w.reshape(N * K, C, k, k), padding=k // 2, groups=N)
    return y.reshape(N, K, *y.shape[2:]).permute(0, 2, 3, 1)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_both_orders(kernel, up, demodulate):
    rng = np.random.default_rng(0)
    layer = ModulatedConv2D(5, 4, kernel, up, demodulate, rng=rng).to(dtype=np.float64)
    x, s = rng.standard_normal((3, 4, 6, 5)), 1 + 0.5 * rng.standard_normal((3, 5))
    y, cache = layer.forward((x, s))
    dy, a, b = (rng.standard_normal(shape) for shape in (y.shape, x.shape, s.shape))
    dx, ds = layer.backward(dy, cache)
    dW = layer.dW.copy()
    layer.dW[...] = 0
    ddy, (dx2, ds2) = layer.double_backward((a, b), dy, cache)

    tx, ts, tW, tdy = (torch.tensor(array, requires_grad=True) for array in (x, s, layer.W, dy))
    ty = modulated(layer, tx, ts, tW)
    first = torch.autograd.grad(ty, (tx, ts, tW), tdy, create_graph=True)
    of_p = (first[0] * torch.tensor(a)).sum() + (first[1] * torch.tensor(b)).sum()
    second = torch.autograd.grad(of_p, (tdy, tx, ts, tW), allow_unused=True)
    for ours, theirs in zip((y, dx, ds, dW, ddy, dx2, ds2, layer.dW), (ty, *first, *second), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-11 * abs(ours).max())

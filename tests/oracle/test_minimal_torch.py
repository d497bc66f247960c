"""The convolution with fewer multiplications against PyTorch's, in float64: all three functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.kernels.fast import minimal
from minigan.kernels.geometry import output_size
from minigan.testing.strategies import seeds, sizes

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle
paddings = st.tuples(st.integers(0, 3), st.integers(0, 3))


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (3, 1), (4, 1), (5, 1), (7, 1)])
@given(st.tuples(sizes(7, 11), sizes(7, 11)), paddings, sizes(1, 3), sizes(1, 5), sizes(1, 5), seeds())
def test_convolution_and_its_gradients(kernel, stride, size, padding, N, C, K, seed):
    rng, R, s = np.random.default_rng(seed), (kernel, kernel), (stride, stride)
    x, W = rng.standard_normal((N, *size, C)), rng.standard_normal((*R, C, K))
    dy = rng.standard_normal((N, *output_size(size, R, s, padding), K))

    permuted = torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(W).permute(3, 2, 0, 1)
    theirs = [a.contiguous().requires_grad_() for a in permuted]
    with torch.backends.mkldnn.flags(enabled=False):
        y = torch.nn.functional.conv2d(*theirs, stride=s, padding=padding)
        dx, dW = torch.autograd.grad(y, theirs, torch.tensor(dy).permute(0, 3, 1, 2))

    expected = y.detach().permute(0, 2, 3, 1), dx.permute(0, 2, 3, 1), dW.permute(2, 3, 1, 0)
    steps = (s, padding, (1, 1))
    found = (
        minimal.conv2d(x, W, *steps),
        minimal.conv2d_input_grad(dy, W, size, *steps),
        minimal.conv2d_weight_grad(x, dy, R, *steps),
    )
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, other.numpy(), rtol=0, atol=1e-13 * float(other.abs().max()))

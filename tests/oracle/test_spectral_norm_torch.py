"""SpectralNorm against torch.nn.utils.parametrizations.spectral_norm with the same u and v."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.layers import ConvTranspose2D, Dense, SpectralNorm
from minigan.testing.strategies import LAYERS

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

CASES = st.one_of(LAYERS["Dense"], LAYERS["Conv2D"], LAYERS["ConvTranspose2D"])


@pytest.fixture(scope="module", autouse=True)
def own_kernels():
    """PyTorch's own convolutions instead of oneDNN's (see test_layers_torch)."""
    with torch.backends.mkldnn.flags(enabled=False):
        yield


def channels_first(a):
    """x (N, H, W, C) → (N, C, H, W), and what has two axes as it is."""
    return np.moveaxis(a, -1, 1) if a.ndim == 4 else a


def weight_to_torch(W):
    """(C, K) → (K, C), a convolution (R, S, C, K) → (K, C, R, S), a transposed one (R, S, K, C) → (C, K, R, S)."""
    return W.T if W.ndim == 2 else W.transpose(3, 2, 0, 1)


def v_to_torch(v, layer):
    """Ours goes through (R, S, channels); PyTorch's through (channels, R, S)."""
    if isinstance(layer, Dense):
        return v
    return np.moveaxis(v.reshape(*layer.kernel_size, -1), -1, 0).ravel()


def in_torch(wrapped):
    """PyTorch's layer, parametrized, with our weights and our u and v."""
    layer = wrapped.layer
    if isinstance(layer, Dense):
        theirs = torch.nn.Linear(layer.in_features, layer.out_features, layer.bias)
    else:
        geometry = [layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding]
        transposed = isinstance(layer, ConvTranspose2D)
        kind = torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d
        more = {"output_padding": layer.output_padding} if transposed else {}
        theirs = kind(*geometry, **more, bias=layer.bias, dilation=layer.dilation, groups=layer.groups)
    theirs = theirs.to(torch.tensor(layer.W).dtype)
    with torch.no_grad():
        theirs.weight[...] = torch.tensor(weight_to_torch(layer.W).copy())
        if layer.bias:
            theirs.bias[...] = torch.tensor(layer.b)
    torch.nn.utils.parametrizations.spectral_norm(theirs, "weight", wrapped.n_power_iterations, wrapped.eps)
    rule = theirs.parametrizations.weight[0]
    rule._u.copy_(torch.tensor(wrapped.u))
    rule._v.copy_(torch.tensor(v_to_torch(wrapped.v, layer)))
    return theirs


def assert_close(found, expected, tolerance):
    for name, theirs in expected.items():
        theirs, ours = theirs.detach().numpy(), found[name]
        assert ours.shape == theirs.shape, name
        assert ours.dtype == theirs.dtype, name
        assert abs(ours - theirs).max() <= tolerance * max(1, abs(theirs).max()), name


def pair(case, iterations, dtype):
    wrapped = SpectralNorm(copy.deepcopy(case.layer), iterations, rng=np.random.default_rng(case.seed)).to(dtype=dtype)
    x = case.x.reshape(-1, case.x.shape[-1]) if isinstance(case.layer, Dense) else case.x
    return wrapped, in_torch(wrapped), x.astype(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)], ids=["float64", "float32"])
@given(case=CASES, iterations=st.integers(1, 3), train=st.booleans())
def test_outputs_states_and_gradients_over_three_steps(dtype, tolerance, case, iterations, train):
    wrapped, theirs, x = pair(case, iterations, dtype)
    theirs.train(train)
    rule, layer = theirs.parametrizations.weight[0], wrapped.layer
    rng = np.random.default_rng(case.seed)
    for _ in range(3):
        y, cache = wrapped.forward(x, train)
        xt = torch.tensor(channels_first(x).copy(), requires_grad=True)
        yt = theirs(xt)
        dy = rng.standard_normal(y.shape).astype(dtype)
        wrapped.parameters().zero_grad()
        dx = wrapped.backward(dy, cache)
        theirs.zero_grad()
        yt.backward(torch.tensor(channels_first(dy).copy()))
        found = {"y": channels_first(y), "dx": channels_first(dx), "dW": weight_to_torch(layer.dW)}
        expected = {"y": yt, "dx": xt.grad, "dW": theirs.parametrizations.weight.original.grad}
        found |= {"u": wrapped.u, "v": v_to_torch(wrapped.v, layer)} | ({"db": layer.db} if layer.bias else {})
        expected |= {"u": rule._u, "v": rule._v} | ({"db": theirs.bias.grad} if layer.bias else {})
        assert_close(found, expected, tolerance)
        step = 0.1 * rng.standard_normal(layer.W.shape).astype(dtype)  # as an optimizer would
        layer.W += step
        with torch.no_grad():
            theirs.parametrizations.weight.original += torch.tensor(weight_to_torch(step).copy())


@given(case=CASES, iterations=st.integers(1, 3), train=st.booleans())
def test_second_order(case, iterations, train):
    wrapped, theirs, x = pair(case, iterations, np.float64)
    theirs.train(train)
    y, cache = wrapped.forward(x, train)
    rng = np.random.default_rng(case.seed)
    dy, ddx = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    ddy, dx2 = wrapped.double_backward(ddx, dy, cache)
    xt, dyt = (torch.tensor(channels_first(a).copy(), requires_grad=True) for a in (x, dy))
    (dxt,) = torch.autograd.grad(theirs(xt), xt, dyt, create_graph=True)
    W = theirs.parametrizations.weight.original
    ddyt, dWt = torch.autograd.grad((dxt * torch.tensor(channels_first(ddx).copy())).sum(), [dyt, W])
    assert dx2 is None
    assert_close({"ddy": channels_first(ddy), "dW": weight_to_torch(wrapped.layer.dW)}, {"ddy": ddyt, "dW": dWt}, 1e-9)


@given(case=CASES)
def test_the_first_iterations_are_as_many(case):
    """From the same v, so many iterations as PyTorch makes at construction leave both with the same u and v."""
    ours, theirs, _ = pair(case, 1, np.float64)  # fresh u below is drawn by the same seed as `start`
    start = np.random.default_rng(case.seed).standard_normal(ours.u.shape)
    M = ours._matrix(ours.layer.W).T
    ours.u[...] = start / np.linalg.norm(start)
    ours.v[...] = M.T @ start / np.linalg.norm(M.T @ start)
    rule = theirs.parametrizations.weight[0]
    rule._u.copy_(torch.tensor(ours.u))
    rule._v.copy_(torch.tensor(v_to_torch(ours.v, ours.layer)))
    ours.iterate(15)
    rule._power_method(rule._reshape_weight_to_matrix(theirs.parametrizations.weight.original), 15)
    fresh = SpectralNorm(copy.deepcopy(ours.layer), rng=np.random.default_rng(case.seed))
    assert_close({"u": fresh.u, "v": v_to_torch(fresh.v, ours.layer)}, {"u": rule._u, "v": rule._v}, 1e-9)

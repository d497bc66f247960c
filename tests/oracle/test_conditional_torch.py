"""Layers with several inputs against PyTorch: outputs and gradients in float32, second order in float64."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_layers_torch import TORCH as ORDINARY
from test_layers_torch import assert_close, inside, leaf

from minigan import layers as L
from minigan.testing.several import each, entries, is_float
from minigan.testing.strategies import LAYERS

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.oracle


def branches(layer, x, p, train):
    return tuple(
        entry if way is None else as_torch(way, entry, inside(p, i), train)
        for i, (way, entry) in enumerate(zip(layer.layers, x, strict=True))
    )


def fork(layer, x, p, train):
    return branches(layer, (x,) * len(layer.layers), p, train)


def attention(layer, x, p, train):
    """As in BigGAN's code, with pixels on the last axis."""
    theta, phi, g = (a.flatten(1, -2).transpose(1, 2) for a in x)
    beta = F.softmax(torch.bmm(theta.transpose(1, 2), phi), -1)
    return torch.bmm(g, beta.transpose(1, 2)).transpose(1, 2).unflatten(1, x[0].shape[1:-1])


def conditional_batch_norm(layer, x, p, train):
    x, labels = x
    mean, var = (torch.tensor(a.astype(np.float64)).to(x.dtype) for a in layer.norm.state_dict().values())
    normalized = F.batch_norm(x.movedim(-1, 1), mean, var, None, None, train, 0.1, layer.norm.eps).movedim(1, -1)
    return conditional_affine(layer.affine, (normalized, labels), inside(p, "affine"), train)


def conditional_affine(layer, x, p, train):
    x, labels = x
    shape = (len(x),) + (1,) * (x.ndim - 2) + (x.shape[-1],)
    gamma, beta = (F.embedding(labels, p[name]).reshape(shape) for name in ("gamma", "beta"))
    return x * gamma + beta


def adaptive_affine(layer, x, p, train):
    x, c = x
    gain, bias = (as_torch(getattr(layer, n), c, inside(p, n), train) for n in ("gain", "bias"))
    return (1 + gain).view(len(x), *(1,) * (x.ndim - 2), -1) * x + bias.view(len(x), *(1,) * (x.ndim - 2), -1)


def projection(layer, x, p, train):
    h, labels = x
    logits = as_torch(layer.dense, h, inside(p, "dense"), train)
    return logits + torch.einsum("nk,nk->n", h, F.embedding(labels, p["embedding.W"]))[:, None]


def conditional(layer, x, p, train):
    x, c = x
    for i, inner in enumerate(layer.layers):
        x = as_torch(inner, (x, c) if inner.conditional else x, inside(p, i), train)
    return x


def sequential(layer, x, p, train):
    for i, inner in enumerate(layer.layers):
        x = as_torch(inner, x, inside(p, i), train)
    return x


def residual(layer, x, p, train):
    """With a conditional body and an ordinary shortcut, or none."""
    short = x[0] if layer.shortcut is None else as_torch(layer.shortcut, x[0], inside(p, "shortcut"), train)
    return as_torch(layer.body, x, inside(p, "body"), train) + short


def adain(layer, x, p, train):
    normalized = as_torch(layer.norm, x[0], {}, train)
    return adaptive_affine(layer.affine, (normalized, x[1]), inside(p, "affine"), train)


def with_style(layer, x, p, train):
    return as_torch(layer.layer, (x[0], x[1][:, layer.index]), inside(p, "layer"), train)


SEVERAL = {
    "AdaIN": adain,
    "AdaptiveAffine": adaptive_affine,
    "Branches": branches,
    "DotProductAttention": attention,
    "Fork": fork,
    "Concat": lambda layer, x, p, train: torch.cat(x, dim=-1),
    "Conditional": conditional,
    "ConditionalAffine": conditional_affine,
    "ConditionalBatchNorm": conditional_batch_norm,
    "WithStyle": with_style,
    "Constant": lambda layer, x, p, train: p["W"].expand(len(x), *layer.shape) + 0 * x.sum(),
    "Embedding": lambda layer, x, p, train: F.embedding(x, p["W"]),
    "Projection": projection,
}
COMPOSITES = {"Sequential": sequential, "Residual": residual}


def as_torch(layer, x, parameters, train):
    """The output of PyTorch's own layers for ours, with our parameters."""
    return (ORDINARY | SEVERAL | COMPOSITES)[type(layer).__name__](layer, x, parameters, train)


def floats(name, tensors):
    return {key: t for key, t in entries(name, tensors).items() if t.dtype.is_floating_point}


class Both:
    """A copy of a layer in some dtype, its x and parameters as leaves of PyTorch's graph, and both outputs."""

    def __init__(self, case, train, dtype):
        self.layer = copy.deepcopy(case.layer).to(dtype=dtype)
        self.x = each(lambda a: a.astype(dtype) if is_float(a) else a, case.x)
        self.named = self.layer.parameters().named()
        xt = each(lambda a: leaf(a) if is_float(a) else torch.tensor(a.astype(np.int64)), self.x)
        pt = {name: leaf(value) for name, (value, _) in self.named.items()}
        self.yt = as_torch(self.layer, xt, pt, train)  # first: our forward moves the running statistics
        self.xts, self.leaves = floats("dx", xt), floats("dx", xt) | pt
        self.y, self.cache = self.layer.forward(self.x, train)
        rng = np.random.default_rng(0)
        draw = lambda a: rng.standard_normal(a.shape).astype(dtype) if is_float(a) else None  # noqa: E731
        self.dy, self.ddx = each(draw, self.y), each(draw, self.x)

    def found(self, **results):
        """Our results by name, with the parameters' gradients, and without what labels have instead of them."""
        ours = {key: a for name, result in results.items() for key, a in entries(name, result).items()}
        return ours | {name: grad for name, (_, grad) in self.named.items()}

    def product(self, tensors, weights):
        """Σ of the products with our arrays: what makes a number of several outputs."""
        weights = [w for w in entries("", weights).values() if w is not None]
        return sum((t * w).sum() for t, w in zip(tensors, weights, strict=True))


def grads(of, leaves):
    if not of.requires_grad:
        return dict.fromkeys(leaves)
    return dict(zip(leaves, torch.autograd.grad(of, list(leaves.values()), allow_unused=True), strict=True))


def check_first_order(case, train, dtype, tolerance):
    both = Both(case, train, dtype)
    dx = both.layer.backward(both.dy, both.cache)
    yts = floats("y", both.yt)
    found = both.found(y=each(lambda a: a if is_float(a) else None, both.y), dx=dx)
    dyt = each(torch.tensor, both.dy)
    expected = yts | grads(both.product(yts.values(), dyt), both.leaves) if yts else {}
    if expected:
        assert_close(found, expected, tolerance)


def check_second_order(case, train, tolerance):
    both = Both(case, train, np.float64)
    ddy, dx2 = both.layer.double_backward(both.ddx, both.dy, both.cache)
    found = both.found(ddy=ddy, dx2=dx2 if dx2 is not None else each(lambda a: None, both.x))
    yts, dyts = floats("y", both.yt), {key: leaf(a) for key, a in entries("ddy", both.dy).items() if a is not None}
    if not (both.xts and yts):
        return  # no dx, or nothing that it could depend on
    L = sum((t * dy).sum() for t, dy in zip(yts.values(), dyts.values(), strict=True))
    dxts = torch.autograd.grad(L, list(both.xts.values()), create_graph=True, allow_unused=True)
    pairs = zip(dxts, (v for v in entries("", both.ddx).values() if v is not None), strict=True)
    P = sum((t * torch.tensor(v)).sum() for t, v in pairs if t is not None)
    second = {f"dx2{key[2:]}": leaf for key, leaf in both.xts.items()}
    second |= {name: leaf for name, leaf in both.leaves.items() if name not in both.xts}
    expected = grads(P, dyts | second)
    if any(t is not None for t in expected.values()):
        assert_close(found, expected, tolerance)


@pytest.mark.parametrize("name", sorted(SEVERAL))
@given(data=st.data(), train=st.booleans())
def test_layer(name, data, train):
    case = data.draw(LAYERS[name])
    check_first_order(case, train, np.float32, 1e-5)
    check_second_order(case, train, 1e-9)


def test_every_layer_that_draws_nothing_is_compared_here_or_in_test_layers_torch():
    layers = {n for n in L.__all__ if isinstance(getattr(L, n), type) and issubclass(getattr(L, n), L.Layer)}
    elsewhere = {"ModulatedConv2D", "Reparametrize"}  # test_modulated_torch.py, test_autoencoders_torch.py
    assert elsewhere | set(SEVERAL) | set(ORDINARY) == layers - {"Layer", "Activation", "Dropout", "NoiseBias"}

"""Every penalty gives PyTorch's value and PyTorch's gradient (create_graph=True), in float32 and in float64."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan import layers as L
from minigan.penalties import DRAGAN, R1, R2, GradientPenalty
from minigan.testing import shake
from minigan.testing.critics import CriticCase, critics, prepared

torch = pytest.importorskip("torch")
from test_layers_torch import as_torch, inside, own_kernels  # noqa: E402, F401

pytestmark = pytest.mark.oracle


# The penalties, as one writes them in PyTorch. D is a function, draw(*shape) a tensor of U[0, 1]


def slopes(D, x):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return gradient.flatten(1).norm(dim=1)


def interpolated(real, fake, draw):
    epsilon = draw(len(real), *[1] * (real.dim() - 1))
    return torch.lerp(fake, real, epsilon)


def wgan_gp(D, real, fake, draw):
    return 10 * (slopes(D, interpolated(real, fake, draw)) - 1).square().mean()


def one_sided(D, real, fake, draw):
    return 3 * torch.relu(slopes(D, interpolated(real, fake, draw)) - 1).square().mean()


def dragan(D, real, fake, draw):
    perturbed = real + 0.5 * real.std(correction=0) * draw(*real.shape)
    alpha = draw(len(real), *[1] * (real.dim() - 1))
    return 10 * (slopes(D, real + alpha * (perturbed - real)) - 1).square().mean()


def r1(D, real, fake, draw):
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(real).sum(), real, create_graph=True)
    return 10 / 2 * gradient.square().flatten(1).sum(1).mean()


def r2(D, real, fake, draw):
    return r1(D, fake, None, None) * 4 / 10


PENALTIES = {
    "WGAN-GP": (GradientPenalty(10.0), wgan_gp),
    "one-sided": (GradientPenalty(3.0, one_sided=True), one_sided),
    "DRAGAN": (DRAGAN(10.0), dragan),
    "R1": (R1(10.0), r1),
    "R2": (R2(4.0), r2),
}


def torch_logits(critic, x, labels, p, draw):
    """The critic's logits by PyTorch's layers; its own layers are one after the other, with a projection for labels."""
    for i, layer in enumerate(critic.layers):
        own = inside(p, i)
        if isinstance(layer, L.Dropout):
            x = x * (draw(*x.shape) >= layer.p) / (1 - layer.p)
        elif isinstance(layer, L.Projection):
            embedded = own["embedding.W"][torch.tensor(labels)]
            x = as_torch(layer.dense, x, inside(own, "dense"), True) + (x * embedded).sum(1, keepdim=True)
        else:
            x = as_torch(layer, x, own, True)
    return x


def by_torch(theirs, case, critic, dtype):
    """P and the gradient of every parameter."""
    tensor = lambda a: torch.tensor(a.astype(dtype))  # noqa: E731
    rng = case.rng()
    draw = lambda *shape: tensor(rng.random(shape, dtype=dtype))  # noqa: E731
    p = {name: tensor(value).requires_grad_() for name, (value, _) in critic.parameters().named().items()}
    P = theirs(lambda x: torch_logits(critic, x, case.labels, p, draw), tensor(case.real), tensor(case.fake), draw)
    gradients = torch.autograd.grad(P, list(p.values()), allow_unused=True)
    zeros = {name: np.zeros(value.shape) for name, value in p.items()}
    return P.item(), zeros | {name: g.numpy() for name, g in zip(p, gradients, strict=True) if g is not None}


def compare(penalty, theirs, case, dtype, tolerance):
    """Ours against PyTorch's, relative to the largest magnitude of all gradients."""
    critic = copy.deepcopy(case.critic).to(dtype=dtype)
    P, expected = by_torch(theirs, case, critic, dtype)  # first: our forward moves u and v
    value = penalty(critic, case.real.astype(dtype), case.fake.astype(dtype), case.rng(), case.labels)
    assert value.dtype == critic.parameters().grads.dtype == dtype
    assert abs(value - P) <= tolerance * max(1, P)
    largest = max(abs(g).max() for g in expected.values())
    for name, (_, gradient) in critic.parameters().named().items():
        error = abs(gradient - expected[name]).max()
        assert error <= tolerance * largest, f"d{name} is off by {error / largest:.1e}"


FIXED = {
    "points": ((5, 2), lambda r: [L.Dense(2, 16, rng=r), L.LeakyReLU(), L.Dense(16, 16, rng=r), L.Tanh()]),
    "WGAN-GP's": (
        (4, 8, 8, 3),
        lambda r: [
            *(L.Conv2D(3, 6, 5, padding=2, rng=r), L.LayerNorm((8, 8, 6)), L.LeakyReLU()),
            *(L.Conv2D(6, 8, 5, stride=2, padding=2, rng=r), L.InstanceNorm(8), L.Softplus(), L.Flatten()),
        ],
    ),
    "SN-GAN's": (
        (4, 8, 8, 3),
        lambda r: [
            L.first_down_block(3, 8, wrap=lambda layer: L.SpectralNorm(layer, rng=r), rng=r),
            L.down_block(8, 8, wrap=lambda layer: L.SpectralNorm(layer, rng=r), downsample=False, rng=r),
            *(L.ReLU(), L.GlobalSumPool()),
        ],
    ),
    "progressive growing's": (
        (4, 4, 4, 3),
        lambda r: [
            *(L.MinibatchStdDev(4), L.Conv2D(4, 6, 3, padding=1, rng=r), L.LeakyReLU(), L.AvgPool2D(2)),
            *(L.Flatten(), L.Dense(24, 12, rng=r), L.Maxout(2)),
        ],
    ),
    "an odd one": (
        (4, 3, 3, 2),
        lambda r: [
            *(
                L.ConvTranspose2D(2, 3, 3, stride=2, rng=r),
                L.PReLU(3),
                L.Upsample(2),
                L.Conv2D(3, 2, 4, stride=3, rng=r),
            ),
            *(L.Sigmoid(), L.Flatten(), L.Dense(32, 8, rng=r), L.Dropout(0.3)),
        ],
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("labeled", [False, True])
@pytest.mark.parametrize("critic", FIXED)
def test_fixed_critics(critic, labeled, penalty, dtype):
    shape, make = FIXED[critic]
    rng = np.random.default_rng(0)
    parts, labels = make(rng), None
    features = L.Sequential(*parts).forward(np.zeros(shape), rng=rng)[0].shape[1]
    network = L.Sequential(*parts, L.Dense(features, 1, rng=rng))
    if labeled:
        head, labels = L.Projection(network[-1], L.Embedding(3, features, rng=rng)), rng.integers(0, 3, shape[0])
        network = L.Conditional(*parts, head)
    real, fake = rng.standard_normal((2, *shape))
    case = prepared(CriticCase(shake(network, rng), real, fake, labels, 1), 1.5)
    compare(*PENALTIES[penalty], case, dtype, 1e-5 if dtype == np.float32 else 1e-9)


@given(critics(), st.sampled_from(sorted(PENALTIES)))
def test_random_critics(case, penalty):
    compare(*PENALTIES[penalty], case, np.float64, 1e-9)


@given(critics(), st.sampled_from(sorted(PENALTIES)))
def test_random_critics_in_float32(case, penalty):
    """With ε = 0.1: with 1e-8, groups of two samples with almost the same number magnify its rounding."""
    for _, layer in case.critic.walk():
        if isinstance(layer, L.MinibatchStdDev):
            layer.eps = 0.1
    compare(*PENALTIES[penalty], case, np.float32, 1e-5)


def test_a_slope_of_zero():
    """PyTorch takes 0 as the norm's derivative at 0, too."""
    critic = L.Sequential(L.Dense(2, 1))
    critic[0].W[...] = 0
    case = CriticCase(critic, *np.ones((2, 3, 2)), None, 0)
    for penalty, theirs in PENALTIES.values():
        compare(penalty, theirs, case, np.float64, 1e-12)

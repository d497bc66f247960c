"""Every loss gives PyTorch's value and PyTorch's gradient, in float32."""

import numpy as np
import pytest

from minigan.losses import Hinge, LeastSquares, Minimax, RelativisticAverage, Wasserstein, l1, l2, softmax_cross_entropy

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.oracle


def bce(target):
    return lambda logits: F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def mse(target, factor=0.5):
    return lambda logits: factor * F.mse_loss(logits, torch.full_like(logits, target))


OBJECTIVES = {
    "minimax real": (Minimax().real, bce(1.0)),
    "minimax real, smoothed": (Minimax(label_smoothing=0.1).real, bce(0.9)),
    "minimax fake": (Minimax().fake, bce(0.0)),
    "minimax fake, smoothed": (Minimax(label_smoothing=0.1).fake, bce(0.0)),
    "minimax generator": (Minimax().generator, bce(1.0)),
    "minimax generator, smoothed": (Minimax(label_smoothing=0.1).generator, bce(1.0)),
    "minimax generator, saturating": (Minimax(saturating=True).generator, lambda l: F.logsigmoid(-l).mean()),
    "least squares real": (LeastSquares().real, mse(1.0)),
    "least squares fake": (LeastSquares().fake, mse(0.0)),
    "least squares generator": (LeastSquares().generator, mse(1.0)),
    "pearson real": (LeastSquares(-1, 1, 0).real, mse(1.0)),
    "pearson fake": (LeastSquares(-1, 1, 0).fake, mse(-1.0)),
    "pearson generator": (LeastSquares(-1, 1, 0).generator, mse(0.0)),
    "wasserstein real": (Wasserstein().real, lambda l: -l.mean()),
    "wasserstein fake": (Wasserstein().fake, lambda l: l.mean()),
    "wasserstein generator": (Wasserstein().generator, lambda l: -l.mean()),
    "hinge real": (Hinge().real, lambda l: F.relu(1 - l).mean()),
    "hinge fake": (Hinge().fake, lambda l: F.relu(1 + l).mean()),
    "hinge generator": (Hinge().generator, lambda l: -l.mean()),
}


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)


def assert_same(ours, theirs, at):
    """`ours` is (value, gradient), `theirs` a torch scalar that depends on the leaf `at`."""
    theirs.backward()
    np.testing.assert_allclose(ours[0], theirs.item(), rtol=1e-5, atol=1e-7)
    # sigmoid(l) − 1 in float32 is exact to half a rounding of 1, not of itself: hence the absolute part
    np.testing.assert_allclose(ours[1], at.grad.numpy(), rtol=1e-5, atol=1e-7 / at.numel())


@pytest.mark.parametrize("shape", [(1, 1), (64, 1), (3, 5, 4, 1)])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives(name, shape):
    ours, theirs = OBJECTIVES[name]
    logits = draw(shape)
    leaf = torch.tensor(logits, requires_grad=True)
    assert_same(ours(logits), theirs(leaf), leaf)


@pytest.mark.parametrize(("ours", "theirs"), [(l1, F.l1_loss), (l2, F.mse_loss)])
def test_distances(ours, theirs):
    y, target = draw((2, 4, 3, 3)), draw((2, 4, 3, 3), seed=1)
    leaf = torch.tensor(y, requires_grad=True)
    assert_same(ours(y, target), theirs(leaf, torch.tensor(target)), leaf)


def test_cross_entropy():
    logits, labels = draw((32, 10)), np.random.default_rng(1).integers(10, size=32)
    leaf = torch.tensor(logits, requires_grad=True)
    assert_same(softmax_cross_entropy(logits, labels), F.cross_entropy(leaf, torch.tensor(labels)), leaf)


@pytest.mark.parametrize(("side", "targets"), [("critic", (1.0, 0.0)), ("generator", (0.0, 1.0))])
def test_relativistic_average(side, targets):
    real, fake = draw((7, 1)), draw((4, 1), seed=1)
    value, gradients = getattr(RelativisticAverage(), side)(real, fake)
    r, f = leaves = [torch.tensor(logits, requires_grad=True) for logits in (real, fake)]
    total = bce(targets[0])(r - f.mean()) + bce(targets[1])(f - r.mean())
    total.backward()
    np.testing.assert_allclose(value, total.item(), rtol=1e-5)
    for ours, leaf in zip(gradients, leaves, strict=True):
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-4, atol=1e-7)

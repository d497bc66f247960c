"""Ten updates of every optimizer, clipping and every schedule are PyTorch's."""

import numpy as np
import pytest

from minigan import optim
from minigan.layers import Dense

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

STEPS = 10

OPTIMIZERS = {
    "sgd": (lambda p: optim.SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "nesterov": (
        lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    ),
    "rmsprop": (optim.RMSprop, torch.optim.RMSprop),
    "rmsprop of wgan": (lambda p: optim.RMSprop(p, 5e-5, 0.9), lambda p: torch.optim.RMSprop(p, 5e-5, 0.9)),
    "adam": (optim.Adam, torch.optim.Adam),
    "adam of dcgan": (lambda p: optim.Adam(p, 2e-4, (0.5, 0.999)), lambda p: torch.optim.Adam(p, 2e-4, (0.5, 0.999))),
    "adam, large eps": (lambda p: optim.Adam(p, eps=0.1), lambda p: torch.optim.Adam(p, eps=0.1)),
}

SCHEDULES = {
    "step": (optim.step_decay(3, 0.5), lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
    "exponential": (optim.exponential_decay(0.8), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.8)),
    "cosine": (optim.cosine_decay(8), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 8)),
    "cosine to a floor": (
        optim.cosine_decay(8, 0.1),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 8, eta_min=0.1 * 0.05),
    ),
    "linear": (
        optim.linear_decay(2, 5),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 1 - max(0, min(5, epoch - 2)) / 5),
    ),
}


def pair():
    """The same parameters, here and in PyTorch."""
    parameters = Dense(7, 5, rng=np.random.default_rng(0)).parameters()
    return parameters, torch.tensor(parameters.values, requires_grad=True)


def give_gradients(ours, theirs, rng):
    """The same gradients, of magnitudes from 1e-4 to 1, to both."""
    ours.grads[:] = rng.normal(size=len(ours)) * 10 ** rng.uniform(-4, 0, len(ours))
    theirs.grad = torch.tensor(ours.grads)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    ours, theirs = pair()
    optimizer, reference = OPTIMIZERS[name][0](ours), OPTIMIZERS[name][1]([theirs])
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        give_gradients(ours, theirs, rng)
        optimizer.step()
        reference.step()
        np.testing.assert_allclose(ours.values, theirs.detach().numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    schedule, make_reference = SCHEDULES[name]
    ours, theirs = pair()
    optimizer, reference = optim.SGD(ours, 0.05, momentum=0.5), torch.optim.SGD([theirs], 0.05, momentum=0.5)
    scheduler = make_reference(reference)
    rng = np.random.default_rng(1)
    for epoch in range(9):  # the cosine of PyTorch rises again after its end
        optimizer.lr = 0.05 * schedule(epoch)
        assert optimizer.lr == pytest.approx(reference.param_groups[0]["lr"], rel=1e-9, abs=1e-12)
        give_gradients(ours, theirs, rng)
        optimizer.step()
        reference.step()
        scheduler.step()
        np.testing.assert_allclose(ours.values, theirs.detach().numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("max_norm", [0.01, 1.0, 100.0])
def test_clip_grad_norm(max_norm):
    ours, theirs = pair()
    give_gradients(ours, theirs, np.random.default_rng(1))
    norm, reference = optim.clip_grad_norm(ours, max_norm), torch.nn.utils.clip_grad_norm_([theirs], max_norm)
    assert norm == pytest.approx(reference.item(), rel=1e-5)
    np.testing.assert_allclose(ours.grads, theirs.grad.numpy(), rtol=1e-5)

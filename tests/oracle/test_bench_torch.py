"""With the weights copied, PyTorch's side of the benchmark computes what minigan's does: layers, a step, sampling."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.bench.workloads import LAYERS, WORKLOADS
from minigan.layers import Sequential
from minigan.optim import Adam

torch = pytest.importorskip("torch")
from minigan.bench import torch_peer  # noqa: E402

pytestmark = pytest.mark.oracle


def copied(network):
    """The peer of a network, with its weights: both name their parameters in the same order, in other layouts."""
    peer = torch_peer.torch_network(network).to(getattr(torch, network.parameters().values.dtype.name))
    arrays = [value for value, _ in network.parameters().named().values()]
    for ours, theirs in zip(arrays, peer.parameters(), strict=True):
        theirs.data = torch.tensor(channels_first(ours))
    return peer


def channels_first(a):
    """A weight (R, S, C, K) as (K, C, R, S), (C, K) as (K, C); a vector as it is."""
    return np.ascontiguousarray(a.transpose(3, 2, 0, 1) if a.ndim == 4 else a.T)


def ours_again(a):
    """The way back from `channels_first`."""
    return a.transpose(2, 3, 1, 0) if a.ndim == 4 else a.T


def pictures_first(x):
    return torch.tensor(np.moveaxis(x, -1, 1) if x.ndim == 4 else x)


def relative(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@pytest.mark.parametrize("workload", LAYERS.values(), ids=LAYERS.keys())
def test_a_layers_passes(workload):
    """Output, and the gradients of the input and of every parameter; in float64, to rounding."""
    network = Sequential(workload.build())
    network.to(dtype=np.float64)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *workload.shape))
    y, cache = network.forward(x)
    dy = rng.standard_normal(y.shape)
    dx = network.backward(dy, cache)

    peer, x_there = copied(network), pictures_first(x).requires_grad_()
    y_there = peer(x_there)
    y_there.backward(pictures_first(dy))
    assert relative(pictures_first(y).numpy(), y_there.detach().numpy()) < 1e-12
    assert relative(pictures_first(dx).numpy(), x_there.grad.numpy()) < 1e-12
    gradients = [gradient for _, gradient in network.parameters().named().values()]
    for ours, theirs in zip(gradients, peer.parameters(), strict=True):
        assert relative(channels_first(ours), theirs.grad.numpy()) < 1e-12


def test_sampling(monkeypatch):
    """The pictures, by running statistics that are not those of the beginning."""
    workload = replace(WORKLOADS["sample-32"], settings={"features": 4, "latent_dim": 6})
    gan = workload.build()
    rng = np.random.default_rng(0)
    gan.networks["G"].forward(rng.standard_normal((9, 6), dtype=np.float32))
    z = rng.standard_normal((5, 6), dtype=np.float32)
    peer = copied(gan.networks["G"])
    norms = [layer for layer in gan.networks["G"].layers if hasattr(layer, "running_mean")]
    theirs = [module for module in peer if hasattr(module, "running_mean")]
    for ours, module in zip(norms, theirs, strict=True):
        module.running_mean, module.running_var = torch.tensor(ours.running_mean), torch.tensor(ours.running_var)
    monkeypatch.setattr(torch_peer, "torch_network", lambda network: peer)
    monkeypatch.setattr(torch_peer, "torch_optimizer", lambda rule, network: None)
    monkeypatch.setattr(torch, "randn", lambda *shape, device: torch.tensor(z))
    drawn = torch_peer.training_step(workload, 5, "cpu", torch.contiguous_format)()
    np.testing.assert_allclose(np.moveaxis(drawn.numpy(), 1, -1), gan.generate(z), rtol=1e-4, atol=1e-5)


def test_a_step():
    """One step of DCGAN in float64, with Adam: every parameter of both goes the same way."""
    gan = replace(WORKLOADS["dcgan-16"], settings={"features": 4, "latent_dim": 6}).build()
    for name, network in gan.networks.items():
        network.to(dtype=np.float64)
        gan.optimizers[name] = Adam(network.parameters(), 2e-4, (0.5, 0.999))
    G, D = (copied(gan.networks[name]) for name in "GD")
    optimizers = [torch_peer.torch_optimizer(gan.optimizers[name], net) for name, net in (("G", G), ("D", D))]
    start = {name: network.parameters().values.copy() for name, network in gan.networks.items()}
    rng = np.random.default_rng(0)
    z, real = rng.standard_normal((5, 6)), np.tanh(rng.standard_normal((5, 16, 16, 1)))

    fake, cache = gan.networks["G"].forward(z)
    gan.discriminator_step(real, fake)
    gan.generator_step(fake, cache)
    torch_peer._step(G, D, *optimizers, pictures_first(real), lambda: G(torch.tensor(z)), draw_again=False)
    for name, peer in (("G", G), ("D", D)):
        theirs = np.concatenate([ours_again(p.detach().numpy()).ravel() for p in peer.parameters()])
        moved = gan.networks[name].parameters().values - start[name]
        assert relative(moved, theirs - start[name]) < 1e-6

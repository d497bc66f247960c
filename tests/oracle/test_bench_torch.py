"""With the weights copied, PyTorch's side of the benchmark computes what minigan's does: layers, a step, sampling."""

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from minigan.bench.workloads import LAYERS, WORKLOADS
from minigan.common.small_models import moments
from minigan.layers import Dropout, SelfAttention, Sequential
from minigan.optim import Adam

torch = pytest.importorskip("torch")
from minigan.bench import torch_peer, torch_translators  # noqa: E402

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
    layer = workload.build()
    if isinstance(layer, SelfAttention):
        layer.gain.gamma[...] = 0.5  # with 0, as at the start, no other gradient arrives
    network = Sequential(layer)
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


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("restore-40", {"features": 4, "depth": 3}),
        ("pix2pix-64", {"features": 2, "dropout": 0.0, "field": 16}),
        ("cyclegan-64", {"features": 2, "blocks": 1, "field": 16}),
        ("srresnet-x4", {"scale": 4, "features": 4, "blocks": 1}),
        ("srgan-x4", {"scale": 4, "features": 4, "blocks": 1, "critic_features": 2, "content_weight": 3.0}),
        ("ganomaly-32", {"features": 2, "latent_dim": 3, "adversarial": 3.0, "code_weight": 20.0}),
    ],
)
def test_a_step_of_several_networks(name, settings):
    """In float64, with Adam: every parameter of every network goes the same way."""
    side = 16 if name == "srgan-x4" else 32  # with 16, D's last features are one pixel, and their order is PyTorch's
    workload = replace(WORKLOADS[name], shape=(side, side, WORKLOADS[name].shape[2]), settings=settings)
    model = workload.build()
    for network in (model.networks | model.frozen).values():
        network.to(dtype=np.float64)
    for key, network in model.networks.items():
        model.optimizers[key] = Adam(network.parameters(), 2e-4, (0.5, 0.999))
    peers = {key: copied(network) for key, network in model.networks.items()}
    frozen = {key: copied(network) for key, network in model.frozen.items()}
    optimizers = {key: torch_peer.torch_optimizer(model.optimizers[key], peer) for key, peer in peers.items()}
    start = {key: network.parameters().values.copy() for key, network in model.networks.items()}
    batch = {key: rows.astype(np.float64) for key, rows in workload.batch(model, 3).items()}

    now = next(moments(model))
    model.step(lambda n=None: batch, np.random.default_rng(0), now)
    step = torch_peer.STEPS[workload.model](model, peers | frozen, optimizers)
    step({key: pictures_first(rows) for key, rows in batch.items()})
    for key, peer in peers.items():
        theirs = np.concatenate([ours_again(p.detach().numpy()).ravel() for p in peer.parameters()])
        moved = model.networks[key].parameters().values - start[key]
        assert relative(moved, theirs - start[key]) < 1e-6, key


def test_a_step_of_lapgan(monkeypatch):
    """The same, without dropout; with one channel, flattened pictures have the same order in both."""
    model = replace(WORKLOADS["lapgan-32"], shape=(28, 28, 1), settings={"features": 1}).build()
    for key, network in model.networks.items():
        for _, layer in network.walk():
            if isinstance(layer, Dropout):
                layer.p = 0.0
        model.optimizers[key] = Adam(network.to(dtype=np.float64).parameters(), 2e-4, (0.5, 0.999))
    peers = {key: copied(network) for key, network in model.networks.items()}
    optimizers = {key: torch_peer.torch_optimizer(model.optimizers[key], peer) for key, peer in peers.items()}
    start = {key: network.parameters().values.copy() for key, network in model.networks.items()}
    rng = np.random.default_rng(0)
    real, z = np.tanh(rng.standard_normal((3, 28, 28, 1))), 2 * rng.random((3, model.latent_dim)) - 1
    model.latent = lambda n, _: z
    model.step(lambda n=None: {"real": real}, rng, next(moments(model)))
    parts = iter(model.by_level((z + 1) / 2))
    monkeypatch.setattr(torch, "rand", lambda n, size, device: torch.tensor(next(parts).reshape(n, size)))
    torch_peer.STEPS["lapgan"](model, peers, optimizers)({"real": pictures_first(real)})
    for key, peer in peers.items():
        theirs = np.concatenate([ours_again(p.detach().numpy()).ravel() for p in peer.parameters()])
        assert relative(model.networks[key].parameters().values - start[key], theirs - start[key]) < 1e-6, key


@pytest.mark.parametrize("name", ["progan-4", "progan-8", "progan-fade-32"])
def test_a_step_of_progan(name, monkeypatch):
    """The same; the dense layer after 4×4 pixels reads them in another order, and so does the first one of G."""
    settings = {"features": 4, "latent_dim": 3, "growth_samples": 6000}
    workload = replace(WORKLOADS[name], settings=settings)
    model, rng = workload.build(), np.random.default_rng(0)
    now = next(islice(moments(model), workload.phase, None))
    for key, network in model.networks.items():
        model.optimizers[key] = Adam(network.to(dtype=np.float64).parameters(), 1e-3, (0.0, 0.99))
    peers = {key: copied(network) for key, network in model.networks.items()}
    dense_G, dense_D = peers["G"].layers["block4"][1].inner, peers["D"].layers["block4"][4].inner
    by_place = lambda a: a.unflatten(0, (16, 4)).transpose(0, 1).flatten(0, 1)  # noqa: E731  (16·C) → (C·16)
    back = lambda a: a.unflatten(0, (4, 16)).transpose(0, 1).flatten(0, 1)  # noqa: E731
    for parameter in dense_G.parameters():
        parameter.data = by_place(parameter.data)
    dense_D.weight.data = by_place(dense_D.weight.data.T).T
    start = {key: network.parameters().values.copy() for key, network in model.networks.items()}
    optimizers = {key: torch_peer.torch_optimizer(model.optimizers[key], peer) for key, peer in peers.items()}
    real, z, epsilon = (
        np.tanh(rng.standard_normal((4, 32, 32, 1))),
        rng.standard_normal((2, 4, 3)),
        rng.random((4, 1, 1, 1)),
    )
    drawn, again = iter(z), iter(z)
    model.latent = lambda n, _: next(drawn)
    model.step(lambda n=None: {"real": real}, SimpleNamespace(random=lambda shape, dtype: epsilon), now)
    monkeypatch.setattr(torch, "randn", lambda n, size, device: torch.tensor(next(again)))
    monkeypatch.setattr(torch, "rand", lambda *shape, device: torch.tensor(epsilon))
    torch_peer.STEPS["progan"](model, peers, optimizers)({"real": pictures_first(real)})
    for parameter in dense_G.parameters():
        parameter.data = back(parameter.data)
    dense_D.weight.data = back(dense_D.weight.data.T).T
    for key, peer in peers.items():
        theirs = np.concatenate([ours_again(p.detach().numpy()).ravel() for p in peer.parameters()])
        assert relative(model.networks[key].parameters().values - start[key], theirs - start[key]) < 1e-6, key


def test_the_pool_exchanges_half_of_the_pictures_when_it_is_full():
    pool, numbers = torch_translators.Pool(), iter(range(10_000))
    draw = lambda: torch.full((1, 1, 1, 1), float(next(numbers)))  # noqa: E731
    assert [float(pool.exchange(draw())) for _ in range(50)] == list(range(50))
    old = [float(pool.exchange(draw())) < 50 + i for i in range(400)]
    assert 150 < sum(old) < 250
    assert len({float(picture) for picture in pool.pictures}) == 50

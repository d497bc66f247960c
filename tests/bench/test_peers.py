"""PyTorch's side of the benchmark: the same networks, the same steps. Whether they compute the same: tests/oracle."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.bench.workloads import LAYERS, WORKLOADS, SingleLayer, Training
from minigan.layers import BatchNorm, Conv2D, ReLU, Residual, Sequential

torch = pytest.importorskip("torch")
from minigan.bench import torch_peer  # noqa: E402

PLAIN = torch.contiguous_format
MODELS = {name: workload for name, workload in WORKLOADS.items() if isinstance(workload, Training)}
SEVERAL = {name: workload for name, workload in MODELS.items() if workload.model in torch_peer.STEPS}
TRAINED = {name: workload for name, workload in SEVERAL.items() if workload.step == "step"}
GANS = {name: workload for name, workload in MODELS.items() if name not in SEVERAL}
each_gan = pytest.mark.parametrize("workload", GANS.values(), ids=GANS.keys())


def narrow(workload):
    """The workload with small networks, where they can be."""
    small = {} if workload.model == "gan" else {"features": 4, "latent_dim": 3}
    return replace(workload, settings=workload.settings | small)


@pytest.mark.parametrize("workload", GANS.values(), ids=GANS.keys())
def test_the_peers_have_as_many_parameters_and_the_same_shapes(workload):
    gan, shape = narrow(workload).build(), workload.shape
    for name, x_shape in (("G", (2, gan.latent_dim)), ("D", (2, shape[2], *shape[:2]))):
        peer = torch_peer.torch_network(gan.networks[name])
        assert sum(p.numel() for p in peer.parameters()) == len(gan.networks[name].parameters())
        y = peer(torch.zeros(x_shape))
        assert tuple(y.shape) == ((2, shape[2], *shape[:2]) if name == "G" else (2, 1))


@pytest.mark.parametrize("workload", TRAINED.values(), ids=TRAINED.keys())
@pytest.mark.parametrize("layout", [PLAIN, torch.channels_last], ids=["plain", "channels_last"])
def test_a_step_of_several_networks_updates_each(workload, layout, monkeypatch):
    """Those parts of it that are in use: of a growing network, the layers of the level."""
    torch.manual_seed(0)  # of the batch
    networks, optimizer_of = [], torch_peer.torch_optimizer
    monkeypatch.setattr(
        torch_peer, "torch_optimizer", lambda rule, net: networks.append(net) or optimizer_of(rule, net)
    )
    growth = {"growth_samples": 6} if "growth_samples" in workload.settings else {}  # α = ½
    margin = {name: value for name, value in workload.settings.items() if name == "margin"}  # vaegan skips nothing
    small = replace(workload, shape=(32, 32, workload.shape[2]), settings={"features": 4} | growth | margin)
    step = torch_peer.training_step(small, 2, "cpu", layout)
    before = [[p.detach().clone() for p in network.parameters()] for network in networks]
    step()
    assert len(networks) == len(small.build().networks)
    grows = workload.model in ("progan", "stylegan")
    for network, old in zip(networks, before, strict=True):
        pairs = zip(network.parameters(), old, strict=True)
        moved = [(p != q).any() for p, q in pairs if p.grad is not None or not grows]
        assert moved and all(moved)


@pytest.mark.parametrize("workload", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize("layout", [PLAIN, torch.channels_last], ids=["plain", "channels_last"])
def test_the_peer_of_a_layer_computes_the_gradient_of_its_input_in_the_layout(workload, layout):
    dx = torch_peer.layer_step(workload, 2, "cpu", layout)()
    *size, channels = workload.shape
    assert tuple(dx.shape) == (2, channels, *size)
    assert dx.abs().sum() > 0
    if size:
        assert dx.is_contiguous(memory_format=layout)


def test_the_gradients_of_a_layers_peer_start_from_zero(monkeypatch):
    networks, translate = [], torch_peer.torch_network
    monkeypatch.setattr(torch_peer, "torch_network", lambda net: networks.append(translate(net)) or networks[-1])
    step = torch_peer.layer_step(SingleLayer(lambda rng: Conv2D(2, 3, 3, rng=rng), (4, 4, 2)), 2, "cpu", PLAIN)
    first, again = ([step().clone(), *(p.grad.clone() for p in networks[0].parameters())] for _ in range(2))
    assert len(first) == 3
    torch.testing.assert_close(first, again)


def of_gan(monkeypatch, name):
    """The step of a workload with small networks in PyTorch, and its G and D."""
    optimizer_of, networks = torch_peer.torch_optimizer, []
    monkeypatch.setattr(
        torch_peer, "torch_optimizer", lambda rule, network: networks.append(network) or optimizer_of(rule, network)
    )
    return torch_peer.training_step(narrow(GANS[name]), 2, "cpu", PLAIN), *networks


@pytest.mark.parametrize(
    ("name", "learn", "drawn"),
    [
        ("gan-28", [True, True], 2),  # G's step has fakes of its own, as in minigan's
        ("dcgan-16", [True, True], 1),
        ("wgan-gp-64", [False, True], 1),
        ("sngan-32", [False, True], 1),
        ("sample-32", [False, False], 1),
    ],
)
def test_who_learns_in_a_step_and_how_often_g_draws(name, learn, drawn, monkeypatch):
    step, G, D = of_gan(monkeypatch, name)
    before = [[p.detach().clone() for p in network.parameters()] for network in (G, D)]
    calls = []
    G.register_forward_hook(lambda *_: calls.append(G.training))
    step()
    moved = [not all(map(torch.equal, was, net.parameters())) for was, net in zip(before, (G, D), strict=True)]
    assert moved == learn
    assert calls == [name != "sample-32"] * drawn


def test_sampling_is_in_inference_mode_and_leaves_the_statistics_alone(monkeypatch):
    step, G, _ = of_gan(monkeypatch, "sample-32")
    before = {name: tensor.clone() for name, tensor in G.state_dict().items()}
    x = step()
    assert x.is_inference()
    assert tuple(x.shape) == (2, 3, 32, 32)
    assert not any(module.training for module in G.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in G.state_dict().items())


def test_the_peers_critic_has_the_objective_of_wgan_gp_and_d_the_hinge():
    """Of a linear critic the slope is its weight everywhere."""
    D = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1))
    real, fake = torch.randn(2, 5, 3, 2, 2)
    penalty = 10 * (D[1].weight.norm() - 1) ** 2
    loss = torch_peer._critic_loss(GANS["wgan-gp-64"].build().penalty.weight, D, real, fake)
    torch.testing.assert_close(loss, D(fake).mean() - D(real).mean() + penalty)
    on_real, on_fake = D(real).detach().numpy(), D(fake).detach().numpy()
    hinge = np.maximum(0, 1 - on_real).mean() + np.maximum(0, 1 + on_fake).mean()
    assert torch_peer._hinge_loss(D, real, fake).item() == pytest.approx(hinge, rel=1e-5)


def test_no_activation_of_a_peer_writes_to_the_input_of_a_block():
    block = Residual(Sequential(ReLU(), Conv2D(3, 3, 1), ReLU(), Conv2D(3, 3, 1)))
    peer, x = torch_peer.torch_network(Sequential(block)), torch.randn(2, 3, 4, 4)
    before = x.clone()
    torch.testing.assert_close(peer(x), peer[0].body(x) + before)
    assert torch.equal(x, before)


def test_neither_side_may_shorten_its_floats():
    step, wait, memory, threads = torch_peer.prepare(
        SingleLayer(lambda rng: BatchNorm(2), (2, 2, 2)), 2, "cpu", channels_last=True
    )
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert threads == torch.get_num_threads()
    assert memory.settle() is None or memory.peak() > 0
    assert step() is not None
    assert wait() is None


def test_nothing_of_minigans_network_stays_in_pytorchs_process():
    """Its arrays would count as PyTorch's memory."""
    step = torch_peer.training_step(Training("dcgan", (16, 16, 1), settings={"features": 2}), 2, "cpu", PLAIN)
    seen, queue = set(), [step]
    while queue:
        for cell in getattr(queue.pop(), "__closure__", None) or ():
            held = cell.cell_contents
            if id(held) not in seen:
                seen.add(id(held))
                queue.append(held)
                assert not type(held).__module__.startswith("minigan.gans"), held

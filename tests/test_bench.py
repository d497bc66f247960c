"""The benchmark: it measures what it says, and its PyTorch peers are the same networks."""

import json

import numpy as np
import pytest

from minigan import bench
from minigan.cli import main
from minigan.gans import DCGAN
from minigan.layers import Conv2D, ReLU, Residual, Sequential
from minigan.training.summary import step_macs


def test_a_small_benchmark_prints_a_row_for_each_contender_and_writes_json(tmp_path, capsys):
    assert main(["bench", "dcgan-16", "--batch-size", "2", "--rounds", "1", "--json", str(tmp_path / "b.json")]) == 0
    shown = capsys.readouterr().out
    assert "dcgan-16, batch 2" in shown
    assert "pictures/s" in shown
    result = json.loads((tmp_path / "b.json").read_text())["results"][0]
    assert len(result["seconds"]["minigan"]) == 1
    assert result["seconds"]["minigan"][0] > 0


def test_an_unknown_workload_is_refused_with_the_nearest_name(capsys):
    assert main(["bench", "dcgan64"]) == 2
    assert "did you mean dcgan-64" in capsys.readouterr().err


def test_a_contender_that_fails_is_one_sentence(capsys):
    assert main(["bench", "gan-28", "--batch-size", "100000000000", "--rounds", "1"]) == 2
    error = capsys.readouterr().err
    assert "the benchmark of minigan failed (" in error
    assert error.count("\n") == 1


def test_the_operations_of_a_dcgan_step_are_those_of_eleven_passes():
    middle = 3 * 16 * 16 * 16 * 64 * 128  # three layers between 64 and 512 channels, as many multiply-adds each
    picture, ends = 32 * 32 * 16 * 3 * 64, (100 * 512 * 16, 16 * 512)  # the layer next to the picture; z's, the logit's
    G, D = middle + picture + ends[0], middle + picture + ends[1]
    # G: forward, weights, inputs; D: the same for real and for fake, then forward and inputs. 3 + 8 = 11, but nobody
    # asks for the gradient of z, nor of the pictures in D's own step
    assert step_macs(DCGAN((64, 64, 3), rng=np.random.default_rng(0))) == 3 * G - ends[0] + 8 * D - 2 * picture


def test_a_critic_step_of_wgan_gp_is_a_pass_through_g_and_ten_through_d():
    middle, picture = 3 * 16 * 16 * 16 * 64 * 128, 32 * 32 * 16 * 3 * 64  # as above
    G, D = 128 * 512 * 16 + middle + picture, middle + picture + 16 * 512
    # D: forward, inputs and weights for real and for fake, but the pictures' gradients; then the penalty's forward,
    # inputs, and two in double backward
    workload = bench.WORKLOADS["wgan-gp-64"]
    assert step_macs(workload.build(), bench.STEPS[workload.step]) == G + 10 * D - 2 * picture


def test_a_discriminator_step_of_sngan_is_a_pass_through_g_and_three_for_both_halves_through_d():
    conv, one = lambda size, c, k: size**2 * 9 * c * k, lambda size, c, k: size**2 * c * k
    blocks = sum(2 * conv(size, 256, 256) + one(size // 2, 256, 256) for size in (8, 16, 32))
    G = 128 * 16 * 256 + blocks + conv(32, 256, 3)
    first = conv(32, 3, 128) + one(16, 3, 128)  # both look at the pictures, whose gradient nobody needs
    D = first + conv(32, 128, 128) + 2 * conv(16, 128, 128) + one(8, 128, 128) + 4 * conv(8, 128, 128) + 128
    workload = bench.WORKLOADS["sngan-32"]
    assert step_macs(workload.build(), bench.STEPS[workload.step]) == G + 2 * (3 * D - first)


@pytest.mark.parametrize("workload", bench.WORKLOADS.values(), ids=bench.WORKLOADS.keys())
def test_the_peers_have_as_many_parameters_and_the_same_shapes(workload):
    torch = pytest.importorskip("torch")
    from minigan.bench_torch import torch_network

    gan, shape = workload.build(), workload.shape
    for name, x_shape in (("G", (2, gan.latent_dim)), ("D", (2, shape[2], *shape[:2]))):
        peer = torch_network(gan.networks[name])
        assert sum(p.numel() for p in peer.parameters()) == len(gan.networks[name].parameters())
        y = peer(torch.zeros(x_shape))
        assert tuple(y.shape) == ((2, shape[2], *shape[:2]) if name == "G" else (2, 1))


@pytest.mark.parametrize("name", ["wgan-gp-64", "sngan-32"])
def test_a_step_of_d_trains_d_alone_in_both_contenders(name, monkeypatch):
    bench._minigan_step("minigan", name, 2, "cpu")()
    torch = pytest.importorskip("torch")
    from minigan import bench_torch

    networks, optimizer_of = [], bench_torch.torch_optimizer
    monkeypatch.setattr(
        bench_torch, "torch_optimizer", lambda rule, net: networks.append(net) or optimizer_of(rule, net)
    )
    step = bench._torch_step("torch", name, 2, "cpu")
    before = [[p.detach().clone() for p in network.parameters()] for network in networks]
    step()
    kept = [all(map(torch.equal, was, net.parameters())) for was, net in zip(before, networks, strict=True)]
    assert kept == [True, False]  # of G and of D


def test_the_peers_critic_has_the_objective_of_wgan_gp():
    """Of a linear critic the slope is its weight everywhere."""
    torch = pytest.importorskip("torch")
    from minigan.bench_torch import _critic_loss, _hinge_loss

    D, gan = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1)), bench.WORKLOADS["wgan-gp-64"].build()
    real, fake = torch.randn(2, 5, 3, 2, 2)
    penalty = 10 * (D[1].weight.norm() - 1) ** 2
    torch.testing.assert_close(_critic_loss(gan, D, real, fake), D(fake).mean() - D(real).mean() + penalty)
    on_real, on_fake = D(real).detach().numpy(), D(fake).detach().numpy()
    hinge = np.maximum(0, 1 - on_real).mean() + np.maximum(0, 1 + on_fake).mean()
    assert _hinge_loss(D, real, fake).item() == pytest.approx(hinge, rel=1e-5)


def test_no_activation_of_a_peer_writes_to_the_input_of_a_block():
    torch = pytest.importorskip("torch")
    from minigan.bench_torch import torch_network

    block = Residual(Sequential(ReLU(), Conv2D(3, 3, 1), ReLU(), Conv2D(3, 3, 1)))
    peer, x = torch_network(Sequential(block)), torch.randn(2, 3, 4, 4)
    before = x.clone()
    torch.testing.assert_close(peer(x), peer[0].body(x) + before)
    assert torch.equal(x, before)


def test_the_table_compares_with_the_better_layout():
    seconds = {"minigan": [1.0, 2.0], "torch": [3.0, 3.0], "torch channels_last": [2.0, 2.0]}
    result = {
        "workload": "w",
        "step": "critic step",
        "batch_size": 1,
        "device": "cpu",
        "gmac": 1.0,
        "gmac_per_second": 1.0,
        "floor_s": 1.0,
    }
    shown = bench.table(result | {"seconds": seconds, "peak_bytes": dict.fromkeys(seconds, 2**20)})
    assert "torch channels_last ÷ minigan: 1.50" in shown

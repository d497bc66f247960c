"""The benchmark: it measures what it says, and its PyTorch peers are the same networks."""

import json

import numpy as np
import pytest

from minigan import bench
from minigan.cli import main
from minigan.gans import DCGAN, GAN
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


@pytest.mark.parametrize(("model", "shape"), [(DCGAN, (28, 28, 1)), (DCGAN, (64, 64, 3)), (GAN, (28, 28, 1))])
def test_the_peers_have_as_many_parameters_and_the_same_shapes(model, shape):
    torch = pytest.importorskip("torch")
    from minigan.bench_torch import torch_network

    gan = model(shape, rng=np.random.default_rng(0))
    for name, x_shape in (("G", (2, gan.latent_dim)), ("D", (2, shape[2], *shape[:2]))):
        peer = torch_network(gan.networks[name])
        assert sum(p.numel() for p in peer.parameters()) == len(gan.networks[name].parameters())
        y = peer(torch.zeros(x_shape))
        assert tuple(y.shape) == ((2, shape[2], *shape[:2]) if name == "G" else (2, 1))


def test_the_table_compares_with_the_better_layout():
    seconds = {"minigan": [1.0, 2.0], "torch": [3.0, 3.0], "torch channels_last": [2.0, 2.0]}
    result = {"workload": "w", "batch_size": 1, "device": "cpu", "gmac": 1.0, "gmac_per_second": 1.0, "floor_s": 1.0}
    shown = bench.table(result | {"seconds": seconds, "peak_bytes": dict.fromkeys(seconds, 2**20)})
    assert "torch channels_last ÷ minigan: 1.50" in shown

"""Runs of progressive growing: resumed in a fade to the same bits, and longer without moving a boundary."""

import shutil

import numpy as np
import pytest

from minigan.gans import ProGAN, StyleGAN
from minigan.training import train

STEPS = 12  # two in each of four phases, four in the last
SETTINGS = {"features": 2, "latent_dim": 3, "batch_size": 4, "img_size": 16}
OFTEN = {"checkpoint_interval": 1, "keep_checkpoints": STEPS, "sample_interval": STEPS, "quiet": True}
PICTURES = np.random.default_rng(0).random((8, 16, 16, 1), dtype=np.float32) * 2 - 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(ProGAN, PICTURES, tmp_path_factory.mktemp("whole") / "run", n_steps=STEPS, **SETTINGS, **OFTEN)


def arrays(file):
    with np.load(file) as found:
        return {name: found[name] for name in found.files if name not in ("state", "checksum")}


@pytest.mark.parametrize("step", [3, 7], ids=["in the fade to 8", "in the fade to 16"])
def test_a_run_resumed_in_a_fade_makes_the_same_steps(whole, tmp_path, step):
    shutil.copytree(whole.folder.path, tmp_path / "run")
    for file in whole.folder.checkpoints()[step:]:
        (tmp_path / "run" / "checkpoints" / file.name).unlink()
    again = train(ProGAN, PICTURES, tmp_path / "run", resume=True, quiet=True)
    expected, found = arrays(whole.folder.checkpoints()[-1]), arrays(again.folder.checkpoints()[-1])
    assert found.keys() == expected.keys() and found["model.level"] == 2
    assert all(np.array_equal(a, expected[name]) for name, a in found.items())


def test_an_average_draws_by_default(whole):
    assert whole.config.ema == 0.999 and "averages.G.t" in arrays(whole.folder.checkpoints()[-1])


def test_a_longer_plan_moves_no_boundary(whole, tmp_path):
    shutil.copytree(whole.folder.path, tmp_path / "run")
    longer = train(ProGAN, PICTURES, tmp_path / "run", resume=True, n_steps=2 * STEPS, quiet=True)
    assert longer.config.model_args["growth_samples"] == whole.config.model_args["growth_samples"] == 2 * STEPS * 4 // 3
    phases = {record["step"]: record["phase"] for record in longer.folder.records.read()}
    assert phases[STEPS] == phases[2 * STEPS] == "16px"


def test_nor_does_one_of_stylegan(tmp_path):
    few = SETTINGS | {"mapping_layers": 1, "n_steps": 3}
    whole = train(StyleGAN, PICTURES, tmp_path / "run", **few, **OFTEN)
    longer = train(StyleGAN, PICTURES, tmp_path / "run", resume=True, n_steps=5, quiet=True)
    phases = [[(phase.name, phase.begins) for phase in run.model.phases] for run in (whole, longer)]
    assert phases[0] == phases[1] == [("8px", 0), ("fade-16px", 4), ("16px", 8)]
    assert longer.folder.records.read()[-1]["phase"] == "16px"

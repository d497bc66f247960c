"""Runs of SRGAN: two stages in one command, resumed within each and at the boundary to the same bits."""

import shutil

import numpy as np
import pytest
from test_srresnet import photos

from minigan.training import RunFolder, train
from minigan.training.build import open_model
from minigan.translators.srgan import SRGAN

STEPS = 6
SETTINGS = {"scale": 2, "features": 4, "blocks": 1, "critic_features": 2, "batch_size": 4, "pretrain_steps": 3}
OFTEN = {"checkpoint_interval": 1, "keep_checkpoints": STEPS, "ema": 0.5, "eval_interval": STEPS}


def begun(folder):
    run = train(SRGAN, photos(12, 20, 1), folder, n_steps=STEPS, quiet=True, img_size=16, **SETTINGS, **OFTEN)
    return run, run.folder.checkpoints()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return begun(tmp_path_factory.mktemp("whole") / "run")


def arrays(file):
    with np.load(file) as found:
        return {name: found[name] for name in found.files if name not in ("state", "checksum")}


@pytest.mark.parametrize("step", [2, 3, 5], ids=["in stage one", "at the boundary", "in stage two"])
def test_a_resumed_run_makes_the_same_steps(whole, tmp_path, step):
    run, checkpoints = whole
    shutil.copytree(run.folder.path, tmp_path / "run")
    for file in checkpoints[step:]:
        (tmp_path / "run" / "checkpoints" / file.name).unlink()
    again = train(SRGAN, photos(12, 20, 1), tmp_path / "run", resume=True, n_steps=STEPS, quiet=True)
    expected, found = arrays(checkpoints[-1]), arrays(again.folder.checkpoints()[-1])
    assert found.keys() == expected.keys()
    assert all(np.array_equal(a, expected[name]) for name, a in found.items())


def test_checkpoints_have_stage_one_from_its_end_on(whole):
    run, checkpoints = whole
    assert run.config.model_args["pretrain_samples"] == 3 * 4
    kept = [any("stage_one" in name for name in arrays(file)) for file in checkpoints]
    assert kept == [False] * 3 + [True] * 3
    first, last = arrays(checkpoints[2]), arrays(checkpoints[-1])
    averaged = {name.removeprefix("averages.G."): a for name, a in first.items() if name.startswith("averages.G.")}
    assert all(np.array_equal(last[f"model.stage_one.{name}"], a) for name, a in averaged.items() if name != "t")


def test_no_checkpoint_is_the_best_and_the_end_of_stage_one_is_kept(whole):
    """PSNR, which is reported, would choose a checkpoint of stage one."""
    folder = whole[0].folder
    assert not folder.best.exists() and folder.phase("pixels").exists()
    assert any("psnr" in record for record in folder.records.read())


def test_an_opened_run_blends_its_stages(whole):
    folder = RunFolder(whole[0].folder.path)
    model, _ = open_model(folder, folder.config())
    x = photos(1, 8, 1)
    results = [model.apply(x)]
    for strength in (1.0, 0.0):
        model.set_strength(strength)
        results.append(model.apply(x))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[2], model.stages({"low": x})["stage one"])
    assert not np.array_equal(results[0], results[2])

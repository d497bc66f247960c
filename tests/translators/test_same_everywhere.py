"""The pictures of training, its scores, a checkpoint, `apply` and `translate` all show the same results.

Users of other implementations find good pictures during training and bad ones afterwards: dropout, or whose statistics
batch norm uses, differ. Here all of them are made in inference mode.
"""

import numpy as np
import pytest

from minigan.apply import Applier
from minigan.metrics import psnr
from minigan.training import RunFolder, train
from minigan.training.build import open_model
from minigan.training.translation_tables import translation_tables

SETTINGS = {"n_steps": 6, "batch_size": 4, "sample_interval": 6, "eval_interval": 6, "img_size": 16, "quiet": True}


def waves(n, seed):
    """Pictures (n, 16, 16, 3) in bytes, and the same in other colors."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16][..., None]
    a, b, c = rng.uniform(-0.6, 0.6, (3, n, 1, 1, 3))
    pictures = np.rint(127.5 + 127.5 * np.sin(a * x + b * y + 6 * c)).astype(np.uint8)
    return {"input": pictures, "target": pictures[..., ::-1].copy()}


@pytest.mark.parametrize("options", [{"norm": "batch"}, {"norm": "instance"}, {"norm": "batch", "ema": 0.5}], ids=str)
def test_one_result_everywhere(tmp_path, options):
    held_out = waves(3, seed=1)
    more = {"features": 4, "dropout": 0.5, "lr": 2e-3, **options}
    run = train("pix2pix", waves(8, seed=0), tmp_path / "run", held_out=held_out, **SETTINGS, **more)
    folder = RunFolder(tmp_path / "run")
    opened, _ = open_model(folder, folder.config())

    x, t = (held_out[name] / np.float32(127.5) - 1 for name in ("input", "target"))
    results = [model.translate({"input": x[i : i + 1]})["target"] for model in (run.model, opened) for i in range(3)]
    y = np.concatenate(results[:3])
    np.testing.assert_array_equal(np.concatenate(results[3:]), y)  # from the checkpoint
    assert run.record["psnr"] == pytest.approx(psnr(y, t, 2).mean(), rel=1e-5)
    assert run.record["held_out_l1"] == pytest.approx(abs(y - t).mean(), rel=1e-5)
    applied = np.stack([Applier(opened)(picture) for picture in held_out["input"]])
    np.testing.assert_array_equal(applied, np.rint(127.5 * (y + 1)).astype(np.uint8))
    shown = translation_tables(run.model, [{"input": x[i : i + 1], "target": t[i : i + 1]} for i in range(3)])
    np.testing.assert_array_equal(shown["input-to-target"].samples[1::3], y)  # input | result | target

    wrong = run.model.networks["G"].output(x, train=True, rng=np.random.default_rng(0))
    assert abs(np.tanh(wrong) - y).max() > 1e-3  # the mode of training would be seen

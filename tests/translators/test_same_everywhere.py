"""The pictures and scores of a run, its checkpoint, `minigan apply` and `minigan evaluate` all show the same results.

Users of other implementations find good pictures during training and bad ones afterwards: dropout, or whose statistics
batch norm uses, differ. Here all of them are made in inference mode.
"""

import json

import numpy as np
import pytest
from command_line import in_an_empty_folder, run  # noqa: F401
from PIL import Image

from minigan.metrics import psnr
from minigan.training import RunFolder
from minigan.training.build import open_model
from minigan.training.pictures import grid

SIDE = 16
TRAIN = f"train pix2pix --data pairs --img-size {SIDE} --n-steps 6 --batch-size 4 --features 4 --lr 0.002 --out run"


def pairs(folder, n, seed):
    """Save pairs of pictures side by side: waves, and the same in other colors. Return both (n, H, W, 3), in bytes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE][..., None]
    a, b, c = rng.uniform(-0.6, 0.6, (3, n, 1, 1, 3))
    inputs = np.rint(127.5 + 127.5 * np.sin(a * x + b * y + 6 * c)).astype(np.uint8)
    targets = inputs[..., ::-1]
    folder.mkdir(parents=True)
    for i, pair in enumerate(np.concatenate([inputs, targets], axis=2)):
        Image.fromarray(pair).save(folder / f"{i}.png")
    return inputs, targets


@pytest.mark.parametrize("options", ["--norm batch", "--norm instance", "--norm batch --ema 0.5"])
def test_one_result_everywhere(tmp_path, options):
    pairs(tmp_path / "pairs" / "train", 8, seed=0)
    inputs, targets = pairs(tmp_path / "pairs" / "val", 3, seed=1)
    run(f"{TRAIN} {options} --quiet")
    folder = RunFolder(tmp_path / "run")
    model, _ = open_model(folder, folder.config())

    x, t = (a / np.float32(127.5) - 1 for a in (inputs, targets))
    y = np.concatenate([model.translate({"input": x[i : i + 1]})["target"] for i in range(3)])
    scores = psnr(y, t, 2)
    assert folder.records.read()[-1]["psnr"] == pytest.approx(scores.mean(), rel=1e-5)

    run("evaluate run --out evaluation")
    found = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())["translations"]["input-to-target"]
    assert found["scores"]["psnr"]["value"] == pytest.approx(scores.mean(), rel=1e-5)

    for i in range(3):
        Image.fromarray(inputs[i]).save(f"{i}.png")
    run("apply run 0.png 1.png 2.png --out applied")
    applied = np.stack([np.asarray(Image.open(f"applied/{i}.png")) for i in range(3)])
    np.testing.assert_array_equal(applied, np.rint(127.5 * (y + 1)))

    last = max((tmp_path / "run" / "input-to-target").glob("*.png"))
    for file, order in ((last, [0, 1, 2]), ("evaluation/input-to-target.png", np.argsort(-scores))):
        rows = np.stack([x, y, t], axis=1)[order].reshape(9, SIDE, SIDE, 3)  # input | result | target
        wanted = np.asarray(grid(rows, columns=3))
        np.testing.assert_array_equal(np.asarray(Image.open(file))[-len(wanted) :], wanted)

    wrong = np.tanh(model.drawing("G").output(x, train=True, rng=np.random.default_rng(0)))
    assert abs(wrong - y).max() > 1e-2  # the mode of training would be seen

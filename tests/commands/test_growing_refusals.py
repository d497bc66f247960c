"""Bad inputs to models that grow or have styles, and to their commands: each ends in one sentence that says what to do.

Those of `minigan sample` are in test_sample_styles.py, those of `minigan project` in test_project.py.
"""

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from PIL import Image

pytestmark = pytest.mark.slow
POWERS = "so it makes square pictures of 8, 16, 32, 64 … pixels, not of shape"
GROUPS = "D sees the variety in groups of 4 pictures, which don't divide a batch of 6: use a --batch-size"
POINTS = 'ring as "real" holds points, but the model takes pictures'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("progan --img-size 24", f"progan grows from 4 pixels by doubling, {POWERS} (24, 24, 1): choose an --img-size"),
        ("progan --img-size 16x32", f"{POWERS} (16, 32, 1)"),
        ("progan --img-size 4", f"{POWERS} (4, 4, 1)"),
        ("progan --batch-size 6", GROUPS),
        ("progan --group -1", "--group: -1 is negative"),
        ("progan --growth-samples -5", "--growth-samples: -5 is negative"),
        ("progan --ema 1", "--ema: 1 is not at least 0 and less than 1"),
        ("progan --data ring", POINTS),
        ("stylegan2 --img-size 20", f"stylegan2 doubles a picture of 4 pixels, {POWERS} (20, 20, 1)"),
        ("stylegan2 --batch-size 6", GROUPS),
        ("stylegan2 --gamma -1", "--gamma: -1 is not a number of at least 0"),
        ("stylegan2 --mixing 1.5", "--mixing: 1.5 is not at least 0 and less than 1"),
        ("stylegan2 --r1-every 0", "--r1-every: 0 is less than 1"),
        ("stylegan2 --mapping-layers 0", "--mapping-layers: 0 is less than 1"),
        ("stylegan2 --path-weight nan", "--path-weight: nan is not a number of at least 0"),
        ("stylegan2 --data ring", POINTS),
        ("stylegan --img-size 24", f"{POWERS} (24, 24, 1)"),
        ("lapgan --img-size 6", "whose size is even and at least 14 pixels, not 6×6×1: give another --img-size"),
        ("biggan --img-size 28", "biggan makes pictures of 32 by 32 pixels, not 28×28×1: give --img-size 32"),
        ("sngan --attention 7", "sngan for 16 pixels has no such stage: choose 4 or 8"),
        ("sngan --attention 16 --data ring", "sngan for points has no such stage: leave it out"),
        ("sngan --attention 64 --networks resnet --img-size 32", "has no such stage: choose 8 or 16"),
    ],
)
def test_a_run_that_cannot_be_made_is_a_sentence(capsys, line, said):
    data = "" if "ring" in line else " --data digits --limit 64"
    size = "" if "img-size" in line or "ring" in line else " --img-size 16"
    assert said in refused(capsys, f"train {line}{data}{size} --n-steps 2 --quiet --out new")


def test_a_model_without_w_is_neither_truncated_nor_mixed(capsys):
    run("train gan --data digits --limit 64 --n-steps 1 --quiet --out gan")
    for line, option in (
        ("sample gan --truncation 0.7", "--truncation"),
        ("sample gan --mix 1-3", "--mix"),
        ("sample gan --interpolate --space w", "--space w"),
        ("evaluate gan --truncation 0.7", "--truncation"),
    ):
        assert f"{option} is of models that compute styles w of z, such as stylegan2" in refused(capsys, line)


def test_a_resumed_run_that_does_not_fit_is_refused_before_it_is_touched(capsys):
    run("train progan --data digits --limit 64 --img-size 8 --features 2 --batch-size 4 --n-steps 3 --quiet --out r")
    for more, said in (
        ("--batch-size 6", GROUPS),
        ("--img-size 16", "--img-size 16 doesn't fit this run, which began with 8: leave it out"),
        ("--growth-samples 9", "--growth-samples 9 doesn't fit this run"),
        ("--group 2", "--group 2 doesn't fit this run, which began with 4"),
        ("--data ring", "ring is a set of points, which have no --img-size and no --channels: leave them out, or give"),
    ):
        assert said in refused(capsys, f"train --resume r --n-steps 9 --quiet {more}")
    assert "r has already made 3 steps: give a larger --n-steps" in refused(
        capsys, "train --resume r --n-steps 2 --quiet"
    )
    other = (
        "train progan --data digits --limit 64 --features 2 --batch-size 4 --n-steps 9 --quiet --out new --init-from r"
    )
    assert "it is of another model or size" in refused(capsys, f"{other} --img-size 16")


def test_too_few_steps_to_grow(capsys):
    line = "train progan --data digits --limit 64 --img-size 16 --features 2 --batch-size 4 --n-steps 1 --out new"
    said = "--growth-samples is 2, and growing has 4 phases before the last: give at least 4 samples, or more --n-steps"
    assert said in refused(capsys, line)


def test_a_truncation_and_a_search_that_overflow(capsys):
    run("train stylegan2 --data digits --limit 64 --img-size 8 --features 2 --batch-size 4 --n-steps 1 --quiet --out r")
    said = "aren't finite: --truncation is too large, or the weights are: use a smaller one, or an older checkpoint"
    assert said in refused(capsys, "sample r --truncation 1e38")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("a.png")
    said = "the search has left the range of finite numbers: give a smaller --lr"
    assert said in refused(capsys, "project r a.png --lr 1e38 --steps 3")


def test_points_are_not_projected(capsys):
    run("train gan --data ring --n-steps 1 --quiet --out gan")
    assert "gan draws points, which have no pictures to project" in refused(capsys, "project gan a.png")

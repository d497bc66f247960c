"""`minigan data`, and folders with bad files in all commands that read folders."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from PIL import Image

from minigan.training import RunFolder
from minigan.training.sources import open_data

TRAIN = "train dcgan --data photos --img-size 16 --features 2 --latent-dim 4 --batch-size 2 --n-steps 2"


@pytest.fixture
def photos():
    """Five pictures of 16x16, of which two are bad: one is none, and one is cut off after its header."""
    Path("photos").mkdir()
    for k, name in enumerate("abcde"):
        noise = np.random.default_rng(k).integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(noise).save(f"photos/{name}.png")
    Path("photos/b.png").write_text("no picture")
    Path("photos/d.png").write_bytes(Path("photos/d.png").read_bytes()[:99])


def test_all_bad_files_are_listed_at_once(photos, capsys):
    assert run("data photos --img-size 16") == 2
    out, err = capsys.readouterr()
    listed = r"bad: photos/b.png is not a picture.*\nbad: photos/d.png is damaged or cut off .*\n"
    assert re.fullmatch(listed, out)
    assert re.fullmatch(
        r"minigan: error: photos/b.png is not .*; this is one of 2 bad files, all listed above, .*\n", err
    )
    assert run("data photos --img-size 16 --skip-bad") == 0
    left_out = "note: 2 bad files are left out: minigan data photos lists them"
    assert re.fullmatch(f"{listed}photos: 3 pictures of 16x16x1\n{left_out}\n", capsys.readouterr().out)


def test_bad_files_are_listed_with_the_option_that_helps(photos, capsys):
    assert run("data photos --img-size 24x16") == 2
    out = capsys.readouterr().out
    assert "bad: photos/a.png is 16x16, smaller than 24x16: use --img-size 16x10 or less" in out


def test_a_run_goes_on_without_bad_files(photos, capsys):
    assert "photos/b.png is not a picture" in refused(capsys, TRAIN)
    assert run(f"{TRAIN} --skip-bad --out run") == 0
    assert "note: 2 bad files are left out" in capsys.readouterr().out
    config = RunFolder("run").config()
    assert (config.skip_bad, config.samples, len(open_data(config)["data"])) == (True, {"data": 3}, 3)
    assert run("train --resume run --n-steps 3 --quiet") == 0
    assert capsys.readouterr().out == ""


def test_a_run_in_which_a_file_goes_bad_says_so(photos, capsys):
    for name in "bd":
        Path(f"photos/{name}.png").unlink()
    run(f"{TRAIN} --quiet --out run")
    Path("photos/c.png").write_text("no picture any more")
    assert "photos/c.png is not a picture" in refused(capsys, "train --resume run --n-steps 3")


def test_configurations_from_before_are_without_it(photos):
    run(f"{TRAIN} --skip-bad --quiet --out run")
    path = Path("run/config.json")
    config = json.loads(path.read_text())
    del config["skip_bad"]
    path.write_text(json.dumps(config))
    assert RunFolder("run").config().skip_bad is False


def test_pictures_are_measured_without_bad_files(photos, capsys):
    line = "evaluate photos --features digits --metrics classes"
    assert "photos/b.png is not a picture" in refused(capsys, line)
    assert run(f"{line} --skip-bad --json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["n"] == 3
    assert "note: 2 bad files are left out" in err


def test_arrays_and_archives_can_be_measured(capsys):
    np.savez("pictures.npz", np.random.default_rng(0).integers(0, 256, (6, 16, 16), dtype=np.uint8))
    assert run("evaluate pictures.npz --features digits --metrics classes --json") == 0
    assert json.loads(capsys.readouterr().out)["n"] == 6


@pytest.mark.parametrize("line", ["data", "train --help"])
def test_what_opens_is_said(capsys, line):
    run(line)
    out = capsys.readouterr().out
    for kind in ("folder", ".zip", ".npy", ".npz", "IDX", "CIFAR"):
        assert kind in out

"""`minigan train` when something goes wrong on the way."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, in_an_empty_folder, newest, refused, run  # noqa: F401

import minigan
from minigan.errors import DataError
from minigan.gans import DCGAN


def test_damaged_and_foreign_checkpoints(capsys):
    run(TINY + " --out dcgan --quiet")
    run("train gan --batch-size 8 --limit 64 --n-steps 1 --out gan --quiet")
    assert "is a checkpoint of gan, not of dcgan" in refused(capsys, f"sample dcgan --checkpoint {newest('gan')}")
    with newest("dcgan").open("r+b") as file:
        file.truncate(5000)
    assert "is damaged" in refused(capsys, "train --resume dcgan --n-steps 9")
    newest("dcgan").unlink()
    assert "there is no checkpoint" in refused(capsys, "sample dcgan")


@pytest.mark.parametrize(("name", "value"), [("lr", None), ("n_critic", 0), ("lr", -1), ("b1", 3), ("n_critic", 1.0)])
def test_arguments_in_config_json_are_those_of_the_command_line(capsys, name, value):
    run(TINY + " --out run --quiet")
    path = Path("run/config.json")
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"model_args": config["model_args"] | {name: value}}))
    for line in ("sample run", "train --resume run --n-steps 9"):
        assert f"{name} is {json.dumps(value)}, which dcgan can't take" in refused(capsys, line)


def test_an_error_in_mid_training_says_how_to_go_on(capsys, monkeypatch):
    step, seen = DCGAN.step, []

    def broken(*args):
        if len(seen) == 3:
            raise DataError("cat.png is damaged")
        seen.append(args)
        return step(*args)

    monkeypatch.setattr(DCGAN, "step", broken)
    assert run(TINY + " --out run --quiet --checkpoint-interval 2") == 2
    err = "cat.png is damaged; the checkpoint of step 2 is kept: go on with minigan train --resume run"
    assert capsys.readouterr().err == f"minigan: error: {err}\n"
    monkeypatch.setattr(DCGAN, "step", step)
    assert run("train --resume run --quiet") == 0


def test_a_folder_without_permission_is_refused_before_training(capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "nothing may be written into" in refused(capsys, TINY)


def shell(line):
    path = {"PYTHONPATH": str(Path(minigan.__file__).parents[1]), "RUN": f"{sys.executable} -m minigan"}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=os.environ | path, timeout=60)


@pytest.mark.slow
def test_training_needs_neither_stderr_nor_a_reader():
    assert shell(f"$RUN {TINY} --quiet 2>&-").returncode == 0
    done = shell(f"set -o pipefail; $RUN {TINY} --sample-interval 1 --out run | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("run/samples.gif").exists()
    assert "Traceback" not in shell("$RUN data | head -0").stderr


def test_the_bar_has_room_in_80_columns(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    run(TINY)
    assert "█" * 5 in capsys.readouterr().err


def test_nan_is_one_sentence(capsys, monkeypatch):
    step = DCGAN.step
    monkeypatch.setattr(DCGAN, "step", lambda *args: step(*args) | {"g_loss": np.float32("nan")})
    assert run(TINY + " --quiet") == 2
    _, err = capsys.readouterr()
    assert re.fullmatch(r"minigan: error: g_loss became nan at step 1: .*; try a smaller --lr.*\n", err)


def test_ctrl_c_saves_and_says_how_to_go_on(capsys, monkeypatch):
    step = DCGAN.step

    def pressed(*args):
        signal.raise_signal(signal.SIGINT)
        return step(*args)

    monkeypatch.setattr(DCGAN, "step", pressed)
    assert run(TINY + " --out run") == 130
    assert "after step 1, checkpoint saved: minigan train --resume run" in capsys.readouterr().err
    monkeypatch.setattr(DCGAN, "step", step)
    assert run("train --resume run") == 0


def test_a_full_disk_names_the_file_and_the_folder_can_be_used_again():
    done = shell(f"trap '' XFSZ; ulimit -f 8; $RUN {TINY} --out run --quiet")  # no file may have more than 8 KiB
    assert re.fullmatch(r"minigan: error: run/\S+\.(png|npz): File too large\n", done.stderr)
    assert run(TINY + " --out run --quiet") == 0


@pytest.mark.slow
def test_who_is_started_to_ignore_ctrl_c_ignores_it():
    """As under nohup, or as a shell's background job."""
    done = shell(f"trap '' INT; $RUN {TINY} --out run & sleep 0.1; kill -INT $!; wait $!")
    assert (done.returncode, done.stderr) == (0, "")

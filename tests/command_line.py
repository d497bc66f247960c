"""What tests of the command line share: a tiny run, an empty folder to work in, and commands that must be refused."""

import os
import re
from pathlib import Path

import pytest

from minigan.commands.cli import main

TINY = "train dcgan --features 2 --latent-dim 4 --batch-size 8 --limit 64 --n-steps 4"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Autouse in every module that imports it."""
    monkeypatch.chdir(tmp_path)


def run(line):
    """Run a command in this process; return its exit status."""
    return main(line.split())


def newest(folder):
    """The path of a run's newest checkpoint."""
    return max(Path(folder, "checkpoints").glob("step-*.npz"))


def refused(capsys, line):
    """Run a command that must fail with one sentence and leave nothing behind; return the sentence."""
    before = sorted(os.listdir())
    assert run(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"minigan: error: .+\n", err), err
    assert sorted(os.listdir()) == before
    return err

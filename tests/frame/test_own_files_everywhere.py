"""A model and data of one's own, in files outside of the package, through every command."""

import shutil
from pathlib import Path

import pytest

from minigan.commands.cli import main

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OWN = "--model infogan.py:InfoGAN"
SMALL = "--features 2 --batch-size 8 --limit 40 --checkpoint-interval 5 --quiet"
COMMANDS = (
    f"train infogan.py:InfoGAN --data my_data.py:make_data --n-steps 4 {SMALL} --dry-run",
    f"train infogan.py:InfoGAN --data my_data.py:make_data --n-steps 10 {SMALL} --out run",
    f"train --resume run --n-steps 12 {OWN} --data my_data.py:make_data --quiet",
    f"sample run {OWN} --n 4 --out samples.png",
    f"evaluate run {OWN} --against my_data.py:make_data --n 40 --features digits",
    "report run",
    "data my_data.py:make_data",
    "models",
    "train infogan.py:InfoGAN --help",
)


def run(command):
    """The exit status of a command; help ends the program."""
    try:
        return main(command.split())
    except SystemExit as end:
        return end.code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("infogan.py", "my_data.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_takes_files_of_ones_own(folder, capsys):
    for command in COMMANDS:
        assert run(command) == 0, f"{command}: {capsys.readouterr().err}"
    assert {path.name for path in (folder / "run").iterdir()} >= {
        "samples",
        "first",
        "second",
        "report.html",
        "checkpoints",
    }
    assert (folder / "samples.png").exists()
    assert "weight of the numbers in L_info" in capsys.readouterr().out


@pytest.mark.slow
def test_its_gradients_are_checked(folder, capsys):
    assert run("gradcheck infogan.py:InfoGAN") == 0
    assert "nothing wrong" in capsys.readouterr().out


def test_a_runs_folder_never_loads_a_file(folder, capsys):
    assert run(COMMANDS[1]) == 0
    (folder / "infogan.py").write_text("raise SystemExit('loaded')")
    for command in ("sample run", "train --resume run --n-steps 12", "evaluate run", "report run"):
        status, err = run(command), capsys.readouterr().err
        assert "loaded" not in err
        assert status == 0 or (err.count("\n") == 1 and "infogan.py:InfoGAN" in err), command


def test_a_file_that_changed_is_a_note(folder, capsys):
    assert run(COMMANDS[1]) == 0
    with (folder / "infogan.py").open("a") as file:
        file.write("# a remark\n")
    assert run(COMMANDS[2].replace("--quiet", "")) == 0
    assert "infogan.py" in capsys.readouterr().out

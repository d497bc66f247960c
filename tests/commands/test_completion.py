"""`minigan completion`: each script knows every option of every command, and the shells offer what it says."""

import re
import shutil
import subprocess

import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401

from minigan.commands.cli import COMMANDS
from minigan.commands.completion import INSTALL, _arguments_of
from minigan.models import MODELS

ASK = """
source ./script
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _minigan; echo "${COMPREPLY[*]}"; }
ask minigan tra
ask minigan train sty
ask minigan train dcgan --lr-decay ""
ask minigan train dcgan --lr-decay = c
ask minigan sample --trunc
ask minigan train --data mn
ask minigan train --quiet dcg
ask minigan train --out sty
"""


@pytest.fixture(params=INSTALL)
def script(request, capsys, tmp_path):
    assert run(f"completion {request.param}") == 0
    text = capsys.readouterr().out
    (tmp_path / "script").write_text(text)
    return request.param, text


def test_each_script_has_all_commands_options_and_models(script):
    shell, text = script
    for command in COMMANDS:
        assert command in text
        for name in (name for argument in _arguments_of(command) for name in argument.names):
            known = {"fish": f" -l {name[2:]}" if name[1] == "-" else f" -s {name[1]}"}.get(shell, name)
            assert known in text, (command, name)
    assert all(re.search(rf"(?<![\w-]){name}(?![\w-])", text) for name in MODELS)


def test_each_script_is_valid(script):
    if not shutil.which(script[0]):
        pytest.skip(f"there is no {script[0]}")
    done = subprocess.run([script[0], "-n", "script"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_offers_commands_options_choices_and_names(capsys, tmp_path):
    """An option with a path leaves the work to bash: nothing is offered, so that it completes files."""
    assert run("completion bash") == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    done = subprocess.run([shutil.which("bash"), "-c", ASK], capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.split("\n")[:-1] == [
        "train",
        "stylegan stylegan2",
        "none linear half cosine",
        "cosine",
        "--truncation",
        "mnist",
        "dcgan",
        "",
    ]


def test_another_shell_is_refused(capsys):
    assert "invalid choice: 'csh' (choose from" in refused(capsys, "completion csh")

"""Progress is drawn on a terminal; whatever else stderr is, nothing is drawn and nothing fails."""

import io
import sys

import pytest

from minigan.commands.cli import main
from minigan.common.terminal import bar, is_terminal


class Terminal(io.StringIO):
    def isatty(self):
        return True


class WriteOnly:
    """As notebooks and windows without a console have it."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "make", [lambda: None, closed, WriteOnly, io.StringIO], ids=["none", "closed", "object", "file"]
)
def test_what_is_no_terminal_gets_no_bar(make, monkeypatch):
    stream = make()
    monkeypatch.setattr(sys, "stderr", stream)
    assert not is_terminal(stream)
    assert list(bar(range(3), desc="reading")) == [0, 1, 2]
    assert not getattr(stream, "text", "")


def test_a_terminal_gets_one(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with bar(total=3, desc="reading") as shown:
        shown.update(3)
    assert "reading" in sys.stderr.getvalue()


@pytest.mark.parametrize("make", [lambda: None, closed, WriteOnly], ids=["none", "closed", "object"])
def test_training_and_errors_need_no_terminal(make, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", make())
    assert main(["train", "gan", "--data", "ring", "--n-steps", "2"]) == 0
    assert main(["train", "gan", "--data", "nowhere"]) == 2

import json
import webbrowser

import pytest
from command_line import TINY, in_an_empty_folder, refused, run  # noqa: F401

from minigan.training.lock import FolderLock


@pytest.fixture
def finished(capsys):
    """A finished run in the folder r, without its page."""
    assert run(f"{TINY} --out r --quiet") == 0
    capsys.readouterr()


def test_the_page_of_a_finished_run_is_written_from_its_files(finished, tmp_path, capsys):
    (tmp_path / "r" / "report.html").unlink(missing_ok=True)
    assert run("report r") == 0
    assert capsys.readouterr().out == "r/report.html\n"
    text = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    for words in (">finished<", "4 of 4", "ConvTranspose2D", "Losses", "minigan"):
        assert words in text


def test_a_run_that_ended_before_its_last_step_can_go_on(finished, tmp_path, monkeypatch):
    config = tmp_path / "r" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"n_steps": 9}))
    assert run("report r") == 0
    text = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert ">stopped<" in text and "4 of 9" in text and "--resume</span> r" in text
    monkeypatch.setattr(FolderLock, "taken", lambda lock: True)
    assert run("report r") == 0
    assert ">running<" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


def test_a_run_without_checkpoints_and_records(finished, tmp_path):
    for path in (tmp_path / "r" / "checkpoints").iterdir():
        path.unlink()
    (tmp_path / "r" / "metrics.jsonl").unlink()
    assert run("report r") == 0
    text = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "It ended before its first checkpoint" in text and "--resume" not in text


def test_the_page_is_opened_in_a_browser_if_there_is_one(tmp_path, monkeypatch, capsys):
    """By `report --open` when it is written, by `train --open` when it is written for the first time."""
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not opened.append(address))
    monkeypatch.setenv("BROWSER", "firefox")
    assert run(f"{TINY} --out r --quiet --open --sample-interval 2") == 0
    assert opened == [(tmp_path / "r" / "report.html").as_uri()]
    assert run("report r --open") == 0
    assert opened == 2 * opened[:1] and capsys.readouterr().err == ""
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert run("report r --open") == 0
    assert len(opened) == 2
    assert "there is no browser here: open r/report.html on a computer that has one" in capsys.readouterr().err


def test_what_is_no_run_is_refused(capsys, tmp_path):
    assert "nowhere does not exist" in refused(capsys, "report nowhere")
    (tmp_path / "empty").mkdir()
    assert "has no config.json" in refused(capsys, "report empty")
    assert "required" in refused(capsys, "report")

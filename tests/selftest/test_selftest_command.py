"""`minigan selftest`: parts in processes of their own, written down as they come, ended in time."""

import pytest

from minigan.commands.cli import main
from minigan.selftest import report
from minigan.selftest.report import PARTS, run_here


@pytest.mark.slow
def test_a_part_alone_is_shown_and_written_down(tmp_path, capsys):
    assert main(["selftest", "waiting", "--device", "strict", "--out", str(tmp_path / "new" / "out")]) == 0
    shown = capsys.readouterr().out
    assert "=== waiting: no step waits for the device (at most 480 s)" in shown
    assert "a step of dcgan for 16×16×1: no wait, 0 uploads" in shown
    assert shown.rstrip().endswith("all is well")
    assert (tmp_path / "new" / "out" / "selftest.txt").read_text(encoding="utf-8") == shown


def test_a_part_that_fails_or_goes_on_for_too_long_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    problems = iter(["failed (exit status 1)", "", "ended, because it took too long"])
    monkeypatch.setattr(report, "run_one", lambda *_: next(problems))
    assert main(["selftest", "speed", "agreement", "waiting", "--device", "strict", "--out", str(tmp_path)]) == 1
    last = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert last.startswith("3 parts on strict in ")
    assert last.endswith("agreement failed (exit status 1), speed ended, because it took too long")


def test_time_that_a_part_leaves_is_for_the_next(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(report, "run_one", lambda name, device, seconds, *_: given.update({name: seconds}) or "")
    report.run_all("strict", 480.0, tmp_path, list(PARTS), "a machine")
    others = sum(seconds for name, (seconds, _) in PARTS.items() if name != "agreement")
    assert given["agreement"] == pytest.approx(480 - 480 * others / (others + PARTS["agreement"][0]), abs=0.5)
    assert given["speed"] == pytest.approx(480, abs=0.5)


def test_a_part_that_goes_on_for_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "GRACE", 0.05)
    with (tmp_path / "file").open("w") as file:
        assert report.run_one("agreement", "strict", 0.0, tmp_path, file) == "ended, because it took too long"


def test_a_part_that_cannot_begin_is_a_failure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("minigan.selftest.waiting.every_small_model", lambda: 1 / 0)
    assert run_here("waiting", "strict", 60, tmp_path) == 1
    assert "FAILED: waiting: ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("agreemnt --device strict", "there is no part 'agreemnt': did you mean agreement?"),
        ("--minutes 0 --device strict", "0 is not a number greater than 0"),
        ("--device tpu", "unknown device 'tpu'"),
    ],
)
def test_mistakes_are_one_sentence(line, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["selftest", *line.split()]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_cupy_it_is_one_sentence(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    assert main(["selftest"]) == 2
    error = capsys.readouterr().err
    assert "device cuda needs CuPy" in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_the_whole_is_rehearsed(tmp_path, capsys):
    assert main(["selftest", "--device", "strict", "--minutes", "4", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "selftest.txt").read_text(encoding="utf-8")
    for name in PARTS:
        assert f"=== {name}: well" in text
    assert "ConvTranspose2D(" in text
    assert "a step of cdcgan for 16×16×1, projection" in text
    assert (tmp_path / "dcgan.png").exists()

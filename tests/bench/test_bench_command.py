"""`minigan bench`: what it prints, what it writes, what it refuses."""

import json

import pytest
from bench_results import result
from PIL import Image

from minigan.commands import bench
from minigan.commands.cli import main
from minigan.threads import blas


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def measured(monkeypatch):
    """What `measure` was asked for, in place of measuring."""
    asked = []

    def measure(name, batch_size, rounds, device, tf32):
        asked.append((name, batch_size, rounds, device))
        assert not tf32
        return result(name, batch_size, bench.WORKLOADS[name].size)

    monkeypatch.setattr(bench, "measure", measure)
    return asked


def test_every_workload_is_measured_at_every_batch_size(measured, capsys, tmp_path):
    line = "bench dcgan-32 dcgan-64 --batch-size 16 64 16 --rounds 3 --json b.json --plot b.png"
    assert main(line.split()) == 0
    assert measured == [(f"dcgan-{size}", n, 3, "cpu") for size in (32, 64) for n in (16, 64)]
    shown = capsys.readouterr().out
    assert shown.startswith(bench.machine(bench.get_device("cpu")))
    assert shown.count("÷ minigan: 1.50") == 4
    assert shown.count("\n| dcgan-") == 10  # two rows each in time and memory, one in growth
    written = json.loads((tmp_path / "b.json").read_text())
    assert [r["batch_size"] for r in written["results"]] == [16, 64, 16, 64]
    assert Image.open("b.png").format == "PNG"


def test_figures_name_the_kernels_and_warn_of_a_variable_that_chose_them(measured, capsys, monkeypatch, tmp_path):
    for name in blas.KERNEL_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert main(["bench"]) == 0
    shown = capsys.readouterr()
    assert str(blas.describe()) in shown.out
    assert shown.err == ""
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "512")
    assert main(["bench", "--json", "b.json"]) == 0
    assert "minigan: warning: OPENBLAS_L2_SIZE=512 is set" in capsys.readouterr().err
    written = json.loads((tmp_path / "b.json").read_text())
    assert written["blas"] == blas.describe()._asdict()
    assert written["environment"] == {"OPENBLAS_L2_SIZE": "512"}


def test_one_measurement_needs_no_summary(measured, capsys):
    assert main(["bench"]) == 0
    assert measured == [("dcgan-64", 64, 7, "cpu")]
    assert "| workload" not in capsys.readouterr().out


def test_what_was_measured_before_an_interruption_is_kept(measured, monkeypatch, tmp_path):
    measure = bench.measure

    def interrupted(*args):
        if measured:
            raise KeyboardInterrupt
        return measure(*args)

    monkeypatch.setattr(bench, "measure", interrupted)
    assert main(["bench", "layers", "--json", "b.json"]) == 130
    assert [r["workload"] for r in json.loads((tmp_path / "b.json").read_text())["results"]] == ["conv4-32"]


def test_the_profile_shows_minigan_alone(measured, capsys):
    assert main(["bench", "norm-16", "--profile", "--batch-size", "2", "3", "--rounds", "1"]) == 0
    assert measured == []
    shown = capsys.readouterr().out
    for batch in (2, 3):
        assert f"norm-16, batch {batch}, cpu" in shown
    for row in ("BatchNorm  forward", "LeakyReLU  backward (both)", "the rest"):
        assert shown.count(row) == 2


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("dcgan64", "there is no workload 'dcgan64': did you mean dcgan-64?"),
        ("dcgan-64 --batch-size 64 0", "batches of at least 1"),
        ("--rounds 0", "at least 1 round"),
        ("--batch-size many", "invalid int value: 'many'"),
        ("--device tpu", "unknown device 'tpu'"),
        ("--tf32", "device cpu has no TF32"),
        ("--json none/b.json", "there is no folder none for b.json"),
        ("--plot none/b.png --batch-size 2 4", "there is no folder none for b.png"),
        ("--plot b.jpg --batch-size 2 4", "call it b.png"),
        ("dcgan-64 wgan-gp-64 conv3-16 conv3-32 --plot b.png", "give several batch sizes"),
        ("--profile --json b.json", "leave out --json and --plot"),
    ],
)
def test_mistakes_are_one_sentence_before_anything_is_measured(line, sentence, measured, capsys, tmp_path):
    assert main(["bench", *line.split()]) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert (out, err.count("\n"), measured) == ("", 1, [])
    assert not list(tmp_path.iterdir())

"""The four small models through training, the page, the dry run, the doctor and the verbs."""

import json
import re
import shutil
import signal
from html import unescape

import numpy as np
import pytest
from PIL import Image
from small_models import ToTarget, TwoSizes, tall
from trainings import DATA, FILE, outcome, training

from minigan.commands.cli import main
from minigan.training import RunFolder, load_checkpoint, open_model
from minigan.training.stepper import Stepper

SHORT = ("--n-steps", "40", "--checkpoint-interval", "10", "--sample-interval", "10")
CLASSES = {"ToTarget": ToTarget, "TwoSizes": TwoSizes}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of a finished run of each model."""
    folder = tmp_path_factory.mktemp("runs")
    for model in DATA:
        assert main(["train", *training(model).words, *SHORT, "--out", str(folder / model), "--quiet"]) == 0
    return folder


def records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def at_the_end(run):
    """What a run has made, without the checkpoints on the way: an interruption saves one."""
    on_the_way = re.compile(r"checkpoints/step-0000[0-3]|files")
    return {name: value for name, value in outcome(run).items() if not on_the_way.match(name)}


def page(run):
    """The text of a page, without what is drawn, and without the command, which is pytest's and may have any words."""
    text = re.sub(r"<(style|script).*?</\1>", "", (run / "report.html").read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"<h2>Command</h2>.*?</section>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text)))


@pytest.mark.parametrize("model", DATA)
def test_a_run_that_is_interrupted_three_times_ends_like_an_unbroken_one(runs, model, tmp_path, monkeypatch, capsys):
    """Right before the boundary of TwoSizes' phases (step 16), right after its beginning, and in between."""
    broken, advance = tmp_path / "broken", Stepper.advance
    words = [*training(model).words, *SHORT, "--out", str(broken), "--quiet"]
    for stop in (16, 17, 31):

        def stopping(stepper, stop=stop):
            advance(stepper)
            if stepper.step == stop:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Stepper, "advance", stopping)
        assert main(["train", *words]) == 128 + signal.SIGINT
        assert (broken / "checkpoints" / f"step-{stop:06d}.npz").exists()
        words = ["--resume", str(broken), "--quiet", *training(model).again]
    monkeypatch.setattr(Stepper, "advance", advance)
    assert main(["train", *words]) == 0
    capsys.readouterr()
    expected, found = (at_the_end(run) for run in (runs / model, broken))
    assert [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)] == []


SAID = {  # on the page; and what isn't
    "ToTarget": (
        ("content", "maker", "critic", "every fourth step", "input 8×8×1, target 8×8×1"),
        ("diversity", "FID"),
    ),
    "Unpaired": (("Translated", "cycle", "there", "21 samples of a, 28 samples of b"), ("diversity", "phase")),
    "TwoSizes": (("Samples", "large", "level", "diversity"), ("FID",)),
    "Restorer": (("Filled", "error", "PSNR", "36 pictures of 12×8×1"), ("diversity", "Discriminator", "Generator")),
}


@pytest.mark.parametrize("model", DATA)
def test_the_page_tells_of_what_the_model_declares(runs, model):
    text = page(runs / model)
    said, unsaid = SAID[model]
    assert "finished" in text and "40 of 40" in text
    assert [part for part in said if part not in text] == []
    assert [part for part in unsaid if part in text] == []


def test_records_have_the_measures_that_came_and_no_others(runs):
    names = {model: set().union(*map(dict.keys, records(runs / model))) for model in DATA}
    assert {"content", "pixels", "maker_loss", "critic_real"} <= names["ToTarget"]
    assert "d_loss" not in names["ToTarget"] and "phase" not in names["ToTarget"]
    assert {"psnr", "worst"} <= names["Restorer"] and "diversity" not in names["Restorer"]
    phases = [(record["phase"], record["step"], record["level"]) for record in records(runs / "TwoSizes")]
    assert phases == [("small", 10, 0), ("small", 16, 0), ("large", 20, 1), ("large", 30, 1), ("large", 40, 1)]


def test_the_doctor_says_nothing_of_idle_layers_or_of_samples_that_are_none(runs):
    checks = {model: {note["check"] for r in records(runs / model) for note in r.get("notes", [])} for model in DATA}
    assert checks["ToTarget"] == checks["Unpaired"] == checks["Restorer"] == set()
    assert checks["TwoSizes"] <= {"steps"}


def test_phases_have_their_level_their_batch_and_their_checkpoint(runs):
    folder = RunFolder(runs / "TwoSizes")
    config = folder.config()
    assert config.model_args["small"] == 152  # half of 16 steps with 10 samples and 24 with 6, rounded as it may be
    first, _ = open_model(folder, config, folder.phase("small"), cls=TwoSizes)
    last, _ = open_model(folder, config, cls=TwoSizes)
    assert (first.level, last.level) == (0.0, 1.0)
    initial = TwoSizes((8, 8, 1), 152, rng=np.random.default_rng([config.seed, 0]))
    for name in ("G", "D"):  # what was idle has kept every bit
        for model, stage, same in ((first, "large", True), (first, "small", False)):
            before, after = (getattr(m.networks[name], stage).parameters().values for m in (initial, model))
            assert np.array_equal(before, after) is same
        after_first, after_last = (m.networks[name].small.parameters().values for m in (first, last))
        np.testing.assert_array_equal(after_first, after_last)
    assert last.generate(np.zeros((2, 6), np.float32)).shape == (2, 8, 8, 1)


def test_a_longer_run_keeps_the_boundary(runs, tmp_path):
    shutil.copytree(runs / "TwoSizes", tmp_path / "run")
    words = ["train", "--resume", str(tmp_path / "run"), "--n-steps", "50", "--quiet", *training("TwoSizes").again]
    assert main(words) == 0
    assert RunFolder(tmp_path / "run").config().model_args["small"] == 152


def test_the_frozen_network_is_the_runs_own(runs, monkeypatch):
    """Its weights were read once; the file that they came from isn't needed any more."""
    monkeypatch.setattr(ToTarget, "fill_frozen", lambda self, read: pytest.fail("read again"))
    folder = RunFolder(runs / "ToTarget")
    model, _ = open_model(folder, folder.config(), cls=ToTarget)
    expected = np.random.default_rng(99).normal(0, 0.3, model.frozen["eye"].parameters().values.shape)
    np.testing.assert_allclose(model.frozen["eye"].parameters().values, expected, rtol=1e-6)


@pytest.mark.parametrize("model", DATA)
def test_the_dry_run_shows_networks_shapes_and_phases(model, capsys):
    assert main(["train", *training(model).words, "--n-steps", "40", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    parts = {
        "ToTarget": ("maker:", "critic:", "eye, frozen:"),
        "Unpaired": ("there:", "back:", "critic:"),
        "TwoSizes": ("G:", "D:", "phase small", "phase large", "batches of 10", "batches of 6"),
        "Restorer": ("filler: 12×8×1 → 12×8×1", "a step on batches of 4"),
    }[model]
    for part in parts:
        assert part in shown, shown


def test_apply_takes_pictures_of_any_size(runs, tmp_path, capsys):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (21, 30), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "in.png")
    for model in ("Restorer", "Unpaired", "ToTarget"):
        words = ["apply", str(runs / model), str(tmp_path / "in.png"), "-o", str(tmp_path / f"{model}.png")]
        assert main([*words, "--model", f"{FILE}:{model}"]) == 0, capsys.readouterr().err
        assert Image.open(tmp_path / f"{model}.png").size == (30, 21)
    again = ["apply", str(runs / "Restorer"), str(tmp_path / "in.png"), "-o", str(tmp_path / "again.npy")]
    assert main([*again, "--model", f"{FILE}:Restorer"]) == 0


def test_what_a_model_cant_do_is_one_sentence(runs, tmp_path, capsys):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "in.png")
    own = ["--model", f"{FILE}:TwoSizes"]
    assert main(["apply", str(runs / "TwoSizes"), str(tmp_path / "in.png"), "-o", str(tmp_path / "o.png"), *own]) != 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Traceback" not in err
    assert main(["sample", str(runs / "Restorer"), "--model", f"{FILE}:Restorer"]) != 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Traceback" not in err


def test_held_out_items_arent_trained_on(runs):
    """Four of forty, by the seed; and they are judged with the damage that they have every time."""
    config = RunFolder(runs / "Restorer").config()
    assert config.samples == {"data": 36} and len(tall()["target"]) == 40
    judged = {record["step"]: record["psnr"] for record in records(runs / "Restorer") if "psnr" in record}
    assert sorted(judged) == [10, 20, 30, 40]
    best = max(judged, key=judged.get)
    assert load_checkpoint(runs / "Restorer" / "best.npz", config.model).state["step"] == best

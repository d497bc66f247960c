"""Conditional models, averaged weights and the options of single models on the command line."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, newest, refused, run  # noqa: F401
from PIL import Image

from minigan.commands import sample, train
from minigan.data import open_dataset
from minigan.gans import CDCGAN, MODELS, SNGAN
from minigan.training import RunFolder
from minigan.training.checkpoint import checksum
from minigan.training.plan import learns_classes, new_plan
from minigan.training.sources import check_sources, open_data

TINY = "train cdcgan --features 2 --latent-dim 4 --batch-size 8 --limit 64 --n-steps 2 --quiet --out run"
RING = "train cgan --data ring --batch-size 8 --n-steps 2 --quiet --out points"


def save_pictures(*paths):
    for i, path in enumerate(paths):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), 20 * i, np.uint8)).save(path)


def model_args(folder):
    return json.loads(Path(folder, "config.json").read_text())["model_args"]


@pytest.mark.parametrize(
    ("line", "n_classes"),
    [
        ("train cdcgan --limit 40", 10),
        ("train cdcgan --n-classes 12", 12),
        ("train cgan --data ring", 8),
        ("train cgan --data grid", 25),
        ("train cgan --data shapes --limit 40", 5),
        ("train cgan --data folder --img-size 16", 2),
        ("train sngan --labels", 10),
        ("train sngan", None),
    ],
)
def test_a_conditional_model_has_as_many_classes_as_the_data(line, n_classes, monkeypatch):
    save_pictures("folder/cats/a.png", "folder/dogs/b.png")
    configs = []

    def stop(model, config, shapes):
        configs.append((model.n_classes, config))
        return ""

    monkeypatch.setattr(train, "summarize", stop)
    monkeypatch.setattr(train, "TIMED_S", 0)  # three steps
    assert run(f"{line} --batch-size 2 --dry-run") == 0
    built, config = configs[0]
    assert built == (n_classes or 0)
    assert config.model_args["n_classes"] == n_classes
    assert bool(config.classes) == bool(n_classes)


def test_a_model_has_no_classes_without_pictures(capsys):
    save_pictures("folder/cats/a.png", "folder/dogs/b.png", "folder/birds/c.png")
    os.remove("folder/birds/c.png")
    run("train cgan --data folder --img-size 16 --batch-size 2 --n-steps 1 --out run")
    assert "note: 1 class has no pictures and is left out: birds\n" in capsys.readouterr().out
    assert RunFolder("run").config().classes == ("cats", "dogs")
    assert model_args("run")["n_classes"] == 2


def test_a_run_from_before_keeps_the_classes_that_it_began_with():
    """Older versions counted classes without samples: their numbers are those of the weights."""
    run(f"{TINY} --limit 12 --n-classes 10")
    path = Path("run/config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"classes": list("0123456789")}))
    config = RunFolder("run").config()
    sources = open_data(config)
    check_sources(config, sources)
    dataset = sources["data"]
    assert dataset.classes == list("0123456789")
    now = open_dataset("digits", limit=12)
    assert len(now.classes) < 10
    assert dataset.labels.tolist() == [int(now.classes[k]) for k in now.labels]
    assert run("train --resume run --n-steps 3 --quiet") == 0
    assert run("sample run --class 9 --n 1") == 0


def test_the_names_of_the_classes_are_kept():
    save_pictures("folder/cats/a.png", "folder/dogs/b.png")
    run("train cgan --data folder --img-size 16 --batch-size 2 --n-steps 1 --quiet --out run")
    assert RunFolder("run").config().classes == ("cats", "dogs")


def test_resume_rebuilds_a_conditional_run_to_the_same_weights():
    run(f"{TINY} --ema 0.9 --n-steps 4 --out whole")
    run(f"{TINY} --ema 0.9 --n-steps 2 --out parts")
    assert run("train --resume parts --n-steps 4 --quiet") == 0
    with np.load(newest("whole")) as whole, np.load(newest("parts")) as parts:
        assert set(whole.files) == set(parts.files)
        assert "averages.G.t" in whole.files
        for name in set(whole.files) - {"state", "checksum"}:
            np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)


def test_samples_of_one_class(monkeypatch):
    """One class is drawn, by its number and by its name; the others in turn, over more than are drawn at once."""
    run(TINY)
    monkeypatch.setattr(sample, "AT_ONCE", 3)
    generate, asked = CDCGAN.generate, []
    monkeypatch.setattr(CDCGAN, "generate", lambda gan, z, labels: asked.extend(labels) or generate(gan, z, labels))
    assert run("sample run --class 7 --n 5") == 0
    assert asked == [7] * 5
    asked.clear()
    assert run("sample run --n 12") == 0
    assert asked == [*range(10), 0, 1]
    with Image.open("run/generated.png") as image:
        assert image.size == (10 * 66 + 2, 2 * 66 + 2)  # a column for each class
    asked.clear()
    assert run("sample run --interpolate") == 0
    assert asked == [k for k in range(10) for _ in range(10)]
    asked.clear()
    assert run("sample run --interpolate --class 3") == 0
    assert asked == [3] * 80


def test_files_of_single_pictures_say_the_class():
    save_pictures("folder/cats/a.png", "folder/big dogs/b.png")
    run("train cgan --data folder --img-size 16 --batch-size 2 --n-steps 1 --quiet --out run")
    assert run("sample run --n 3 --separate") == 0
    assert sorted(os.listdir("run/generated")) == ["00000-big-dogs.png", "00001-cats.png", "00002-big-dogs.png"]
    assert run("sample run --n 1 --separate --class cats --out cats") == 0
    assert os.listdir("cats") == ["00000-cats.png"]


@pytest.mark.parametrize(
    ("text", "names", "label"),
    [("2", ("a", "b", "c"), 2), ("b", ("a", "b", "c"), 1), ("1", ("1", "2", "3"), 0), ("3", (), 3), ("3", ("a",), 3)],
)
def test_a_class_is_its_name_or_else_its_number(text, names, label):
    assert sample.find_class(text, 4, names) == label


def test_modes_of_points_are_printed(capsys):
    run(RING)
    assert run("sample points --n 500") == 0
    assert re.match(r"modes \d of 8, good \d+ %\npoints/generated.png\n", capsys.readouterr().out)
    assert run("sample points --class 3") == 0
    assert re.match(r"modes \d of 1, good \d+ %\n", capsys.readouterr().out)
    assert run("sample points --interpolate") == 0
    assert capsys.readouterr().out == "points/interpolation.png\n"


def test_the_modes_of_one_class_are_those_of_its_own_gaussian(capsys, monkeypatch):
    run(RING)
    centers = open_dataset("ring").centers
    monkeypatch.setattr(MODELS["cgan"], "generate", lambda gan, z, labels: centers[labels])
    for line, found in (("", "modes 8 of 8, good 100 %"), ("--class 3", "modes 1 of 1, good 100 %")):
        run(f"sample points {line}")
        assert found in capsys.readouterr().out
    monkeypatch.setattr(MODELS["cgan"], "generate", lambda gan, z, labels: centers[(labels + 1) % 8])
    run("sample points --class 3")
    assert "modes 0 of 1, good 0 %" in capsys.readouterr().out


def test_a_mode_without_points_shifts_no_other(capsys, monkeypatch):
    run(f"{RING} --limit 9 --out few")
    names = RunFolder("few").config().classes
    assert 1 < len(names) < 8
    centers = open_dataset("ring").centers
    monkeypatch.setattr(MODELS["cgan"], "generate", lambda gan, z, labels: centers[[int(names[k][-1]) for k in labels]])
    for k in range(len(names)):
        run(f"sample few --class {k}")
        assert "modes 1 of 1, good 100 %" in capsys.readouterr().out


def test_progress_tells_the_modes(capsys, monkeypatch):
    run(RING.replace("--quiet", ""))
    out = capsys.readouterr().out
    assert re.search(r"step 2/2 .* samples/s  modes \d of 8, good \d+ %\n", out)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    run(RING.replace("--quiet --out points", ""))
    assert re.search(r"2/2 .*G \d.\d\d modes \d of 8, good \d+ %\]", capsys.readouterr().err)


# Averages


@pytest.mark.parametrize(("option", "decay"), [("--ema", 0.999), ("--ema 0.5", 0.5)])
def test_the_decay_of_the_average(option, decay):
    run(f"{TINY} {option}")
    assert RunFolder("run").config().ema == decay
    with np.load(newest("run")) as arrays:
        assert "averages.G.t" in arrays.files


def test_samples_are_drawn_by_the_average():
    run(f"{TINY} --ema 0.9")
    run("sample run --out average.png")
    with np.load(newest("run")) as file:
        arrays = dict(file)
    del arrays["checksum"]
    for name in arrays:
        if name.startswith("networks.G."):
            arrays[name] = np.zeros_like(arrays[name])
    np.savez(newest("run"), **arrays, checksum=checksum(arrays))
    run("sample run --out without-G.png")
    assert Path("average.png").read_bytes() == Path("without-G.png").read_bytes()


def test_runs_from_before_averages_and_classes_can_be_sampled_and_go_on():
    run("train dcgan --features 2 --latent-dim 4 --batch-size 8 --limit 64 --n-steps 2 --quiet --out run")
    path = Path("run/config.json")
    config = json.loads(path.read_text())
    for name in ("classes", "ema"):
        del config[name]
    path.write_text(json.dumps(config))
    assert run("sample run") == 0
    assert run("train --resume run --n-steps 3 --quiet") == 0


# Options of single models


def test_options_come_from_the_signature():
    assert not learns_classes(SNGAN, {})
    assert learns_classes(SNGAN, {"labels": True})
    assert learns_classes(CDCGAN, {})
    assert not learns_classes(MODELS["dcgan"], {})


def test_epochs_know_how_often_the_critic_is_updated_if_the_model_decides():
    """sngan updates D five times with its residual networks."""
    networks = {"networks": "resnet", "features": 2, "img_size": (32, 32)}
    given = {"model": "sngan", "n_epochs": 1, "limit": 100, "batch_size": 10}
    assert new_plan(given).config.n_steps == 10
    assert new_plan(given | networks).config.n_steps == 2


def test_a_name_with_a_hyphen(capsys):
    assert run("train wgan-gp --data grid --batch-size 4 --n-steps 1") == 0
    assert os.listdir("runs") == ["wgan-gp-grid"]
    assert run("sample runs/wgan-gp-grid") == 0
    assert "options of wgan-gp" in (run("train wgan-gp --help"), capsys.readouterr().out)[1]


def test_help_of_all_models_says_which_model_an_option_belongs_to(capsys):
    run("train --help")
    out = " ".join(capsys.readouterr().out.split())
    assert "--coding {binary,pearson} lsgan: target logits" in out
    assert "--latent-dim N length of the latent vector z (default: by model)" in out


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            "train cgan --data folder --img-size 16",
            'folder has no labels, which the model learns as "label": put each class, two at least, into',
        ),
        ("train sngan --data folder --img-size 16 --labels", "folder has no labels"),
        ("train cdcgan --n-classes 9", "--n-classes 9 is too small, because digits has 10 classes"),
        ("train cdcgan --n-classes 1798", "--n-classes 1798 is too large, because digits has only 1,797 samples"),
        ("train sngan --n-classes 10", "sngan learns classes only with --labels: add that, or leave out --n-classes"),
        ("train dcgan --n-classes 10", "dcgan has no --n-classes"),
        ("train cdcgan --n-classes 0", "--n-classes: 0 is less than 1"),
        ("train dcgan --ema 1.5", "--ema: 1.5 is not at least 0"),
        ("train --ema dcgan", "write the model first, train dcgan --ema"),
        ("train wgan --n-critic 0", "--n-critic: 0 is less than 1"),
        ("train wgan --clip-value -1", "--clip-value: -1 is not a number greater than 0"),
        ("train wgan-gp --lambda-gp -1", "--lambda-gp: -1 is not a number of at least 0"),
        ("train wgan-gp --networks vgg", "invalid choice: 'vgg'"),
        ("train wgn-gp", "did you mean wgan-gp?"),
    ],
)
def test_mistakes_end_in_one_sentence(capsys, line, what):
    save_pictures("folder/a.png", "folder/b.png")
    assert what in refused(capsys, line)


def test_mistakes_with_a_run_end_in_one_sentence(capsys):
    run(f"{TINY} --ema")
    run("train gan --batch-size 8 --limit 64 --n-steps 1 --quiet --out gan")
    for line, what in [
        ("sample run --class 10", "there is no class '10' in this run: use 0 to 9\n"),
        ("sample run --class -1", "there is no class '-1'"),
        ("sample run --class " + "9" * 5000, "there is no class"),
        ("sample gan --class 1", "this run has no classes"),
        ("train --resume run --projection", "--projection yes doesn't fit this run, which began with no"),
        ("train --resume run --n-classes 12", "--n-classes 12 doesn't fit this run, which began with 10"),
    ]:
        assert what in refused(capsys, line)


def test_names_of_classes_are_told(capsys):
    with pytest.raises(Exception, match=r"no class 'bird' .* use 0 to 2, or a name: cats, dogs, fish$"):
        sample.find_class("bird", 3, ("cats", "dogs", "fish"))


def test_a_run_does_not_go_on_with_other_classes(capsys):
    save_pictures("folder/cats/a.png", "folder/dogs/b.png")
    run("train cgan --data folder --img-size 16 --batch-size 2 --n-steps 1 --quiet --out run")
    os.rename("folder/dogs", "folder/birds")
    err = refused(capsys, "train --resume run --n-steps 2")
    assert re.search("the classes of .*folder have changed since this run began", err)


@pytest.mark.parametrize(("name", "value"), [("classes", [1]), ("ema", 1.5), ("ema", "x"), ("ema", -1.0)])
def test_damaged_configurations(capsys, name, value):
    run(TINY)
    path = Path("run/config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    assert "config.json is damaged" in refused(capsys, "sample run")

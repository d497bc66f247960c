import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, in_an_empty_folder, newest, refused, run  # noqa: F401
from PIL import Image

import minigan
from minigan.commands.cli import main
from minigan.common.words import flag
from minigan.gans import DCGAN, MODELS
from minigan.options import arguments_of
from minigan.training.plan import new_plan
from minigan.training.settings import LEAST_STEPS


def weights(folder):
    with np.load(newest(folder)) as arrays:
        return {name: arrays[name] for name in arrays.files if name not in ("state", "checksum")}


def test_train_writes_a_run_and_numbers_the_next(capsys):
    assert run(TINY) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "dcgan on digits: 64 pictures of 16x16x1" in out
    assert sorted(os.listdir("runs/dcgan-digits")) == [
        "checkpoints",
        "config.json",
        "declared.json",
        "losses.png",
        "metrics.jsonl",
        "nearest.json",
        "nearest.png",
        "real.png",
        "report.html",
        "samples",
        "samples.gif",
    ]
    config = json.loads(Path("runs/dcgan-digits/config.json").read_text())
    assert (config["model"], config["seed"], config["n_steps"]) == ("dcgan", 0, 4)
    assert run(TINY + " --quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert sorted(os.listdir("runs")) == ["dcgan-digits", "dcgan-digits-2"]


def test_without_a_terminal_there_is_a_line_for_each_sample_and_no_bar(capsys):
    run(TINY + " --n-steps 6 --sample-interval 3")
    out, err = capsys.readouterr()
    assert re.findall("^step ([0-9]+/6) ", out, re.MULTILINE) == ["3/6", "6/6"]
    assert "step 6: 6 steps are few" in out
    assert err == ""
    assert "\r" not in out


def test_on_a_terminal_there_is_a_bar_and_no_lines(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    run(TINY)
    out, err = capsys.readouterr()
    assert "4/4" in err
    assert "D(G(z))" in err
    assert "step 4/4" not in out


def test_resume_goes_on_to_the_same_weights():
    run(TINY + " --out whole --n-steps 9 --augment crop,rotate")
    run(TINY + " --out parts --n-steps 4 --augment crop,rotate")
    assert run("train --resume parts --n_steps 9") == 0
    whole, parts = weights("whole"), weights("parts")
    assert whole.keys() == parts.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)
    assert json.loads(Path("parts/config.json").read_text())["n_steps"] == 9


def test_resume_refuses_what_would_change_the_run(capsys):
    run(TINY + " --out run")
    capsys.readouterr()
    assert "has already made 4 steps" in refused(capsys, "train --resume run")
    assert "the model gan doesn't fit this run, which began with dcgan" in refused(capsys, "train gan --resume run")
    assert "--label-smoothing 0.1 doesn't fit" in refused(capsys, "train --resume run --label-smoothing 0.1")
    assert "--img-size 28 doesn't fit this run, which began with 16:" in refused(
        capsys, "train --resume run --img-size 28"
    )
    assert "--seed 1 doesn't fit this run, which began with 0:" in refused(capsys, "train --resume run --seed 1")
    assert "--out can't be given" in refused(capsys, "train --resume run --out other")
    assert "--init-from can't be given" in refused(capsys, "train --resume run --init-from run")
    sizes = "--img-size 16 --channels 1 --limit 64"  # what the digits have
    assert run(f"train dcgan --resume run --features 2 --data digits --n-steps 5 --quiet {sizes}") == 0


def test_n_epochs_counts_passes_through_the_data():
    run(TINY.replace("--n-steps 4", "--n-epochs 1 --n-critic 3 --quiet"))
    assert json.loads(Path("runs/dcgan-digits/config.json").read_text())["n_steps"] == 3  # 8 batches, three in a step


def test_underscores_are_dashes():
    assert run("train dcgan --n_steps=1 --batch_size 8 --latent_dim 4 --features 2 --dry_run") == 0


def test_a_dry_run_shows_the_networks_and_writes_nothing(capsys, monkeypatch):
    monkeypatch.setattr("minigan.commands.train.TIMED_S", 0)  # three steps
    assert run("train dcgan --features 4 --limit 200 --dry-run --out run") == 0
    out, _ = capsys.readouterr()
    warned = "note: each of only 200 pictures is seen 640 times"
    for text in ("ConvTranspose2D(", "parameters", "optimizer state", "GFLOP", "backward (input)", warned):
        assert text in out
    assert os.listdir() == []


def test_help_breaks_no_name_at_its_hyphen(capsys, monkeypatch):
    for columns in range(70, 90):
        monkeypatch.setenv("COLUMNS", str(columns))
        run("train --help")
        assert "-\n" not in capsys.readouterr().out


@pytest.mark.parametrize("model", [None, *MODELS])
def test_help_shows_every_default(capsys, model):
    assert run(f"train {model or ''} --help") == 0
    out, _ = capsys.readouterr()
    options = re.split(r"\n  (?=-)", out.split("show this help message and exit")[1])[1:]
    assert len(options) > 15
    for option in options:
        assert "default: " in option.replace("\n", " "), option
    own = arguments_of(MODELS[model]).keys() if model else set()
    for cls in MODELS.values():
        for name in arguments_of(cls):
            assert model is None or (f"  {flag(name)} " in out or f"  {flag(name)}," in out) == (name in own), name
    if model == "dcgan":
        assert re.search(r"learning rate \(default:\s+0.0002\)", out)
        assert re.search(rf"samples in a batch \(default:\s+{DCGAN.batch_size}\)", out)
    if model == "gan":
        assert "0.1 for pictures, 0.0005 for points" in " ".join(out.split())


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("trian", "no command 'trian': did you mean train?"),
        ("train", "which model? give gan, dcgan"),
        ("train dcgn", "no model called 'dcgn': did you mean dcgan?"),
        ("train dcgan --data mnits", "no data set or folder called 'mnits': did you mean mnist?"),
        ("train dcgan --data ./nowhere", "nowhere does not exist"),
        ("train dcgan --data empty", "empty"),
        ("train dcgan --img-size 20", "16, 28, 32, 64 or 128 pixels"),
        ("train dcgan --device cuda:99", "device cuda:99"),
        ("train dcgan --device tpu", "unknown device 'tpu'"),
        ("train dcgan --device mps", "mps is an Apple GPU, and minigan uses processors, with NumPy, or NVIDIA GPUs"),
        ("train dcgan --dry-run --open", "--dry-run writes no page: leave out --open"),
        ("train gan --features 3", "gan has no --features: it takes --latent-dim"),
        ("train dcgan --n-step 3", "no --n-step: did you mean --n-steps?"),
        ("train dcgan surplus", "unexpected word 'surplus'; see minigan train --help"),
        ("train dcgan --lr -1", "--lr"),
        ("train dcgan --lr nan", "--lr"),
        ("train dcgan --label-smoothing 1", "--label-smoothing"),
        ("train dcgan --n-steps 0", "--n-steps: 0 is less than 1"),
        ("train dcgan --n-steps abc", "--n-steps: 'abc' is not a whole number"),
        ("train dcgan --lr abc", "--lr: 'abc' is not a number"),
        ("train dcgan --out=", "--out: the name is empty"),
        ("train dcgan --data ring", "holds points, but the model takes pictures"),
        ("train dcgan --out file/run", "nothing can be written into file/run, because"),
        ("train --resume file", "file is a file: give the folder of the run"),
        ("sample file", "file is a file: give the folder of the run"),
        ("data digits --out full", "full is a folder: give the name of a .png file"),
        ("data digits --out file/a.png", "nothing can be written into file, because"),
        ("train dcgan --n-steps 3 --n-epochs 3", "not allowed with"),
        ("train dcgan --augment flop", "there is no augmentation 'flop': did you mean flip?"),
        ("train gan --data ring --augment flip --n-steps 1", "--augment is for pictures, and ring has none"),
        (
            "train restore --data shapes --img-size 32x16 --augment turn",
            "turn exchanges height and width, and pictures are",
        ),
        ("train dcgan --out full", "full is not an empty folder: give another --out"),
        ("train --resume nowhere", "nowhere does not exist"),
        ("train --resume empty", "not the folder of a run"),
        ("sample nowhere", "nowhere does not exist"),
        ("sample", "required: RUN"),
        ("gradcheck Conv3D", "no layer or model called 'Conv3D': did you mean Conv2D?"),
        ("data cifar", "did you mean cifar10?"),
        ("data digits --out digits.jpg", "call the file digits.png"),
    ],
)
def test_mistakes_end_in_one_sentence_and_status_2(capsys, line, what):
    os.makedirs("empty")
    os.makedirs("full/of")
    Path("file").touch()
    assert what in refused(capsys, line)


def test_an_out_folder_that_holds_a_run_is_refused(capsys):
    run(TINY + " --out run")
    capsys.readouterr()
    assert "run holds a run already: give another --out, or resume it with --resume run" in refused(
        capsys, TINY + " --out run"
    )


def test_ctrl_c_while_importing_leaves_no_traceback(capsys, monkeypatch):
    def pressed(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", pressed)
    assert run("models") == 130
    assert capsys.readouterr().err == "minigan: interrupted\n"


def test_sample(capsys):
    run(TINY + " --quiet")
    assert run("sample runs/dcgan-digits") == 0
    with Image.open("runs/dcgan-digits/generated.png") as image:
        assert image.size == (8 * 66 + 2, 8 * 66 + 2)
    assert run("sample runs/dcgan-digits --interpolate --out walk.png") == 0
    with Image.open("walk.png") as image:
        assert image.size == (10 * 66 + 2, 8 * 66 + 2)
    assert run("sample runs/dcgan-digits --n 3 --separate --out many") == 0
    assert sorted(os.listdir("many")) == ["00000.png", "00001.png", "00002.png"]
    run("sample runs/dcgan-digits --n 3 --seed 1 --out a.png")
    run("sample runs/dcgan-digits --n 3 --seed 2 --out b.png")
    run("sample runs/dcgan-digits --n 3 --seed 1 --out c.png")
    a, b, c = (Path(f"{name}.png").read_bytes() for name in "abc")
    assert a == c != b
    capsys.readouterr()
    assert "call the file x.png" in refused(capsys, "sample runs/dcgan-digits --out x.jpg")
    assert "there is no file no.npz" in refused(capsys, "sample runs/dcgan-digits --checkpoint no.npz")
    assert "because" in refused(capsys, "sample runs/dcgan-digits --separate --n 1 --out runs/dcgan-digits/config.json")
    os.mkdir("folder.png")
    assert run("sample runs/dcgan-digits --out folder.png") == 0
    assert os.listdir("folder.png") == ["generated.png"]


def test_separate_pictures_are_those_of_one_draw_however_many_are_made_at_a_time(monkeypatch):
    run(f"{TINY} --quiet")
    run("sample runs/dcgan-digits --n 11 --separate --out whole")
    monkeypatch.setattr("minigan.commands.sample.AT_ONCE", 4)
    run("sample runs/dcgan-digits --n 11 --separate --out parts")
    names = sorted(os.listdir("whole"))
    assert names == sorted(os.listdir("parts")) == [f"{i:05d}.png" for i in range(11)]
    for name in names:
        assert Path("whole", name).read_bytes() == Path("parts", name).read_bytes()


def test_ctrl_c_keeps_the_pictures_that_are_written(monkeypatch, capsys):
    run(f"{TINY} --quiet")
    monkeypatch.setattr("minigan.commands.sample.AT_ONCE", 4)
    calls = []

    def generate(gan, z, labels=None, ours=DCGAN.generate):
        calls.append(len(z))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return ours(gan, z, labels)

    monkeypatch.setattr(DCGAN, "generate", generate)
    assert run("sample runs/dcgan-digits --n 40 --separate --out many") == 130
    assert capsys.readouterr().err == "interrupted: 8 of 40 pictures are in many\n"
    assert len(os.listdir("many")) == 8


def test_points_are_trained_sampled_and_walked():
    assert run("train gan --data ring --latent-dim 2 --n-steps 2 --quiet") == 0
    for line in ("sample runs/gan-ring", "sample runs/gan-ring --interpolate"):
        assert run(line) == 0
    for name in ("generated", "interpolation"):
        with Image.open(f"runs/gan-ring/{name}.png") as image:
            assert image.size == (480, 480)


def test_models_and_data_are_listed(capsys):
    assert run("models") == 0
    out, _ = capsys.readouterr()
    assert out.startswith("Which model suits:\n\nneeds real (pictures or points):\n  gan       for points, for very")
    for name, cls in MODELS.items():
        assert f"\n  {name:9} {cls.suits[:60]}" in out
    assert max(map(len, out.splitlines())) <= 120
    assert run("models dcgan cgan") == 0
    out, _ = capsys.readouterr()
    assert "Radford" in out and "Goodfellow" not in out
    assert "16, 28, 32, 64 or 128 pixels" in out
    assert "needs     real (pictures or points) with label (labels)" in out
    assert run("data") == 0
    assert "cifar10" in capsys.readouterr().out
    assert run("data digits --out sheets/digits.png") == 0
    assert "1,797 pictures of 16x16x1, 10 classes" in capsys.readouterr().out
    assert run("data ring --out sheets/ring.png") == 0
    assert sorted(os.listdir("sheets")) == ["digits.png", "ring.png"]


def test_version_and_overview(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("minigan ")
    assert main([]) == 0
    assert "gradcheck" in capsys.readouterr().out


def test_python_dash_m():
    command = [sys.executable, "-m", "minigan", "models", "--nope"]
    path = {"PYTHONPATH": str(Path(minigan.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | path)
    assert done.returncode == 2
    assert done.stderr.startswith("minigan: error: minigan models has no --nope")
    assert "Traceback" not in done.stderr


def test_the_default_length_is_by_data_and_few_pictures_make_it_no_shorter():
    def steps(data="shapes", **given):
        return new_plan({"model": "gan", "data": data} | given).config.n_steps

    assert (steps("digits"), steps("ring"), steps(limit=200)) == (2000, 10_000, LEAST_STEPS)
    assert steps(batch_size=8) == 25 * 10_000 // 8
    assert (steps(limit=200, n_epochs=3, batch_size=50), steps(n_steps=7)) == (12, 7)


def test_a_model_may_have_its_own_way_of_lowering_the_learning_rate():
    """WGAN-GP's falls in a line unless it is told otherwise, DCGAN's doesn't fall."""
    for words, expected in (("wgan-gp", "linear"), ("wgan-gp --lr-decay none", "none"), ("dcgan", "none")):
        assert (
            run(f"train {words} --features 2 --limit 64 --n-steps 1 --batch-size 8 --quiet --out run-{expected}") == 0
        )
        assert json.loads(Path(f"run-{expected}/config.json").read_text())["lr_decay"] == expected
        shutil.rmtree(f"run-{expected}")

"""A user's own model and data through the commands, from a folder of the user's."""

import json
import re
from pathlib import Path

import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401

GAN = '''
"""A GAN of two dense layers, for points."""
from typing import Annotated

import numpy as np
from my_layers import dense

from minigan.backend import get_device
from minigan.losses import Minimax
from minigan.model import POINTS, Exhibit, Measure, Model
from minigan.optim import Adam
from minigan.options import Count


class MyGAN(Model):
    """Points by a line."""

    arrays = {"real": POINTS}
    averaged = ("G",)
    measures = {"d_loss": Measure("D", "Losses"), "g_loss": Measure("G", "Losses")}

    def __init__(self, shape, width: Annotated[int, Count("numbers in z")] = 2, lr: float = 1e-3, *, rng, device="cpu"):
        self.width, self.device = width, get_device(device)
        self.networks = {"G": dense(width, shape[0], rng).to(self.device), "D": dense(shape[0], 1, rng).to(self.device)}
        self.optimizers = {name: Adam(network.parameters(), lr) for name, network in self.networks.items()}
        self.loss = Minimax()

    def heuristics(self, batch_size):
        return [f"`width` is {self.width}: for batches of {batch_size}"]

    def latent(self, n, rng):
        return rng.standard_normal((n, self.width), dtype=np.float32)

    def generate(self, z):
        return self.drawing("G").output(z, train=False)

    def show(self, held_out, rng):
        return {"samples": Exhibit(self.generate(self.latent(50, rng)), like="real")}

    def step(self, next_batch, rng, now):
        G, D = self.networks.values()
        real = next_batch()["real"]
        fake, G_cache = G.forward(self.latent(len(real), rng))
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        logits, cache = D.forward(real)
        d_loss, dlogits = self.loss.real(logits)
        D.backward(dlogits, cache, wrt="params")
        logits, cache = D.forward(fake)
        g_loss, dlogits = self.loss.generator(logits)
        G.backward(D.backward(dlogits, cache, wrt="input"), G_cache, wrt="params")
        for optimizer in self.optimizers.values():
            optimizer.step()
        return {"d_loss": d_loss, "g_loss": g_loss}
'''
LAYERS = "from minigan.layers import Dense\n\ndef dense(n_in, n_out, rng):\n    return Dense(n_in, n_out, rng=rng)\n"
DATA = """
import numpy as np

def circle():
    angle = np.linspace(0, 6, 60)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)

def names():
    return {"other": circle()}
"""
TRAIN = "train my_gan.py:MyGAN --data my_data.py:circle --batch-size 8 --n-steps 12 --quiet --out run"
AGAIN = "--model my_gan.py:MyGAN --data my_data.py:circle"


@pytest.fixture(autouse=True)
def files(in_an_empty_folder):  # noqa: F811
    for name, text in {"my_gan.py": GAN, "my_layers.py": LAYERS, "my_data.py": DATA}.items():
        Path(name).write_text(text)


def test_every_command_takes_a_model_and_data_of_ones_own(capsys):
    assert run(f"{TRAIN} --width 3 --ema") == 0
    config = json.loads(Path("run/config.json").read_text())
    assert (config["model"], config["data"]) == ("my_gan.py:MyGAN", "my_data.py:circle")
    assert config["model_args"] == {"width": 3, "lr": 0.001}
    assert config["own"].keys() == {"my_gan.py", "my_layers.py", "my_data.py"}
    assert run(f"train --resume run --n-steps 20 {AGAIN}") == 0
    assert "note: --width is 3: for batches of 8\n" in capsys.readouterr().out
    assert json.loads(Path("run/config.json").read_text())["changes"] == []
    assert run("sample run --model my_gan.py:MyGAN") == 0
    assert run("report run") == 0
    assert "MyGAN" in Path("run/report.html").read_text()
    capsys.readouterr()
    assert run(f"{TRAIN} --out dry --dry-run") == 0
    out = capsys.readouterr().out
    assert "parameters" in out and "note: --width is 2: for batches of 8\n" in out
    assert run("models my_gan.py:MyGAN") == 0
    assert "needs     real (points)\n" in capsys.readouterr().out
    assert "draws points" in refused(capsys, "evaluate run --model my_gan.py:MyGAN")
    run("train my_gan.py:MyGAN --help")
    assert "--width N numbers in z (default: 2)" in " ".join(capsys.readouterr().out.split())


def test_data_of_ones_own_is_described_and_drawn(capsys):
    assert run("data my_data.py:circle --out circle.png") == 0
    assert capsys.readouterr().out == "circle: 60 points of 2 coordinates\ncircle.png\n"
    assert run("data my_data.py:names") == 0
    assert capsys.readouterr().out == "other: 60 points of 2 coordinates\n"
    Path("my_data.py").write_text("def numbers():\n    return {'n': [1, 2]}\n")
    assert "my_data.py, line 1: it returns no pictures (N, H, W, C) and no" in refused(
        capsys, "data my_data.py:numbers"
    )


def test_without_a_name_the_folder_is_the_class_on_the_function():
    assert run(TRAIN.replace(" --out run", "")) == 0
    assert Path("runs/MyGAN-circle/report.html").exists()


def test_a_runs_folder_loads_no_python(capsys):
    """Its config.json names a file that would leave a trace."""
    run(TRAIN)
    capsys.readouterr()
    Path("my_gan.py").write_text("open('trace', 'w')")
    assert "minigan sample run --model my_gan.py:MyGAN" in refused(capsys, "sample run")
    assert f"minigan train --resume run {AGAIN}" in refused(capsys, "train --resume run --n-steps 20")
    assert "minigan evaluate run --model my_gan.py:MyGAN" in refused(capsys, "evaluate run")
    assert run("report run") == 0
    assert not Path("trace").exists()


def test_a_file_that_has_changed_is_told(capsys):
    run(TRAIN)
    Path("my_layers.py").write_text(LAYERS + "# another one\n")
    capsys.readouterr()
    run("sample run --model my_gan.py:MyGAN")
    said = "my_layers.py has changed: the new version is used"
    assert capsys.readouterr().err == f"minigan: warning: {said}\n"
    assert run(f"train --resume run --n-steps 20 --quiet {AGAIN}") == 0
    assert json.loads(Path("run/config.json").read_text())["changes"] == [f"step 12: {said}"]
    assert f"step 12: {said}" in Path("run/report.html").read_text().replace("&#x27;", "'").replace("&#39;", "'")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("def step(", "def other(", r"MyGAN \(my_gan.py, line 15\): it has no step"),
        ('"g_loss": g_loss}', '"h_loss": g_loss}', r"MyGAN.step \(my_gan.py, line \d+\): it returned 'h_loss'"),
        ('"g_loss": g_loss}', '"g_loss": 0.5}', r"MyGAN.step \(my_gan.py, line \d+\): .*g_loss"),
        ("for name, network in self", 'for name, network in {"C": 0}.items() or self', r"my_gan.py, line \d+"),
        ('["real"]', '["rael"]', r"my_gan.py, line \d+, in step: a batch has no array \Drael\D: did you mean real"),
        ("self.loss.real(logits)", "self.loss.real(logits[:, :0])", r"my_gan.py, line \d+, in step: "),
        ("lr: float = 1e-3", "seed: int = 1, lr: float = 1e-3", "its argument seed has the name of a setting"),
        ('arrays = {"real": POINTS}', 'arrays = {"real": "points"}', r"my_gan.py, line \d+\): the array 'real'"),
    ],
)
def test_a_wrong_model_is_one_sentence_with_the_line(capsys, old, new, said):
    assert old in GAN
    Path("my_gan.py").write_text(GAN.replace(old, new))
    assert re.search(said, refused(capsys, TRAIN))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train my_gan.py:MyGan --data my_data.py:circle", "there is no 'MyGan' in my_gan.py: did you mean MyGAN?"),
        (TRAIN.replace(":circle", ":names"), 'my_data.py, line 8: the data has no array "real"'),
        (TRAIN.replace("my_data.py:circle", "digits"), "digits"),
        (f"{TRAIN} --features 3", "my_gan.py:MyGAN has no --features: it takes --width, --lr"),
        (f"{TRAIN} --width 0", "--width: 0 is less than 1"),
        (f"{TRAIN} --eval-interval 5", "--eval-interval is for pictures; of points, modes are counted anyway"),
        ("sample my_gan.py:MyGAN", "my_gan.py:MyGAN does not exist"),
    ],
)
def test_wrong_words_are_one_sentence(capsys, line, said):
    assert said in refused(capsys, line)

"""`minigan gradcheck`: layers and models that ship, and a user's own."""

import re
from pathlib import Path

import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401

from minigan.commands.gradcheck import checks
from minigan.layers import Embedding, LeakyReLU

LAYERS = """
import numpy as np
from minigan.layers import Dense, Layer


class Double(Layer):
    FACTOR = 2.0

    def forward(self, x, train=True, rng=None):
        self.check_input(x, None, None)
        return 2.0 * x, x.shape

    def backward_input(self, dy, cache):
        return self.FACTOR * dy

    def double_backward(self, ddx, dy, cache):
        self.check_second(ddx, dy, cache)
        return 2.0 * ddx, None

    def shapes(self, cache):
        return cache, cache


class Wrong(Double):
    FACTOR = 2.01


class Needy(Double):
    def __init__(self, channels):
        pass


class Narrow(Dense):
    def __init__(self, rng=None):
        super().__init__(6, 2, rng=rng)


class Odd(Dense):
    def __init__(self):
        super().__init__(7, 2)


def make():
    rng = np.random.default_rng(0)
    return [(Needy(3), rng.standard_normal((4, 3))), (Dense(3, 2, rng=rng), rng.standard_normal((4, 3)))]


def one():
    return make()[0]


def nothing():
    pass


NUMBER = 3
"""
MODEL = """
import numpy as np
from minigan.backend import get_device
from minigan.layers import Dense, Sequential, Tanh
from minigan.losses import Minimax
from minigan.model import POINTS, Game, Measure, Model
from minigan.optim import SGD


class Chain(Model):
    '''A generator in two networks, of which the second meets the critic.'''

    arrays = {"real": POINTS}
    measures = {name: Measure(name, "Losses") for name in ("d_loss", "g_loss", "d_real", "d_fake")}
    games = (Game(None, critic="judge", generator="paint"),)

    def __init__(self, shape, *, rng, device="cpu"):
        self.device = get_device(device)
        self.networks = {
            "sketch": Sequential(Dense(3, 4, rng=rng), Tanh()),
            "paint": Sequential(Dense(4, shape[0], rng=rng), Tanh()),
            "judge": Sequential(Dense(shape[0], 4, rng=rng), Tanh(), Dense(4, 1, rng=rng)),
        }
        self.optimizers = {name: SGD(network.parameters(), 0.1) for name, network in self.networks.items()}

    def step(self, next_batch, rng, now):
        real = next_batch()["real"]
        h = self.networks["sketch"].output(rng.standard_normal((len(real), 3), dtype=np.float32))
        scores = self.networks["judge"].output(self.networks["paint"].output(h))
        return {"d_real": self.networks["judge"].output(real).mean(), "d_fake": scores.mean()}
"""


@pytest.fixture(autouse=True)
def own_files(in_an_empty_folder):  # noqa: F811
    Path("my_layers.py").write_text(LAYERS, encoding="utf-8")
    Path("my_gan.py").write_text(MODEL, encoding="utf-8")


def test_a_table_of_a_layer(capsys):
    assert run("gradcheck Dense") == 0
    out, _ = capsys.readouterr()
    assert re.search(r"\n  W +\d\.\de-\d+ +\d\.\de-\d+\n", out)
    assert "nothing wrong" in out


def test_a_planted_error(capsys, monkeypatch):
    backward = LeakyReLU.backward
    monkeypatch.setattr(LeakyReLU, "backward", lambda self, dy, *args: backward(self, dy * 1.001, *args))
    assert run("gradcheck LeakyReLU") == 1
    assert "WRONG" in capsys.readouterr().out


def test_a_planted_error_in_a_conditional_model_and_nothing_else(capsys, monkeypatch):
    backward = Embedding.backward
    monkeypatch.setattr(Embedding, "backward", lambda self, dy, *args: backward(self, dy * 1.001, *args))
    assert run("gradcheck cgan") == 1
    wrong = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    assert len(wrong) >= 3  # D, G, and G through D, for points at least: maxout passes few of the embedding's gradients
    assert all("0.1.0.dW" in line or "0.1.dW" in line for line in wrong)  # the embeddings


def test_every_choice_of_networks_once():
    titles = [check.title.removesuffix(": D") for check in checks(["sngan", "wgan"]) if check.title.endswith(": D")]
    pictures = ["16×16×1", "16×16×1, labels", "32×32×1, networks resnet", "32×32×1, networks resnet, labels"]
    sngan = [f"sngan for {what}" for what in (*pictures, "2", "2, labels")]
    assert sorted(titles) == sorted([*sngan, "wgan for 16×16×1", "wgan for 2"])


def test_a_model_of_ones_own_with_any_networks(capsys):
    """Each network at what a step gives it; and what its game names, through one another."""
    assert run("gradcheck my_gan.py:Chain") == 0
    shown = capsys.readouterr().out
    titles = [line for line in shown.splitlines() if line.startswith("Chain")]
    assert titles == [f"Chain for 2: {what}" for what in ("sketch", "paint", "judge", "paint through judge")]
    assert "nothing wrong" in shown


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("Double", ["Double: Double() on 5×6", "Double: Double() on 2×3×4×6"]),
        ("Narrow", ["Narrow: Narrow() on 5×6", "Narrow: Narrow() on 2×3×4×6"]),
        ("make", ["make: Needy(…) on 4×3", "make: Dense(3, 2) on 4×3"]),
        ("one", ["one: Needy(…) on 4×3"]),
    ],
)
def test_layers_of_ones_own(capsys, name, titles):
    assert run(f"gradcheck my_layers.py:{name}") == 0
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line.startswith(name)] == titles
    assert re.search(r"\n  x +\d\.\de[+-]\d+ ", shown)


def test_a_wrong_layer_of_ones_own(capsys):
    assert run("gradcheck my_layers.py:Wrong") == 1
    assert "WRONG: dx of Wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("Conv3D", "no layer or model called 'Conv3D': did you mean Conv2D?"),
        ("my_layers.py:Duble", "did you mean Double?"),
        (
            "my_layers.py:Needy",
            r"my_layers.py, line \d+: Needy can't be made without arguments .*def make\(\): return Needy",
        ),
        ("my_layers.py:Odd", r"my_layers.py, line \d+: Odd takes neither x of 5×6 and 2×3×4×6: write a function"),
        ("my_layers.py:nothing", r"my_layers.py, line \d+: nothing must return \(layer, x\)"),
        ("my_layers.py:NUMBER", r"my_layers.py: NUMBER is neither a layer nor a model"),
    ],
)
def test_what_cannot_be_checked(capsys, what, said):
    assert re.search(said, refused(capsys, f"gradcheck {what}"))

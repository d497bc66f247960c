"""`minigan project`: the code of a picture is found in w and in z, stored, and drawn again; what is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from my_styles import D, L, Styles
from PIL import Image

from minigan.backend import get_device
from minigan.commands import projection
from minigan.commands.codes import Codes
from minigan.commands.project import _check, unused
from minigan.commands.projection import Draws, draw, project, search, squared_errors
from minigan.gans import CDCGAN
from minigan.training.pictures import to_bytes, to_image

OWN = f"--model {Path(__file__).with_name('my_styles.py')}:Styles"


class Pixels:
    """A feature network whose features are the pixels."""

    device = get_device("cpu")

    def __call__(self, pictures):
        return pictures.reshape(len(pictures), -1), None


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(projection, "DRAWS", 20)


@pytest.fixture
def codes():
    return Codes(Styles((8, 8, 1), rng=np.random.default_rng(0)), "styles")


@pytest.fixture
def conditional():
    """A conditional model without styles, whose weights are as large as after training."""
    rng = np.random.default_rng(0)
    model = CDCGAN((16, 16, 1), latent_dim=3, features=2, n_classes=3, rng=rng)
    values = model.networks["G"].parameters().values
    values[:] = rng.normal(0, 0.4, values.shape)
    return Codes(model, "cdcgan")


def test_the_w_of_a_sample_is_found(codes):
    w = codes.of((77,))  # (1, L, D), the same in every layer
    target = codes.samples(w)[0]
    found = project(codes, target, draw(codes, None, 0, Pixels()), Pixels(), steps=300, starts=2)
    np.testing.assert_allclose(found.code, w[0], atol=0.02)
    assert found.measures["found"] < found.measures["mean"] / 1000
    assert found.measures["features_found"] < 0.1 * found.measures["features_nearest"]
    np.testing.assert_allclose(found.found, codes.samples(found.code[None])[0], atol=1e-6)


def test_a_w_for_each_layer_comes_nearer_to_another_picture(codes):
    target = np.random.default_rng(1).uniform(-0.5, 0.5, (8, 8, 1)).astype(np.float32)
    draws = draw(codes, None, 0, Pixels())
    one, each = (project(codes, target, draws, Pixels(), per_layer=several, steps=200) for several in (False, True))
    assert (one.code == one.code[0]).all() and one.code.shape == each.code.shape == (L, D)
    assert (each.code[1:] != each.code[0]).all()
    assert each.measures["found"] < one.measures["found"] < min(one.measures[name] for name in ("mean", "nearest"))


def test_the_z_of_a_sample_is_found_in_its_class(conditional):
    z, label = conditional.of((5,)), np.array([2])
    target = conditional.samples(z, label)[0]
    right, wrong = (
        project(conditional, target, draw(conditional, k, 0, Pixels()), Pixels(), k, steps=80) for k in (2, 0)
    )
    assert right.measures["found"] < 0.1 * right.measures["nearest"] < right.measures["mean"]
    assert right.measures["found"] < 0.1 * wrong.measures["found"]
    np.testing.assert_allclose(right.found, conditional.samples(right.code[None], label)[0], atol=1e-6)


def test_the_best_of_several_searches_counts_and_none_influences_another(codes):
    target = np.random.default_rng(2).uniform(-0.5, 0.5, (8, 8, 1)).astype(np.float32)
    draws = draw(codes, None, 0, Pixels())
    ways = [search(codes, target, draws.codes[some], None, 30, 0.1, True) for some in (slice(0, 3), slice(2, 3))]
    np.testing.assert_allclose(ways[0][:, 2:], ways[1], atol=1e-5)
    np.testing.assert_array_equal(ways[0][0], draws.codes[:3])  # the film begins with the start
    far = Draws(draws.codes, draws.samples, draws.features, draws.mean + 50)
    alone, several = (project(codes, target, far, Pixels(), steps=30, starts=n) for n in (1, 3))
    assert several.measures["found"] < alone.measures["found"]
    np.testing.assert_array_equal(several.film[-1], several.found)


def test_the_error_is_a_mean_over_pixels_and_channels():
    target = np.zeros((2, 2, 3))
    samples = np.stack([target, target + 0.5, np.eye(2)[..., None] + target])
    np.testing.assert_allclose(squared_errors(samples, target), [0, 0.25, 0.5])


def test_files_with_one_name_have_a_number():
    taken = {"a": 1, "a-2": 2}
    assert unused("a", taken) == "a-3" and unused("b", taken) == "b"


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    """The folder of a run of a model with styles, and pictures."""
    folder = tmp_path_factory.mktemp("projected")
    own = OWN.removeprefix("--model ")
    assert run(f"train {own} --data digits --limit 64 --img-size 8 --n-steps 3 --out {folder}/run --quiet") == 0
    rng = np.random.default_rng(0)
    for name, size in (("me", (8, 8, 1)), ("pictures/wide", (10, 24, 3))):
        path = folder / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        to_image(to_bytes(rng.uniform(-1, 1, size))).save(path)
    return folder


def test_a_picture_is_projected_stored_and_drawn_again(styled, capsys):
    assert run(f"project {styled}/run {styled}/me.png {styled}/pictures --resize --steps 3 -o out {OWN}") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["picture", "error", "of", "w̄"] and lines[-1] == "out" and err == ""
    assert [line.split()[0] for line in lines[1:-1]] == ["me", "wide"]
    names = [f"{stem}.{suffix}" for stem in ("me", "wide") for suffix in ("gif", "npz", "png")]
    assert sorted(os.listdir("out")) == sorted([*names, "projection.json"])
    found = json.loads(Path("out/projection.json").read_text())
    assert found["features"] == "digits" and found["pictures"]["me"]["picture"] == f"{styled}/me.png"
    with Image.open("out/me.gif") as film:
        assert film.n_frames == 4 and film.size == (384, 192)
    assert np.load("out/me.npz")["w"].shape == (L, D)
    assert run(f"sample {styled}/run --seed out/me.npz --separate --out again {OWN}") == 0
    with Image.open("again/me.png") as again, Image.open("out/me.png") as table:
        x, y = table.width - 66, table.height - 66
        cell = np.asarray(table)[y + 4 : -2 : 8, x + 4 : -2 : 8]
        np.testing.assert_array_equal(np.asarray(again), cell)


def test_what_is_refused(styled, capsys):
    Path("note.txt").write_text("no picture")
    Path("empty").mkdir()
    Path("broken.png").write_bytes((styled / "me.png").read_bytes()[:60])
    me, wide = styled / "me.png", styled / "pictures/wide.png"
    for line, said in (
        (f"{wide}", "wide.png has 10x24 pixels, and the run draws 8x8: add --resize to cut and resize it"),
        ("nothing.png", "there is no file nothing.png"),
        ("note.txt", "note.txt is not a picture, whatever its name says"),
        ("empty", "empty has no pictures in it: give a picture, or a folder of them"),
        ("broken.png", "broken.png is damaged or cut off"),
        ("", "required: PICTURE"),
        (f"{me} --steps 0", "--steps: 0 is less than 1"),
        (f"{me} --starts 0", "--starts: 0 is less than 1"),
        (f"{me} --starts 1002", "--starts 1002 are too many: there are the mean and 1,000 samples to start from"),
        (f"{me} --lr 0", "--lr: 0 is not a number greater than 0"),
        (f"{me} --features vgg", "invalid choice: 'vgg'"),
        (f"{me} --class 3", "this run has no classes"),
        (f"{me} -o {me}/x", "is not a folder: give another --out"),
    ):
        assert said in refused(capsys, f"project {styled}/run {line} {OWN}"), line
    assert "is not the folder of a run" in refused(capsys, f"project {styled}/pictures {me}")


def test_a_class_is_needed_where_there_are_some_and_styles_for_a_w_of_each_layer(conditional):
    class Args:
        label, per_layer, starts = None, False, 1

    class Config:
        model, classes = "cdcgan", ()

    with pytest.raises(Exception, match="^this run has classes: say with --class which one the pictures are of$"):
        _check(Args, conditional.model, Config)
    Args.label, Args.per_layer = "1", True
    with pytest.raises(Exception, match="^--per-layer is of models that compute styles w of z"):
        _check(Args, conditional.model, Config)
    Args.per_layer = False
    assert _check(Args, conditional.model, Config)[1] == 1
    Config.model = "cyclegan"
    with pytest.raises(Exception, match="^cyclegan has no gradient by its latents"):
        _check(Args, object(), Config)

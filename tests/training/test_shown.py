"""Looking at a model changes nothing of it, and shows the same every time: exhibits, judgements, samples, modes."""

import numpy as np
import pytest
from odd import Odd, odd_run
from PIL import Image
from tiny import assert_same, make_run, train

from minigan.backend import to_numpy
from minigan.common.small_models import moments, random_batch, small_models
from minigan.errors import ModelError
from minigan.gans import MODELS
from minigan.model import Exhibit
from minigan.testing import STRICT
from minigan.training.checkpoint import model_arrays, named_arrays
from minigan.training.judges import ModesJudge, OwnJudge


def everything(model):
    """All arrays of a model, gradients as well."""
    networks = model.networks | model.frozen
    gradients = {f"{name}.gradients": to_numpy(net.parameters().grads).copy() for name, net in networks.items()}
    return model_arrays(model) | named_arrays(model.frozen) | gradients


def prepared(model, shapes):
    """The model after a step, so that statistics, moments and averages aren't what they were at first."""
    model.average_weights(0.9)
    rng = np.random.default_rng(0)
    batch = {name: model.device.array(x) for name, x in random_batch(model, shapes, 8, rng).items()}
    model.step(lambda: batch, model.device.rng(0), next(moments(model)))
    for average in model.averages.values():
        average.update()
    return model


@pytest.mark.parametrize("name", MODELS)
def test_exhibits_and_judgements_leave_every_array_and_are_the_same_every_time(name):
    for small in small_models(MODELS[name]):
        model = prepared(small.model, small.shapes)
        before = everything(model)
        shown, again = (model.show((), model.device.rng(5)) for _ in range(2))
        judged = [model.judge((), model.device.rng(5)) for _ in range(2)]
        assert_same(everything(model), before)
        assert list(shown)[0] == "samples"
        assert shown.keys() == again.keys()
        for exhibit in shown:
            np.testing.assert_array_equal(shown[exhibit].samples, again[exhibit].samples)
        assert shown["samples"].like in model.arrays
        assert judged[0] == judged[1]


@pytest.mark.parametrize("name", MODELS)
def test_samples_leave_every_array_and_follow_from_the_latents_alone(name):
    """Not from what else is in the batch."""
    for small in small_models(MODELS[name]):
        model = prepared(small.model, small.shapes)
        before, z = everything(model), model.latent(6, model.device.rng(0))
        x = model.generate(z)
        assert_same(everything(model), before)
        np.testing.assert_allclose(model.generate(z[:3]), x[:3], rtol=1e-5, atol=1e-6)


def test_a_model_of_several_networks_as_well(tmp_path):
    run = odd_run(tmp_path / "run")
    with run.feeds:
        for _ in range(7):
            run.stepper.advance()
    before, judge = everything(run.model), OwnJudge(run.model, (), 0)
    shown, again = run.gallery.show(), run.gallery.show()
    assert judge(run.model) == judge(run.model)
    assert_same(everything(run.model), before)
    assert list(shown) == ["points", "other"]
    for name, exhibit in shown.items():
        np.testing.assert_array_equal(exhibit.samples, again[name].samples)


def test_counted_modes_are_those_of_the_same_latents_every_time():
    small = next(small for small in small_models(MODELS["gan"]) if small.model.shape == (2,))
    model = prepared(small.model, small.shapes)
    before, judge = everything(model), ModesJudge(np.eye(2), 0.1, 0)
    assert judge(model) == judge(model)
    assert_same(everything(model), before)


# The gallery


def test_exhibits_come_to_the_host_and_are_drawn_by_their_kind(tmp_path):
    run = make_run(tmp_path / "run", device=STRICT)
    xp, colors = STRICT.xp, np.random.default_rng(0).uniform(-1, 1, (6, 8, 12, 3)).astype(np.float32)
    run.model.show = lambda held_out, rng: {
        "rows": Exhibit(STRICT.array(colors), columns=3),
        "plane": Exhibit(xp.zeros((5, 2), dtype=np.float32)),
    }
    shown = run.gallery.show()
    assert all(type(exhibit.samples) is np.ndarray for exhibit in shown.values())
    train(run)
    with Image.open(run.folder.pictures("rows")[-1]) as image:
        assert image.width > 3 * 12 and image.height > 2 * 8  # frames around them
    with Image.open(run.folder.pictures("plane")[-1]) as image:
        assert image.width == image.height


def test_items_that_training_doesnt_see_are_shown(tmp_path):
    items = [{"one": np.full((1, 2), i)} for i in range(3)]
    run = odd_run(tmp_path / "run", held_out=items)
    run.feeds.close()
    seen = []
    run.model.show = lambda held_out, rng: seen.append([item["one"][0, 0] for item in held_out]) or {}
    run.gallery.show()
    assert seen == [[0, 1, 2]]


def test_real_samples_are_from_all_over_the_data_and_the_same_every_time(tmp_path):
    run = make_run(tmp_path / "run")
    run.feeds.close()
    real, all_ = run.gallery.real("real", 16), run.gallery.real("real", 1000)
    assert (real.shape, all_.shape) == ((16, 16, 16, 1), (64, 16, 16, 1))
    np.testing.assert_array_equal(all_[:16], real)
    source = run.feeds.sources["data"].read(np.arange(64))["real"]
    assert not np.array_equal(real, source[:16])


X = np.zeros((4, 2), np.float32)


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (None, "what it returned is nothing: return exhibits by name"),
        ([Exhibit(X)], "what it returned is of the type list"),
        ({"x": X}, "x is of the type ndarray: return Exhibit"),
        ({"../x": Exhibit(X)}, r"an exhibit can't be called '\.\./x': use letters, digits, - and _"),
        ({"": Exhibit(X)}, "an exhibit can't be called ''"),
        ({"checkpoints": Exhibit(X)}, "an exhibit can't be called 'checkpoints'"),
        ({"x": Exhibit(3.0)}, "x is of the type float: show pictures"),
        ({"x": Exhibit(X[:, :1])}, r"x has the shape \(4, 1\): show pictures \(N, H, W, 1 or 3\), or points \(N, 2\)"),
        ({"x": Exhibit(np.zeros((4, 8, 8, 2)))}, r"x has the shape \(4, 8, 8, 2\)"),
        ({"x": Exhibit(X[:0])}, r"x has the shape \(0, 2\)"),
        ({"x": Exhibit(X, like="fake")}, "x is like 'fake', which is no array: use one, two"),
    ],
    ids=str,
)
def test_what_cannot_be_shown_is_a_sentence_with_its_place_and_leaves_nothing(tmp_path, shown, sentence):
    class Showing(Odd):
        def show(self, held_out, rng):
            return shown

    with pytest.raises(ModelError, match=rf"^Showing\.show \(test_shown\.py, line \d+\): {sentence}"):
        train(odd_run(tmp_path / "run", cls=Showing))
    assert not (tmp_path / "run").exists()

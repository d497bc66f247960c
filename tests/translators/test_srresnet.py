"""SRResNet: the gradients of its step, how low pictures are made, what becomes of colors, and that it learns."""

import numpy as np
import pytest
from still import Still, slope

from minigan.errors import ShapeError
from minigan.layers.bicubic import enlarged, shrunk
from minigan.model import Now
from minigan.translators import MODELS
from minigan.translators.luminance import luminance
from minigan.translators.srresnet import SRResNet
from minigan.translators.super_resolution import psnr_of_batch

SMALL = {"features": 4, "blocks": 2}


def make(scale=2, channels=3, size=12, seed=0, **options):
    return SRResNet((size, size, channels), scale, **SMALL | options, rng=np.random.default_rng(seed))


def photos(n, size, channels, seed=1):
    """Smooth pictures with edges, in [−1, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size][..., None] / 4
    a, b, c = rng.uniform(-1, 1, (3, n, 1, 1, channels))
    return np.tanh(4 * np.sin(a * x + b * y + 6 * c)).astype(np.float32)


def batch_of(model, channels=3, n=3, size=12, seed=1):
    made = [model.damage({"high": one}, np.random.default_rng(seed)) for one in photos(n, size, channels, seed)]
    return {name: np.stack([one[name] for one in made]) for name in made[0]}


def step(model, batch, progress=0.0):
    return model.step(lambda: batch, None, Now(0, 0, np.random.default_rng(0), progress))


@pytest.mark.parametrize("loss", ["l1", "l2"])
@pytest.mark.parametrize("options", [{}, {"colors": "rgb"}, {"norm": "batch", "residual": False}])
def test_the_steps_gradient_is_that_of_the_loss(loss, options):
    model = make(loss=loss, **options)
    G = model.networks["G"].to(dtype="float64")
    model.optimizers["G"] = Still(G.parameters())
    batch = {name: a.astype(np.float64) for name, a in batch_of(model).items()}
    step(model, batch)
    grads, direction = G.parameters().grads.copy(), np.random.default_rng(2).standard_normal(len(G.parameters()))
    found = slope(lambda: step(model, batch)[loss], G.parameters().values, direction)
    assert found == pytest.approx(grads @ direction, rel=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_low_pictures_are_the_bytes_of_the_scaler(scale):
    """The high picture is cut to a multiple of the scale; the low one has the values of a file."""
    model = make(scale)
    high = photos(1, 14, 3)[0][:, :13]
    made = model.damage({"high": high}, np.random.default_rng(0))
    H, W = 14 // scale * scale, 13 // scale * scale
    np.testing.assert_array_equal(made["high"], high[:H, :W])
    levels = np.rint(127.5 * (made["high"] + 1)).astype(np.uint8)
    np.testing.assert_array_equal(np.rint(127.5 * (made["low"] + 1)), shrunk(levels, scale))
    assert made["low"].dtype == np.float32
    assert np.abs(made["low"]).max() <= 1
    for edge in (-1, 1):  # beyond black and white, as after rounding
        beyond = model.damage({"high": np.full((8, 8, 3), 1.01 * edge, np.float32)}, np.random.default_rng(0))["low"]
        np.testing.assert_allclose(beyond, edge, atol=1e-6)


def test_more_damage_comes_after_the_scaler():
    plain, noisy = make(), make(damage="noise:20")
    high = photos(1, 64, 3)[0]
    low = [model.damage({"high": high}, np.random.default_rng(0))["low"] for model in (plain, noisy)]
    assert (low[1] - low[0]).std() == pytest.approx(20 / 127.5, rel=0.05)
    with pytest.raises(ValueError, match="no holes or colors"):
        make(damage="hole:center")
    with pytest.raises(ValueError, match="no holes or colors"):
        make(damage="gray")
    with pytest.raises(ValueError, match="is unknown"):
        make(damage="rain:1")


def test_colors_are_enlarged_bicubically_and_luminance_by_the_network():
    model = make(scale=3)
    x = 0.5 * batch_of(model)["low"]
    y = model.apply(x)
    G = model.networks["G"].output(luminance(x)[..., None], train=False)[..., 0]
    np.testing.assert_allclose(luminance(y), G, atol=1e-6)
    bicubic = enlarged(x, 3)
    np.testing.assert_allclose(y[..., 0] - y[..., 1], bicubic[..., 0] - bicubic[..., 1], atol=1e-6)
    assert np.abs(y - bicubic).max() > 1e-3
    gray = make(scale=3, channels=1)
    np.testing.assert_array_equal(
        gray.apply(x[..., :1]), gray.networks["G"].output(x[..., :1], train=False).clip(-1, 1)
    )
    rgb = make(scale=3, colors="rgb")
    np.testing.assert_array_equal(rgb.apply(x), rgb.networks["G"].output(x, train=False).clip(-1, 1))


def test_the_psnr_of_a_batch_is_that_of_its_mean_error_in_a_range_of_2():
    high = photos(3, 8, 1)
    y = high + np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1, 1)
    assert psnr_of_batch(y, high) == pytest.approx(10 * np.log10(4 / np.mean([0.01, 0.04, 0.09])), rel=1e-5)


def test_results_and_baseline_are_clipped():
    model = make(channels=1)
    x = np.where(np.arange(8) % 2, 1, -1).astype(np.float32) * np.ones((1, 8, 1), np.float32)
    item = {"low": x[..., None]}
    assert np.abs(enlarged(item["low"], 2)).max() > 1
    for found in (model.translate(item), model.baseline(item)):
        assert np.abs(found["high"]).max() <= 1
    np.testing.assert_array_equal(model.translate(item)["high"], model.apply(item["low"]))
    np.testing.assert_array_equal(model.baseline(item)["high"], enlarged(item["low"], 2).clip(-1, 1))


@pytest.mark.parametrize("scale", [2, 4])
def test_it_learns_to_be_better_than_bicubic(scale):
    model = make(scale, channels=1, size=24, features=8, lr=1e-2)
    batch = batch_of(model, channels=1, n=8, size=24)

    def error(y):
        return float(np.abs(y["high"] - batch["high"]).mean())

    for _ in range(150):
        measured = step(model, batch)
    assert error(model.translate(batch)) < 0.75 * error(model.baseline(batch))
    gap = model.networks["G"].output(batch["low"]) - batch["high"]
    assert measured["batch_psnr"] == pytest.approx(10 * np.log10(4 / (gap**2).mean()), abs=1)


def test_the_average_of_weights_enlarges_if_there_is_one():
    model = make()
    model.average_weights(0.9)
    batch = batch_of(model)
    step(model, batch)
    averaged = model.apply(batch["low"])
    model.averages = {}
    assert not np.array_equal(averaged, model.apply(batch["low"]))


@pytest.mark.parametrize("name", ["srresnet", "srgan"])
@pytest.mark.parametrize(
    ("given", "features", "blocks"),
    [({}, 16, 5), ({"features": 3}, 3, 5), ({"blocks": 2}, 16, 2), ({"features": 3, "blocks": 1}, 3, 1)],
)
def test_features_and_blocks_are_those_of_the_preset_or_given(name, given, features, blocks):
    more = {"adversarial": 0.0, "content": "none"} if name == "srgan" else {}
    model = MODELS[name]((8, 8, 1), scale=2, preset="small", **given, **more, rng=np.random.default_rng(0))
    slopes = [layer for _, layer in model.networks["G"].walk() if type(layer).__name__ == "PReLU"]
    assert [len(layer.slope) for layer in slopes] == [features] * (1 + blocks)


def test_crops_smaller_than_the_scale_are_refused():
    with pytest.raises(ShapeError, match="`img_size` 3×3 is smaller than the scale 4"):
        make(4, size=3)
    assert (make(4, size=15).crop, make(3, size=15).scale, make(4, size=4).crop) == ((12, 12), 3, (4, 4))
    assert SRResNet((15, 9, 1), 4, **SMALL, rng=np.random.default_rng(0)).crop == (12, 8)
    assert MODELS["srresnet"] is SRResNet

"""Enlargement: every kind of picture, tiles that equal the whole, the blend of two stages, and the predicted time."""

import numpy as np
import pytest
from appliers import Changes, photo, save, smoother
from PIL import Image

from minigan.apply import Applier, applier, apply_all, jobs
from minigan.errors import DataError
from minigan.layers import Conv2D, ConvTranspose2D, Sequential
from minigan.translators.srresnet import SRResNet


def thrice(seed=0):
    """A network that makes pictures three times as high and wide."""
    up = ConvTranspose2D(3, 3, 5, stride=3, padding=1, rng=np.random.default_rng(seed))
    return Sequential(smoother(seed=seed), up)


class TwoStages(Changes):
    """Blends the weights of two networks."""

    scale = 3

    def __init__(self):
        super().__init__(thrice(0), applied=("F",))
        self.ends = [{name: x.copy() for name, x in thrice(k).state_dict().items()} for k in (0, 1)]

    def set_strength(self, s):
        first, last = self.ends
        self.networks["F"].layers[0].load_state_dict({name: (1 - s) * first[name] + s * last[name] for name in first})


@pytest.mark.parametrize("size", [(13, 40), (300, 301)])
def test_tiles_of_an_enlargement_equal_the_whole(size):
    model, x = Changes(thrice()), photo(*size).astype(np.float32) / 127.5 - 1
    y = Applier(model)(x)
    assert y.shape == (3 * size[0], 3 * size[1], 3)
    np.testing.assert_allclose(y, model.apply(x[None])[0], atol=2e-6)


def test_every_kind_of_picture_is_enlarged_as_what_it_is(tmp_path):
    save(tmp_path / "in/color.png", photo(10, 14))
    save(tmp_path / "in/gray.png", photo(10, 14, 1))
    save(tmp_path / "in/alpha.png", photo(10, 14, 4))
    Image.fromarray(photo(10, 14)).quantize(9).save(tmp_path / "in/palette.png")
    Image.fromarray(photo(10, 14, 1, 16)[..., 0]).save(tmp_path / "in/deep.png")
    work, _ = jobs([tmp_path / "in"], tmp_path / "out")
    assert not apply_all(Applier(Changes(thrice())), work).failed
    modes = {}
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as image:
            assert image.size == (42, 30)
            modes[path.stem] = image.mode
    assert modes.pop("deep").startswith("I")
    assert modes == {"color": "RGB", "gray": "L", "alpha": "RGBA", "palette": "RGB"}


def test_alpha_is_enlarged_apart_from_the_colors(tmp_path):
    """Alpha doesn't go through the network: whatever the weights are, it is the bicubic enlargement."""
    pixels = photo(10, 14, 4)
    save(tmp_path / "in.png", pixels)
    apply_all(Applier(Changes(thrice())), jobs([tmp_path / "in.png"], tmp_path / "out.png")[0])
    with Image.open(tmp_path / "out.png") as image:
        alpha = np.asarray(image)[..., 3]
    wanted = Image.fromarray(pixels[..., 3].astype(np.float32)).resize((42, 30), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(alpha, np.clip(np.asarray(wanted), 0, 255), atol=0.501)


def test_strength_blends_the_weights_of_two_stages():
    x = photo(20, 24).astype(np.float32) / 127.5 - 1
    first, middle, last = (Applier(TwoStages(), strength=s)(x) for s in (0, 0.5, 1))
    np.testing.assert_array_equal(first, Applier(Changes(thrice(0)))(x))
    np.testing.assert_allclose(last, Applier(Changes(thrice(1)))(x), atol=1e-6)
    assert np.abs(middle - first).max() > 0.01 and np.abs(middle - last).max() > 0.01


class Unfinished(TwoStages):
    def set_strength(self, s):
        raise ValueError("the run is in its first stage: train it further")


@pytest.mark.parametrize(
    ("model", "strength", "what"),
    [
        (TwoStages(), 1.5, "1.5 isn't in the range from 0"),
        (TwoStages(), float("nan"), "isn't in the range from 0"),
        (Changes(thrice()), 0.5, "Changes has one stage of training, and nothing to blend"),
        (Unfinished(), 0.5, "can't be set: the run is in its first stage: train it further"),
    ],
)
def test_a_strength_that_means_nothing_is_refused(model, strength, what):
    with pytest.raises(DataError, match=what):
        Applier(model, strength=strength)


def test_the_predicted_time_is_that_of_a_small_picture_by_pixels(monkeypatch):
    """By this clock, 128 x 128 pixels take 2 s. Tiles overlap, so 600 x 128 take longer than their share."""
    ticks = iter(range(0, 2000, 2))
    monkeypatch.setattr(applier, "perf_counter", lambda: next(ticks))
    one = Applier(Changes(Conv2D(3, 3, 3, padding=1)))
    assert one.seconds([(128, 128)]) == pytest.approx(2)
    assert one.seconds([(64, 128), (192, 128)]) == pytest.approx(4)
    assert 2 * 600 / 128 < one.seconds([(600, 128)]) < 2 * 800 / 128
    assert Applier(Changes(Conv2D(3, 3, 3, padding=1), multiple=50)).seconds([(60, 99)]) == pytest.approx(2 * 4 / 9)


@pytest.mark.parametrize("options", [{}, {"residual": False}, {"colors": "rgb"}, {"preset": "paper", "norm": "batch"}])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_tiles_of_srresnet_equal_the_whole_also_where_colors_are_enlarged_apart(scale, options):
    """The bicubic path and the colors, which don't pass the network, are within its receptive field."""
    rng = np.random.default_rng(0)
    model = SRResNet((24, 24, 3), scale=scale, features=3, blocks=2, **options, rng=rng)
    values = model.networks["G"].parameters().values
    values += 0.05 * rng.standard_normal(values.shape).astype(np.float32)
    x = photo(60, 290).astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(Applier(model)(x), model.apply(x[None])[0], atol=1e-5)

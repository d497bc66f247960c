"""PatchGAN: each logit sees a window of the stated size, and no more."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import BatchNorm, Conv2D, InstanceNorm
from minigan.translators.norms import norm_of
from minigan.translators.patchgan import build_patchgan, check_size, field_for

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("field", [1, 16, 34, 70])
def test_a_logit_sees_a_window_of_the_stated_size(field):
    D = build_patchgan(1, field, 1, rng=RNG)
    logits, cache = D.forward(RNG.standard_normal((1, 160, 160, 1)))
    dlogits = np.zeros_like(logits)
    middle = logits.shape[1] // 2
    dlogits[0, middle, middle] = 1
    rows, columns = D.backward(dlogits, cache, wrt="input")[0, :, :, 0].nonzero()
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == field


def test_layers_and_logits_of_the_paper():
    D = build_patchgan(6, 70, 64, norm_of("batch", RNG), rng=RNG)
    convolutions = [layer for layer in D.layers if isinstance(layer, Conv2D)]
    assert [(c.in_channels, c.out_channels) for c in convolutions] == [
        (6, 64), (64, 128), (128, 256), (256, 512), (512, 1)
    ]  # fmt: skip
    assert [c.bias for c in convolutions] == [True, False, False, False, True]
    assert sum(isinstance(layer, BatchNorm) for layer in D.layers) == 3
    assert build_patchgan(1, 70, 1, rng=RNG).output(np.zeros((1, 256, 256, 1))).shape == (1, 30, 30, 1)


def test_the_field_of_one_is_a_discriminator_of_pixels():
    D = build_patchgan(3, 1, 4, norm_of("instance", RNG), rng=RNG)
    assert D.output(RNG.standard_normal((2, 5, 7, 3))).shape == (2, 5, 7, 1)
    assert [layer.out_channels for layer in D.layers if isinstance(layer, Conv2D)] == [4, 8, 1]
    assert sum(isinstance(layer, InstanceNorm) for layer in D.layers) == 1


@pytest.mark.parametrize(
    ("size", "field"), [((32, 32), 16), ((64, 64), 16), ((96, 128), 16), ((128, 128), 34), ((256, 300), 70)]
)
def test_the_default_is_about_a_quarter_of_the_picture(size, field):
    assert field_for(size) == field
    check_size(size, field)


@pytest.mark.parametrize(("field", "least"), [(1, 1), (16, 6), (34, 12), (70, 24)])
def test_pictures_that_are_too_small_are_refused(field, least):
    D = build_patchgan(1, field, 2, norm_of("instance", RNG), rng=RNG)
    x = RNG.standard_normal((1, least, 40, 1))
    check_size((least, 40), field)
    if field > 1:
        assert D.forward(x)[0].shape[1] == 1
        with pytest.raises(ShapeError, match=f"`field` {field} is too large for pictures of {least - 1}×40 pixels"):
            check_size((least - 1, 40), field)
        with pytest.raises(ShapeError):
            D.forward(x[:, : least - 1, : least - 1])


def test_other_fields_and_norms_are_refused():
    with pytest.raises(ValueError, match="`field` is 50: choose from 1, 16, 34, 70"):
        build_patchgan(3, 50, rng=RNG)
    with pytest.raises(ValueError, match="`field` is 50"):
        check_size((64, 64), 50)
    with pytest.raises(ValueError, match="`norm` is 'group': choose from instance, batch, none"):
        norm_of("group", RNG)

"""Damages: what each does to a picture, that it follows from its generator, and what wrong words are answered."""

import numpy as np
import pytest

from minigan.translators.damages import BYTE, Damages

RAMP = np.linspace(-1, 1, 120, dtype=np.float32)[None, :, None] * np.ones((90, 1, 3), np.float32)  # (90, 120, 3)
FLAT = np.zeros((200, 300, 1), np.float32)


def damaged(text, x=RAMP, seed=0, **options):
    return Damages(text, **options)(x, np.random.default_rng(seed))


@pytest.mark.parametrize("text", ["noise:25", "noise:5-50,blur:1", "salt:0.1", "jpeg:30", "gray", "fade", "hole:blobs"])
def test_the_damage_follows_from_the_generator_and_the_clean_picture_stays_as_it_was(text):
    before = RAMP.copy()
    first, again, other = (damaged(text, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    drawn = text not in ("jpeg:30", "gray")
    assert drawn != np.array_equal(first["damaged"], other["damaged"])
    assert np.array_equal(RAMP, before)
    assert first["damaged"].dtype == np.float32
    assert first["damaged"].shape == RAMP.shape


def test_noise_has_its_sigma_in_bytes_and_is_clipped_only_on_request():
    x = damaged("noise:25", FLAT)["damaged"]
    assert x.std() / BYTE == pytest.approx(25, rel=0.01)
    assert abs(x.mean()) / BYTE < 0.5
    white = np.ones((200, 300, 1), np.float32)
    assert (damaged("noise:25", white)["damaged"] > 1).mean() == pytest.approx(0.5, abs=0.01)
    clipped = damaged("noise:25", white, clip=True)["damaged"]
    assert clipped.max() == 1
    assert (1 - clipped).mean() / BYTE == pytest.approx(25 / np.sqrt(2 * np.pi), rel=0.03)  # E max(0, noise)


def test_a_range_draws_a_number_for_each_picture():
    sigmas = [damaged("noise:5-50", FLAT, seed)["damaged"].std() / BYTE for seed in range(40)]
    assert 4.9 < min(sigmas) < 12
    assert 43 < max(sigmas) < 50.5


def test_salt_replaces_a_share_of_the_pixels_in_all_channels_half_by_black_half_by_white():
    x = damaged("salt:0.2", np.zeros((200, 300, 3), np.float32))["damaged"]
    assert (x == x[..., :1]).all()
    assert [(x == value).mean() for value in (-1, 0, 1)] == pytest.approx([0.1, 0.8, 0.1], abs=0.01)


def test_blur_spreads_a_point_as_a_gaussian_and_keeps_a_flat_picture():
    point = np.zeros((41, 41, 1), np.float32)
    point[20, 20] = 1
    y = damaged("blur:2", point)["damaged"][..., 0]
    i = np.arange(41) - 20
    assert y.sum() == pytest.approx(1, rel=1e-5)
    assert (y * i**2).sum() == pytest.approx(4, rel=0.03)  # variance down the rows, cut off at 3 σ
    assert (y * i[:, None] ** 2).sum() == pytest.approx(4, rel=0.03)
    np.testing.assert_allclose(damaged("blur:30", np.full((9, 7, 3), 0.5, np.float32))["damaged"], 0.5, rtol=1e-5)


def test_jpeg_is_pillows():
    from io import BytesIO

    from PIL import Image

    bytes_ = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(bytes_).save(file, "JPEG", quality=20)
    expected = np.asarray(Image.open(file), np.float32) * BYTE - 1
    np.testing.assert_allclose(damaged("jpeg:20", bytes_ * np.float32(BYTE) - 1)["damaged"], expected, atol=1e-6)
    assert damaged("jpeg:20", FLAT)["damaged"].shape == FLAT.shape


def test_gray_is_the_luminance_that_pillow_computes():
    from PIL import Image

    bytes_ = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    y = damaged("gray", bytes_ * np.float32(BYTE) - 1)["damaged"]
    expected = np.asarray(Image.fromarray(bytes_).convert("L"), np.float32) * BYTE - 1
    np.testing.assert_allclose(y, np.repeat(expected[..., None], 3, axis=2), atol=1.01 * BYTE)  # L is rounded to bytes
    assert np.array_equal(y, damaged("gray".replace("a", "e"), bytes_ * np.float32(BYTE) - 1)["damaged"])


def test_fade_takes_color_and_contrast_away():
    x = np.random.default_rng(0).uniform(-1, 1, (20, 30, 3)).astype(np.float32)
    none, some, more = (damaged(f"fade:{amount}", x)["damaged"] for amount in (0, 0.3, 0.9))
    np.testing.assert_allclose(none, x, atol=1e-6)
    colors = [np.ptp(y - y.mean((0, 1)), axis=2).mean() for y in (none, some, more)]
    assert colors[0] > colors[1] > colors[2] > 0
    assert none.std() > some.std() > more.std()
    assert more[..., 0].mean() > more[..., 2].mean()  # a tint of yellow: more red than blue


@pytest.mark.parametrize("size", [(64, 64), (37, 90), (8, 8)])
def test_holes_hide_their_pixels_and_nothing_else(size):
    x = np.random.default_rng(1).uniform(0.5, 1, (*size, 3)).astype(np.float32)
    for text, least, most in (("hole:center", 0.2, 0.26), ("hole:blobs", 0.19, 0.31)):
        made = damaged(text, x)
        mask = made["mask"]
        assert (mask.shape, mask.dtype) == ((*size, 1), np.uint8)
        assert least < (mask == 0).mean() < most
        assert np.array_equal(made["damaged"], x * mask)
    assert (damaged("hole:center", x)["mask"][0] == 1).all()


def test_blobs_are_blobs():
    """Pixels of single noise would have about four edges each."""
    mask = damaged("hole:blobs", FLAT)["mask"][..., 0].astype(int)
    edges = np.abs(np.diff(mask, axis=0)).sum() + np.abs(np.diff(mask, axis=1)).sum()
    assert edges / (mask == 0).sum() < 0.6


def test_several_damages_come_in_their_order():
    by_hand, rng = damaged("blur:1.5")["damaged"], np.random.default_rng(0)
    rng.uniform()  # the number of the blur
    by_hand = Damages("noise:10")(by_hand, rng)["damaged"]
    assert np.array_equal(damaged("blur:1.5, noise:10")["damaged"], by_hand)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nois:25", "'nois:25' is unknown: choose from noise, salt, blur, jpeg, gray, fade, hole:center, hole:blobs"),
        ("", "'' lacks a damage: choose from noise"),
        ("blur:2,", "'blur:2,' lacks a damage"),
        ("noise", "noise takes σ from 0 to 255, on the scale of bytes, such as noise:25 or noise:5-50"),
        ("noise:300", "noise takes σ from 0 to 255"),
        ("noise:50-5", "a range begins with its smaller number, as noise:5-50"),
        ("noise:25 blur:2", "noise:5-50, and several damages are separated by commas"),
        ("noise:-5", "noise takes σ"),
        ("noise:1e400", "noise takes σ"),
        ("salt:5", "a share of the pixels from 0 to 1"),
        ("blur:0", "σ in pixels from 0.1 to 50"),
        ("jpeg:100", "a quality from 1 to 95"),
        ("gray:3", "gray takes no number"),
        ("fade:1", "an amount from 0 to 0.95"),
        ("hole", "choose from hole:center, hole:blobs"),
        ("hole:big", "choose from hole:center, hole:blobs"),
        ("noise:5,hole:blobs", "a hole is a damage of its own, since no other pixel changes when it is filled"),
        ("hole:blobs,noise:5", "a hole is a damage of its own"),
        ("hole:blobs,hole:center", "a hole is a damage of its own"),
    ],
)
def test_wrong_words_get_a_sentence(text, sentence):
    with pytest.raises(ValueError, match="`damage`") as caught:
        Damages(text)
    assert sentence in str(caught.value)


def test_gray_needs_colors():
    with pytest.raises(ValueError, match="use pictures in color"):
        Damages("blur:1,gray").check_channels(1)
    Damages("gray").check_channels(3)
    Damages("noise:5").check_channels(1)

"""The network of photos that ships: what it takes, what it returns, and that its kernel distance grows with damage."""

import os
from pathlib import Path

import numpy as np
import pytest

from minigan.backend import array_module, to_numpy
from minigan.data import open_dataset
from minigan.errors import CheckpointError, MiniganError, ShapeError
from minigan.metrics import kernel_distance_error, open_features, photo_classifier
from minigan.metrics.classifier import write_weights
from minigan.metrics.photo_classifier import DAMAGES, FEATURES, PhotoClassifier, build_photo_classifier, split_logits
from minigan.testing import devices_under_test, forbid_transfers
from minigan.translators.damages import Damages

NETWORK = PhotoClassifier()
# In a folder of published sets of pictures; no photo of this one was trained on
PHOTOS = Path(os.environ.get("MINIGAN_TEST_SETS", "none")) / "sunflowers"
SHAPES = open_dataset("shapes", 32, limit=120).batch(np.arange(120))


def damaged(x, text):
    damage, rng = Damages(text, clip=True), np.random.default_rng(0)
    return np.stack([damage(picture, rng)["damaged"] for picture in x])


def kid(x, y):
    return kernel_distance_error(NETWORK(x)[0], NETWORK(y)[0])[0]


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (32, 32), (129, 97)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_color(size, channels):
    x = np.random.default_rng(0).uniform(-1, 1, (3, *size, channels)).astype(np.float32)
    features, p = NETWORK(x)
    assert features.shape == (3, FEATURES) == (3, NETWORK.n_features) and p.shape == (3, 0)
    assert features.dtype == np.float32 and np.isfinite(features).all()
    if channels == 1:
        np.testing.assert_array_equal(NETWORK(np.repeat(x, 3, axis=3))[0], features)


def test_the_features_are_compressed_means_of_four_depths():
    """The part of each depth is the mean over its pixels, normalized, and sign(f) log(1 + |f|) of that."""
    parts, x = [], SHAPES[:4]
    network, norm = NETWORK.network[0].layers
    while True:
        *depth, last = network.layers
        for layer in depth:
            x = layer.output(x, train=False)
        parts.append(x.mean(axis=(1, 2)))
        if len(parts) == 4:
            break
        network = last.layers[1]
    f = (np.concatenate(parts, axis=1) - norm.running_mean) / np.sqrt(norm.running_var + norm.eps)
    np.testing.assert_allclose(NETWORK(SHAPES[:4])[0], np.sign(f) * np.log1p(np.abs(f)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
def test_every_device_gives_the_same_without_a_copy_to_the_host(device):
    network, x = PhotoClassifier(device), SHAPES[:5]
    with forbid_transfers():
        answers = network(device.array(x))
    for answer, expected in zip(answers, NETWORK(x), strict=True):
        assert array_module(answer) is device.xp and answer.dtype == np.float32
        np.testing.assert_allclose(to_numpy(answer), expected, atol=1e-4)


def test_many_pixels_are_computed_in_parts(monkeypatch):
    whole = NETWORK(SHAPES[:7])[0]
    for pixels in (1, 2 * 32 * 32):  # one picture at a time, and two
        monkeypatch.setattr(photo_classifier, "AT_ONCE", pixels)
        np.testing.assert_allclose(NETWORK(SHAPES[:7])[0], whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 28, 28, 2), (0, 8, 8, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match="the network of photos takes float32 pictures"):
        NETWORK(np.zeros(shape, np.float32))


def test_its_numbers_are_not_comparable_and_it_has_no_inception_score():
    assert not NETWORK.comparable and NETWORK.classes == () and NETWORK.usual == ("kid", "pr")
    with pytest.raises(MiniganError, match="there is no feature network 'photo'"):
        open_features("photo")


@pytest.mark.parametrize("ladder", ["noise: 5 15 40", "blur: 0.7 1.5 3", "jpeg: 40 15 5", "salt: 0.01 0.05 0.2"])
def test_kid_grows_with_damage(ladder):
    name, _, strengths = ladder.partition(":")
    real, fake = SHAPES[:60], SHAPES[60:]
    values = [kid(fake, real), *(kid(damaged(fake, f"{name}:{strength}"), real) for strength in strengths.split())]
    assert np.all(np.diff(values) > 0), values


def test_kid_grows_with_lost_modes():
    """Of sixty pictures only every fifth is kept, five times, then every fifteenth."""
    real, fake = SHAPES[:60], SHAPES[60:]
    values = [kid(np.repeat(fake[::every], every, axis=0), real) for every in (1, 5, 15)]
    assert np.all(np.diff(values) > 0), values


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs published sets of pictures in MINIGAN_TEST_SETS")
def test_kid_of_photos_grows_with_damage():
    real, fake = (open_dataset(str(PHOTOS), 64, split=split) for split in ("train", "test"))
    real, fake = real.batch(np.arange(40)), fake.batch(np.arange(len(fake)))
    for ladder in (
        ("noise:5", "noise:20", "noise:60"),
        ("blur:1", "blur:2", "blur:4"),
        ("jpeg:30", "jpeg:10", "jpeg:3"),
    ):
        values = [kid(fake, real), *(kid(damaged(fake, text), real) for text in ladder)]
        assert np.all(np.diff(values) > 0), (ladder, values)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs published sets of pictures in MINIGAN_TEST_SETS")
def test_the_network_tells_how_a_photo_is_damaged():
    x = open_dataset(str(PHOTOS), 64).batch(np.arange(60))
    for text, kind in (("noise:40", "noise"), ("blur:2", "blur"), ("jpeg:7", "jpeg")):
        _, _, logits = split_logits(NETWORK.network.output(damaged(x, text), train=False))  # (60, 13)
        told = [DAMAGES[way].split()[0] for way in logits.argmax(axis=1)]
        assert np.mean([one == kind for one in told]) > 0.8, (text, told)


def test_what_is_written_is_what_is_read_and_anything_else_is_one_sentence(tmp_path):
    network = build_photo_classifier(np.random.default_rng(0))
    with (tmp_path / "mine.npz").open("wb") as file:
        write_weights(network, file)
    read = PhotoClassifier(weights=tmp_path / "mine.npz").network.state_dict()
    for name, array in network.state_dict().items():
        np.testing.assert_allclose(read[name], array, rtol=1e-3, atol=1e-7)

    whole = (tmp_path / "mine.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "other.npz", W=np.zeros(3))
    for name, message in (
        ("half", "is damaged"),
        ("none", "there is no file"),
        ("other", "has no weights of the network"),
    ):
        with pytest.raises(CheckpointError, match=message) as caught:
            PhotoClassifier(weights=tmp_path / f"{name}.npz")
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_the_file_is_small_and_names_the_photographers():
    folder = Path(photo_classifier.__file__).parent
    assert (folder / "photo_classifier.npz").stat().st_size < 450_000
    text = (folder / "photo_classifier_attribution.txt").read_text(encoding="utf-8")
    assert "https://creativecommons.org/licenses/by/2.0/" in text
    photos = [number for line in text.splitlines()[5:] for number in line.rpartition("): ")[2].split()]
    assert len(photos) == 3172 and all(number.isdecimal() for number in photos)

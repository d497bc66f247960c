"""The classifier of digits that ships, before pictures of which one knows what they are."""

import numpy as np
import pytest

from minigan.backend import array_module, to_numpy
from minigan.data import open_digits
from minigan.errors import CheckpointError, ShapeError
from minigan.metrics.classes import ClassCounts
from minigan.metrics.classifier import AT_ONCE, DIGITS, DigitClassifier, build_classifier, write_weights
from minigan.testing import devices_under_test, forbid_transfers

CLASSIFIER = DigitClassifier()
SET = open_digits()  # 16x16
HELD_OUT = np.arange(len(SET))[-(len(SET) // 5) :]  # examples/train_classifier.py doesn't train on these


def pictures(indices=HELD_OUT, size=16):
    return SET.fit(size).batch(indices)


def counted(x):
    counts = ClassCounts(DIGITS)
    counts.update(CLASSIFIER(x)[1])
    return counts.result()


@pytest.mark.parametrize("size", [14, 16, 28, 64])
def test_held_out_digits_are_known_at_every_size(size):
    _, p = CLASSIFIER(pictures(size=size))
    assert p.shape == (359, 11)
    assert (p[:, :10].argmax(axis=1) == SET.labels[HELD_OUT]).mean() > 0.98


def test_all_ten_digits_are_surely_there():
    found = counted(pictures())
    assert found["sure"] > 0.9 and found["classes_present"] == 10 and found["shares"]["none"] < 0.02


def test_no_digit_is_none():
    rng, x = np.random.default_rng(0), pictures(HELD_OUT[:100])
    spoiled = {
        "noise": rng.uniform(-1, 1, x.shape).astype(np.float32),
        "normal noise": rng.standard_normal(x.shape).clip(-1, 1).astype(np.float32),
        "black": np.full_like(x, -1),
        "gray": np.zeros_like(x),
        "white": np.ones_like(x),
        "pieces": np.roll(x, (8, 8), axis=(1, 2)),
        "checks": np.broadcast_to(np.indices((16, 16)).sum(axis=0)[..., None] // 2 % 2 * 2.0 - 1, x.shape).astype("f4"),
    }
    for name, pictures_of_none in spoiled.items():
        found = counted(pictures_of_none)
        assert found["sure"] < 0.03 and found["shares"]["none"] > 0.9, (name, found)


def test_features_tell_the_digits_apart():
    """The nearest mean of a class, among those of digits that were trained on, is the right one."""
    rest = np.arange(0, HELD_OUT[0], 2)
    features, _ = CLASSIFIER(pictures(rest))
    assert features.shape == (len(rest), CLASSIFIER.n_features) and np.isfinite(features).all()
    means = np.stack([features[SET.labels[rest] == k].mean(axis=0) for k in range(10)])  # (10, F)
    held_out, _ = CLASSIFIER(pictures())
    nearest = np.linalg.norm(held_out[:, None] - means, axis=2).argmin(axis=1)  # (N, 1, F) − (10, F) → (N, 10)
    assert (nearest == SET.labels[HELD_OUT]).mean() > 0.97


def test_no_feature_is_idle():
    """A covariance with a zero on its diagonal would say nothing of that direction."""
    assert CLASSIFIER(pictures())[0].std(axis=0).min() > 0.05


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
def test_every_device_gives_the_same_without_a_copy_to_the_host(device):
    x = pictures(HELD_OUT[:9])
    for shape in (x, np.repeat(x, 3, axis=3), pictures(HELD_OUT[:9], 28)):
        classifier, there = DigitClassifier(device), device.array(shape)
        with forbid_transfers():
            answers = classifier(there)
        for answer, expected in zip(answers, CLASSIFIER(shape), strict=True):
            assert array_module(answer) is device.xp and answer.dtype == np.float32
            np.testing.assert_allclose(to_numpy(answer), expected, atol=1e-4)


def test_gray_in_three_channels_is_gray_and_green_counts_more_than_blue():
    x = pictures(HELD_OUT[:20])
    for gray, color in zip(CLASSIFIER(x), CLASSIFIER(np.repeat(x, 3, axis=3)), strict=True):
        np.testing.assert_allclose(color, gray, atol=1e-4)
    channel = [CLASSIFIER(np.where(np.arange(3) == c, x, np.float32(-1)))[0] for c in range(3)]
    light = [2 * weight - 1 for weight in (0.299, 0.587, 0.114)]  # of a white pixel with one channel only
    for found, weight in zip(channel, light, strict=True):
        expected, _ = CLASSIFIER((x + 1) / 2 * (weight + 1) - 1)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_many_pictures_are_looked_at_in_parts_that_leave_no_trace():
    x = np.tile(pictures(HELD_OUT[:50]), (11, 1, 1, 1))
    assert len(x) > 2 * AT_ONCE and len(x) % AT_ONCE
    before = x.copy()
    features, p = CLASSIFIER(x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    for i in (0, 7):
        np.testing.assert_allclose(features[i::50], np.tile(features[i], (11, 1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "x", [np.zeros((2, 28, 28), np.float32), np.zeros((2, 28, 28, 2), np.float32), np.zeros((0, 8, 8, 1), np.float32)]
)
def test_other_shapes_are_refused(x):
    with pytest.raises(ShapeError, match="takes float32 pictures"):
        CLASSIFIER(x)


def test_bytes_are_refused():
    with pytest.raises(ShapeError, match=r"got uint8 \(359, 16, 16, 1\)"):
        CLASSIFIER(SET.samples[HELD_OUT])


def test_what_is_written_is_what_is_read(tmp_path):
    network = build_classifier(np.random.default_rng(0))
    with (tmp_path / "mine.npz").open("wb") as file:
        write_weights(network, file)
    read = DigitClassifier(weights=tmp_path / "mine.npz").network.state_dict()
    for name, array in network.state_dict().items():
        np.testing.assert_allclose(read[name], array, rtol=1e-3, atol=1e-7)


def spoiled_files(folder):
    whole = CLASSIFIER.network.state_dict()
    yield "nothing.npz", "there is no file"
    (folder / "text.npz").write_text("no weights")
    yield "text.npz", "damaged"
    with (folder / "short.npz").open("wb") as file:
        write_weights(CLASSIFIER.network, file)
    data = (folder / "short.npz").read_bytes()
    (folder / "short.npz").write_bytes(data[: len(data) // 2])
    yield "short.npz", "damaged"
    middle = len(data) // 2
    (folder / "bit.npz").write_bytes(data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :])
    yield "bit.npz", "damaged"
    np.savez(folder / "nan.npz", **whole | {"1.b": np.full(11, np.nan)})
    yield "nan.npz", "damaged"
    np.savez(folder / "objects.npz", **whole | {"1.b": np.array([{}] * 11)})
    yield "objects.npz", "damaged"
    np.savez(folder / "fewer.npz", **{name: whole[name] for name in list(whole)[1:]})
    yield "fewer.npz", "lacks 0.0.W"
    np.savez(folder / "other.npz", **whole | {"1.b": np.zeros(10)})
    yield "other.npz", r"1\.b has shape \(10,\)"
    np.save(folder / "array.npz", np.zeros(3))
    (folder / "array.npz.npy").rename(folder / "array.npz")
    yield "array.npz", "damaged"


def test_a_damaged_file_is_one_sentence(tmp_path):
    for name, message in spoiled_files(tmp_path):
        with pytest.raises(CheckpointError, match=message) as caught:
            DigitClassifier(weights=tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)

"""The small classifier of a user's own pictures, and the filter of samples."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics.picture_classifier import PictureClassifier, recognized
from minigan.testing import STRICT


def stripes(n, rng, shape=(8, 12, 1)):
    """Pictures with bright rows (class 0) or bright columns (class 1), with noise."""
    labels = rng.integers(0, 2, n)
    x = rng.normal(0, 0.2, (n, *shape)).astype(np.float32)
    x[labels == 0, ::2] += 0.5
    x[labels == 1, :, ::2] += 0.5
    return x.clip(-1, 1), labels


@pytest.mark.parametrize("device", ["cpu", STRICT], ids=str)
def test_it_learns_two_classes_of_oblong_pictures(device):
    rng = np.random.default_rng(0)
    classifier = PictureClassifier((8, 12, 1), 2, features=4, rng=np.random.default_rng(1), device=device)
    to_device = classifier.device.array
    loss = classifier.train(lambda: tuple(map(to_device, stripes(32, rng))), 30, seed=0)
    x, labels = stripes(300, rng)  # more than are computed at once
    assert loss < 0.3 and classifier.accuracy(x, labels) > 0.97
    p = classifier.probabilities(x)
    assert p.shape == (300, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(p[290:], classifier.probabilities(x[290:]), rtol=1e-5)


def test_a_sample_is_kept_if_its_class_is_the_most_probable_and_probable_enough():
    p = np.array([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9]])
    labels = np.array([0, 1, 1])
    assert recognized(p, labels).tolist() == [True, False, True]
    assert recognized(p, labels, 0.7).tolist() == [False, False, True]


def test_points_and_other_shapes_are_refused():
    rng = np.random.default_rng(0)
    for shape in ((2,), (8, 8, 4)):
        with pytest.raises(ShapeError, match="H, W, 1 or 3"):
            PictureClassifier(shape, 2, rng=rng)
    with pytest.raises(ShapeError, match="divide by 127.5"):
        PictureClassifier((8, 8, 1), 2, rng=rng).probabilities(np.zeros((1, 8, 8, 1), np.uint8))

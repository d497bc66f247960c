"""What the pictures of an evaluation are made of: nearest neighbors, and bars as high as the shares."""

import numpy as np
import pytest

from minigan.backend import CPU
from minigan.data.dataset import ArrayDataset
from minigan.training.evaluation import generated_pictures, real_pictures
from minigan.training.evidence import NearestReal, draw_histogram, draw_neighbors, fitted


def test_neighbors_are_found_across_batches():
    rng = np.random.default_rng(0)
    queries, real = rng.standard_normal((5, 3)), rng.standard_normal((40, 3))
    near = NearestReal(queries, k=6)
    for part in (real[:4], real[4:5], real[5:30], real[30:]):  # also batches smaller than k
        near.update(part)
    distances = np.linalg.norm(queries[:, None] - real, axis=2)
    np.testing.assert_array_equal(near.indices, np.argsort(distances, axis=1)[:, :6])
    np.testing.assert_allclose(near.distances, np.sort(distances, axis=1)[:, :6])


def test_few_real_pictures_are_all_neighbors():
    near = NearestReal(np.zeros((2, 3)), k=6)
    near.update(np.eye(3))
    assert (near.indices[:, :3] >= 0).all() and (near.indices[:, 3:] == -1).all()


def test_beside_a_sample_are_the_real_pictures_that_were_found():
    """Pictures of one shade each: pixel values in the drawing tell which they are."""
    samples = np.arange(0, 250, 10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    real = real_pictures(ArrayDataset("shades", samples), None, 0, CPU)
    near = NearestReal(np.array([[0.0], [120.0]]), k=3)
    for batch, _ in real:
        near.update((batch[:, 0, 0] + 1) * 127.5)
    drawn = np.asarray(draw_neighbors(np.zeros((2, 4, 4, 1), np.float32), near, real))[:, :, 0]
    cell = 64 + 2
    shown = drawn[2 + 32 :: cell, 2 + 32 :: cell]  # the middle of each cell
    assert shown[0].tolist() == [128, 255, 0, 10, 20]
    assert shown[1, 2] == 120 and sorted(shown[1, 3:]) == [110, 130]


@pytest.mark.parametrize("shape", [(8, 8, 3), (2, 2, 1), (4, 4, 1)])
def test_real_pictures_are_fitted_to_the_samples(shape):
    assert fitted(np.full((4, 4, 3), 0.5), shape).shape == shape
    assert (fitted(np.full((4, 4, 3), 0.5), shape) == 0.5).all()


def test_bars_are_as_high_as_the_shares():
    drawn = np.asarray(draw_histogram({"a": 0.2, "b": 0.4, "none": 0.0}, {"a": 0.4, "b": 0.1, "none": 0.0}))
    blue = (drawn == (31, 104, 180)).all(axis=2)[42:]
    gray = (drawn == (190, 190, 190)).all(axis=2)[42:]
    third = 816 // 3
    a, b = slice(64, 64 + third), slice(64 + third, 64 + 2 * third)

    def height(mask, part):
        return mask[:, part].any(axis=1).sum()

    assert height(blue, b) == pytest.approx(2 * height(blue, a), abs=3)
    assert height(gray, a) == pytest.approx(4 * height(gray, b), abs=5)


def test_a_real_set_in_the_order_of_its_classes_is_shuffled():
    samples = np.repeat(np.arange(200, dtype=np.uint8), 16).reshape(200, 4, 4, 1)
    real = real_pictures(ArrayDataset("sorted", samples), None, 0, CPU)
    seen = np.concatenate([x[:, 0, 0, 0] for x, _ in real])
    assert sorted(np.rint((seen + 1) * 127.5)) == list(range(200))
    assert abs(seen[:100].mean() - seen.mean()) < 0.1
    some = real_pictures(ArrayDataset("sorted", samples), 50, 0, CPU)
    assert some.n == sum(len(x) for x, _ in some) == 50


class Echo:
    """A conditional generator that draws its label as a shade."""

    n_classes, shape, device = 3, (2, 2, 1), CPU

    def latent(self, n, rng):
        return rng.standard_normal((n, 1)).astype(np.float32)

    def generate(self, z, labels):
        return np.broadcast_to((labels * 0.9 - 1.3)[:, None, None, None], (len(z), 2, 2, 1)).astype(np.float32)


def test_generated_pictures_come_with_what_they_were_asked_for_and_as_bytes_would_hold_them():
    n = 0
    for x, labels in generated_pictures(Echo(), 503, 0, "echo"):
        levels = (x + 1) * 127.5
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
        np.testing.assert_allclose(x[:, 0, 0, 0], np.clip(labels * 0.9 - 1.3, -1, 1), atol=1 / 255)
        assert labels.tolist() == [(n + i) % 3 for i in range(len(x))]
        n += len(x)
    assert n == 503

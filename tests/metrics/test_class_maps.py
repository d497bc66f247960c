"""Scores of class maps are those of a plain loop over pixels."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import class_iou, confusion, mean_iou, pixel_accuracy

K = 5


def draw_maps(seed=0, shape=(3, 6, 7), unknown=0.2):
    """Scores (N, H, W, K), and one-hot maps in which class 4 doesn't occur and some pixels aren't known."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(K - 1, size=shape)
    wanted = np.eye(K, dtype=np.float32)[classes] * (rng.random(shape) >= unknown)[..., None]
    scores = rng.random((*shape, K), dtype=np.float32) + wanted * np.float32(0.8)
    scores[..., 4] = -1
    return scores, wanted.astype(np.float32)


def by_loop(scores, wanted):
    """Pixel accuracy, and the IoU of each class as |both| / |either|; None for a class in neither map."""
    known = [at for at in np.ndindex(wanted.shape[:3]) if wanted[at].any()]
    pixels = [(int(scores[at].argmax()), int(wanted[at].argmax())) for at in known]
    iou = []
    for k in range(K):
        given, real = ({i for i, pair in enumerate(pixels) if pair[side] == k} for side in (0, 1))
        iou.append(len(given & real) / len(given | real) if given | real else None)
    return sum(given == real for given, real in pixels) / len(pixels), iou


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_iou_are_those_of_a_loop(seed):
    scores, wanted = draw_maps(seed)
    accuracy, iou = by_loop(scores, wanted)
    counts = confusion(scores, wanted)
    assert counts.sum() == (wanted.sum(axis=3) > 0).sum()
    assert pixel_accuracy(counts) == pytest.approx(accuracy, rel=1e-12)
    assert iou[4] is None and np.isnan(class_iou(counts)[4])
    np.testing.assert_allclose(class_iou(counts)[:4], iou[:4], rtol=1e-12)
    assert mean_iou(counts) == pytest.approx(np.mean(iou[:4]), rel=1e-12)


def test_rows_are_real_classes_and_columns_given_ones():
    wanted = np.zeros((1, 1, 2, K), np.float32)
    wanted[0, 0, :, 1] = 1
    scores = np.zeros_like(wanted)
    scores[0, 0, 0, 3] = 1  # class 1 taken for class 3
    scores[0, 0, 1, 1] = 1
    counts = confusion(scores, wanted)
    assert counts[1, 3] == counts[1, 1] == 1 and counts.sum() == 2


def test_the_matrix_of_a_set_is_the_sum_of_those_of_its_pictures():
    scores, wanted = draw_maps()
    each = np.stack([confusion(scores[n : n + 1], wanted[n : n + 1]) for n in range(3)])
    np.testing.assert_array_equal(each.sum(axis=0), confusion(scores, wanted))
    np.testing.assert_array_equal(mean_iou(each), [mean_iou(one) for one in each])
    np.testing.assert_array_equal(pixel_accuracy(each), [pixel_accuracy(one) for one in each])


def test_without_a_known_pixel_there_is_no_score():
    nothing = np.zeros((1, 2, 2, K), np.float32)
    counts = confusion(nothing, nothing)
    assert counts.sum() == 0 and np.isnan(pixel_accuracy(counts)) and np.isnan(mean_iou(counts))


def test_maps_of_different_shapes_are_refused():
    scores, wanted = draw_maps()
    with pytest.raises(ShapeError, match=r"got \(2, 6, 7, 5\) and \(3, 6, 7, 5\)"):
        confusion(scores[:2], wanted)

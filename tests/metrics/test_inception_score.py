import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.errors import MiniganError, ShapeError
from minigan.metrics import InceptionScore
from minigan.testing import forbid_transfers


def draw_probabilities(seed, n, K=6):
    logits = np.random.default_rng(seed).normal(0, 3, (n, K))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def score_of(p, splits=10):
    score = InceptionScore(len(p), splits)
    score.update(p)
    return score.result()


def by_definition(p, splits):
    """exp of the mean KL of each part, as it is written."""
    n = len(p)
    parts = [p[i * n // splits : (i + 1) * n // splits] for i in range(splits)]
    scores = [np.exp(np.mean(np.sum(part * np.log(part / part.mean(axis=0)), axis=1))) for part in parts]
    return np.mean(scores), np.std(scores)


@given(st.integers(0, 999), st.integers(1, 12), st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_any_split_into_batches_gives_the_definition(seed, splits, sizes):
    p = draw_probabilities(seed, sum(sizes) + splits)
    score = InceptionScore(len(p), splits)
    for batch in np.split(p, np.cumsum(sizes)):
        score.update(batch)
    np.testing.assert_allclose(score.result(), by_definition(p, splits), rtol=1e-12, atol=1e-14)


def test_a_perfect_generator_of_ten_classes_scores_10():
    """Sure of every picture, every class as often; log 0 comes up 9 times per picture."""
    mean, std = score_of(np.tile(np.eye(10), (20, 1)))
    assert mean == pytest.approx(10, rel=1e-13)
    assert std == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("p", [np.full(5, 0.2), np.eye(5)[2], np.array([0.5, 0.5, 0, 0, 0])])
def test_pictures_that_all_look_alike_score_1(p):
    np.testing.assert_allclose(score_of(np.tile(p, (30, 1))), (1, 0), atol=1e-13)


def test_the_parts_are_scored_on_their_own():
    """Two classes, each alone in its half: 1 in both parts, though 2 in the whole."""
    p = np.repeat(np.eye(2), 10, axis=0)
    np.testing.assert_allclose(score_of(p, 2), (1, 0), atol=1e-13)
    np.testing.assert_allclose(score_of(p, 1), (2, 0), atol=1e-13)
    np.testing.assert_allclose(score_of(np.concatenate([p[5:15], p[:10]]), 2), (1.5, 0.5), atol=1e-13)


@given(st.integers(0, 999), st.integers(1, 10))
def test_it_lies_between_1_and_the_number_of_classes(seed, splits):
    mean, std = score_of(draw_probabilities(seed, 50, K=4), splits)
    assert 1 <= mean <= 4
    assert std >= 0


def test_it_stays_on_the_device_until_it_is_read(device):
    p = draw_probabilities(0, 23).astype(np.float32)
    score = InceptionScore(23, 4)
    with forbid_transfers():
        score.update(device.array(p[:9]))
        score.update(device.array(p[9:]))
    np.testing.assert_allclose(score.result(), by_definition(p.astype(float), 4), rtol=1e-6)


def test_fewer_or_more_pictures_than_announced_are_refused():
    score = InceptionScore(20)
    score.update(draw_probabilities(0, 15))
    with pytest.raises(MiniganError, match="of 20 pictures, but only 15 came"):
        score.result()
    with pytest.raises(ShapeError, match="of 20 pictures, but 21 came"):
        score.update(draw_probabilities(0, 6))


@pytest.mark.parametrize(("n", "splits"), [(9, 10), (5, 0)])
def test_parts_without_a_picture_are_refused(n, splits):
    with pytest.raises(MiniganError, match=f"of {splits} parts needs as many pictures or more, got {n}"):
        InceptionScore(n, splits)


@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 6, 1)])
def test_another_shape_is_refused(shape):
    score = InceptionScore(20)
    score.update(draw_probabilities(0, 4, K=6))
    with pytest.raises(ShapeError, match=r"probabilities \(N, 6\)"):
        score.update(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, 3.0])
def test_logits_and_nan_are_refused(bad):
    p = draw_probabilities(0, 20)
    p[7, 2] = bad
    with pytest.raises(MiniganError, match="sum to 1"):
        score_of(p)

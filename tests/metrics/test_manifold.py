import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.backend import to_numpy
from minigan.errors import MiniganError, ShapeError
from minigan.metrics import manifold, nearest, precision_recall

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 3 queries and 4 references, so that small sets take many."""
    monkeypatch.setattr(manifold, "QUERIES", 3)
    monkeypatch.setattr(manifold, "REFERENCES", 4)


def distances(x, y):
    return np.sqrt(((x[:, None] - y) ** 2).sum(axis=2))


def by_definition(generated, real, k):
    """With all distances at once."""

    def covered(queries, references):
        radii = np.sort(distances(references, references), axis=1)[:, k]
        return (distances(queries, references) <= radii).any(axis=1).mean()

    return covered(generated, real), covered(real, generated)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_k_nearest_are_found_across_blocks(small_blocks, seed, k):
    rng = np.random.default_rng(seed)
    q, r = rng.normal(size=(8, 3)), rng.normal(size=(11, 3))
    index, distance = nearest(q, r, k)
    np.testing.assert_array_equal(index, np.argsort(distances(q, r), axis=1)[:, :k])
    np.testing.assert_allclose(distance, np.sort(distances(q, r), axis=1)[:, :k], rtol=1e-14)


@pytest.mark.parametrize("k", [2, 10, 1500])
def test_the_k_nearest_are_found_among_many(k):
    rng = np.random.default_rng(0)
    q, r = rng.normal(size=(20, 3)), rng.normal(size=(4000, 3))
    np.testing.assert_array_equal(nearest(q, r, k)[0], np.argsort(distances(q, r), axis=1)[:, :k])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_the_definition_across_blocks(small_blocks, seed, k):
    rng = np.random.default_rng(seed)
    generated, real = rng.normal(size=(14, 2)), rng.normal(0.5, 1.5, (17, 2))
    found = precision_recall(generated, real, k)
    np.testing.assert_allclose(found, by_definition(generated, real, k), rtol=1e-14)
    assert 0 < min(found) < 1


@given(SEEDS, st.integers(1, 4), st.integers(5, 30), st.integers(5, 30))
def test_they_are_shares_that_grow_with_k_and_change_roles_with_the_sets(seed, k, n, m):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 2)), rng.normal(1, 1, (m, 2))
    precision, recall = precision_recall(x, y, k)
    assert 0 <= precision <= 1
    assert 0 <= recall <= 1
    assert precision_recall(y, x, k) == (recall, precision)
    if k > 1:
        smaller = precision_recall(x, y, k - 1)
        assert smaller[0] <= precision
        assert smaller[1] <= recall


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_set_covers_itself(dtype):
    x = np.random.default_rng(0).normal(3, 1, (50, 6)).astype(dtype)
    assert precision_recall(x, x[::-1]) == (1, 1)


def test_pictures_that_are_all_the_same_cover_themselves_and_nothing_else():
    """Balls of radius 0, far from the origin: nothing may be lost to rounding. What was found once is no diversity."""
    same = np.full((9, 5), 0.1) + 1 / 3
    assert precision_recall(same, same) == (1, 1)
    real = np.concatenate([same[:5], np.arange(50.0).reshape(10, 5) ** 2])
    precision, recall = precision_recall(same, real)
    assert precision == 1
    assert recall == pytest.approx(5 / 15)


def test_a_generator_that_found_one_of_two_modes_is_precise_and_lacks_recall():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(0, 1, (500, 2)), rng.normal(50, 1, (500, 2))])
    precision, recall = precision_recall(rng.normal(0, 1, (1000, 2)), real)
    assert precision > 0.9
    assert 0.4 < recall <= 0.5
    precision, recall = precision_recall(rng.normal(0, 100, (1000, 2)), real)
    assert precision < 0.1
    assert recall > 0.9


@given(SEEDS, st.sampled_from([0.0, 1e5]))
def test_a_picture_is_0_from_its_copy_and_neighbors_are_told_apart_far_from_the_origin(seed, far):
    """At 1e5, |q|² has 1e10: without a shift of the origin, distances of 1e-3 would be gone."""
    rng = np.random.default_rng(seed)
    r = far + 1e-3 * rng.normal(size=(30, 4))
    order = rng.permutation(30)
    index, distance = nearest(r[order], r, 2)
    np.testing.assert_array_equal(index[:, 0], order)
    np.testing.assert_array_equal(index[:, 1], np.argsort(distances(r[order], r), axis=1)[:, 1])
    assert (distance[:, 0] == 0).all()


def test_all_references_may_be_asked_for():
    index, distance = nearest(np.zeros((1, 1)), np.array([[3.0], [1.0], [-2.0]]), 3)
    assert index.tolist() == [[1, 2, 0]]
    assert distance.tolist() == [[1, 2, 3]]


def test_float32_on_the_device(device, small_blocks):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(n, 4)).astype(np.float32) for n in (9, 13))
    index, distance = nearest(device.array(x), device.array(y), 2)
    assert distance.dtype == np.float64
    np.testing.assert_array_equal(to_numpy(index), np.argsort(distances(x, y), axis=1)[:, :2])
    found = precision_recall(device.array(x), device.array(y))
    assert found == pytest.approx(by_definition(x.astype(float), y.astype(float), 3))


def test_features_are_not_written_to():
    x = np.random.default_rng(0).normal(size=(6, 3))
    kept = x.copy()
    precision_recall(x, x)
    nearest(x, x)
    assert np.array_equal(x, kept)


def test_memory_is_that_of_a_block(monkeypatch):
    """Of 600 × 700 pictures, in blocks of 50 × 60: less than all distances of one block of queries take."""
    monkeypatch.setattr(manifold, "QUERIES", 50)
    monkeypatch.setattr(manifold, "REFERENCES", 60)
    x, y = np.random.default_rng(0).normal(size=(600, 2)), np.random.default_rng(1).normal(size=(700, 2))
    precision_recall(x[:9], y[:9])  # what is allocated once
    tracemalloc.start()
    precision_recall(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 700 * 8


@pytest.mark.parametrize("k", [0, 4])
def test_more_neighbors_than_references_are_refused(k):
    with pytest.raises(MiniganError, match=f"1 to 3 nearest neighbors among as many pictures, not {k}"):
        nearest(np.zeros((2, 2)), np.zeros((3, 2)), k)


@pytest.mark.parametrize(("n", "m"), [(3, 9), (9, 3)])
def test_sets_without_a_kth_neighbor_are_refused(n, m):
    with pytest.raises(MiniganError, match=f"with k = 3 needs 4 pictures or more in each set, got {n} and {m}"):
        precision_recall(np.zeros((n, 2)), np.zeros((m, 2)))
    with pytest.raises(MiniganError, match="at least 1, not 0"):
        precision_recall(np.zeros((9, 2)), np.zeros((9, 2)), 0)


@pytest.mark.parametrize("function", [nearest, precision_recall])
def test_shapes_that_do_not_fit_and_nan_are_refused(function):
    with pytest.raises(ShapeError, match=r"features \(N, F\) and \(M, F\)"):
        function(np.zeros((9, 2)), np.zeros((9, 3)))
    bad = np.zeros((9, 2))
    bad[3, 1] = np.nan
    with pytest.raises(MiniganError, match="NaN or infinity"):
        function(bad, np.zeros((9, 2)))

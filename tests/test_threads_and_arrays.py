"""Rows and products that threads share: those of NumPy, to the same bits every time, and never on a device."""

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given
from hypothesis import strategies as st

from minigan import optim
from minigan.kernels.elementwise import add_product, product
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, LeakyReLU
from minigan.testing import STRICT, check_layer
from minigan.testing.strategies import LAYERS, seeds, sizes
from minigan.threads import partition
from minigan.threads.crew import in_parallel
from minigan.threads.partition import over_rows

numbers = st.sampled_from((1, 2, 3, 5))


@given(numbers, st.integers(0, 20), st.integers(1, 200))
def test_over_rows_takes_every_row_once(n, length, at_most):
    x, y = np.arange(3.0 * length).reshape(length, 3), np.zeros((length, 3))

    def work(rows):
        y[rows] += x[rows]
        return rows

    with number_of_threads(n), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "ROWS_BYTES", at_most)
        slices = over_rows(work, x)
    np.testing.assert_array_equal(y, x)
    assert [i for rows in slices for i in range(length)[rows]] == list(range(length))
    assert all(x[rows].nbytes <= max(at_most, 24) for rows in slices)


def test_over_rows_is_one_call_for_a_gpu(monkeypatch):
    monkeypatch.setattr(partition, "ROWS_BYTES", 1)
    assert over_rows(lambda rows: rows, STRICT.array(np.zeros((5, 2)))) == [slice(0, 5)]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2D(3, 2, 3), (7, 6, 6, 3)),
        (ConvTranspose2D(3, 2, 4, stride=2), (7, 6, 6, 3)),
        (Dense(3, 2), (7, 3)),
        (BatchNorm(3), (7, 6, 6, 3)),
        (LeakyReLU(), (7, 3)),
    ],
    ids=repr,
)
def test_device_arrays_stay_with_the_callers_thread(layer, shape, monkeypatch):
    """Which GPU is the current one is a matter of each thread, and cutting the work up only makes a GPU slower."""
    for name, value in {"ROWS_BYTES": 1, "LEAST_PRODUCT": 0}.items():
        monkeypatch.setattr(partition, name, value)
    monkeypatch.setattr(optim, "PIECE", 1)
    layer, x = layer.to(STRICT), STRICT.array(np.random.default_rng(0).standard_normal(shape, np.float32))
    with number_of_threads(3) as crew:
        hired, hire = [], crew.hire
        monkeypatch.setattr(crew, "hire", lambda: (hired.append(1), hire())[1])
        y, cache = layer.forward(x)
        layer.backward(y, cache)
        layer.double_backward(x, y, cache)
        optim.Adam(layer.parameters()).step()
        assert not hired


def strided(rng, shape, dtype, kind):
    """A random matrix that lies in memory by rows, by columns, or with gaps and backwards."""
    if kind == "columns":
        return rng.standard_normal(shape[::-1]).astype(dtype).T
    a = rng.standard_normal([2 * length for length in shape]).astype(dtype)
    return a[tuple(slice(None, None, -2) for _ in shape)] if kind == "gaps" else a[tuple(map(slice, shape))].copy()


kinds = st.sampled_from(("rows", "columns", "gaps"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(numbers, st.lists(sizes(1, 9), min_size=1, max_size=3), sizes(1, 9), sizes(1, 40), kinds, kinds, seeds())
def test_products_are_those_of_numpy(dtype, n, axes, C, K, kind_a, kind_b, seed):
    """Cut by rows where these are more, else by columns."""
    rng = np.random.default_rng(seed)
    a, b = strided(rng, (*axes, C), dtype, kind_a), strided(rng, (C, K), dtype, kind_b)
    copies = a.copy(), b.copy()
    matrix = a.reshape(-1, C)
    out = rng.standard_normal((K, C)).astype(dtype)
    expected, added = copies[0] @ copies[1], out + (matrix @ b).T @ matrix
    with number_of_threads(n), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "LEAST_PRODUCT", 0)
        patch.setattr(partition, "ROWS_BYTES", 40)
        found = product(a, b)
        add_product(out, product(matrix, b).T, matrix)  # (K, M) @ (M, C)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=40 * np.finfo(dtype).eps * abs(expected).max())
    np.testing.assert_allclose(out, added, rtol=0, atol=400 * np.finfo(dtype).eps * abs(added).max())
    assert np.array_equal(a, copies[0])
    assert np.array_equal(b, copies[1])


@given(LAYERS["Dense"])
def test_a_dense_layer_made_of_such_products_is_right_to_second_order(case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "count", lambda: 1)  # more make the same products, see above
        patch.setattr(partition, "LEAST_PRODUCT", 0)
        patch.setattr(partition, "ROWS_BYTES", 1)
        check_layer(*case, entries=4)


def test_products_of_nothing():
    assert product(np.zeros((0, 3)), np.ones((3, 2))).shape == (0, 2)
    out = np.ones((2, 2))
    add_product(out, np.ones((2, 0)), np.ones((0, 2)))
    np.testing.assert_array_equal(out, np.ones((2, 2)))


@pytest.mark.parametrize(
    ("layer", "x_shape"),
    [(Dense(126, 61, rng=np.random.default_rng(0)), (108, 126)), (Conv2D(16, 30, 3), (1, 20, 20, 16))],
    ids=repr,
)
def test_results_have_the_same_bits_whatever_was_done_before(layer, x_shape):
    """Small products, and pictures one at a time, too: BLAS with two threads rounds otherwise than with one."""
    x = np.random.default_rng(0).standard_normal(x_shape, np.float32)
    with number_of_threads(2):
        first = layer.forward(x)[0]
        in_parallel(abs, range(2))
        np.testing.assert_array_equal(layer.forward(x)[0], first)

"""Rows and products that threads share: fast equals reference, in every cut, and never on a device."""

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given
from hypothesis import strategies as st

from minigan.backend import to_numpy
from minigan.errors import ShapeError
from minigan.kernels.elementwise import (
    add_bias,
    add_product,
    by_rows,
    change_by_rows,
    negative_part,
    positive_part,
    product,
    scale_channels,
    step,
)
from minigan.kernels.fast import elementwise as fast
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, LeakyReLU, Softplus
from minigan.optim import Adam
from minigan.testing import STRICT, check_layer
from minigan.testing.strategies import LAYERS, seeds, sizes
from minigan.testing.transfers import transfers
from minigan.threads import partition
from minigan.threads.crew import in_parallel

numbers = st.sampled_from((1, 2, 3, 5))
kinds = st.sampled_from(("rows", "columns", "gaps"))
dtypes = st.sampled_from((np.float32, np.float64))


def strided(rng, shape, dtype, kind):
    """A random array that lies in memory by rows, by columns, or with gaps and backwards."""
    if kind == "columns":
        return rng.standard_normal(shape[::-1]).astype(dtype).T
    a = rng.standard_normal([2 * length for length in shape]).astype(dtype)
    return a[tuple(slice(None, None, -2) for _ in shape)] if kind == "gaps" else a[tuple(map(slice, shape))].copy()


def mixed(x, y, c):
    return x * y + c


def mixed_into(x, y, c, out=None):
    out = np.multiply(x, y, out=out)
    return np.add(out, c, out=out)


def mixed_in_place(x, y, c):
    x *= y
    x += c


@given(
    numbers, st.integers(1, 200), st.lists(sizes(0, 9), min_size=1, max_size=4), dtypes, kinds, st.booleans(), seeds()
)
def test_rows_at_a_time_change_not_a_bit(n, at_most, shape, dtype, kind, one_for_all, seed):
    rng = np.random.default_rng(seed)
    x, y = strided(rng, shape, dtype, kind), strided(rng, shape, dtype, kind)
    c = rng.standard_normal((1, *shape[1:]) if one_for_all else shape).astype(dtype)
    arrays = x.copy(), y.copy(), c.copy()
    changed = x.copy()
    wanted = by_rows.reference(mixed, x, y, c)
    with number_of_threads(n), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "ROWS_BYTES", at_most)
        f = by_rows.fast
        found = [f(mixed, x, y, c), f(mixed_into, x, y, c), f(np.add, f(np.multiply, x, y), c)]
        change_by_rows.fast(mixed_in_place, changed, y, c)
    for result in (*found, changed):
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, wanted)
    for a, copy in zip((x, y, c), arrays, strict=True):
        np.testing.assert_array_equal(a, copy)


def test_every_row_is_computed_once_in_pieces_that_fit(monkeypatch):
    monkeypatch.setattr(partition, "ROWS_BYTES", 48)
    x, lengths = np.arange(3.0 * 20).reshape(20, 3), []
    by_rows.fast(lambda rows: (lengths.append(len(rows)), rows)[1], x)
    assert (sum(lengths), set(lengths)) == (20, {2})
    lengths.clear()
    change_by_rows.fast(lambda rows: lengths.append(len(rows)), x)
    assert (sum(lengths), set(lengths)) == (20, {1})


def test_a_function_that_takes_out_writes_into_the_result(monkeypatch):
    monkeypatch.setattr(partition, "ROWS_BYTES", 8)
    places = []

    def double(x, *, out=None):
        places.append(out)
        return np.multiply(x, 2, out=out)

    y = by_rows.fast(double, np.ones((6, 1)))
    assert len(places) == 6
    assert all(np.shares_memory(out, y) for out in places)

    def named_alike(x):
        out = 1
        return x + out * x

    np.testing.assert_array_equal(by_rows.fast(named_alike, np.ones((6, 1))), y)


@pytest.mark.parametrize("most", [1 << 21, 1], ids=["one call", "in pieces"])
def test_the_result_is_a_new_array_like_the_first_whatever_the_function_returns(monkeypatch, most):
    monkeypatch.setattr(partition, "ROWS_BYTES", most)
    x = np.arange(-6, 6, dtype=np.float32).reshape(4, 3)
    same = by_rows.fast(lambda x: x, x)
    assert np.array_equal(same, x)
    assert not np.shares_memory(same, x)
    wide = by_rows.fast(lambda x: x.astype(np.float64) / 3, x)
    assert wide.dtype == x.dtype
    assert np.array_equal(by_rows.fast(lambda x, out=None: 2 * x, x), 2 * x)  # takes `out`, and leaves it alone
    for f in (lambda x: 3.0, lambda x: x.sum(axis=-1, keepdims=True), lambda x: None):
        with pytest.raises(ShapeError, match="must return an array with the shape of its first argument"):
            by_rows.fast(f, x)


def test_a_small_array_is_one_call_and_so_is_one_on_a_device(monkeypatch):
    calls = []
    f = lambda x: (calls.append(x), 2 * x)[1]  # noqa: E731
    x = np.ones((partition.ROWS_BYTES // 8, 1))
    by_rows.fast(f, x)
    assert calls.pop() is x
    monkeypatch.setattr(partition, "ROWS_BYTES", 1)
    x = STRICT.array(np.ones((5, 2)))
    np.testing.assert_array_equal(to_numpy(by_rows.fast(f, x)), np.full((5, 2), 2))
    assert len(calls) == 1
    change_by_rows.fast(lambda x: x.fill(3), x)
    np.testing.assert_array_equal(to_numpy(x), np.full((5, 2), 3))


def test_what_fails_in_a_piece_is_raised(monkeypatch):
    monkeypatch.setattr(partition, "ROWS_BYTES", 8)

    def fail(x):
        if x[0, 0] == 3:
            raise ZeroDivisionError
        return x

    for n in (1, 3):
        with number_of_threads(n):
            for kernel in (by_rows.fast, change_by_rows.fast):
                with pytest.raises(ZeroDivisionError):
                    kernel(fail, np.arange(6.0)[:, None])
            with np.errstate(over="raise"), pytest.raises(FloatingPointError):
                by_rows.fast(np.exp, np.full((6, 1), 1e4))


def test_kernels_in_a_part_of_other_work(monkeypatch):
    for name in ("ROWS_BYTES", "LEAST_PRODUCT"):
        monkeypatch.setattr(partition, name, 1)
    a, b = np.arange(12.0).reshape(4, 3), np.arange(6.0).reshape(3, 2)
    with number_of_threads(3):
        for y in in_parallel(lambda factor: by_rows(np.negative, product(factor * a, b)), (1.0, 2.0, 3.0, 4.0)):
            np.testing.assert_array_equal(y / y[0, 0], a @ b / (a @ b)[0, 0])


@given(st.lists(sizes(0, 5), max_size=3), dtypes, st.sampled_from((0.0, 0.01, 0.2, 0.3, 1.0)), st.booleans(), seeds())
def test_step_is_one_above_zero_to_the_last_bit(shape, dtype, below, strict, seed):
    y = np.random.default_rng(seed).integers(-1, 2, shape).astype(dtype)
    y = STRICT.array(y) if strict else y
    found = step.fast(y, below)
    wanted = step.reference(y, below)
    assert found.dtype == wanted.dtype == dtype
    np.testing.assert_array_equal(to_numpy(found), to_numpy(wanted))
    np.testing.assert_array_equal(to_numpy(found), np.where(to_numpy(y) > 0, dtype(1), dtype(below)))


@given(numbers, st.lists(sizes(1, 6), min_size=2, max_size=4), dtypes, st.booleans(), st.booleans(), seeds())
def test_a_vector_of_channels_reaches_every_row(n, shape, dtype, strict, one_for_all, seed):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(shape).astype(dtype)
    v = rng.standard_normal(1 if one_for_all else shape[-1], np.float32)
    below = v.astype(dtype)
    wanted = y + below, y * below, np.where(y > 0, 1, below).astype(dtype)
    with number_of_threads(n), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "ROWS_BYTES", 16)
        patch.setattr(fast, "LEAST_WIDE", 1)  # small arrays take long inner loops as well
        y, v, below = map(STRICT.array, (y, v, below)) if strict else (y, v, below)
        total, scaled = y.copy(), y.copy()
        add_bias(total, v)
        scale_channels(scaled, v)
        steps = step(y, below)
    np.testing.assert_array_equal(to_numpy(total), wanted[0])
    np.testing.assert_array_equal(to_numpy(scaled), wanted[1])
    np.testing.assert_allclose(to_numpy(steps), wanted[2], rtol=0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_parts_of_numbers_of_any_size(dtype, strict):
    x = np.array([-np.inf, -2, -0.0, 0, 1e-30, 3, np.inf, np.nan], dtype)
    x = STRICT.array(x) if strict else x
    for part in (positive_part, negative_part):
        found, wanted = part.fast(x), part.reference(x)
        assert found.dtype == dtype
        np.testing.assert_array_equal(to_numpy(found), to_numpy(wanted))
        part.fast(x, x_copy := x.copy())
        np.testing.assert_array_equal(to_numpy(x_copy), to_numpy(wanted))


@given(numbers, st.lists(sizes(1, 9), min_size=1, max_size=3), sizes(1, 9), sizes(1, 40), dtypes, kinds, kinds, seeds())
def test_products_are_those_of_the_reference(n, axes, C, K, dtype, kind_a, kind_b, seed):
    """Cut by rows where these are more, else by columns."""
    rng = np.random.default_rng(seed)
    a, b = strided(rng, (*axes, C), dtype, kind_a), strided(rng, (C, K), dtype, kind_b)
    plus, copies = rng.standard_normal(K).astype(dtype), (a.copy(), b.copy())
    matrix, c = a.reshape(-1, C), rng.standard_normal((K, C)).astype(dtype)
    wanted, wanted_plus, wanted_c = product.reference(a, b), product.reference(a, b, plus), c.copy()
    add_product.reference(wanted_c, (matrix @ b).T, matrix)  # (K, M) @ (M, C)
    with number_of_threads(n), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "LEAST_PRODUCT", 0)
        found, found_plus = product.fast(a, b), product.fast(a, b, plus)
        add_product.fast(c, (matrix @ b).T, matrix)
    for result, other, ulps in ((found, wanted, 40), (found_plus, wanted_plus, 40), (c, wanted_c, 400)):
        assert result.dtype == other.dtype == dtype
        np.testing.assert_allclose(result, other, rtol=0, atol=ulps * np.finfo(dtype).eps * abs(other).max())
    np.testing.assert_allclose(wanted_plus, copies[0] @ copies[1] + plus, rtol=0, atol=1e-4)
    assert np.array_equal(a, copies[0])
    assert np.array_equal(b, copies[1])


@given(numbers, sizes(1, 4), sizes(1, 9), sizes(1, 9), sizes(1, 9), seeds())
def test_stacks_of_matrices_are_multiplied_one_by_one(n, p, M, C, K, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((p, M, C)), rng.standard_normal((p, C, K))
    with number_of_threads(n), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "LEAST_PRODUCT", 0)
        np.testing.assert_allclose(product.fast(a, b), product.reference(a, b), rtol=0, atol=1e-13)


def test_a_product_on_a_device_is_not_cut(monkeypatch):
    monkeypatch.setattr(partition, "LEAST_PRODUCT", 0)
    a, b, c = (STRICT.array(np.ones(shape)) for shape in ((8, 3), (3, 5), (8, 5)))
    with number_of_threads(2):
        for call, launches in ((lambda: product.fast(a, b), 1), (lambda: add_product.fast(c, a, b), 2)):
            before = transfers.launches
            call()
            assert transfers.launches - before == launches


def test_a_large_product_is_added_some_rows_at_a_time(monkeypatch):
    from minigan.kernels.fast import elementwise

    monkeypatch.setattr(partition, "LEAST_PRODUCT", 0)
    monkeypatch.setattr(elementwise, "PRODUCT_BYTES", 40)
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(-9, 9, (7, 5)) * 1.0, rng.integers(-9, 9, (5, 3)) * 1.0, np.ones((7, 3))
    for n in (1, 3):
        with number_of_threads(n):
            add_product.fast(c, a, b)
    np.testing.assert_array_equal(c, 1 + 2 * (a @ b))


def test_small_products_are_not_cut():
    c = np.ones((2, 2))
    add_product.fast(c, np.array([[1.0], [2.0]]), np.array([[3.0, 4.0]]))
    np.testing.assert_array_equal(c, [[4, 5], [7, 9]])


def test_products_of_nothing():
    assert product(np.zeros((0, 3)), np.ones((3, 2))).shape == (0, 2)
    out = np.ones((2, 2))
    add_product(out, np.ones((2, 0)), np.ones((0, 2)))
    np.testing.assert_array_equal(out, np.ones((2, 2)))


@given(LAYERS["Dense"])
def test_a_dense_layer_made_of_such_products_is_right_to_second_order(case):
    with number_of_threads(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "LEAST_PRODUCT", 0)
        patch.setattr(partition, "ROWS_BYTES", 1)
        check_layer(*case, entries=4)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2D(3, 2, 3), (7, 6, 6, 3)),
        (ConvTranspose2D(3, 2, 4, stride=2), (7, 6, 6, 3)),
        (Dense(3, 2), (7, 3)),
        (BatchNorm(3), (7, 6, 6, 3)),
        (LeakyReLU(), (7, 3)),
        (Softplus(), (7, 3)),
    ],
    ids=repr,
)
def test_device_arrays_stay_with_the_callers_thread(layer, shape, monkeypatch):
    """Which GPU is the current one is a matter of each thread, and cutting the work up only makes a GPU slower."""
    for name, value in {"ROWS_BYTES": 1, "LEAST_PRODUCT": 0}.items():
        monkeypatch.setattr(partition, name, value)
    layer, x = layer.to(STRICT), STRICT.array(np.random.default_rng(0).standard_normal(shape, np.float32))
    with number_of_threads(3) as crew:
        hired, hire = [], crew.hire
        monkeypatch.setattr(crew, "hire", lambda: (hired.append(1), hire())[1])
        y, cache = layer.forward(x)
        layer.backward(y, cache)
        layer.double_backward(x, y, cache)
        Adam(layer.parameters()).step()
        assert not hired


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

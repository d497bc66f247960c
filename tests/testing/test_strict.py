"""The strict device refuses what CuPy refuses, and what would be slow on a GPU."""

import sys
import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from minigan.backend import array_module, to_numpy
from minigan.testing import STRICT, devices_under_test, forbid_transfers
from minigan.testing.device_array import DeviceArray
from minigan.testing.transfers import ForbiddenTransfer, HiddenCopy, transfers

xp = STRICT.xp
HOST = np.ones((2, 3))


@pytest.fixture
def d():
    return STRICT.array(np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    "mix",
    [
        lambda d: d + HOST,
        lambda d: HOST + d,
        lambda d: HOST @ d.T,
        lambda d: d > HOST,
        lambda d: d == HOST,
        lambda d: np.exp(d),
        lambda d: np.sum(d),
        lambda d: np.concatenate([d, d]),
        lambda d: np.add(HOST, HOST, out=d),
        lambda d: xp.maximum(d, HOST),
        lambda d: xp.where(d > 0, d, HOST),
        lambda d: xp.concatenate([d, HOST]),
        lambda d: xp.matmul(d, d.T, out=np.zeros((2, 2))),
        lambda d: d.__iadd__(HOST),
        lambda d: d.__setitem__(0, HOST[0]),
        lambda d: d.fill(HOST[0, 0:1]),
        lambda d: d[np.array([0])],
        lambda d: d[[0, 1]],
        lambda d: HOST[d > 0],
        lambda d: xp.take(d, np.array([0, 1])),
        lambda d: xp.copyto(d, HOST),
        lambda d: d.clip(HOST, 1),
    ],
)
def test_it_does_not_mix_with_numpy(d, mix):
    with pytest.raises(TypeError):
        mix(d)


def test_numpy_arrays_do_not_take_it_in(d):
    for assign in (lambda a: a.__setitem__(..., d), lambda a: np.copyto(a, d), lambda a: a.__iadd__(d)):
        with pytest.raises(TypeError):
            assign(HOST.copy())


@pytest.mark.parametrize(
    "copy",
    [
        lambda d: float(d.sum()),
        lambda d: int(d.sum()),
        lambda d: bool(d.sum() > 0),
        lambda d: d.sum().item(),
        lambda d: d.tolist(),
        lambda d: list(d),
        lambda d: 1 in d,
        lambda d: np.asarray(d),
        lambda d: np.array([d]),
        lambda d: f"{d.sum():.2f}",
        lambda d: d[d > 0],
        lambda d: xp.where(d > 0),
        lambda d: range(d.sum()),
        lambda d: max(d),
        lambda d: xp.arange(d[0, 0]),
        lambda d: xp.arange(0, stop=d[0, 0]),
        lambda d: xp.repeat(d, d[0]),
        lambda d: xp.repeat(d, repeats=d[0, 0]),
        lambda d: d.repeat(d[0]),
        lambda d: xp.zeros((d[0, 0], 2)),
        lambda d: d.reshape(d[0, 0], 2),
    ],
)
def test_it_is_not_copied_to_the_host_unasked(d, copy):
    with pytest.raises(HiddenCopy):
        copy(d)


@pytest.mark.parametrize(
    "use",
    [
        lambda d: d.flat,
        lambda d: d.nonzero(),
        lambda d: xp.vectorize,
        lambda d: STRICT.rng(0).normal(size=3),
        lambda d: STRICT.rng(0).permutation(3),
        lambda d: xp.sum(d, where=d > 0),
        lambda d: d.sum(initial=1),
        lambda d: xp.where(d > 0, d, 0, d),
        lambda d: STRICT.rng(0).uniform(0, 1, 3, np.float32),
        lambda d: xp.lib.stride_tricks.as_strided(d, (1,), (8,), True, False),
        lambda d: xp.matmul(d, d, d),
        lambda d: xp.reshape(d, shape=(3, 2)),
        lambda d: d.reshape(shape=(3, 2)),
        lambda d: d.transpose(axes=(1, 0)),
        lambda d: xp.einsum("ab->a", d, out=xp.zeros(2)),
        lambda d: xp.einsum("ab->a", d, order="C"),
        lambda d: xp.einsum("ab->a", d, casting="safe"),
        lambda d: xp.sort([1.0], axis=0),
        lambda d: d.flags.writeable,
    ],
)
def test_it_offers_only_what_numpy_and_cupy_share(d, use):
    with pytest.raises((AttributeError, TypeError)):
        use(d)


@pytest.mark.parametrize(
    "use",
    [
        lambda d, xs: d + xs,
        lambda d, xs: xs - d,
        lambda d, xs: d @ xs,
        lambda d, xs: d < xs,
        lambda d, xs: d == xs,
        lambda d, xs: d.__imul__(xs),
        lambda d, xs: d.__setitem__(0, xs),
        lambda d, xs: d.fill(xs),
        lambda d, xs: d.clip(xs, 9),
        lambda d, xs: d.dot(xs),
        lambda d, xs: d.take(xs),
        lambda d, xs: xp.add(d, xs),
        lambda d, xs: xp.exp(xs),
        lambda d, xs: xp.where(d > 0, d, xs),
        lambda d, xs: xp.where(xs, d, d),
        lambda d, xs: xp.clip(xs, 0, 1),
        lambda d, xs: xp.copyto(d, xs),
        lambda d, xs: xp.full((2, 3), xs),
        lambda d, xs: xp.full_like(xs, 1),
        lambda d, xs: xp.ones_like(xs),
        lambda d, xs: xp.sum(xs),
        lambda d, xs: xp.mean(xs),
        lambda d, xs: xp.max(xs),
        lambda d, xs: xp.argmax(xs),
        lambda d, xs: xp.sort(xs),
        lambda d, xs: xp.dot(xs, d),
        lambda d, xs: xp.vdot(xs, xs),
        lambda d, xs: xp.tensordot(xs, d, 1),
        lambda d, xs: xp.einsum("a->", xs),
        lambda d, xs: xp.reshape(xs, (3, 1)),
        lambda d, xs: xp.transpose(xs),
        lambda d, xs: xp.swapaxes(xs, 0, 0),
        lambda d, xs: xp.expand_dims(xs, 0),
        lambda d, xs: xp.stack([xs, xs]),
        lambda d, xs: xp.concatenate([d[0], xs]),
        lambda d, xs: xp.ascontiguousarray(xs),
        lambda d, xs: xp.broadcast_to(xs, (2, 3)),
        lambda d, xs: xp.take(d, xs),
    ],
)
@pytest.mark.parametrize("xs", [[0, 1, 2], (0, 1, 2)])
def test_lists_are_no_arrays(d, use, xs):
    with pytest.raises(TypeError, match="device array"):
        use(d, xs)


def test_a_truth_is_no_condition(d):
    with pytest.raises(TypeError, match="got a bool"):
        xp.where(True, d, d)


def test_a_slice_that_is_taken_twice_is_a_copy(d):
    for use in (
        lambda: xp.maximum(d[0], 0, out=d[0]),
        lambda: xp.add(d[:, ::2], d[:, 1:], out=d[:, 1:]),
        lambda: d[0].clip(0, 1, out=d[0]),
        lambda: xp.matmul(d[:, :2], d[:, :2], out=d[:, 1:]),
        lambda: d[0].__iadd__(d[0]),
        lambda: d.__imul__(d[0]),
    ):
        with pytest.raises(HiddenCopy, match="bind the slice to a name"):
            use()
    row = d[0]
    xp.maximum(row, 1, out=row)
    xp.maximum(row, d[1], out=row)
    row += row
    np.testing.assert_array_equal(to_numpy(d), [[6, 8, 10], [3, 4, 5]])


def test_otherwise_it_computes_as_numpy_does(d):
    host = to_numpy(d)
    for found, expected in [
        (2 - d / np.float32(4), 2 - host / 4),
        (xp.exp(d).mean(axis=0, keepdims=True), np.exp(host).mean(axis=0, keepdims=True)),
        (d @ d.T, host @ host.T),
        (xp.where(d > 2, d, 0), np.where(host > 2, host, 0)),
        (d[:, None, ::-1], host[:, None, ::-1]),
        (d[STRICT.array([1, 0])], host[[1, 0]]),
        (-abs(~(d > 1)).astype(np.float32), -abs(~(host > 1)).astype(np.float32)),
        (xp.linalg.norm(d), np.linalg.norm(host)),
    ]:
        assert isinstance(found, DeviceArray)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(to_numpy(found), expected)


def test_views_and_out_write_into_the_array(d):
    d[0] *= 10
    view = d.reshape(-1)[3:]
    view += 1
    assert xp.add(d, 1, out=d) is d
    np.testing.assert_array_equal(to_numpy(d), [[1, 11, 21], [5, 6, 7]])


def test_sums_stay_on_the_device(d):
    total = d.sum()
    assert total.shape == ()
    assert array_module(total) is xp


def test_generators_draw_what_numpy_draws():
    draws = STRICT.rng(3).standard_normal((2, 3), dtype=np.float32)
    np.testing.assert_array_equal(draws.get(), np.random.default_rng(3).standard_normal((2, 3), dtype=np.float32))


def test_transfers_are_counted_and_can_be_forbidden(d):
    before = transfers.to_host
    d.get()
    assert transfers.to_host == before + 1
    with forbid_transfers(), pytest.raises(ForbiddenTransfer):
        to_numpy(d)
    d.get()


def test_uploads_are_counted(d):
    before = transfers.to_device
    for use in (lambda: STRICT.array(HOST), lambda: xp.asarray([1, 2]), lambda: xp.array(3.0)):
        use()
    xp.asarray(d), xp.array(d), STRICT.array(d), d + 1, xp.zeros(3)
    assert transfers.to_device == before + 3


@pytest.mark.parametrize(
    ("use", "launches"),
    [
        (lambda d: d + 1, 1),
        (lambda d: -d, 1),
        (lambda d: d > 0, 1),
        (lambda d: (d * d).sum(axis=0), 2),
        (lambda d: xp.add(d, 1, out=d), 1),
        (lambda d: xp.zeros(3), 1),
        (lambda d: d.fill(0), 1),
        (lambda d: d.__setitem__(0, 1), 1),
        (lambda d: d.T.reshape(6), 1),  # which copies
        (lambda d: STRICT.rng(0).random(3), 1),
        (lambda d: xp.empty((2, 3)), 0),
        (lambda d: d[0, ::2], 0),
        (lambda d: d.T.swapaxes(0, 1).reshape(6)[None], 0),
        (lambda d: xp.broadcast_to(d, (4, 2, 3)), 0),
        (lambda d: d.astype(d.dtype, copy=False), 0),
        (lambda d: d.__setitem__((slice(None), slice(3, None)), 0), 0),  # nothing to be set
    ],
)
def test_launches_are_counted(d, use, launches):
    before = transfers.launches
    use(d)
    assert transfers.launches - before == launches


def test_an_augmented_assignment_is_one_launch(d):
    before = transfers.launches
    d[0] += 1
    assert transfers.launches == before + 1


def test_waiting_is_forbidden_to_cupy_as_well(monkeypatch):
    """With a module in its place that allows and forbids as CuPy does."""
    allowed = [True]

    class DeviceSynchronized(RuntimeError):
        pass

    @contextmanager
    def allow_synchronize(allow):
        warnings.warn("cupyx.allow_synchronize will be removed", stacklevel=1)
        before, allowed[0] = allowed[0], allow
        try:
            yield
        finally:
            allowed[0] = before

    def wait():
        if not allowed[0]:
            raise DeviceSynchronized

    cupyx = SimpleNamespace(DeviceSynchronized=DeviceSynchronized, allow_synchronize=allow_synchronize)
    monkeypatch.setitem(sys.modules, "cupyx", cupyx)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(ndarray=type(None)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ForbiddenTransfer, match="not inside a step"), forbid_transfers():
            wait()
    wait()
    assert not transfers.forbidden


def test_the_host_and_the_strict_device_are_always_under_test():
    assert [str(device) for device in devices_under_test()][:2] == ["cpu", "strict"]

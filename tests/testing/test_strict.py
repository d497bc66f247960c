"""The strict device refuses what CuPy refuses, and what would be slow on a GPU."""

import numpy as np
import pytest

from minigan.backend import array_module, to_numpy
from minigan.testing import STRICT, devices_under_test, forbid_transfers
from minigan.testing.strict import DeviceArray, ForbiddenTransfer, HiddenCopy, transfers

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
    ],
)
def test_it_offers_only_what_numpy_and_cupy_share(d, use):
    with pytest.raises((AttributeError, TypeError)):
        use(d)


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


def test_the_host_and_the_strict_device_are_always_under_test():
    assert [str(device) for device in devices_under_test()][:2] == ["cpu", "strict"]

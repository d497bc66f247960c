"""The table of differences, and what counts as one."""

from concurrent.futures import TimeoutError as OutOfTime
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from parts import a_part

from minigan.backend import CPU, to_numpy
from minigan.selftest import agreement, items
from minigan.testing import STRICT


def only(monkeypatch, *some):
    monkeypatch.setattr(agreement, "every_item", lambda: list(some))


def off_by(relative, dtype=np.float64):
    """An item that computes 1, 2, 3, and on the device in a dtype a little more."""

    def compute(device, its_dtype):
        wrong = device is STRICT and its_dtype is dtype
        x = device.array(np.array([1.0, 2.0, 3.0]) * (1 + relative * wrong), its_dtype)
        return {("value", "x"): to_numpy(x)}

    return compute


@pytest.mark.parametrize(
    ("relative", "dtype", "failures"),
    [
        (1e-10, np.float64, 0),
        (1e-8, np.float64, 1),
        (1e-5, np.float32, 0),
        (1e-3, np.float32, 1),
        (np.nan, np.float32, 1),
    ],
)
def test_a_difference_beyond_rounding_is_a_failure(monkeypatch, capsys, relative, dtype, failures):
    only(monkeypatch, ("a layer", off_by(relative, dtype)))
    part = a_part()
    agreement.run(part)
    assert part.failures == failures
    assert ("FAILED: a layer: the value differs" in capsys.readouterr().out) == bool(failures)


def test_what_fails_is_shown_and_the_rest_goes_on(monkeypatch, capsys):
    def broken(device, dtype):
        if device is STRICT:
            raise RuntimeError("no such kernel")
        return {}

    only(monkeypatch, ("first", off_by(0)), ("second", broken), ("third", off_by(0)))
    part = a_part()
    agreement.run(part)
    shown = capsys.readouterr().out
    assert part.failures == 1
    assert "FAILED: second: Traceback" in shown
    assert "in broken" in shown  # where it came from
    assert "RuntimeError: no such kernel" in shown
    assert "\nthird " in shown


def test_time_that_is_over_is_a_failure(monkeypatch, capsys):
    only(monkeypatch, ("first", off_by(0)), ("second", off_by(0)))
    part = a_part(seconds=-1)
    agreement.run(part)
    assert part.failures == 1
    assert "no time left for 2 of 2 items, from first on" in capsys.readouterr().out


def test_an_array_that_is_missing_or_of_another_shape_differs():
    whole = {("value", "y"): np.ones(3), ("value", "b"): np.ones(2)}
    for changed in ({("value", "y"): np.ones(3)}, whole | {("value", "b"): np.ones(3)}):
        assert np.isnan(agreement._error(changed, whole, "value"))
    assert agreement._error(whole, whole, "value") == 0


def test_a_gradient_that_vanishes_is_measured_by_its_neighbors():
    exact = {("first order", "W"): np.full(3, 2.0), ("first order", "b"): np.zeros(3)}
    found = exact | {("first order", "b"): np.full(3, 1e-12)}
    assert agreement._error(found, exact, "first order") == pytest.approx(1e-12 / 2e-3)


def test_items_of_every_kind_agree_on_the_stand_in(monkeypatch):
    """A few of each; the whole table is rehearsed in test_selftest_command.py."""
    kinds = [items.objectives, items.regressions, items.all_penalties, items.rules]
    some = [*list(items.layers())[::12], *(item for kind in kinds for item in kind()), next(items.steps())]
    only(monkeypatch, *some)
    for number, (name, _) in enumerate(some):
        row = agreement.compared(number, "strict")
        assert row, name
        for numpy32, device32, device64 in row.values():
            assert device64 <= 1e-12, name
            assert device32 <= 1e-4 + 10 * numpy32, name


class Executor:
    """In place of a pool of processes: something happens at the third item."""

    problem = BrokenProcessPool

    def __init__(self, *_):
        pass

    def map(self, function, numbers, devices, timeout):
        for number, device in zip(numbers, devices, strict=False):
            if number == 2:
                raise self.problem
            yield function(number, device)

    def shutdown(self, wait, cancel_futures):
        assert not wait


@pytest.fixture
def shared(monkeypatch):
    """Five items, which two processes share."""
    only(monkeypatch, *((f"item {n}", off_by(0)) for n in range(5)))
    monkeypatch.setattr(agreement, "ProcessPoolExecutor", Executor)
    monkeypatch.setattr("minigan.selftest.part.Part.workers", 2)


def test_a_process_that_dies_is_a_failure_and_the_rest_goes_on(shared, capsys):
    part = a_part()
    agreement.run(part)
    shown = capsys.readouterr().out
    assert part.failures == 1
    assert "FAILED: item 2: a process died" in shown
    assert "\nitem 4 " in shown


def test_processes_that_take_too_long_are_left(shared, monkeypatch, capsys):
    monkeypatch.setattr(Executor, "problem", OutOfTime)
    part = a_part()
    agreement.run(part)
    assert part.failures == 1
    assert "no time left for 3 of 5 items, from item 2 on" in capsys.readouterr().out


@pytest.mark.slow
def test_processes_share_the_items(monkeypatch):
    monkeypatch.setattr("minigan.selftest.part.Part.workers", 2)
    found = list(agreement.rows(a_part(seconds=300)))
    assert len(found) == len(items.every_item())
    assert all(isinstance(row, dict) for row in found)


def test_draws_are_the_same_everywhere():
    for kind in ("random", "standard_normal"):
        exact, *others = (
            to_numpy(getattr(items.SameDraws(device, dtype), kind)((2, 3), dtype=np.float32))
            for device, dtype in ((CPU, np.float64), (CPU, np.float32), (STRICT, np.float32))
        )
        assert exact.dtype == np.float64
        for other in others:
            np.testing.assert_array_equal(other, exact.astype(np.float32))
    assert items.SameDraws(STRICT, np.float32).integers(3, size=4).dtype == np.int64

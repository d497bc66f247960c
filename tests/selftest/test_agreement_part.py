"""The table of differences, and what counts as one."""

import numpy as np
import pytest
from parts import a_part

from minigan.backend import CPU, to_numpy
from minigan.selftest import agreement
from minigan.testing import STRICT


def only(monkeypatch, *items):
    for others in ("objectives", "regressions", "all_penalties", "rules", "steps"):
        monkeypatch.setattr(agreement, others, lambda: iter(()))
    monkeypatch.setattr(agreement, "layers", lambda: iter(items))


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
    assert "FAILED: second: RuntimeError: no such kernel" in shown
    assert "in broken" in shown  # where it came from
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


def test_a_gradient_that_vanishes_is_measured_by_its_neighbours():
    exact = {("first order", "W"): np.full(3, 2.0), ("first order", "b"): np.zeros(3)}
    found = exact | {("first order", "b"): np.full(3, 1e-12)}
    assert agreement._error(found, exact, "first order") == pytest.approx(1e-12 / 2e-3)


def test_items_of_every_kind_agree_on_the_stand_in():
    """A few of each; the whole table is rehearsed in test_selftest_command.py."""
    kinds = [agreement.objectives, agreement.regressions, agreement.all_penalties, agreement.rules]
    items = [*list(agreement.layers())[::12], *(item for kind in kinds for item in kind()), next(agreement.steps())]
    for name, compute in items:
        row = agreement.compare(compute, STRICT)
        assert row, name
        for numpy32, device32, device64 in row.values():
            assert device64 <= 1e-12, name
            assert device32 <= 1e-4 + 10 * numpy32, name


def test_draws_are_the_same_everywhere():
    for kind in ("random", "standard_normal"):
        exact, *others = (
            to_numpy(getattr(agreement.SameDraws(device, dtype), kind)((2, 3), dtype=np.float32))
            for device, dtype in ((CPU, np.float64), (CPU, np.float32), (STRICT, np.float32))
        )
        assert exact.dtype == np.float64
        for other in others:
            np.testing.assert_array_equal(other, exact.astype(np.float32))
    assert agreement.SameDraws(STRICT, np.float32).integers(3, size=4).dtype == np.int64

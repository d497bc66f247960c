import numpy as np
import pytest

from minigan.training.curves import draw_curves, smooth, ticks, value_range


def record(step, **values):
    return {"step": step, "d_loss": 1.0, "g_loss": 2.0, "d_real": 0.7, "d_fake": 0.3} | values


@pytest.mark.parametrize("steps", [[10], [10, 20], range(10, 3000, 10)])
def test_curves_can_be_drawn_from_any_number_of_records(steps):
    image = draw_curves([record(step) for step in steps], "dcgan on digits")
    assert image.size == (900, 600)
    colours = {colour for _, colour in image.getcolors(1 << 20)}
    assert {(200, 80, 30), (31, 104, 180)} <= colours


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 1500, [0, 500, 1000, 1500]),
        (-3.3, 7, [-2, 0, 2, 4, 6]),
    ],
)
def test_ticks_are_round_numbers(low, high, wanted):
    assert ticks(low, high, 5) == pytest.approx(wanted)


def test_smoothing_keeps_a_constant_and_the_length():
    np.testing.assert_allclose(smooth(np.full(10, 3.0), 5), np.full(10, 3.0))
    np.testing.assert_allclose(smooth(np.array([0.0, 3.0, 0.0]), 3), [1.5, 1, 1.5])


def test_an_axis_fits_probabilities_and_is_not_ruled_by_one_wild_value():
    assert value_range(np.array([0.2, 0.9])) == (0, 1)
    assert value_range(np.append(np.linspace(0, 2, 1000), 1e6))[1] < 3
    assert value_range(np.array([-5.0, 5.0]))[0] < -5
    assert value_range(np.zeros(3)) == (0, 1)

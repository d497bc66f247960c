import numpy as np
import pytest
from PIL import Image
from saying import GAN, THREE

from minigan.training.curves import Panel, draw_curves, draw_evaluations, smooth, ticks, value_range
from minigan.training.declared import Declared


def record(step, **values):
    return {"step": step, "d_loss": 1.0, "g_loss": 2.0, "d_real": 0.7, "d_fake": 0.3} | values


@pytest.mark.parametrize("steps", [[10], [10, 20], range(10, 3000, 10)])
def test_curves_can_be_drawn_from_any_number_of_records(steps):
    image = draw_curves([record(step) for step in steps], GAN, "dcgan on digits")
    assert image.size == (900, 600)
    colours = {colour for _, colour in image.getcolors(1 << 20)}
    assert {(200, 80, 30), (31, 104, 180)} <= colours


def test_the_first_two_charts_are_drawn_and_all_judgements():
    made = [{"step": s, "encoder": 1.0, "kl": 2.0, "psnr": 20.0, "lpips": 0.1} for s in range(10, 100, 10)]
    assert draw_curves(made, THREE, "").size == (900, 600)
    assert draw_evaluations(made, THREE, "").size == (900, 600)
    assert draw_evaluations([{"step": 10, "lpips": 0.1}], THREE, "").size == (900, 300)


def test_without_numbers_nothing_is_drawn():
    assert draw_curves([{"step": 10, "fid": 3.0}], GAN, "") is None
    assert draw_curves([record(10)], Declared(), "") is None
    assert draw_evaluations([record(10)], GAN, "") is None


def test_a_value_that_is_not_known_is_left_out_of_its_curve_alone():
    """The curve with a gap looks like the one that never had the point."""
    steps, whole = np.array([0.0, 50.0, 100.0]), np.array([1.0, 1.0, 1.0])
    images = []
    for at, y in ((steps, np.array([0.0, np.nan, 2.0])), (steps[[0, 2]], np.array([0.0, 2.0]))):
        images.append(Image.new("RGB", (1800, 600), (255, 255, 255)))
        Panel(images[-1], 0, at, {"a": whole[: len(at)], "b": y}, True).draw("y", "")
    different = np.abs(np.asarray(images[0], int) - np.asarray(images[1], int)).sum(axis=2) > 0
    columns = np.flatnonzero(different.any(axis=0))
    assert len(columns) and columns.min() > 900 and columns.max() < 1000  # the middle dot of the other curve


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

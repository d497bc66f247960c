import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pages import make_run
from PIL import Image
from saying import GAN, THREE

from minigan.training.curves import draw_charts, draw_run, running_mean, ticks, value_range
from minigan.training.declared import Chart


def record(step, **values):
    return {"step": step, "d_loss": 1.0, "g_loss": 2.0, "d_real": 0.7, "d_fake": 0.3} | values


@pytest.mark.parametrize("steps", [[10], [10, 20], range(10, 3000, 10)])
def test_curves_can_be_drawn_from_any_number_of_records(steps):
    image = draw_charts([record(step) for step in steps], GAN.charts[:2], "dcgan on digits")
    assert image.size == (900, 600)
    colors = {color for _, color in image.getcolors(1 << 20)}
    assert {(200, 80, 30), (31, 104, 180)} <= colors


def test_charts_of_which_nothing_was_recorded_are_left_out():
    made = [{"step": s, "encoder": 1.0, "kl": 2.0, "lpips": 0.1} for s in range(10, 100, 10)]
    assert draw_charts(made, THREE.charts, "").size == (900, 600)
    assert draw_charts(made, THREE.judged, "", dots=True).size == (900, 300)
    assert draw_charts(made, GAN.charts, "") is None


def test_a_run_is_drawn_from_its_folder(tmp_path):
    folder = make_run(tmp_path, 20, 2)
    draw_run(folder, GAN, "dcgan on digits", "2,000 samples")
    for path, size in ((folder.losses, (900, 600)), (folder.evaluations, (900, 600))):
        with Image.open(path) as image:
            assert image.size == size
    with Image.open(folder.film("samples")) as film:
        assert film.n_frames == 2


def test_a_value_that_is_not_known_is_left_out_of_its_curve_alone():
    """The dot in the middle isn't there, and the other curve's is."""
    made = [{"step": step, "fid": 1.0 + step, "is": 2.0} for step in (0, 50, 100)]
    whole = draw_charts(made, [Chart("y", {"fid": "a", "is": "b"})], "", dots=True)
    del made[1]["is"]
    gap = draw_charts(made, [Chart("y", {"fid": "a", "is": "b"})], "", dots=True)
    different = np.abs(np.asarray(whole, int) - np.asarray(gap, int)).sum(axis=2) > 0
    columns = np.flatnonzero(different.any(axis=0))
    assert len(columns) and columns.min() > 450 and columns.max() < 500


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


@given(hnp.arrays(float, st.integers(1, 300), elements=st.floats(-1e6, 1e6)))
def test_the_running_mean_is_the_mean_of_a_window(y):
    at, reach = np.arange(0, len(y), 3), len(y) // 40
    wanted = [y[max(0, i - reach) : i + reach + 1].mean() for i in at]
    np.testing.assert_allclose(running_mean(y, at), wanted, rtol=1e-12, atol=1e-9)


def test_the_running_mean_survives_a_huge_value():
    """Differences of a cumulative sum would be 0 after it."""
    y = np.ones(1000)
    y[500] = 1e30
    mean = running_mean(y, np.arange(1000))
    assert mean[400] == mean[600] == 1 and mean[500] > 1e28


def test_an_axis_fits_probabilities_and_is_not_ruled_by_one_wild_value():
    assert value_range(np.array([0.2, 0.9]), "opinion") == (0, 1)
    assert value_range(np.append(np.linspace(0, 2, 1000), 1e6), "any")[1] < 3
    assert value_range(np.array([-5.0, 5.0]), "any")[0] < -5
    assert value_range(np.zeros(3), "positive") == (0, 1)

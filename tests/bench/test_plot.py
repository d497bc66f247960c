"""How time and memory grow, drawn."""

import numpy as np
import pytest
from bench_results import result
from PIL import Image

from minigan.bench.plot import _mib, _ms, draw
from minigan.training.curves import COLORS, Panel


def rows_of(image):
    return image.height // 330


@pytest.mark.parametrize(
    ("results", "rows"),
    [
        ([result(batch_size=n) for n in (16, 64, 256)], 1),
        ([result("dcgan-32", size=32), result("dcgan-64"), result("sngan-32", size=32)], 1),
        ([result(f"dcgan-{size}", n, size) for size in (32, 64) for n in (16, 64)], 4),  # 2 against batch, 2 size
    ],
)
def test_there_is_a_row_for_each_thing_that_grows(results, rows):
    image = draw(results)
    assert rows_of(image) == rows
    found = {color for _, color in image.getcolors(1 << 20)}
    assert COLORS[2] in found  # the last contender lies on top of the others here


def test_the_order_of_measuring_does_not_matter_and_figures_are_for_a_sample():
    measured = [result(batch_size=n, seconds={"minigan": [n * 0.25]}) for n in (16, 64, 256)]
    assert draw(measured).tobytes() == draw(measured[::-1]).tobytes()
    assert [_ms(r, "minigan") for r in measured] == [250, 250, 250]
    assert [_mib(r, "minigan") for r in measured] == [1, 1, 1]


def test_what_does_not_grow_is_not_drawn():
    with pytest.raises(ValueError, match="there is nothing to plot"):
        draw([result("dcgan-64"), result("conv3-16", size=None), result("conv3-32", size=None)])


def test_unknown_memory_leaves_its_panel_empty():
    image = draw([result(batch_size=n, before=None) for n in (16, 64)])
    half = image.width // 2
    assert len(image.crop((0, 30, half, 330)).getcolors(1 << 20)) > 10
    assert image.crop((half, 30, image.width, 330)).getcolors() == [(half * 300, (255, 255, 255))]


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors_and_stays_inside():
    curve = np.array([16.0, 64.0, 256.0]), np.ones(3)
    panel = Panel(Image.new("RGB", (10, 10)), 0, {"a": curve}, True, log=True)
    x = [panel._x(n) for n in (16, 64, 256)]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1])
    assert panel.left < x[0] < x[2] < panel.right

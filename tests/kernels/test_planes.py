"""Convolutions to or from a few channels: the same numbers as the reference, with any blocks and threads."""

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import arrays_of, assert_close, reference, steps_of, three_results

from minigan.kernels import convolution, twin
from minigan.kernels.fast import patches, planes
from minigan.testing.geometries import Geometry, seeds, sizes

DTYPES = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 3e-6)])


@st.composite
def geometries(draw):
    """Stride 1, any padding that a turned window allows, and four times as many channels on one side, or more."""
    axes = []
    for _ in range(2):
        kernel, dilation = draw(sizes(1, 4)), draw(sizes(1, 2))
        extent = dilation * (kernel - 1) + 1
        padding = draw(sizes(0, min(3, extent - 1)))
        axes.append((max(1, extent + draw(sizes(0, 5)) - 2 * padding), kernel, 1, padding, 0, dilation))
    size, *windows = zip(*axes, strict=True)
    few = draw(sizes(1, 2))
    channels = [few, planes.FEWER * few + draw(sizes(0, 3))]
    channels = channels if draw(st.booleans()) else channels[::-1]
    return Geometry(draw(sizes(1, 4)), *channels, size, *windows, 1)


@pytest.fixture(autouse=True, scope="module")
def fast_kernels():
    """Also where MINIGAN_KERNELS is "reference"."""
    token = twin._reference.set(False)
    yield
    twin._reference.reset(token)


@DTYPES
@given(geometries(), seeds())
def test_planes_equal_the_reference(dtype, tolerance, g, seed):
    arrays = arrays_of(g, seed, dtype)
    for a in arrays:
        a.flags.writeable = False
    found = three_results(planes, g, *arrays)
    assert all(a.dtype == dtype for a in found)
    assert_close(found, three_results(reference, g, *arrays), tolerance)


@given(geometries(), seeds())
def test_blocks_and_threads_change_nothing(g, seed):
    arrays = arrays_of(g, seed)
    expected = three_results(reference, g, *arrays)
    for n_threads in (1, 3):
        with pytest.MonkeyPatch.context() as patch, number_of_threads(n_threads):
            patch.setattr(patches, "CPU_BLOCK_BYTES", 1)
            assert_close(three_results(planes, g, *arrays), expected, 1e-13)
            again = three_results(planes, g, *arrays)
            assert all((a == b).all() for a, b in zip(again, three_results(planes, g, *arrays), strict=True))


@pytest.mark.parametrize("channels", [(32, 3), (3, 32), (48, 1), (1, 48), (32, 8), (8, 32)])
@pytest.mark.parametrize("padding", [0, 2, 4])
def test_they_run_for_the_last_layer_of_a_generator_and_the_first(channels, padding, monkeypatch):
    g = Geometry(2, *channels, (17, 18), (5, 5), (1, 1), (padding, padding))
    arrays, called = arrays_of(g, 0), []
    for name in ("conv2d", "conv2d_input_grad", "conv2d_weight_grad"):
        whole = getattr(planes, name)
        monkeypatch.setattr(planes, name, lambda *a, whole=whole, name=name: (called.append(name), whole(*a))[1])
    assert_close(three_results(convolution, g, *arrays), three_results(reference, g, *arrays), 1e-13)
    assert set(called) == {"conv2d", "conv2d_input_grad", "conv2d_weight_grad"}


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(2, 16, 1, (9, 9), (3, 3), (2, 2), (1, 1)),  # stride 2
        Geometry(2, 16, 1, (9, 9), (1, 1), (1, 1), (0, 0)),  # a product
        Geometry(2, 16, 1, (4, 4), (4, 4), (1, 1), (0, 0)),  # one output
        Geometry(2, 16, 1, (9, 9), (3, 3), (1, 1), (3, 3)),  # padding' would be -1
        Geometry(2, 16, 5, (9, 9), (3, 3), (1, 1), (1, 1)),  # not a quarter
        Geometry(2, 64, 9, (9, 9), (3, 3), (1, 1), (1, 1)),  # nine
        Geometry(2, 16, 16, (9, 9), (3, 3), (1, 1), (1, 1), groups=16),
    ],
)
def test_they_do_not_run_where_they_would_be_slower_or_wrong(geometry, monkeypatch):
    arrays = arrays_of(geometry, 0)
    for name in ("conv2d", "conv2d_input_grad", "conv2d_weight_grad"):
        monkeypatch.setattr(planes, name, None)
    expected = [reference.conv2d(arrays[0], arrays[1], **steps_of(geometry))]
    assert_close([convolution.conv2d(*arrays[:2], **steps_of(geometry))], expected, 1e-13)

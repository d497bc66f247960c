"""The scaler against Pillow's, which has the same weights and leaves out pixels outside of the picture."""

import numpy as np
import pytest

from minigan.layers.bicubic import enlarged, shrunk

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.oracle
RNG = np.random.default_rng(0)


def pillow(x, size):
    """x (H, W) or (H, W, C) in `size` = (H, W)."""
    return np.asarray(Image.fromarray(x).resize(size[::-1], Image.Resampling.BICUBIC))


def sizes(h, w, factor, scale):
    """Those of the picture before and after."""
    small, large = (h, w), (h * factor, w * factor)
    return (small, large) if scale is enlarged else (large, small)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("scale", [enlarged, shrunk])
def test_floats_inside(factor, scale):
    """To float32's rounding. Two pixels of the small picture at each edge look outside."""
    before, after = sizes(20, 30, factor, scale)
    x = RNG.standard_normal(before).astype(np.float32)
    edge = 2 * factor if scale is enlarged else 2
    ours, theirs = scale(x[..., None], factor)[..., 0], pillow(x, after)
    np.testing.assert_allclose(ours[edge:-edge, edge:-edge], theirs[edge:-edge, edge:-edge], rtol=0, atol=2e-6)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("scale", [enlarged, shrunk])
def test_floats_at_the_edges_in_a_frame(factor, scale):
    """With a frame of its own pixels, Pillow computes the edges of the picture as well."""
    before, _ = sizes(6, 5, factor, scale)
    x = RNG.standard_normal(before).astype(np.float32)
    frame = 3 if scale is enlarged else 3 * factor
    framed = np.pad(x, frame, "edge")
    _, after = sizes(12, 11, factor, scale)
    cut = 3 * factor if scale is enlarged else 3
    ours, theirs = scale(x[..., None], factor)[..., 0], pillow(framed, after)
    np.testing.assert_allclose(ours, theirs[cut:-cut, cut:-cut], rtol=0, atol=2e-6)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("scale", [enlarged, shrunk])
def test_bytes(factor, scale):
    """Pillow takes rows before columns, so it gets the picture on its side."""
    before, after = sizes(40, 50, factor, scale)
    x = RNG.integers(0, 256, (*before, 3)).astype(np.uint8)
    edge = 2 * factor if scale is enlarged else 2
    theirs = pillow(np.ascontiguousarray(x.swapaxes(0, 1)), after[::-1]).swapaxes(0, 1)
    np.testing.assert_array_equal(scale(x, factor)[edge:-edge, edge:-edge], theirs[edge:-edge, edge:-edge])

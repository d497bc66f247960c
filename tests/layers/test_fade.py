"""The fade: what it computes at both ends and between, and what the layers on either side receive."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import AvgPool2D, Conv2D, Fade, Sequential, Softplus
from minigan.layers.fade import Scaled

RNG = np.random.default_rng(0)
x, dy, ddx = RNG.standard_normal((3, 2, 4, 4, 2))


def fade(alpha):
    rng = np.random.default_rng(1)
    old, new = Conv2D(2, 2, 1, rng=rng), Sequential(Conv2D(2, 2, 3, padding=1, rng=rng), Softplus())
    return Fade(old, new, alpha).to(dtype=np.float64)


def everything(layer, weight=1.0):
    """y, dx, ddy and dx2 of a layer for weight · dy, and its gradients: dV of backward, then of double_backward."""
    y, cache = layer.forward(x)
    dx, grads = layer.backward(weight * dy, cache, wrt="both"), []
    for step in (lambda: None, lambda: layer.double_backward(ddx, weight * dy, cache)):
        found = step()
        grads.append(layer.parameters().grads.copy())
        layer.parameters().zero_grad()
    return y, dx, found, grads


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_it_is_the_weighted_sum_of_both_paths(alpha):
    whole = fade(alpha)
    y, dx, (ddy, dx2), grads = everything(whole)
    other = fade(alpha)
    parts = [(1 - alpha, everything(other.old, 1 - alpha)), (alpha, everything(fade(alpha).new, alpha))]
    np.testing.assert_allclose(y, sum(w * part[0] for w, part in parts), rtol=1e-12)
    np.testing.assert_allclose(dx, sum(part[1] for _, part in parts), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ddy, sum(w * part[2][0] for w, part in parts), rtol=1e-12)
    np.testing.assert_allclose(dx2, parts[1][1][2][1], rtol=1e-12, atol=1e-14)  # the old path is linear
    for found, new, old in zip(grads, parts[1][1][3], parts[0][1][3], strict=True):
        np.testing.assert_allclose(found, np.concatenate([new, old]), rtol=1e-12, atol=1e-14)


def test_new_layers_receive_alpha_times_the_gradient():
    norms = {}
    for alpha in (0.01, 0.1):
        *_, (grads, _) = everything(fade(alpha))
        norms[alpha] = np.linalg.norm(grads[: 2 * 2 * 9 + 2])  # of the new path, which comes first
    assert norms[0.1] == pytest.approx(10 * norms[0.01], rel=1e-9)


def test_the_factor_is_for_arrays_of_floats():
    layer = Scaled(2)
    with pytest.raises(ShapeError, match=r"^Scaled\(2.0\) takes float32 or float64"):
        layer.forward(np.ones(3, int))
    with pytest.raises(ShapeError, match=r"^Scaled\(2.0\): ddx has shape"):
        layer.double_backward(np.ones(2), np.ones(3), layer.forward(np.ones(3))[1])


def test_what_can_not_be_faded():
    for alpha in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="must be between 0, only the old path, and 1"):
            fade(alpha)
    with pytest.raises(ShapeError, match="the body gives"):
        Fade(AvgPool2D(2), Softplus(), 0.5).forward(x)


def test_it_shows_as_it_is_called():
    assert repr(Fade(AvgPool2D(2), Softplus(), 0.25)) == "Fade(AvgPool2D(2, stride=2), Softplus(), 0.25)"

"""Adaptive instance norm: the style alone sets mean and deviation; and one of many styles for each layer."""

import numpy as np
import pytest

from minigan.errors import LayerError, ShapeError
from minigan.layers import AdaIN, Conditional, Conv2D, Dense, Tanh, WithStyle
from minigan.testing import check_layer, check_network, shake

N, L, F, C = 3, 4, 5, 2


def rng():
    return np.random.default_rng(0)


def pictures_and_styles(*shape):
    x, w = rng().standard_normal((N, 4, 3, C)), rng().standard_normal(shape)
    return 3 + 2 * x, w


def test_the_style_alone_sets_mean_and_deviation():
    x, w = pictures_and_styles(N, F)
    layer = shake(AdaIN(C, F, rng=rng()), rng(), 0.3).to(dtype=np.float64)
    y = layer.output((x, w))
    a, b = (part.output(w) for part in (layer.affine.gain, layer.affine.bias))
    np.testing.assert_allclose(y.mean(axis=(1, 2)), b, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(1, 2)), abs(1 + a), atol=1e-7)
    np.testing.assert_allclose(layer.output((7 * x - 5, w)), y, atol=1e-6)


def test_a_style_of_zeros_is_an_instance_norm():
    x, w = pictures_and_styles(N, F)
    layer = AdaIN(C, F, rng=rng())
    np.testing.assert_allclose(layer.output((x, 0 * w)), layer.norm.output(x), atol=1e-12)
    assert layer.norm.eps == 1e-8
    assert [name for name, _ in layer.walk() if name.count(".") == 1] == ["norm.", "affine."]
    assert repr(layer) == "AdaIN(2, 5)"


def test_derivatives_of_adain():
    x, w = pictures_and_styles(N, F)
    check_layer(shake(AdaIN(C, F, 0.1, rng=rng()), rng()), (x, w))


def test_derivatives_with_one_of_many_styles():
    x, ws = pictures_and_styles(N, L, F)
    check_layer(shake(WithStyle(AdaIN(C, F, 0.1, rng=rng()), 2), rng()), (x, ws))


def test_gradients_of_several_layers_styles_are_added():
    """Two layers with styles of their own, and a third that has the style of the first."""
    x, ws = pictures_and_styles(N, L, F)
    norms = [WithStyle(AdaIN(C, F, 0.1, rng=rng()), i) for i in (1, 3, 1)]
    network = Conditional(norms[0], Conv2D(C, C, 3, padding=1, rng=rng()), norms[1], Tanh(), norms[2])
    check_network(shake(network, rng()), (x, ws))
    y, cache = network.forward((x, ws))
    _, dws = network.backward(np.ones_like(y), cache)
    assert [bool(dws[:, i].any()) for i in range(L)] == [False, True, False, True]


def test_which_style_a_layer_gets():
    x, ws = pictures_and_styles(N, L, F)
    inner = AdaIN(C, F, rng=rng())
    np.testing.assert_array_equal(WithStyle(inner, 2).output((x, ws)), inner.output((x, ws[:, 2])))
    y, cache = WithStyle(inner, 2).forward((x, ws))
    assert WithStyle(inner, 2).backward(y, cache, wrt="params") is None


def test_gradients_that_are_zero():
    """None in ddx is zero: without any, the inner layer isn't called."""
    x, ws = pictures_and_styles(N, L, F)
    layer = WithStyle(shake(AdaIN(C, F, rng=rng()), rng()), 0)
    y, cache = layer.forward((x, ws))
    assert layer.double_backward((None, None), y, cache) == (None, None)
    for v in ((x, None), (None, ws)):
        zero = tuple(0 * a if given is None else given for given, a in zip(v, (x, ws), strict=True))
        for found, expected in zip(
            flat(layer.double_backward(v, y, cache)), flat(layer.double_backward(zero, y, cache)), strict=True
        ):
            np.testing.assert_allclose(0 * expected if found is None else found, expected, atol=1e-10)


def flat(results):
    ddy, (dx2, dws2) = results
    return ddy, dx2, dws2


def test_what_is_refused():
    x, ws = pictures_and_styles(N, L, F)
    with pytest.raises(ValueError, match=r"^Dense\(2, 3\) takes no style: use it as it is, without WithStyle$"):
        WithStyle(Dense(2, 3), 0)
    with pytest.raises(LayerError, match="WithStyle: number 0 is None"):
        WithStyle(None, 0)
    layer = WithStyle(AdaIN(C, F), 4)
    with pytest.raises(ShapeError, match=r"takes styles \(N, 5 or more, F\), got \(3, 4, 5\)$"):
        layer.forward((x, ws))
    with pytest.raises(ShapeError, match="shape"):
        layer.forward((x, ws[:, 0]))

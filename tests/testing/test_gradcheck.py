"""The checker is checked: every planted error must be caught, and named."""

import numpy as np
import pytest

from minigan.layers import BatchNorm, Conv2D, Dense, Dropout, Layer, Residual, Sequential, Sigmoid, Tanh
from minigan.testing import GradientError, check_adjoint, check_layer, check_loss, smooth_point

X = smooth_point(np.random.default_rng(0), (4, 3))


class Cubic(Layer):
    """y = scale · x³: small, nonlinear, with a parameter. The planted errors below are made in copies of it."""

    def __init__(self):
        self.add_parameters(scale=np.array([0.5, 2.0, 1.5], np.float32))

    def forward(self, x, train=True, rng=None):
        return self.factor(x) * x**3, x

    def backward_input(self, dy, cache):
        return dy * self.slope(cache)

    def backward_params(self, dy, cache):
        self.dscale += (dy * cache**3).sum(axis=0)

    def shapes(self, cache):
        return cache.shape, cache.shape

    def double_backward(self, ddx, dy, cache):
        self.check_second(ddx, dy, cache)
        self.dscale += (ddx * dy * 3 * cache**2).sum(axis=0)
        return ddx * self.slope(cache), ddx * dy * self.curvature(cache)

    def factor(self, x):
        return self.scale.astype(x.dtype, copy=False)

    def slope(self, x):
        return self.factor(x) * 3 * x**2

    def curvature(self, x):
        return self.factor(x) * 6 * x


def test_the_cubic_itself_is_right():
    report = check_layer(Cubic(), X)
    assert set(report.first) == {"x", "scale"}
    assert set(report.second) == {"x", "dy", "scale"}
    assert max(report.worst()) < 1e-11


class WrongSign(Cubic):
    def slope(self, x):
        return -super().slope(x)


class OneThousandthTooLarge(Cubic):
    def slope(self, x):
        return 1.001 * super().slope(x)


class OneEntryWrong(Cubic):
    def slope(self, x):
        slope = super().slope(x)
        slope[1, 2] *= 1.001
        return slope


class ForgottenFactor(Cubic):
    def slope(self, x):
        return 3 * x**2


class SwappedAxis(Cubic):
    def backward(self, dy, cache, wrt="both"):
        if wrt != "input":
            self.dscale += (dy * cache**3).sum(axis=1)[:3]
        return super().backward(dy, cache, "input") if wrt != "params" else None


class ForgottenParameter(Cubic):
    def backward(self, dy, cache, wrt="both"):
        return super().backward(dy, cache, "input") if wrt != "params" else None


class NotANumber(Cubic):
    def slope(self, x):
        return super().slope(x) * np.nan


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (WrongSign, "dx"),
        (OneThousandthTooLarge, "dx"),
        (OneEntryWrong, "dx"),
        (ForgottenFactor, "dx"),
        (SwappedAxis, "dscale"),
        (ForgottenParameter, "dscale"),
        (NotANumber, "dx"),
    ],
)
def test_first_order_errors_are_caught(layer, name, order):
    with pytest.raises(GradientError, match=f"{name} of .*first order"):
        check_layer(layer(), X, order=order, promises=False)


class ForgottenCurvature(Cubic):
    def double_backward(self, ddx, dy, cache):
        return super().double_backward(ddx, dy, cache)[0], None


class HalfTheCurvature(Cubic):
    def curvature(self, x):
        return super().curvature(x) / 2


class CurvatureWithoutDy(Cubic):
    def double_backward(self, ddx, dy, cache):
        ddy, _ = super().double_backward(ddx, dy, cache)
        return ddy, ddx * self.curvature(cache)


class SecondOrderWithoutParameter(Cubic):
    def double_backward(self, ddx, dy, cache):
        before = self.dscale.copy()
        results = super().double_backward(ddx, dy, cache)
        self.dscale[...] = before
        return results


class WrongDdy(Cubic):
    def double_backward(self, ddx, dy, cache):
        ddy, dx2 = super().double_backward(ddx, dy, cache)
        return 1.001 * ddy, dx2


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (ForgottenCurvature, "dx2"),
        (HalfTheCurvature, "dx2"),
        (CurvatureWithoutDy, "dx2"),
        (SecondOrderWithoutParameter, "dscale"),
        (WrongDdy, "ddy"),
    ],
)
def test_second_order_errors_are_caught(layer, name):
    check_layer(layer(), X, order=1)
    with pytest.raises(GradientError, match=f"{name} of .*second order"):
        check_layer(layer(), X, promises=False)


def test_a_message_says_what_where_how_much_and_how_to_repeat_it():
    with pytest.raises(GradientError) as caught:
        check_layer(OneEntryWrong(), X, seed=42, promises=False)
    first, second, third = str(caught.value).splitlines()
    assert first == "dx of OneEntryWrong(), x (4, 3), train=True, seed=42, first order"
    assert second.startswith("  at (1, 2): written ")
    assert ", by differences " in second
    assert third.startswith("  relative error ")
    assert third.endswith(", allowed 1e-07")


def test_one_wrong_entry_of_a_large_array_shows_along_the_directions():
    class OneOfMany(Tanh):
        def backward(self, dy, cache, wrt="both"):
            dx = super().backward(dy, cache, wrt)
            dx[17, 42] *= 1.1
            return dx

    with pytest.raises(GradientError, match="along random direction"):
        check_layer(OneOfMany(), smooth_point(np.random.default_rng(0), (50, 60)), entries=4, promises=False)


def test_small_gradients_are_measured_relatively():
    """A wrong factor is caught however small the gradient is: there is no absolute tolerance to hide under."""

    class Tiny(Tanh):
        def forward(self, x, train=True, rng=None):
            y, cache = super().forward(x)
            return 1e-9 * y, cache

        def backward(self, dy, cache, wrt="both"):
            return 1.001e-9 * super().backward(dy, cache)

    with pytest.raises(GradientError, match="dx"):
        check_layer(Tiny(), X, order=1, promises=False)


def test_a_missing_gamma_shows_in_a_norm_that_was_shaken():
    class WithoutGamma(BatchNorm):
        def _scaled(self, a):
            return a

    layer = WithoutGamma(3)
    layer.gamma[...] = [1.1, 0.9, 1.3]
    with pytest.raises(GradientError, match="dx"):
        check_layer(layer, X, promises=False)


def test_layers_that_draw_or_keep_statistics_are_left_as_they_were():
    network = Sequential(Dense(3, 3), BatchNorm(3), Dropout(0.5), Residual(Sequential(Sigmoid())))
    before = network.state_dict()
    check_layer(network, X, step=1e-4)
    assert all(np.array_equal(before[name], array) for name, array in network.state_dict().items())
    assert network.parameters().values.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_callers_x_is_left_as_it_was(dtype):
    x = X.astype(dtype)
    before = x.copy()
    check_layer(Tanh(), x)
    np.testing.assert_array_equal(x, before)
    assert x.dtype == dtype


def mean_square(a, b):
    d = a - b
    return (d * d).mean(), (2 * d / d.size, -2 * d / d.size)


def test_a_loss_of_two_arrays():
    errors = check_loss(mean_square, X, X[::-1].copy())
    assert len(errors) == 2
    assert max(errors) < 1e-11


@pytest.mark.parametrize(
    ("loss", "complaint"),
    [
        (lambda x: (x.mean(), np.ones_like(x)), "gradient 0"),
        (lambda x: (x.sum(), -np.ones_like(x)), "gradient 0"),
        (lambda x: (x, np.ones_like(x)), "it must be one number"),
        (lambda x: (x.sum(), np.ones(3)), "has a gradient"),
        (lambda x: (x.sum(), np.ones(x.shape)), "has a gradient float64"),
        (lambda x: (np.float64(x.sum()), np.ones_like(x)), "into a value of float64"),
        (lambda x: ((x * x).sum() / 2, x), "shares memory"),
        (lambda x: (x.sum(), (np.ones_like(x),) * 2), "1 arguments and 2 gradients"),
        (lambda x: (np.negative(x, out=x).sum(), -np.ones_like(x)), "wrote to its input"),
    ],
)
def test_wrong_losses_are_caught(loss, complaint):
    with pytest.raises(GradientError, match=complaint):
        check_loss(loss, X)


def test_adjoints():
    A = np.random.default_rng(0).standard_normal((4, 3))
    x, y = np.ones(3), np.arange(4.0)
    assert check_adjoint(lambda x: A @ x, lambda y: A.T @ y, x, y) < 1e-15
    with pytest.raises(GradientError, match="adjoint"):
        check_adjoint(lambda x: A @ x, lambda y: 1.001 * A.T @ y, x, y)
    with pytest.raises(GradientError, match="its adjoint"):
        check_adjoint(lambda x: A @ x, lambda y: y, x, y)


def test_a_convolution_with_a_kink_in_reach_is_not_smooth_enough_to_pass():
    """Why inputs must be smooth points: at a kink differences are no derivative."""
    from minigan.layers import ReLU

    with pytest.raises(GradientError):
        check_layer(ReLU(), np.full((2, 2), 1e-4))
    check_layer(Sequential(Conv2D(1, 1, 1)), np.zeros((1, 1, 1, 1)))

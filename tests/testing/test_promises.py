"""Layers whose numbers are right, but which break a promise: each must be caught."""

import numpy as np
import pytest

from minigan.layers import BatchNorm, Conv2D, Dense, Layer, PReLU, Tanh
from minigan.testing import GradientError, check_layer, check_promises, smooth_point

X = smooth_point(np.random.default_rng(0), (4, 3))


class WritesToX(Tanh):
    def forward(self, x, train=True, rng=None):
        x *= 1.5
        return super().forward(x)


class WritesToDy(Tanh):
    def backward(self, dy, cache, wrt="both"):
        self.check_dy(dy, cache.shape, wrt)
        dy *= 1 - cache * cache
        return dy.copy() if wrt != "params" else None


class WritesToDdx(Tanh):
    def double_backward(self, ddx, dy, cache):
        results = super().double_backward(ddx, dy, cache)
        ddx[...] = 0
        return results


class WritesToWeights(Dense):
    def backward(self, dy, cache, wrt="both"):
        dx = super().backward(dy, cache, wrt)
        self.W *= 0.99
        return dx


class Identity(Layer):
    def forward(self, x, train=True, rng=None):
        return x + 0, x.shape

    def backward_input(self, dy, cache):
        return dy + 0

    def double_backward(self, ddx, dy, cache):
        self.check_second(ddx, dy, cache)
        return ddx + 0, None

    def shapes(self, cache):
        return cache, cache


class WrongShapes(Identity):
    def shapes(self, cache):
        return cache, cache[::-1]


class ReturnsX(Identity):
    def forward(self, x, train=True, rng=None):
        return x, x.shape


class ReturnsDy(Identity):
    def backward_input(self, dy, cache):
        return dy


class ReturnsDdx(Identity):
    def double_backward(self, ddx, dy, cache):
        super().double_backward(ddx, dy, cache)
        return ddx, None


class NeedsContiguousInput(Identity):
    def forward(self, x, train=True, rng=None):
        return x + (0 if x.flags.c_contiguous else 1), x.shape


class Float64(Identity):
    def forward(self, x, train=True, rng=None):
        return x * np.ones(1), x.shape


class Float64Dx(Identity):
    def backward_input(self, dy, cache):
        return dy * np.ones(1)


class Float64Dx2(Tanh):
    def double_backward(self, ddx, dy, cache):
        ddy, dx2 = super().double_backward(ddx, dy, cache)
        return ddy, dx2 * np.ones(1)


class FollowsTheWeightsDtype(Dense):
    def forward(self, x, train=True, rng=None):
        self.check_input(x, None, self.in_features)
        return x @ self.W + self.b, x


class AcceptsAnyDy(Identity):
    def check_dy(self, dy, y_shape, wrt="both"):
        if wrt not in ("both", "input", "params"):
            raise ValueError


class AcceptsAnyDdx(Identity):
    def check_second(self, ddx, dy, cache):
        pass


class AcceptsAnyDyTwice(Identity):
    def check_second(self, ddx, dy, cache):
        super().check_second(ddx, np.broadcast_to(dy, cache), cache)


class AcceptsAnyWrt(Identity):
    def check_dy(self, dy, y_shape, wrt="both"):
        super().check_dy(dy, y_shape)


class Overwrites(Dense):
    def backward(self, dy, cache, wrt="both"):
        if wrt != "input":
            self.dW[...] = 0
        return super().backward(dy, cache, wrt)


class OverwritesAtSecondOrder(Dense):
    def double_backward(self, ddx, dy, cache):
        self.dW[...] = 0
        return super().double_backward(ddx, dy, cache)


class InputAlsoMeansParameters(Dense):
    def backward(self, dy, cache, wrt="both"):
        return super().backward(dy, cache, "both" if wrt == "input" else wrt)


class ParamsAlsoMeansInput(Dense):
    def backward(self, dy, cache, wrt="both"):
        return super().backward(dy, cache, "both" if wrt == "params" else wrt)


class ParamsMeansNothing(Dense):
    def backward(self, dy, cache, wrt="both"):
        return super().backward(dy, cache, wrt) if wrt != "params" else None


class AnotherDxForInput(Dense):
    def backward(self, dy, cache, wrt="both"):
        dx = super().backward(dy, cache, wrt)
        return 2 * dx if wrt == "input" else dx


class CacheOnSelf(Tanh):
    def forward(self, x, train=True, rng=None):
        y, self.cache = super().forward(x)
        return y, self.cache

    def backward(self, dy, cache, wrt="both"):
        return super().backward(dy, self.cache, wrt)


class NeedsBackwardFirst(Tanh):
    def backward(self, dy, cache, wrt="both"):
        self.seen = True
        return super().backward(dy, cache, wrt)

    def double_backward(self, ddx, dy, cache):
        ddy, dx2 = super().double_backward(ddx, dy, cache)
        return (ddy if getattr(self, "seen", False) else 0 * ddy), dx2


class NeedsBackwardWithTheCache(Identity):
    def forward(self, x, train=True, rng=None):
        return x + 0, {"shape": x.shape}

    def backward_input(self, dy, cache):
        cache["dy"] = dy
        return dy + 0

    def double_backward(self, ddx, dy, cache):
        ddy, _ = super().double_backward(ddx, dy, cache)
        return (ddy if "dy" in cache else 0 * ddy), None

    def shapes(self, cache):
        return cache["shape"], cache["shape"]


class KeepsState(Tanh):
    count = 0

    def forward(self, x, train=True, rng=None):
        self.count += 1
        return super().forward(x * self.count)


class AnotherOutput(Tanh):
    def output(self, x, train=True, rng=None):
        return super().output(x, train, rng) + 1


class AnotherShape(Tanh):
    def backward(self, dy, cache, wrt="both"):
        dx = super().backward(dy, cache, wrt)
        return dx if dx is None else dx.ravel()


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        (WritesToX(), "forward writes to x"),
        (WritesToDy(), "backward writes to dy"),
        (WritesToDdx(), "double_backward writes to ddx"),
        (WritesToWeights(3, 2), "backward writes to W"),
        (ReturnsX(), "y shares memory with x"),
        (ReturnsDy(), "dx shares memory with dy"),
        (ReturnsDdx(), "ddy shares memory with ddx"),
        (NeedsContiguousInput(), "y differs for a non-contiguous input"),
        (Float64(), "y is not float32"),
        (Float64Dx(), "dx is not float32"),
        (Float64Dx2(), "dx2 is not float32"),
        (FollowsTheWeightsDtype(3, 2), "y is not float32 for float32 input and float64 parameters"),
        (WrongShapes(), r"shapes returns \(\(4, 3\), \(3, 4\)\): the shapes of x and y are \(\(4, 3\), \(4, 3\)\)"),
        (AcceptsAnyDy(), "backward accepts a dy of"),
        (AcceptsAnyDdx(), "double_backward accepts a ddx of"),
        (AcceptsAnyDyTwice(), "double_backward accepts a dy"),
        (AcceptsAnyWrt(), "accepts wrt='weights'"),
        (Overwrites(3, 2), "are not added by backward"),
        (OverwritesAtSecondOrder(3, 2), "are not added by double_backward"),
        (InputAlsoMeansParameters(3, 2), "changes parameter gradients"),
        (ParamsAlsoMeansInput(3, 2), "returns something"),
        (ParamsMeansNothing(3, 2), "differ with"),
        (AnotherDxForInput(3, 2), "differs with"),
        (CacheOnSelf(), "changes after a forward of other pictures"),
        (NeedsBackwardFirst(), "depends on whether backward ran before"),
        (NeedsBackwardWithTheCache(), "depends on whether backward ran before"),
        (KeepsState(), "differs in a second forward"),
        (AnotherOutput(), "y differs between output"),
        (AnotherShape(), "dx has shape"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Layer) else "",
)
def test_broken_promises_are_caught(layer, complaint):
    with pytest.raises(GradientError, match=complaint):
        check_layer(layer, X)


@pytest.mark.parametrize("layer", [Tanh(), Identity(), Dense(3, 2), PReLU(3), BatchNorm(3)], ids=repr)
def test_kept_promises_are_not_complained_about(layer):
    check_promises(layer, X)


def test_a_single_sample_of_a_single_number_is_no_reason_to_complain():
    check_promises(Dense(1, 1), smooth_point(np.random.default_rng(0), (1, 1)))
    check_promises(Conv2D(1, 1, 1), smooth_point(np.random.default_rng(0), (1, 1, 1, 1)))

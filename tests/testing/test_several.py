"""Layers with several inputs: right ones pass, errors planted in any entry are caught and named."""

import numpy as np
import pytest

from minigan.layers import (
    Branches,
    Concat,
    Conditional,
    ConditionalAffine,
    ConditionalBatchNorm,
    Dense,
    Embedding,
    Layer,
    LeakyReLU,
    Projection,
    Sequential,
)
from minigan.testing import GradientError, check_layer, check_network, check_through, shake, smooth_point
from minigan.testing.call import gradient_name
from minigan.testing.several import each, entries, flat

RNG = np.random.default_rng(0)
LABELS = np.array([1, 0, 2, 1, 2], np.uint8)
NUMBERS = smooth_point(RNG, (5, 3)), smooth_point(RNG, (5, 3))
POINTS = NUMBERS[0], LABELS


class Product(Layer):
    """(a, b) → a² b. The planted errors below are made in copies of it."""

    def forward(self, x, train=True, rng=None):
        self.check_several(x, 2)
        a, b = x
        return a * a * b, (a, b)

    def backward_input(self, dy, cache):
        a, b = cache
        return 2 * dy * a * b, dy * a * a

    def double_backward(self, ddx, dy, cache):
        self.check_second(ddx, dy, cache)
        (a, b), (v, w) = cache, ddx
        return 2 * v * a * b + w * a * a, (2 * dy * (v * b + w * a), 2 * dy * v * a)

    def shapes(self, cache):
        a, b = cache
        return (a.shape, b.shape), a.shape


def test_the_product_itself_is_right():
    report = check_layer(Product(), NUMBERS)
    assert set(report.first) == {"x[0]", "x[1]"}
    assert set(report.second) == {"dy", "x[0]", "x[1]"}
    assert max(report.worst()) < 1e-10
    check_network(Product(), NUMBERS)


class Planted(Product):
    """A product whose results a function changes."""

    def __init__(self, dx=lambda dx, cache: dx, second=lambda ddy, dx2, cache: (ddy, dx2)):
        self.dx, self.second = dx, second

    def backward(self, dy, cache, wrt="both"):
        dx = super().backward(dy, cache, wrt)
        return None if dx is None else self.dx(dx, cache)

    def double_backward(self, ddx, dy, cache):
        return self.second(*super().double_backward(ddx, dy, cache), cache)


FIRST = [
    (lambda dx, cache: (dx[0], -dx[1]), r"dx\[1\]"),
    (lambda dx, cache: (1.001 * dx[0], dx[1]), r"dx\[0\]"),
    (lambda dx, cache: (dx[1], dx[0]), r"dx\[0\]"),
    (lambda dx, cache: (dx[0], None), r"dx\[1\]"),
]
SECOND = [
    (lambda ddy, dx2, cache: (ddy, (dx2[0], None)), r"dx2\[1\]"),
    (lambda ddy, dx2, cache: (ddy, None), r"dx2\[0\]"),
    (lambda ddy, dx2, cache: (ddy, (dx2[0], 1.001 * dx2[1])), r"dx2\[1\]"),
    (lambda ddy, dx2, cache: (1.001 * ddy, dx2), "ddy"),
]


@pytest.mark.parametrize(("error", "name"), FIRST)
@pytest.mark.parametrize("check", [check_layer, check_network])
def test_first_order_errors_are_caught(check, error, name):
    settings = {"promises": False} if check is check_layer else {}
    with pytest.raises(GradientError, match=f"{name} of .*first order"):
        check(Planted(dx=error), NUMBERS, **settings)


@pytest.mark.parametrize(("error", "name"), SECOND)
@pytest.mark.parametrize("check", [check_layer, check_network])
def test_second_order_errors_are_caught(check, error, name):
    settings = {"promises": False} if check is check_layer else {}
    with pytest.raises(GradientError, match=f"{name} of .*second order"):
        check(Planted(second=error), NUMBERS, **settings)


class WritesToB(Product):
    def forward(self, x, train=True, rng=None):
        x[1][...] = 2
        return super().forward(x)


class WritesToLabels(ConditionalAffine):
    def forward(self, x, train=True, rng=None):
        x[1][0] = 2
        return super().forward(x, train)


class GradientAtLabels(ConditionalAffine):
    def backward(self, dy, cache, wrt="both"):
        dx = super().backward(dy, cache, wrt)
        return None if dx is None else (dx[0], np.zeros(len(dy)))


class AcceptsAnyDdx(Product):
    def check_second(self, ddx, dy, cache):
        a, b = cache
        if len(ddx) == 2:
            ddx = tuple(np.broadcast_to(v, a.shape) for v in ddx)
        super().check_second(ddx, dy, cache)


class AnyNumberOfDdx(Product):
    def check_second(self, ddx, dy, cache):
        super().check_second((*ddx, ddx[0])[:2], dy, cache)


class Twins(Branches):
    def backward(self, dy, cache, wrt="both"):
        dx = super().backward(dy, cache, wrt)
        return None if dx is None else (dx[0][::-1], dx[0])


class FollowsTheWeightsDtype(Projection):
    def backward(self, dy, cache, wrt="both"):
        dx = super().backward(dy, cache, wrt)
        return None if dx is None else (dx[0] * self.embedding.W.dtype.type(1), None)


class LastLabelsOnSelf(ConditionalAffine):
    def forward(self, x, train=True, rng=None):
        self.labels = x[1]
        return super().forward(x, train)

    def _rows(self, table, labels, like):
        return super()._rows(table, self.labels, like)


@pytest.mark.parametrize(
    ("layer", "x", "complaint"),
    [
        (WritesToB(), NUMBERS, r"forward writes to x\[1\]"),
        (WritesToLabels(3, 3), POINTS, r"forward writes to x\[1\]"),
        (GradientAtLabels(3, 3), POINTS, r"dx\[1\] is a gradient at labels"),
        (AcceptsAnyDdx(), NUMBERS, r"double_backward accepts a ddx\[0\] of \(1, 3\)"),
        (AnyNumberOfDdx(), NUMBERS, "double_backward accepts a ddx of 1 entries"),
        (Twins(None, None), (NUMBERS[0], NUMBERS[0]), r"dx\[0\] shares memory with dx\[1\]"),
        (FollowsTheWeightsDtype(Dense(3, 1), Embedding(3, 3)), POINTS, r"dx\[0\] is not float32"),
        (LastLabelsOnSelf(3, 3), POINTS, "changes after a forward of other pictures"),
        (Planted(dx=lambda dx, cache: dx[0]), NUMBERS, "dx is one array, but x is a tuple of 2"),
        (Planted(dx=lambda dx, cache: (dx[0], None)), NUMBERS, r"dx\[1\] is None"),
        (Planted(dx=lambda dx, cache: (dx[0], dx[1][0])), NUMBERS, r"dx\[1\] has shape \(3,\) instead of \(5, 3\)"),
        (Planted(second=lambda ddy, dx2, cache: (ddy, dx2[0])), NUMBERS, "dx2 is one array"),
        (Planted(second=lambda ddy, dx2, cache: (ddy, (dx2[0], dx2[0]))), NUMBERS, "shares memory"),
    ],
)
def test_broken_promises_are_caught(layer, x, complaint):
    with pytest.raises(GradientError, match=complaint):
        check_layer(shake(layer, np.random.default_rng(0)), x)


class OwnRowForgotten(ConditionalAffine):
    def _by_class(self, labels, *factors):
        return super()._by_class(labels[::-1], *factors)


class EmbeddingForgottenAtSecondOrder(Projection):
    def double_backward(self, ddx, dy, cache):
        before = self.embedding.dW.copy()
        results = super().double_backward(ddx, dy, cache)
        self.embedding.dW[...] = before
        return results


@pytest.mark.parametrize(
    ("layer", "name", "order"),
    [
        (OwnRowForgotten(3, 3), "dgamma", "first"),
        (EmbeddingForgottenAtSecondOrder(Dense(3, 1), Embedding(3, 3)), "embedding.dW", "second"),
    ],
)
def test_errors_in_conditional_layers_are_caught(layer, name, order):
    with pytest.raises(GradientError, match=f"{name} of .*{order} order"):
        check_layer(shake(layer, np.random.default_rng(0)), POINTS, promises=False)


def conditional_gan():
    rng = np.random.default_rng(0)
    body = [Dense(4, 5, rng=rng), ConditionalBatchNorm(5, 3), LeakyReLU(), Dense(5, 3, rng=rng)]
    D = Sequential(Branches(None, Embedding(3, 2, rng=rng)), Concat(), Dense(5, 4, rng=rng), LeakyReLU(), Dense(4, 1))
    return shake(Conditional(*body), rng), shake(D, rng), (rng.standard_normal((5, 4)), LABELS)


def test_a_conditional_generator_through_a_conditional_discriminator():
    G, D, z = conditional_gan()
    assert set(check_through(G, D, z)) == set(G.parameters().named())


def test_a_wrong_gradient_at_x_is_caught_through_the_generator():
    class Wrong(Concat):
        def backward(self, dy, cache, wrt="both"):
            dx = super().backward(dy, cache, wrt)
            return None if dx is None else (1.001 * dx[0], *dx[1:])

    G, D, z = conditional_gan()
    D.layers[1].__class__ = Wrong
    with pytest.raises(GradientError, match="of G through D"):
        check_through(G, D, z)


def test_a_tuple_full_of_kinks_is_left_and_labels_stay():
    check_network(Branches(LeakyReLU(), Embedding(3, 2)), (np.zeros((5, 3)), LABELS))


@pytest.mark.parametrize(
    ("name", "order", "gradient"),
    [
        ("W", 1, "dW"),
        ("0.body.W", 2, "0.body.dW"),
        ("x", 1, "dx"),
        ("x", 2, "dx2"),
        ("x[0]", 1, "dx[0]"),
        ("x[0][1]", 2, "dx2[0][1]"),
        ("dy[1]", 2, "ddy[1]"),
    ],
)
def test_what_gradients_are_called(name, order, gradient):
    assert gradient_name(name, order) == gradient


def test_entries_have_names_and_labels_are_left_out_of_the_vector():
    x = (np.ones(2), (LABELS, None, np.zeros((1, 3))))
    assert list(entries("x", x)) == ["x[0]", "x[1][0]", "x[1][1]", "x[1][2]"]
    np.testing.assert_array_equal(flat(x), [1, 1, 0, 0, 0])
    assert each(np.shape, x) == ((2,), ((5,), None, (1, 3)))
    assert flat(None).size == 0

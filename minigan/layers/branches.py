"""Several inputs: a layer for each of them, and one array made of them. And one input on several paths.

    Sequential(Branches(None, Embedding(10, 50)), Concat(), Dense(100 + 50, 256), …)

takes (z, labels) and goes on with z and the embedding joined: the generator of Mirza and Osindero (2014).

    Parallel(Conv2D(192, 64, 1), Sequential(MaxPool2D(3, 1, 1), Conv2D(192, 32, 1)))

computes two outputs of the same picture and joins their channels: an Inception block (Szegedy et al. 2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt, checked_pair
from minigan.layers.composite import Identity, add, check_layers, double_backward_of, is_zero
from minigan.layers.reach import Ways


class Branches(Layer):
    """(x_1, …, x_n) → (f_1(x_1), …, f_n(x_n)), with None for an f_i that returns a copy of its input.

    No branch depends on another, so forward, backward and double backward are those of every branch, at its own entry
    of the tuple. f_i is called "i" in the names of parameters, from "0" on.

    None is zero: there is no gradient at labels that are passed on, and P may not depend on every dx_i. The derivatives
    of a branch are linear in the gradients it gets, so for a None it isn't called, and its result is None.
    """

    def __init__(self, *layers: Layer | None) -> None:
        if not layers:
            raise ValueError("Branches needs at least one branch")
        self.layers = layers
        check_layers("Branches", *self._branches())

    def children(self) -> dict[str, Layer]:
        """The branches by position, without those that are None: {"0": …, "1": …}."""
        return {str(i): layer for i, layer in enumerate(self.layers) if layer is not None}

    def _branches(self) -> tuple[Layer, ...]:
        return tuple(Identity() if layer is None else layer for layer in self.layers)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x_1, …, x_n) → (y_1, …, y_n)."""
        self.check_several(x, len(self.layers))
        branches = zip(self._branches(), x, strict=True)
        ys, caches = zip(*(checked_pair(f, f.forward(entry, train, rng)) for f, entry in branches), strict=True)
        return _copied(ys, x), (caches, _shape(ys))

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """(dy_1, …, dy_n) → (dx_1, …, dx_n)."""
        caches, y_shapes = cache
        self.check_dy(dy, y_shapes, wrt)  # here, because a branch whose dy is None isn't called
        # forward: y_i = f_i(x_i)
        dx = [
            None if is_zero(entry) else f.backward(entry, inner, wrt)
            for f, entry, inner in zip(self._branches(), dy, caches, strict=True)
        ]
        return _copied(dx, dy) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx_1, …, ddx_n) → ((ddy_1, …, ddy_n), (dx2_1, …, dx2_n))."""
        caches, y_shapes = cache
        self.check_several(ddx, len(self.layers), "ddx")
        self.check_dy(dy, y_shapes)
        # backward: dx_i = f_i.backward(dy_i)
        results = [double_backward_of(*branch) for branch in zip(self._branches(), ddx, dy, caches, strict=True)]
        ddy, dx2 = zip(*results, strict=True)
        return _copied(ddy, ddx), None if is_zero(dx2) else dx2

    def reach(self) -> Ways:
        """That of each branch; their inputs lie on one grid."""
        return Ways(self.layers)

    def __repr__(self) -> str:
        return f"Branches({', '.join(map(repr, self.layers))})"


def _shape(y: Any) -> tuple[Any, ...]:
    return tuple(map(_shape, y)) if isinstance(y, tuple) else y.shape


def _copied(results: Any, given: Any) -> tuple[Any, ...]:
    """The results, with a copy for each array that was given: no output shares memory with an input."""
    return tuple(y.copy() if y is x and y is not None else y for y, x in zip(results, given, strict=True))


class Concat(Layer):
    """(x_1, …, x_n) → y, joined along the last axis.

    x_i has the shape (…, C_i), with the same axes before the last for all, and y (…, C_1 + … + C_n). The dtype of y is
    that of x_1. Nothing is computed: dx_i are the parts of dy, ddy is made of the ddx_i, and dx2 is nothing.
    """

    per_pixel = True

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x_1 (…, C_1), …, x_n (…, C_n)) → y. Raises ShapeError if the other axes differ."""
        self.check_several(x, None)
        for entry in x:
            self.check_input(entry, None, None)
        _channels(self, [entry.shape for entry in x])
        return _joined(x, x[0]), [(entry.shape, entry.dtype) for entry in x]

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (…, C_1 + … + C_n) → (dx_1 (…, C_1), …)."""
        # forward: y = concatenate(x)
        parts = _channels(self, [shape for shape, _ in cache])
        return tuple(dy[..., part].astype(dtype) for part, (_, dtype) in zip(parts, cache, strict=True))  # a copy

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx_1, …, ddx_n), None being zeros → ddy; dx2 is nothing."""
        self.check_second(ddx, dy, cache)
        # backward: dx_i = dy[..., part_i]
        xp = array_module(dy)
        zeros = (xp.zeros(shape, dy.dtype) if v is None else v for v, (shape, _) in zip(ddx, cache, strict=True))
        return _joined(zeros, dy), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """(…, C_1), … and (…, C_1 + … + C_n)."""
        shapes = tuple(shape for shape, _ in cache)
        return shapes, (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


class Parallel(Layer):
    """y = (f_1(x), …, f_n(x)) along the last axis: (…, C) → (…, K_1 + … + K_n). f_i is called "i", from "0" on.

    All paths start at the same x, and each has output channels of its own. With dy_i for their part of dy,

        dx = Σ f_i.backward(dy_i)        ddy = (ddy_1, …, ddy_n) along the last axis        dx2 = Σ dx2_i

    where ddy_i and dx2_i come from f_i.double_backward(ddx, dy_i): P depends on the sum of all dx_i, so each gets the
    same ddx.
    """

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("Parallel needs at least one layer")
        check_layers("Parallel", *layers)
        self.layers = layers

    def children(self) -> dict[str, Layer]:
        """The layers by position: {"0": …, "1": …}."""
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y. Raises ShapeError if the outputs differ in an axis before the last."""
        ys, caches = zip(*(checked_pair(f, f.forward(x, train, rng)) for f in self.layers), strict=True)
        shapes = [y.shape for y in ys]
        _channels(self, shapes)
        return array_module(x).concatenate(ys, axis=-1), (caches, shapes)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → dx, the sum of all paths."""
        dx = None
        # forward: y = concatenate(f_i(x))
        for f, dy_part, inner in self._parts(dy, cache, wrt):
            dx = add(dx, f.backward(dy_part, inner, wrt))
        return dx

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → (ddy, dx2): those of the paths, joined and summed."""
        ddys, dx2 = [], None
        # backward: dx = Σ f_i.backward(dy_i)
        for f, dy_part, inner in self._parts(dy, cache):
            ddy_part, dx2_part = checked_pair(f, f.double_backward(ddx, dy_part, inner))
            ddys.append(ddy_part)
            dx2 = add(dx2, dx2_part)
        return array_module(dy).concatenate(ddys, axis=-1), dx2

    def reach(self) -> Ways:
        """That of all paths."""
        return Ways(self.layers)

    def _parts(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Iterator[tuple[Layer, Any, Any]]:
        """Check dy, and yield each layer with its part of dy and its cache."""
        caches, shapes = cache
        self.check_dy(dy, (*shapes[0][:-1], sum(shape[-1] for shape in shapes)), wrt)
        for f, inner, part in zip(self.layers, caches, _channels(self, shapes), strict=True):
            yield f, dy[..., part], inner

    def __repr__(self) -> str:
        return f"Parallel({', '.join(map(repr, self.layers))})"


def _channels(layer: Layer, shapes: list[tuple[int, ...]]) -> list[slice]:
    """Where arrays of these shapes lie in their concatenation along the last axis.

    Raises ShapeError unless all other axes agree.
    """
    if any(not shape or shape[:-1] != shapes[0][:-1] for shape in shapes):
        raise ShapeError(
            f"{layer!r} joins along the last axis, so the others must agree: got {list(map(tuple, shapes))}"
        )
    ends = list(accumulate(shape[-1] for shape in shapes))
    return [slice(end - shape[-1], end) for end, shape in zip(ends, shapes, strict=True)]


def _joined(arrays: Any, like: Any) -> Any:
    """The concatenation along the last axis, in the dtype of `like`."""
    return array_module(like).concatenate([a.astype(like.dtype, copy=False) for a in arrays], axis=-1)

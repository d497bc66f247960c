"""Several inputs: a layer for each of them, and one array made of them. And one input on several ways.

    Sequential(Branches(None, Embedding(10, 50)), Concat(), Dense(100 + 50, 256), …)

takes (z, labels) and goes on with z and the embedding beside each other: the generator of Mirza and Osindero (2014).

    Parallel(Conv2D(192, 64, 1), Sequential(MaxPool2D(3, 1, 1), Conv2D(192, 32, 1)))

looks at the same picture in two ways and puts the channels beside each other: an Inception block (Szegedy et al. 2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt, add, check_layers, checked_pair, is_zero
from minigan.layers.reach import Ways


class Branches(Layer):
    """(x_1, …, x_n) → (f_1(x_1), …, f_n(x_n)), with None for an f_i that passes its input on unchanged.

    No branch knows of another, so each of the three verbs is that of every branch, at its own entry of the tuple.
    f_i is called "i" in the names of parameters, from "0" on.

    None is zero: nothing comes down to labels that are passed on, and P may not depend on every dx_i. The derivatives
    of a branch are linear in what it is given, so for a None it isn't called, and hands on None.
    """

    def __init__(self, *layers: Layer | None) -> None:
        if not layers:
            raise ValueError("Branches needs at least one branch")
        check_layers("Branches", *(_Unchanged() if layer is None else layer for layer in layers))
        self.layers = layers
        self._ways = tuple(_Unchanged() if layer is None else layer for layer in layers)

    def children(self) -> dict[str, Layer]:
        """The branches by position, without those that are None: {"0": …, "1": …}."""
        return {str(i): layer for i, layer in enumerate(self.layers) if layer is not None}

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x_1, …, x_n) → (y_1, …, y_n)."""
        self.check_several(x, len(self.layers))
        results = [checked_pair(way, way.forward(entry, train, rng)) for way, entry in zip(self._ways, x, strict=True)]
        return tuple(y for y, _ in results), [(cache, _shape(y)) for y, cache in results]

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """(dy_1, …, dy_n) → (dx_1, …, dx_n)."""
        self._check_dys(dy, cache, wrt)
        # forward: y_i = f_i(x_i)
        dx = [
            None if is_zero(entry) else way.backward(entry, inner, wrt)
            for way, entry, (inner, _) in zip(self._ways, dy, cache, strict=True)
        ]
        return tuple(dx) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx_1, …, ddx_n) → ((ddy_1, …, ddy_n), (dx2_1, …, dx2_n))."""
        self.check_several(ddx, len(self.layers), "ddx")
        self._check_dys(dy, cache)
        # backward: dx_i = f_i.backward(dy_i)
        results = [
            (None, None) if is_zero(v) or is_zero(entry) else checked_pair(way, way.double_backward(v, entry, inner))
            for way, v, entry, (inner, _) in zip(self._ways, ddx, dy, cache, strict=True)
        ]
        ddy, dx2 = (tuple(entries) for entries in zip(*results, strict=True))
        return ddy, None if is_zero(dx2) else dx2

    def reach(self) -> Ways:
        """That of each branch; their inputs lie on one grid."""
        return Ways(self.layers)

    def _check_dys(self, dy: Any, cache: Any, wrt: Wrt = "both") -> None:
        """Check every dy_i here: that of a branch which isn't called would go unseen."""
        self.check_several(dy, len(self.layers), "dy")
        self.check_wrt(wrt)
        for entry, (_, shape) in zip(dy, cache, strict=True):
            if entry is not None and shape is not None:
                self.check_dy(entry, shape)

    def __repr__(self) -> str:
        return f"Branches({', '.join(map(repr, self.layers))})"


def _shape(y: Any) -> tuple[int, ...] | None:
    """A branch's shape of y; None for a branch that has a tuple itself."""
    return None if isinstance(y, tuple) else y.shape


class _Unchanged(Layer):
    """y = x, of any shape and dtype; a copy, so that no output shares memory with an input."""

    per_pixel = True

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        self.check_array(x)
        return x.copy(), x.shape

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        self.check_dy(dy, cache, wrt)
        return dy.copy() if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        self.check_ddx(ddx, cache, dy, cache)
        return ddx.copy(), None

    def __repr__(self) -> str:
        return "the None of Branches"


class Concat(Layer):
    """(x_1, …, x_n) → y, the numbers of each sample (of each pixel) one after the other: along the last axis.

    x_i has the shape (…, C_i), with the same axes before the last for all, and y (…, C_1 + … + C_n). The dtype of y is
    that of x_1. Nothing is computed: dx_i are the parts of dy, ddy is made of the ddx_i, and dx2 is nothing.
    """

    per_pixel = True

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x_1 (…, C_1), …, x_n (…, C_n)) → y. Raises ShapeError if the other axes differ."""
        self.check_several(x, None)
        for entry in x:
            self.check_input(entry, None, None)
        shapes = [tuple(entry.shape) for entry in x]
        if any(not shape or shape[:-1] != shapes[0][:-1] for shape in shapes):
            raise ShapeError(f"{self!r} joins along the last axis, so the others must agree: got {shapes}")
        return self._joined(x, x[0]), [(entry.shape, entry.dtype) for entry in x]

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (…, C_1 + … + C_n) → (dx_1 (…, C_1), …)."""
        self.check_dy(dy, self._y_shape(cache), wrt)
        if wrt == "params":
            return None
        # forward: y = concatenate(x)
        ends = list(accumulate(shape[-1] for shape, _ in cache))
        parts = zip([0, *ends], ends, cache, strict=False)
        return tuple(dy[..., start:stop].astype(dtype) for start, stop, (_, dtype) in parts)  # astype copies

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx_1, …, ddx_n), None being zeros → ddy; dx2 is nothing."""
        self.check_several(ddx, len(cache), "ddx")
        self.check_dy(dy, self._y_shape(cache))
        for v, (shape, _) in zip(ddx, cache, strict=True):
            if v is not None:
                self.check_ddx(v, shape, dy, dy.shape)
        # backward: dx_i = dy[..., start:stop]
        xp = array_module(dy)
        zeros = (xp.zeros(shape, dy.dtype) if v is None else v for v, (shape, _) in zip(ddx, cache, strict=True))
        return self._joined(zeros, dy), None

    @staticmethod
    def _joined(arrays: Any, like: Any) -> Any:
        return array_module(like).concatenate([a.astype(like.dtype, copy=False) for a in arrays], axis=-1)

    @staticmethod
    def _y_shape(cache: Any) -> tuple[int, ...]:
        return (*cache[0][0][:-1], sum(shape[-1] for shape, _ in cache))


class Parallel(Layer):
    """y = (f_1(x), …, f_n(x)) along the last axis: (…, C) → (…, K_1 + … + K_n). f_i is called "i", from "0" on.

    Every way starts at the same x, and each ends in channels of its own. With dy_i for the part of dy in those of f_i,

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
        ys, caches = zip(*(checked_pair(layer, layer.forward(x, train, rng)) for layer in self.layers), strict=True)
        shapes = [tuple(y.shape) for y in ys]
        if any(shape[:-1] != shapes[0][:-1] for shape in shapes):
            raise ShapeError(f"{self!r} joins along the last axis, so the others must agree: got {shapes}")
        return array_module(x).concatenate(ys, axis=-1), (caches, shapes)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → dx, the sum of all ways."""
        dx = None
        # forward: y = concatenate(f_i(x))
        for layer, dy_part, inner in self._parts(dy, cache, wrt):
            dx = add(dx, layer.backward(dy_part, inner, wrt))
        return dx

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → (ddy, dx2): those of each way, joined and summed."""
        ddys, dx2 = [], None
        # backward: dx = Σ f_i.backward(dy_i)
        for layer, dy_part, inner in self._parts(dy, cache):
            ddy_part, dx2_part = checked_pair(layer, layer.double_backward(ddx, dy_part, inner))
            ddys.append(ddy_part)
            dx2 = add(dx2, dx2_part)
        return array_module(dy).concatenate(ddys, axis=-1), dx2

    def reach(self) -> Ways:
        """That of all ways."""
        return Ways(self.layers)

    def _parts(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Iterator[tuple[Layer, Any, Any]]:
        """Check dy, and yield each layer with its part of dy and its cache."""
        caches, shapes = cache
        ends = list(accumulate(shape[-1] for shape in shapes))
        self.check_dy(dy, (*shapes[0][:-1], ends[-1]), wrt)
        for layer, inner, start, stop in zip(self.layers, caches, [0, *ends], ends, strict=False):
            yield layer, dy[..., start:stop], inner

    def __repr__(self) -> str:
        return f"Parallel({', '.join(map(repr, self.layers))})"

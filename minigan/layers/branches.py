"""Several inputs: a layer for each of them, and one array made of them. And several layers for one input.

    Sequential(Branches(None, Embedding(10, 50)), Concat(), Dense(100 + 50, 256), …)

takes (z, labels) and goes on with z and the embedding joined: the generator of Mirza and Osindero (2014).

    Parallel(Conv2D(192, 64, 1), Sequential(MaxPool2D(3, 1, 1), Conv2D(192, 32, 1)))

computes two outputs of the same picture and joins their channels: an Inception block (Szegedy et al. 2015).

    Skip(Sequential(Conv2D(64, 128, 4, 2, 1), ReLU(), ConvTranspose2D(128, 64, 4, 2, 1)))

joins a picture with what a smaller picture tells about it: a level of a U-Net (Ronneberger et al. 2015).
"""

from __future__ import annotations

from functools import reduce
from itertools import accumulate
from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt, checked_pair
from minigan.layers.composite import Composite, Identity, add, double_backward_of, is_zero
from minigan.layers.reach import Ways


class Branches(Composite):
    """(x_1, …, x_n) → (f_1(x_1), …, f_n(x_n)), with None for an f_i that returns a copy of its input.

    No branch depends on another, so forward, backward and double backward are those of every branch, at its own entry
    of the tuple.

    None is zero: there is no gradient at labels that are passed on, and P may not depend on every dx_i. The derivatives
    of a branch are linear in the gradients it gets, so for a None it isn't called, and its result is None.
    """

    def _inner(self) -> tuple[Layer, ...]:
        return tuple(Identity() if layer is None else layer for layer in self.layers)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x_1, …, x_n) → (y_1, …, y_n)."""
        self.check_several(x, len(self.layers))
        branches = zip(self._inner(), x, strict=True)
        ys, caches = zip(*(checked_pair(f, f.forward(entry, train, rng)) for f, entry in branches), strict=True)
        return _copied(ys, x), (caches, _shape(ys))

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """(dy_1, …, dy_n) → (dx_1, …, dx_n)."""
        caches, y_shapes = cache
        self.check_dy(dy, y_shapes, wrt)  # here, because a branch whose dy is None isn't called
        # forward: y_i = f_i(x_i)
        branches = zip(self._inner(), dy, caches, strict=True)
        dx = [None if is_zero(entry) else f.backward(entry, inner, wrt) for f, entry, inner in branches]
        return _copied(dx, dy) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx_1, …, ddx_n) → ((ddy_1, …, ddy_n), (dx2_1, …, dx2_n))."""
        caches, y_shapes = cache
        self.check_several(ddx, len(self.layers), "ddx")
        self.check_dy(dy, y_shapes)
        # backward: dx_i = f_i.backward(dy_i)
        results = [double_backward_of(*branch) for branch in zip(self._inner(), ddx, dy, caches, strict=True)]
        ddy, dx2 = zip(*results, strict=True)
        return _copied(ddy, ddx), None if is_zero(dx2) else dx2

    def reach(self) -> Ways:
        """That of each layer; their inputs lie on one grid."""
        return Ways(self.layers)


def _shape(y: Any) -> tuple[Any, ...]:
    return tuple(map(_shape, y)) if isinstance(y, tuple) else y.shape


def _copied(results: Any, given: Any) -> tuple[Any, ...]:
    """The results, with a copy for each array that was given: no output shares memory with an input."""
    return tuple(y.copy() if y is x and y is not None else y for y, x in zip(results, given, strict=True))


class Concat(Layer):
    """(x_1, …, x_n) → y, joined along the last axis.

    x_i has the shape (…, C_i), with the same axes before the last for all, and y (…, C_1 + … + C_n). The dtype of y is
    that of x_1. Nothing is computed: dx_i are the parts of dy, ddy is made of the ddx_i, and dx2 is None.
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
        return _joined(x, x[0]), [(entry.shape, entry.dtype) for entry in x]

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (…, C_1 + … + C_n) → (dx_1 (…, C_1), …)."""
        # forward: y = concatenate(x)
        ends = list(accumulate(shape[-1] for shape, _ in cache))
        parts = zip([0, *ends], ends, cache, strict=False)
        return tuple(dy[..., start:stop].astype(dtype) for start, stop, (_, dtype) in parts)  # astype copies

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx_1, …, ddx_n), None being zeros → ddy; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx_i = dy[..., start:stop]
        xp = array_module(dy)
        zeros = (xp.zeros(shape, dy.dtype) if v is None else v for v, (shape, _) in zip(ddx, cache, strict=True))
        return _joined(zeros, dy), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """(…, C_1), … and (…, C_1 + … + C_n)."""
        shapes = tuple(shape for shape, _ in cache)
        return shapes, (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


def _joined(arrays: Any, like: Any) -> Any:
    """The concatenation along the last axis, in the dtype of `like`."""
    return array_module(like).concatenate([a.astype(like.dtype, copy=False) for a in arrays], axis=-1)


class Fork(Branches):
    """x → (f_1(x), …, f_n(x)): `Branches` with the same x for each. None is x itself.

    x occurs in every branch, so what comes back is added. P depends on the sum of all dx_i, so each gets the same ddx:

        dx = Σ f_i.backward(dy_i)        ddy_i and dx2_i = f_i.double_backward(ddx, dy_i)        dx2 = Σ dx2_i
    """

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → (y_1, …, y_n)."""
        return super().forward((x,) * len(self.layers), train, rng)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """(dy_1, …, dy_n) → dx."""
        # forward: y_i = f_i(x)
        dx = super().backward(dy, cache, wrt)
        return reduce(add, dx) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ((ddy_1, …, ddy_n), dx2)."""
        # backward: dx = Σ f_i.backward(dy_i)
        ddy, dx2 = super().double_backward((ddx,) * len(self.layers), dy, cache)
        return ddy, None if dx2 is None else reduce(add, dx2)


class Parallel(Fork):
    """y = (f_1(x), …, f_n(x)) along the last axis: (…, C) → (…, K_1 + … + K_n). None is x itself.

    That is `Fork`, and then `Concat`. With dy_i for the part of dy in the channels of f_i,

        dx = Σ f_i.backward(dy_i)        ddy = (ddy_1, …, ddy_n) along the last axis        dx2 = Σ dx2_i
    """

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y. Raises ShapeError if the outputs differ in an axis before the last."""
        ys, branches = super().forward(x, train, rng)
        y, concat = Concat().forward(ys)
        return y, (branches, concat)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → dx."""
        branches, concat = cache
        # forward: y = concatenate(f_i(x))
        return super().backward(Concat().backward(dy, concat), branches, wrt)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → (ddy, dx2)."""
        branches, concat = cache
        # backward: dx = Σ f_i.backward(dy_i), and dy_i are the parts of dy
        ddys, dx2 = super().double_backward(ddx, Concat().backward(dy, concat), branches)
        return Concat().double_backward(ddys, dy, concat)[0], dx2


class Skip(Composite):
    """y = (x, body(x)) along the last axis, (…, C) → (…, C + K): the skip of a U-Net (Ronneberger et al. 2015).

    x reaches y on two paths, so its gradient is a sum of two. With dy = (dy_x, dy_body), cut where y was joined,

        dx  = dy_x + body.backward(dy_body)
        ddy = (ddx, ddy_body)        dx2 = that of the body

    where ddy_body and dx2 come from body.double_backward(ddx, dy_body). The skip itself is linear: its part of ddy is
    ddx, and it adds nothing to dx2.
    """

    def __init__(self, body: Layer) -> None:
        super().__init__(body)
        self.body = body

    def children(self) -> dict[str, Layer]:
        """{"body": …}."""
        return {"body": self.body}

    __repr__ = Layer.__repr__

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (…, C) → y (…, C + K). Raises ShapeError if the body changes an axis before the last."""
        self.check_input(x, None, None)
        out, cache = checked_pair(self.body, self.body.forward(x, train, rng))
        y = self._beside(x, out)
        return y, (cache, x.shape, y.shape)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """x (…, C) → y (…, C + K)."""
        self.check_input(x, None, None)
        return self._beside(x, self.body.output(x, train, rng))

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (…, C + K) → dx (…, C)."""
        body_cache, x_shape, y_shape = cache
        self.check_dy(dy, y_shape, wrt)
        C = x_shape[-1]
        # forward: y = concatenate(x, body(x))
        dx = self.body.backward(dy[..., C:], body_cache, wrt)  # down through the body: (…, K) → (…, C)
        return add(dy[..., :C], dx) if wrt != "params" else None  # and here it meets the gradient of the skip

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, C) → ddy (…, C + K), and the body's dx2."""
        self.check_second(ddx, dy, cache)
        body_cache, x_shape, _ = cache
        # backward: dx = dy[..., :C] + body.backward(dy[..., C:])
        ddy_body, dx2 = double_backward_of(self.body, ddx, dy[..., x_shape[-1] :], body_cache)
        return self._beside(ddx, ddy_body), dx2

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """(…, C), (…, C + K)."""
        return cache[1:]

    def reach(self) -> Ways:
        """That of the body, beside x itself."""
        return Ways((None, self.body))

    @staticmethod
    def _beside(x: Any, out: Any) -> Any:
        if x.shape[:-1] != out.shape[:-1]:
            raise ShapeError(
                f"Skip joins x {tuple(x.shape)} with its body's output {tuple(out.shape)}: all axes but the last must "
                "agree; a body that halves pictures n times needs heights and widths that are multiples of 2ⁿ"
            )
        return _joined((x, out), x)

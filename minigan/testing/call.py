"""A repeatable call of a layer: every call makes the same draws and starts from the same running statistics."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.layers import Layer
from minigan.testing.differences import GradientError
from minigan.testing.several import each, entries, floats, form, gradients, is_float


class Call:
    """A layer, an input, an upstream gradient dy and a direction ddx, on the host and in one dtype.

    The layer is a copy. `forward` seeds the generator and restores the layer's state (running statistics), so that two
    forwards differ only by what was changed between them. dy and ddx are normal random numbers rather than ones: the
    gradient of a norm, for instance, vanishes for a dy of ones, even if its backward is wrong.

    x, y, dy and ddx may be tuples. Integers are labels: they are passed on unchanged, and have None for dy and ddx.
    """

    def __init__(self, layer: Layer, x: Any, train: bool, seed: int, dtype: Any = np.float64) -> None:
        self.layer = copy.deepcopy(layer).to("cpu", dtype)
        self.x = each(lambda a: a.astype(dtype) if is_float(a) else a.copy(), each(to_numpy, x))
        self.train, self.seed = train, seed
        states = [(inner, name) for _, inner in self.layer.walk() for name in inner.state_names]
        self._state = [(inner, name, getattr(inner, name).copy()) for inner, name in states]
        rng = np.random.default_rng(seed)
        draw = lambda a: rng.standard_normal(a.shape).astype(dtype) if is_float(a) else None  # noqa: E731
        self.ddx = each(draw, self.x)
        y, _ = self.forward(each(np.copy, self.x))  # a copy, in case forward writes to it
        self.dy = each(draw, y)

    def forward(self, x: Any = None) -> tuple[Any, Any]:
        """Return (y, cache) at x, by default the call's own."""
        result = self._call("forward", self.x if x is None else x, self.train, np.random.default_rng(self.seed))
        self._restore()
        y, cache = self._pair("forward", result, "(y, cache)")
        self._arrays("forward", "y", y)
        return y, cache

    def output(self) -> Any:
        """Return y at the call's own x, without a cache."""
        y = self.layer.output(self.x, self.train, np.random.default_rng(self.seed))
        self._restore()
        return y

    def _restore(self) -> None:
        for inner, name, value in self._state:
            getattr(inner, name)[...] = value

    def backward(self, wrt: str = "both") -> Any:
        """Return dx, after a new forward."""
        dx = self._call("backward", self.dy, self.forward()[1], wrt)
        self._arrays("backward", "dx", dx)
        return dx

    def double_backward(self) -> tuple[Any, Any]:
        """Return (ddy, dx2), after a new forward and without a backward."""
        result = self._call("double_backward", self.ddx, self.dy, self.forward()[1])
        ddy, dx2 = self._pair("double_backward", result, "(ddy, dx2), with None for a dx2 that is zero")
        self._arrays("double_backward", "ddy", ddy)
        self._arrays("double_backward", "dx2", dx2)
        return ddy, dx2

    def _call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the layer. Raises GradientError if the layer lacks it, or another method that it needs."""
        try:
            return getattr(self.layer, method)(*arguments)
        except NotImplementedError as error:
            lacking = str(error) or f"{method} is not written: write it"
            alone = ", or check backward alone with order=1" if "double_backward" in lacking else ""
            raise GradientError(f"{self}: {lacking}{alone}") from error

    def _pair(self, method: str, result: Any, wanted: str) -> tuple[Any, Any]:
        """Return the result of a method if it is a tuple of two; an array of two rows would also unpack."""
        if not isinstance(result, tuple) or len(result) != 2:
            raise GradientError(f"{self}: {method} returns {_kind(result)}: it must return {wanted}")
        return result

    def _arrays(self, method: str, name: str, a: Any) -> None:
        """Raise GradientError unless `a` is a float array on the host, or a tuple of these; None is a zero gradient.

        A tuple y may also have labels in it.
        """
        for entry_name, entry in entries(name, a).items():
            kinds = "fiu" if name == "y" and isinstance(a, tuple) else "f"
            if isinstance(entry, np.ndarray) and entry.dtype.kind not in kinds:
                raise GradientError(f"{self}: {method} returns a {entry_name} of {entry.dtype}: it must be of floats")
            if not isinstance(entry, np.ndarray) and not (entry is None and name != "y"):
                found = f"{method} returns a {entry_name} that is {_kind(entry)}"
                raise GradientError(f"{self}: {found}: it must be a NumPy array of floats")

    @property
    def named(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """{"0.W": (value, gradient)}: the arrays of the layer itself, without copies."""
        return self.layer.parameters().named()

    def first_order(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the gradients of ⟨dy, forward(x)⟩, {"x": dx, "W": dW, …}, and their variables, {"x": x, "W": W, …}."""
        self.zero_grad()
        return self._with_parameters(gradients("x", self.x, self.backward()), floats("x", self.x))

    def second_order(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the gradients of ⟨ddx, backward(dy)⟩, {"dy": ddy, "x": dx2, …}, and their variables, {"dy": dy, …}."""
        self.zero_grad()
        ddy, dx2 = self.double_backward()
        written = gradients("dy", self.dy, ddy) | gradients("x", self.x, dx2)
        return self._with_parameters(written, floats("dy", self.dy) | floats("x", self.x))

    def _with_parameters(self, written: dict, moved: dict) -> tuple[dict, dict]:
        named = self.named
        written |= {name: grad.copy() for name, (_, grad) in named.items()}
        return written, moved | {name: value for name, (value, _) in named.items()}

    @property
    def x_shape(self) -> tuple:
        """The shape of x, or a tuple of the shapes of its entries."""
        return each(lambda a: a.shape, self.x)

    @property
    def grads(self) -> np.ndarray:
        """A copy of all parameter gradients as one vector."""
        return self.layer.parameters().grads.copy()

    def zero_grad(self) -> None:
        """Set all parameter gradients to zero."""
        self.layer.parameters().zero_grad()

    def __str__(self) -> str:
        return f"{self.layer!r}, x {self.x_shape}, train={self.train}, seed={self.seed}"


def gradient_name(name: str, order: int = 1) -> str:
    """Name the gradient of a variable: "W" → "dW", "0.body.W" → "0.body.dW"; at second order "x[1]" → "dx2[1]"."""
    prefix, dot, last = name.rpartition(".")
    variable, bracket, entry = last.partition("[")
    return f"{prefix}{dot}d{variable}{'2' if order == 2 and name == 'x' + bracket + entry else ''}{bracket}{entry}"


def _kind(result: Any) -> str:
    if result is None or isinstance(result, (np.ndarray, tuple)):
        return "None" if result is None else form(result)
    return f"a {type(result).__name__}"

"""A call of a layer that can be repeated: with the same random numbers and running statistics every time."""

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

    The layer is a copy. `forward` seeds a new generator and restores the layer's state (running statistics), so two
    forwards differ only by what was changed between them. dy and ddx are normal random numbers, not ones: the gradient
    of a norm for a dy of ones is zero, so a wrong backward could pass.

    x, y, dy and ddx may be tuples. Integers are labels: they aren't converted, and their dy and ddx are None.
    """

    def __init__(self, layer: Layer, x: Any, train: bool, seed: int, dtype: Any = np.float64) -> None:
        self.layer = copy.deepcopy(layer).to("cpu", dtype)
        self.x = each(lambda a: a.astype(dtype) if is_float(a) else a.copy(), each(to_numpy, x))
        self.train, self.seed = train, seed
        self._state = [(inner, name, getattr(inner, name).copy()) for inner, name in _states(self.layer)]
        rng = np.random.default_rng(seed)
        draw = lambda a: rng.standard_normal(a.shape).astype(dtype) if is_float(a) else None  # noqa: E731
        self.ddx = each(draw, self.x)
        y, _ = self.forward(each(np.copy, self.x))  # of a copy, in case that forward writes to it
        self.dy = each(draw, y)

    def forward(self, x: Any = None) -> tuple[Any, Any]:
        """(y, cache) at x, or at the call's own x."""
        result = self._call("forward", self.x if x is None else x, self.train, np.random.default_rng(self.seed))
        self._restore()
        y, cache = self._pair("forward", result, "(y, cache)")
        self._arrays("forward", "y", y)
        return y, cache

    def output(self) -> Any:
        """y at the call's own x, without a cache."""
        y = self.layer.output(self.x, self.train, np.random.default_rng(self.seed))
        self._restore()
        return y

    def _restore(self) -> None:
        for inner, name, value in self._state:
            getattr(inner, name)[...] = value

    def backward(self, wrt: str = "both") -> Any:
        """dx, after a new forward."""
        dx = self._call("backward", self.dy, self.forward()[1], wrt)
        self._arrays("backward", "dx", dx)
        return dx

    def double_backward(self) -> tuple[Any, Any]:
        """(ddy, dx2), after a new forward and without a backward."""
        result = self._call("double_backward", self.ddx, self.dy, self.forward()[1])
        ddy, dx2 = self._pair("double_backward", result, "(ddy, dx2), with None for a dx2 that is zero")
        self._arrays("double_backward", "ddy", ddy)
        self._arrays("double_backward", "dx2", dx2)
        return ddy, dx2

    def _call(self, verb: str, *arguments: Any) -> Any:
        """Call a method of the layer. Raises GradientError if the layer lacks it, or another that it needs."""
        try:
            return getattr(self.layer, verb)(*arguments)
        except NotImplementedError as error:
            lacking = str(error) or f"{verb} is not written: write it"
            alone = ", or check backward alone with order=1" if "double_backward" in lacking else ""
            raise GradientError(f"{self}: {lacking}{alone}") from error

    def _pair(self, verb: str, result: Any, wanted: str) -> tuple[Any, Any]:
        """The result of a method. Raises GradientError unless it is a tuple of two: an array of two rows isn't."""
        if not isinstance(result, tuple) or len(result) != 2:
            raise GradientError(f"{self}: {verb} returns {_kind(result)}: it must return {wanted}")
        return result

    def _arrays(self, verb: str, name: str, a: Any) -> None:
        """Raise GradientError unless `a` is a NumPy array of floats, or a tuple of such; a gradient may be None.

        A tuple y may contain labels.
        """
        for entry_name, entry in entries(name, a).items():
            kinds = "fiu" if name == "y" and isinstance(a, tuple) else "f"
            if isinstance(entry, np.ndarray) and entry.dtype.kind not in kinds:
                raise GradientError(f"{self}: {verb} returns a {entry_name} of {entry.dtype}: it must be of floats")
            if not isinstance(entry, np.ndarray) and not (entry is None and name != "y"):
                raise GradientError(
                    f"{self}: {verb} returns a {entry_name} that is {_kind(entry)}: it must be a NumPy array of floats"
                )

    @property
    def named(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """{"0.W": (value, gradient)}: the layer's own arrays."""
        return self.layer.parameters().named()

    def first_order(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """({"x": dx, "W": dW, …}, {"x": x, "W": W, …}): the gradients of ⟨dy, forward(x)⟩, and their variables."""
        self.zero_grad()
        return self._with_parameters(gradients("x", self.x, self.backward()), floats("x", self.x))

    def second_order(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """({"dy": ddy, "x": dx2, …}, {"dy": dy, …}): the gradients of ⟨ddx, backward(dy)⟩, and their variables."""
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
        """The shape of x, or of every entry."""
        return each(lambda a: a.shape, self.x)

    @property
    def grads(self) -> np.ndarray:
        """All parameter gradients as one vector, as a copy."""
        return self.layer.parameters().grads.copy()

    def zero_grad(self) -> None:
        """Set all parameter gradients to zero."""
        self.layer.parameters().zero_grad()

    def __str__(self) -> str:
        return f"{self.layer!r}, x {self.x_shape}, train={self.train}, seed={self.seed}"


def gradient_name(name: str, order: int = 1) -> str:
    """The name of an array's gradient: "W" → "dW", "0.body.W" → "0.body.dW"; at second order "x[1]" → "dx2[1]"."""
    prefix, dot, last = name.rpartition(".")
    variable, bracket, entry = last.partition("[")
    return f"{prefix}{dot}d{variable}{'2' if order == 2 and name == 'x' + bracket + entry else ''}{bracket}{entry}"


def _kind(result: Any) -> str:
    if result is None or isinstance(result, (np.ndarray, tuple)):
        return "None" if result is None else form(result)
    return f"a {type(result).__name__}"


def _states(layer: Layer) -> list[tuple[Layer, str]]:
    return [(inner, name) for _, inner in layer.walk() for name in inner.state_names]

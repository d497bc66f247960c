"""One call of a layer, made repeatable: the same draws and the same running statistics every time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.layers import Layer


class Call:
    """A layer, an input, an upstream gradient dy and a direction ddx, on the host and in one dtype.

    The layer is a copy. `forward` seeds the generator afresh and puts the layer's state (running statistics) back, so
    that two forwards differ only in what was changed between them. dy and ddx are normal random numbers, never ones:
    a norm, for instance, has a zero gradient under a dy of ones, whatever its backward does.
    """

    def __init__(self, layer: Layer, x: Any, train: bool, seed: int, dtype: Any = np.float64) -> None:
        self.layer = copy.deepcopy(layer).to("cpu", dtype)
        self.x = to_numpy(x).astype(dtype)  # a copy
        self.train, self.seed = train, seed
        self._state = [(inner, name, getattr(inner, name).copy()) for inner, name in _states(self.layer)]
        rng = np.random.default_rng(seed)
        self.ddx = rng.standard_normal(self.x.shape).astype(dtype)
        self.dy = rng.standard_normal(self.forward()[0].shape).astype(dtype)

    def forward(self, x: np.ndarray | None = None) -> tuple[np.ndarray, Any]:
        """(y, cache) at x, or at the call's own x."""
        y, cache = self.layer.forward(self.x if x is None else x, self.train, np.random.default_rng(self.seed))
        for inner, name, value in self._state:
            getattr(inner, name)[...] = value
        return y, cache

    def backward(self, wrt: str = "both") -> np.ndarray | None:
        """dx, through a forward of its own."""
        return self.layer.backward(self.dy, self.forward()[1], wrt)

    def double_backward(self) -> tuple[np.ndarray, np.ndarray | None]:
        """(ddy, dx2), through a forward of its own and without a backward."""
        return self.layer.double_backward(self.ddx, self.dy, self.forward()[1])

    @property
    def named(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """{"0.W": (value, gradient)}: the layer's own arrays."""
        return self.layer.parameters().named()

    def first_order(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """({"x": dx, "W": dW, …}, {"x": x, "W": W, …}): the gradients of ⟨dy, forward(x)⟩, and what they are of."""
        self.zero_grad()
        return self._with_parameters({"x": self.backward()}, {"x": self.x})

    def second_order(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """({"dy": ddy, "x": dx2, …}, {"dy": dy, …}): the gradients of ⟨ddx, backward(dy)⟩, and what they are of."""
        self.zero_grad()
        ddy, dx2 = self.double_backward()
        dx2 = np.zeros_like(self.x) if dx2 is None else dx2
        return self._with_parameters({"dy": ddy, "x": dx2}, {"dy": self.dy, "x": self.x})

    def _with_parameters(self, written: dict, moved: dict) -> tuple[dict, dict]:
        named = self.named
        written |= {name: grad.copy() for name, (_, grad) in named.items()}
        return written, moved | {name: value for name, (value, _) in named.items()}

    @property
    def grads(self) -> np.ndarray:
        """All parameter gradients as one vector, as a copy."""
        return self.layer.parameters().grads.copy()

    def zero_grad(self) -> None:
        """Set all parameter gradients to zero."""
        self.layer.parameters().zero_grad()

    def __str__(self) -> str:
        return f"{self.layer!r}, x {self.x.shape}, train={self.train}, seed={self.seed}"


def gradient_name(name: str, order: int = 1) -> str:
    """What an array's gradient is called: "W" → "dW", "0.body.W" → "0.body.dW"; at second order "x" → "dx2"."""
    prefix, dot, last = name.rpartition(".")
    return "dx2" if order == 2 and name == "x" else f"{prefix}{dot}d{last}"


def _states(layer: Layer) -> list[tuple[Layer, str]]:
    return [(inner, name) for _, inner in layer.walk() for name in inner.state_names]

"""What every layer has: forward, backward and double backward, and the checks of what they are given.

L is the loss, and `dname` = ∂L/∂name. P is a scalar function of dx, such as a gradient penalty, and `ddname` =
∂P/∂(dname). Here is a whole layer. `minigan.testing.check_layer(Scale(3), x)` compares all its derivatives with
differences, and checks the promises of `Layer`. In a network, optimizers and checkpoints find its parameters.

    class Scale(Layer):
        '''y = s x with a factor for each channel: x (…, C), s (C,).

        First order: dx = s dy and ds = Σ dy x. Second order, v = ddx: P depends on dy and s through dx = s dy, so
        ddy = s v and ds += Σ dy v. x doesn't occur in dx, so dx2 is None.
        '''

        def __init__(self, channels):
            self.channels = channels
            self.add_parameters(s=np.ones(channels))  # self.s, and its gradient self.ds

        def forward(self, x, train=True, rng=None):
            self.check_input(x, ndim=None, channels=self.channels)
            return self._s(x) * x, x

        def backward_input(self, dy, cache):
            return self._s(dy) * dy

        def backward_params(self, dy, cache):
            self.ds += (dy * cache).reshape(-1, self.channels).sum(axis=0)

        def double_backward(self, ddx, dy, cache):
            self.check_second(ddx, dy, cache)
            self.ds += (dy * ddx).reshape(-1, self.channels).sum(axis=0)
            return self._s(ddx) * ddx, None

        def shapes(self, cache):
            return cache.shape, cache.shape

        def _s(self, a):
            return self.s.astype(a.dtype, copy=False)
"""

from __future__ import annotations

import inspect
from typing import Any, Literal

import numpy as np

from minigan.backend import is_array
from minigan.errors import LayerError, ShapeError, described
from minigan.layers.parameters import Parameterized
from minigan.layers.reach import Reach, Window

Wrt = Literal["both", "input", "params"]
PAIRS = ("kernel_size", "stride", "padding", "dilation", "output_padding")  # shown as one number if both are the same


class Layer(Parameterized):
    """A differentiable map y = f(x; parameters) with its first and second derivatives.

    A subclass registers its parameters in its constructor and writes the five methods shown above. Without parameters
    it needs no `backward_params`, and `double_backward` is for gradient penalties alone. Other arrays that are saved
    with a network are named in `state_names`, and inner layers are returned by `children`. All layers promise that

        gradients are added to self.dW, never assigned: real and fake pictures go through one after the other
        nothing of a call is kept on the layer, and nothing written into x, dy, ddx or the cache
        results are new arrays, and of the dtype of the input, whatever the dtype of the parameters
        inputs may have any strides; random numbers come from rng alone

    x is an array, or for some layers a tuple of arrays; dx, ddx and dx2 are then tuples too, in which None is zero
    (see "Several inputs" in docs/architecture.md).
    """

    conditional = False  # True: the input is (x, c), features and a condition such as labels
    per_pixel = False  # True: at inference an output pixel depends on nothing but the input pixel in the same place

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """Map x to y; return `(y, cache)`, with all that backward needs. `rng` is a generator of x's device."""
        raise self._lacks("forward", "forward(self, x, train, rng)")

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """The y of `forward`, if no backward follows: composites drop each cache at once."""
        return checked_pair(self, self.forward(x, train, rng))[0]

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """Map dy = ∂L/∂y to dx = ∂L/∂x and add ∂L/∂parameter to `self.dW` and its like.

        `wrt="input"` leaves the parameters' gradients alone; `wrt="params"` returns None instead of dx.
        A layer that computes both halves together, or contains others, overrides this method instead of the halves.
        Raises ShapeError if dy hasn't the shape of y, ValueError for another `wrt`.
        """
        if type(self).backward_input is Layer.backward_input:
            raise self._lacks("backward", "backward_input(self, dy, cache) or backward(self, dy, cache, wrt)")
        self.check_dy(dy, self.shapes(cache)[1], wrt)
        if wrt != "input":
            self.backward_params(dy, cache)
        return self.backward_input(dy, cache) if wrt != "params" else None

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """Map dy = ∂L/∂y to dx = ∂L/∂x."""
        raise self._lacks("backward", "backward_input(self, dy, cache)")

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add ∂L/∂parameter to `self.dW` and its like. A layer without parameters doesn't write this."""

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """Differentiate `backward`. Given ddx = ∂P/∂(dx), return `(ddy, dx2)` and add ∂P/∂parameter to `self.dW`.

        ddy = ∂P/∂(dy) has the shape of y, dx2 = ∂P/∂x that of x; dx2 is None where it is zero everywhere.
        """
        raise self._lacks("double_backward, which gradient penalties need", "double_backward(self, ddx, dy, cache)")

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """The shapes of x and y in the call that made `cache`; of a tuple those of its entries, None for labels."""
        raise self._lacks("shapes", "shapes(self, cache), which returns the shapes of x and y")

    def _lacks(self, method: str, declaration: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} has no {method}: write {declaration}")

    def macs(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Multiply-adds of one forward pass from `x_shape` to `y_shape`; 0 for layers without a matrix product."""
        return 0

    def reach(self) -> Reach | None:
        """The input pixels that an output pixel depends on at inference; None if it may depend on all of them.

        Large pictures go through a network in tiles if every layer returns a reach: `per_pixel = True` is enough for a
        layer that works pixel by pixel, others return one of the three in reach.py.
        """
        return Window() if self.per_pixel else None

    # Checks of every call: NumPy would broadcast a dy of a wrong shape into a wrong gradient without an error

    def check_input(self, x: Any, ndim: int | None, channels: int | None) -> None:
        """Raise ShapeError unless x has `ndim` axes, the last of length `channels` (None: any)."""
        self.check_array(x)
        if (ndim is not None and x.ndim != ndim) or (channels is not None and (x.ndim == 0 or x.shape[-1] != channels)):
            wanted = {None: "…, ", 2: "N, ", 4: "N, H, W, "}.get(ndim, "…, ") + str(channels or "C")
            raise ShapeError(f"{self!r} takes an input of shape ({wanted}), got {tuple(x.shape)}")
        if x.dtype not in (np.float32, np.float64):
            raise ShapeError(f"{self!r} takes float32 or float64, got {x.dtype}: convert it with x.astype('float32')")

    def check_array(self, a: Any, name: str = "input") -> None:
        """Raise ShapeError unless `a` is an array: no list, no torch tensor."""
        if not is_array(a):
            raise ShapeError(f"{self!r} takes an array as its {name}, got {described(a)}")

    def check_several(self, arrays: Any, n: int | None, name: str = "input") -> None:
        """Raise ShapeError unless `arrays` is a tuple of n entries (None: any number but none)."""
        if not isinstance(arrays, tuple) or not arrays or n not in (None, len(arrays)):
            got = f"a tuple of {len(arrays)}" if isinstance(arrays, tuple) else type(arrays).__name__
            raise ShapeError(f"{self!r} takes a tuple of {n or 'several'} arrays as its {name}, got {got}")

    def check_dy(self, dy: Any, y_shape: Any, wrt: Wrt = "both") -> None:
        """Raise ShapeError unless dy has the shape of y, and ValueError for an unknown `wrt`."""
        self._check_gradient("dy", dy, y_shape, "output")
        if wrt not in ("both", "input", "params"):
            raise ValueError(f"wrt is {wrt!r}: use 'both', 'input' or 'params'")

    def check_second(self, ddx: Any, dy: Any, cache: Any) -> None:
        """Raise ShapeError unless ddx and dy have the shapes of x and y in the call that made `cache`."""
        x_shape, y_shape = self.shapes(cache)
        self._check_gradient("dy", dy, y_shape, "output")
        self._check_gradient("ddx", ddx, x_shape, "input")

    def _check_gradient(self, name: str, gradient: Any, shape: Any, of: str) -> None:
        """Compare with a shape, or with several, whose gradient is a tuple with None for zero. Labels have none."""
        if shape is None:
            if gradient is not None:
                got = type(gradient).__name__
                raise ShapeError(f"{self!r}: labels have no gradient, so {name} must be None, got {got}")
        elif any(n is None or isinstance(n, tuple) for n in shape):
            self.check_several(gradient, len(shape), name)
            for i, (entry, entry_shape) in enumerate(zip(gradient, shape, strict=True)):
                if entry is not None:
                    self._check_gradient(f"{name}[{i}]", entry, entry_shape, f"{of}[{i}]")
        else:
            self.check_array(gradient, name)
            if tuple(gradient.shape) != tuple(shape):
                raise ShapeError(f"{self!r}: {name} has shape {tuple(gradient.shape)}, but the {of} has {tuple(shape)}")

    def __repr__(self) -> str:
        """Show the constructor call, leaving out what has its default value."""
        shown = []
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            required = parameter.default is parameter.empty
            if name == "self" or parameter.kind.name.startswith("VAR_") or not (required or hasattr(self, name)):
                continue
            value = getattr(self, name, None)
            value = value.item() if isinstance(value, np.generic) else value
            if name in PAIRS and isinstance(value, tuple) and value[0] == value[1]:
                value = value[0]
            text = "…" if is_array(value) or not hasattr(self, name) else repr(value)
            if required or is_array(value) or value != parameter.default:
                shown.append(text if required else f"{name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"


def checked_pair(layer: Layer, result: Any) -> tuple[Any, Any]:
    """The result of a layer's `forward` or `double_backward`. Raises LayerError unless it is a tuple of two.

    An array of two rows could be unpacked, too.
    """
    if isinstance(result, tuple) and len(result) == 2:
        return result
    got = f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
    raise LayerError(f"{layer!r} returned {got}: forward must return (y, cache), and double_backward (ddy, dx2)")

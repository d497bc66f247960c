"""What every layer has: three verbs, named parameters, and a way to walk through inner layers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from minigan.backend import Device, array_module, get_device, is_array, to_numpy
from minigan.errors import CheckpointError, LayerError, ShapeError, described
from minigan.layers.parameters import Parameters, fitting, new_parameter
from minigan.layers.reach import Reach, Window
from minigan.threads import over_rows

Wrt = Literal["both", "input", "params"]
AnyLayer = TypeVar("AnyLayer", bound="Layer")


class Layer:
    """A differentiable map y = f(x; parameters) with its first and second derivatives.

    A subclass writes `forward`, `backward` and `double_backward`, registers its parameters with `add_parameters` in its
    constructor, and keeps nothing of a call on itself: what backward needs travels in `cache`.

    x is an array, or for some layers a tuple of arrays; dx, ddx and dx2 are then tuples too, in which None is zero
    (see "Several inputs" in docs/architecture.md).
    """

    conditional = False  # True: the input is (x, c), features and a condition such as labels
    per_pixel = False  # True: at inference an output pixel depends on nothing but the input pixel in the same place
    parameter_names: tuple[str, ...] = ()
    state_names: tuple[str, ...] = ()  # other arrays that persist, such as running statistics
    _parameters: Parameters | None = None

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """Map x to y; return `(y, cache)`. `rng` is a generator of x's device, for layers that draw."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: write forward(self, x, train, rng)")

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """Map dy = ∂L/∂y to dx = ∂L/∂x and add ∂L/∂parameter to `self.dW` and its like.

        `wrt="input"` leaves the parameters' gradients alone; `wrt="params"` returns None instead of dx.
        A layer writes the two halves below. One that computes them together overrides this method.
        Raises ShapeError if dy hasn't the shape of y, ValueError for another `wrt`.
        """
        shapes = self.shapes(cache)
        if shapes is not None:
            self.check_dy(dy, shapes[1])
        self.check_wrt(wrt)
        if wrt != "input":
            self.backward_params(dy, cache)
        return self.backward_input(dy, cache) if wrt != "params" else None

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """Map dy = ∂L/∂y to dx = ∂L/∂x."""
        kind = type(self).__name__
        raise NotImplementedError(f"{kind} has no backward: write backward_input(self, dy, cache)")

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add ∂L/∂parameter to `self.dW` and its like. A layer without parameters doesn't write this."""

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The shapes of x and y in the call that made `cache`, to check dy and ddx; None: the layer checks them."""
        return None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """Differentiate `backward`. Given ddx = ∂P/∂(dx), return `(ddy, dx2)` and add ∂P/∂parameter.

        ddy = ∂P/∂(dy) has the shape of y, dx2 = ∂P/∂x that of x; dx2 is None where it is zero everywhere.
        """
        kind = type(self).__name__
        raise NotImplementedError(
            f"{kind} has no double_backward, which gradient penalties need: write double_backward(self, ddx, dy, cache)"
        )

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """The y of `forward`, for a pass that nobody goes back through: composites let go of every cache at once."""
        return two(self, self.forward(x, train, rng))[0]

    # Parameters and inner layers

    def add_parameters(self, **arrays: Any) -> None:
        """Register parameters: `W=array` becomes `self.W`, in float32, with gradient `self.dW`. None means: not there.

        Numbers and lists of them are made arrays. To be called in the constructor. Raises LayerError for what can't be
        learned, for a name that is taken, and when the parameters are one vector already.
        """
        kind = type(self).__name__
        for name, array in arrays.items():
            if self._parameters is not None:
                raise LayerError(f"{kind} has its parameters in one vector: register {name} before parameters()")
            if name in self.parameter_names:
                raise LayerError(f"{kind} has a parameter {name} already: call the new one otherwise")
            if hasattr(Layer, name) or hasattr(Layer, "d" + name):
                raise LayerError(f"{kind} can't call a parameter {name}, which every layer has: call it otherwise")
            vars(self)[name] = None if array is None else new_parameter(kind, name, array)
            if array is not None:
                vars(self)["d" + name] = array_module(vars(self)[name]).zeros_like(vars(self)[name])
                self.parameter_names = (*self.parameter_names, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign; `layer.W = array` and `layer.dW = array` keep shape and dtype, and write into the vector they are in.

        Raises LayerError for an array of another shape, and for an inner layer that comes too late for the vector.
        """
        there = vars(self).get(name)
        if there is not None and value is not there:
            if name in self.parameter_names or (name[:1] == "d" and name[1:] in self.parameter_names):
                value = fitting(type(self).__name__, name, value, there)
                if self._parameters is not None:
                    there[...] = value
                    return
            elif self._parameters is not None and self._holds_layers(there):
                raise LayerError(
                    f"{type(self).__name__} has its parameters in one vector, and those of another {name} wouldn't be "
                    "in it: make a new network"
                )
        super().__setattr__(name, value)

    if TYPE_CHECKING:  # parameters become attributes by their names, which no type checker can know

        def __getattr__(self, name: str) -> Any: ...

    def _holds_layers(self, value: Any) -> bool:
        """Whether an attribute is an inner layer, or a tuple or list of them."""
        inner = {id(layer) for layer in self.children().values()}
        return any(id(layer) in inner for layer in (value if isinstance(value, (tuple, list)) else (value,)))

    def children(self) -> dict[str, Layer]:
        """Inner layers by name; empty for a layer that is not a composite."""
        return {}

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield `(prefix of names, layer)` for this layer and all layers inside, parents first."""
        yield prefix, self
        children = self.children()
        if not isinstance(children, dict) or not all(isinstance(child, Layer) for child in children.values()):
            kind = type(self).__name__
            raise LayerError(f'{kind}: children() must return a dict of layers by name, such as {{"body": self.body}}')
        for name, child in children.items():
            yield from child.walk(f"{prefix}{name}.")

    def parameters(self) -> Parameters:
        """All parameters of this layer and the layers inside as one flat vector, and their gradients as another."""
        if self._parameters is None:
            self._parameters = Parameters(self)
        return self._parameters

    def to(self: AnyLayer, device: Device | str | None = None, dtype: Any = None) -> AnyLayer:
        """Move parameters and state to a device or another dtype, in place. Make optimisers after it. Returns self.

        Raises LayerError for a layer inside of a network, because only the whole can move, and for other dtypes than
        float32 and float64.
        """
        if device in ("float32", "float64") or isinstance(device, (type, np.dtype)):
            raise LayerError(f"{device} is no device: write .to(dtype=…)")
        if dtype is not None and np.dtype(dtype) not in (np.float32, np.float64):
            raise LayerError(f"a network computes in float32 or float64, not in {np.dtype(dtype)}")
        flat = self.parameters()
        if flat.whole is not None:
            raise LayerError(f"{self!r} is part of a network, whose parameters are one vector: move the network")
        target = Device("here", array_module(flat.values)) if device is None else get_device(device)
        flat.bind(target.array(flat.values, dtype), target.array(flat.grads, dtype))
        for _, layer in self.walk():
            for name in layer.state_names:
                setattr(layer, name, target.array(layer._persistent_array(name), dtype))
        return self

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copy every parameter and persistent array to the host, by name: `{"0.W": …, "1.running_mean": …}`."""
        return {name: to_numpy(getattr(layer, attr)).copy() for name, layer, attr in self._persistent()}

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        """Copy named arrays into this network. Raises CheckpointError, with nothing changed, if they don't fit."""
        own = {name: (layer, attr) for name, layer, attr in self._persistent()}
        for problem, names in (("lacks", own.keys() - arrays.keys()), ("has no place for", arrays.keys() - own.keys())):
            if names:
                whose = "the saved state" if problem == "lacks" else "this network"
                raise CheckpointError(f"{whose} {problem} {', '.join(sorted(names)[:3])}: it is of another network")
        for name, (layer, attr) in own.items():
            shape, found = getattr(layer, attr).shape, tuple(np.shape(arrays[name]))
            if shape != found:
                raise CheckpointError(f"{name} has shape {found} in the saved state, {shape} in this network")
        for name, (layer, attr) in own.items():
            array = getattr(layer, attr)
            array[...] = array_module(array).asarray(arrays[name], dtype=array.dtype)

    def _persistent(self) -> Iterator[tuple[str, Layer, str]]:
        for prefix, layer in self.walk():
            for attr in layer.parameter_names:
                yield prefix + attr, layer, attr
            for attr in layer.state_names:
                layer._persistent_array(attr)
                yield prefix + attr, layer, attr

    def _persistent_array(self, name: str) -> Any:
        """The array that `state_names` calls so. Raises LayerError if there is none."""
        array = getattr(self, name, None)
        if not is_array(array):
            comma = ", and a tuple of one name ends in a comma" if isinstance(self.state_names, str) else ""
            raise LayerError(
                f"{type(self).__name__} names {name!r} in state_names, but it has no such array: make it one in the "
                f"constructor, such as self.{name} = np.zeros(1, np.float32){comma}"
            )
        return array

    def macs(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Multiply-adds of one forward pass from `x_shape` to `y_shape`; 0 for layers without a matrix product."""
        return 0

    def reach(self) -> Reach | None:
        """How far the layer looks around in a picture at inference; None if an output may depend on all of it.

        Large pictures go through a network in tiles if every layer of it says so: `per_pixel = True` is enough for one
        that works pixel by pixel, others return one of the three in reach.py.
        """
        return Window() if self.per_pixel else None

    # Checks that every backward makes: NumPy would broadcast a wrong dy into a wrong gradient without a word

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

    def check_dy(self, dy: Any, y_shape: tuple[int, ...], wrt: Wrt = "both") -> None:
        """Raise ShapeError unless dy has the shape of y, and ValueError for an unknown `wrt`."""
        self.check_array(dy, "dy")
        if tuple(dy.shape) != tuple(y_shape):
            raise ShapeError(f"{self!r}: dy has shape {tuple(dy.shape)}, but the output has {tuple(y_shape)}")
        self.check_wrt(wrt)

    def check_wrt(self, wrt: Wrt) -> None:
        """Raise ValueError for an unknown `wrt`."""
        if wrt not in ("both", "input", "params"):
            raise ValueError(f"wrt is {wrt!r}: use 'both', 'input' or 'params'")

    def check_ddx(self, ddx: Any, x_shape: tuple[int, ...], dy: Any, y_shape: tuple[int, ...]) -> None:
        """Raise ShapeError unless ddx has the shape of x, and dy that of y."""
        self.check_dy(dy, y_shape)
        self.check_array(ddx, "ddx")
        if tuple(ddx.shape) != tuple(x_shape):
            raise ShapeError(f"{self!r}: ddx has shape {tuple(ddx.shape)}, but the input has {tuple(x_shape)}")

    def check_second(self, ddx: Any, dy: Any, cache: Any) -> None:
        """Raise ShapeError unless ddx and dy have the shapes of x and y in the call that made `cache`."""
        x_shape, y_shape = self.shapes(cache)  # type: ignore[misc]
        self.check_ddx(ddx, x_shape, dy, y_shape)

    def check_several(self, arrays: Any, n: int | None, name: str = "input") -> None:
        """Raise ShapeError unless `arrays` is a tuple of n entries (None: any number but none)."""
        if not isinstance(arrays, tuple) or not arrays or n not in (None, len(arrays)):
            got = f"a tuple of {len(arrays)}" if isinstance(arrays, tuple) else type(arrays).__name__
            raise ShapeError(f"{self!r} takes a tuple of {n or 'several'} arrays as its {name}, got {got}")

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: everything but the flat vector, of which a copy makes its own."""
        return {name: value for name, value in vars(self).items() if name != "_parameters"}

    def __repr__(self) -> str:
        """Show the constructor call, leaving out what has its default value."""
        shown = []
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            required = parameter.default is inspect.Parameter.empty
            if name == "self" or parameter.kind.name.startswith("VAR_") or not (required or hasattr(self, name)):
                continue
            value = getattr(self, name, None)
            if is_array(value) or not hasattr(self, name):  # too long to be read, or not to be found
                shown.append("…" if required else f"{name}=…")
                continue
            if name in ("kernel_size", "stride", "padding", "output_padding") and value[0] == value[1]:
                value = value[0]
            if required:
                shown.append(repr(value))
            elif value is not parameter.default and value != parameter.default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def add(a: Any, b: Any) -> Any:
    """Add two gradients, either of which may be None for zero. Tuples are added entry by entry."""
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, tuple):
        return tuple(add(one, other) for one, other in zip(a, b, strict=True))
    xp = array_module(a)
    total = xp.empty(a.shape, a.dtype)
    over_rows(lambda rows: xp.add(a[rows], b[rows], out=total[rows]), total)
    return total


def two(layer: Layer, result: Any) -> tuple[Any, Any]:
    """What `forward` or `double_backward` of a layer returned, if it is a tuple of two: an array of two rows isn't."""
    if isinstance(result, tuple) and len(result) == 2:
        return result
    got = f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
    raise LayerError(f"{layer!r} returned {got}: forward must return (y, cache), and double_backward (ddy, dx2)")


def is_zero(gradient: Any) -> bool:
    """Whether a gradient is None, or a tuple of nothing else."""
    return gradient is None or (isinstance(gradient, tuple) and all(map(is_zero, gradient)))


def check_layers(kind: str, *layers: Any) -> None:
    """Raise LayerError unless all that a composite of that kind is made of are layers."""
    for i, layer in enumerate(layers):
        if isinstance(layer, Layer):
            continue
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise LayerError(f"{kind}: number {i} is the class, not a layer: write {layer.__name__}(…)")
        if isinstance(layer, (list, tuple)):
            whole = type(layer).__name__
            raise LayerError(f"{kind} takes its layers one by one, not in a {whole}: write {kind}(*layers)")
        name = "None" if layer is None else getattr(layer, "__name__", type(layer).__name__)
        raise LayerError(f"{kind}: number {i} is {name}, which is no Layer: write a subclass of Layer for it")

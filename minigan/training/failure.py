"""Finds the origin of the first NaN or infinity: repeats a training step and checks every array in it.

When a loss stops being finite, the NaN has usually passed through all layers, forward and backward, so the loss doesn't
reveal the origin. Here every array is checked as soon as it is computed: the data, the outputs of layers (forward) and
their gradients (backward, double backward), running statistics, losses, and after an update the parameters and the
optimizer's vectors. The first array that isn't finite, in the order of computation, is the origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from minigan.backend import is_array
from minigan.model import Now
from minigan.optim import Optimizer
from minigan.training.finding import Event, Finding, short, tally
from minigan.training.hooks import Call, LayerHooks, places

VERBS = {"output": "forward", "double_backward": "double backward"}  # display names that differ from the method names
IN_A_GAME = {  # display names for the methods of an objective in losses.py
    "real": "the loss of {critic} on real data",
    "fake": "the loss of {critic} on fakes",
    "critic": "the loss of {critic}",
    "generator": "the loss of {generator}",
}


def first_not_finite(
    model: Any, next_batch: Callable[..., Any], rng: Any, now: Now, observe: Callable[[Event], None] | None = None
) -> Finding | dict[str, Any]:
    """Run one step of `model`; return a Finding on the first array that isn't finite, or the measures if all are.

    The step is aborted at the finding, which leaves `model` in an inconsistent state. `observe` is called with each
    `Event`, in the order of computation. Arrays are checked on the host, so every check synchronizes with the device.
    """
    look = FiniteCheck(model, observe or (lambda _: None))
    try:
        with np.errstate(all="ignore"), look, look.losses_and_optimizers():
            look.check_state()
            measured = model.step(look.checked_batches(next_batch), rng, now)
            for name, value in measured.items():
                look.check({name: value}, "", "", "", "step", lambda: "all that its layers and losses made is finite")
            look.check_own_arrays("update", "all that its layers made and the step returned is finite")
    except NotFiniteFound as found:
        return found.finding
    return measured


class NotFiniteFound(Exception):
    """Aborts a step at the first array that isn't finite."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding


class FiniteCheck(LayerHooks):
    """Checks all arrays that a model's layers compute. Raises NotFiniteFound at the first that isn't finite."""

    def __init__(self, model: Any, observe: Callable[[Event], None]) -> None:
        self.model, self.observe, self.calls, self.batches = model, observe, 0, 0
        self.inputs: dict[str, float] = {}  # by place: the largest magnitude in the input of the last forward pass
        super().__init__({**model.networks, **model.frozen})

    def check(
        self, arrays: dict[str, Any], network: str, layer: str, what: str, verb: str, why: Callable[[], str]
    ) -> dict[str, float]:
        """Return the largest magnitude in each array. Raises NotFiniteFound with the detail `why()` for NaN or inf."""
        largest: dict[str, float] = {}
        for name, array in arrays.items():
            found = tally(array)
            if not found.finite:
                self.observe(Event(network, layer, what, verb, largest | {name: float("nan" if found.nan else "inf")}))
                part = f"the {name}" if name in ("input", "output") else name
                raise NotFiniteFound(Finding(network, layer, what, verb, part, f"{why()} ({found})"))
            if found.size:
                largest[name] = found.largest
        return largest

    def around(self, call: Call) -> Any:
        """Check the inputs of a call, run it, and check its outputs."""
        place, verb = call.place, VERBS.get(call.verb, call.verb)
        where = (place.network, place.name, repr(call.layer) if place.name else f"the network {place.network}", verb)
        given = {"input" if name == "x" else name: array for name, array in call.given.items()}
        before = self.check(given, *where, lambda: "all that was made before it is finite")
        if verb == "forward":
            self.inputs[str(place)] = before.get("input", 0.0)
        if not place.name:
            self.observe(Event(*where[:3], f"{verb} ({call.wrt})" if verb == "backward" else verb, before, begins=True))
        self.calls += 1
        calls = self.calls
        result = call.proceed()
        largest = self.check(
            _outputs(call, result), *where, lambda: _input_sizes(call, before, self.inputs.get(str(place)))
        )
        if not place.layer.children() and not (call.verb == "output" and self.calls > calls):  # unless it used forward
            self.observe(Event(*where, largest))
        return result

    def check_state(self) -> None:
        """Check the complete state before the step."""
        for network, layer_name, layer in places({**self.model.networks, **self.model.frozen}):
            arrays = {name: getattr(layer, name) for name in layer.parameter_names + layer.state_names}
            self.check(arrays, network, layer_name, repr(layer), "start", lambda: "the step didn't make it")
        for network, optimizer in self.model.optimizers.items():
            self._check_vectors(network, optimizer, "start", lambda _: "the step didn't make it")
        self.check_own_arrays("start", "the step didn't make it")

    def check_own_arrays(self, verb: str, why: str) -> None:
        """Check the arrays of the model that belong to no network."""
        for name, array in self.model.state_dict().items():
            self.check({name: np.asarray(array)}, "", "", "the model's own arrays", verb, lambda: why)

    def checked_batches(self, next_batch: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `next_batch` so that its batches are checked."""

        def checked() -> Any:
            batch = next_batch()
            number, self.batches = self.batches, self.batches + 1
            arrays = {f"{name} of batch {number}": array for name, array in batch.items()}
            largest = self.check(arrays, "", "", "the data", "data", lambda: "it is in the data set")
            self.observe(Event("", "", "the data", "data", largest))
            return batch

        return checked

    @contextmanager
    def losses_and_optimizers(self) -> Iterator[None]:
        """Context manager: also check the results of losses and optimizers."""
        with ExitStack() as stack:
            for name, loss in self.model.losses.items():
                for method in (m for m in dir(type(loss)) if not m.startswith("_") and callable(getattr(loss, m))):
                    stack.enter_context(_replaced(loss, method, self._checked_loss(name, loss, method)))
            for name, optimizer in self.model.optimizers.items():
                stack.enter_context(_replaced(optimizer, "step", self._checked_step(name, optimizer, optimizer.step)))
            yield

    def _checked_loss(self, name: str, loss: Any, method: str) -> Callable[..., Any]:
        """Wrap a method of an objective, (…) → (value, gradient), so that its results are checked."""
        network, what, compute = "", f"{name}.{method}", getattr(loss, method)
        for game in self.model.games:
            if game.objective is loss and method in IN_A_GAME:
                network = game.generator if method == "generator" else game.critic
                what = IN_A_GAME[method].format(critic=game.critic, generator=game.generator)

        def checked(*inputs: Any) -> Any:
            result = compute(*inputs)
            if isinstance(result, tuple) and len(result) == 2:
                arrays = {"the value": result[0], "its gradient": result[1]}
                why = f"its inputs reach {short(tally(tuple(x for x in inputs if is_array(x))).largest)}"
                largest = self.check(arrays, network, "", what, "loss", lambda: why)
                self.observe(Event(network, "", what, "loss", largest))
            return result

        return checked

    def _checked_step(self, network: str, optimizer: Optimizer, step: Callable[[], None]) -> Callable[[], None]:
        def update() -> None:
            step()
            largest = self._check_vectors(
                network,
                optimizer,
                "update",
                lambda gradient: f"its gradient reaches {short(tally(gradient).largest)}, and lr is {optimizer.lr:g}",
            )
            self.observe(Event(network, "", type(optimizer).__name__, "update", largest))

        return update

    def _check_vectors(
        self, network: str, optimizer: Optimizer, verb: str, why: Callable[[Any], str]
    ) -> dict[str, float]:
        """Check an optimizer's vectors and the values that it updates, one parameter at a time."""
        largest: dict[str, float] = {}
        for vector in (*optimizer.state_names, "values"):
            start, flat = 0, getattr(optimizer.parameters if vector == "values" else optimizer, vector)
            for _, layer_name, layer in places({network: optimizer.parameters.network}):
                for name in layer.parameter_names:
                    gradient = getattr(layer, "d" + name)
                    part = name if vector == "values" else f"{type(optimizer).__name__}'s {vector} for {name}"
                    piece, start = flat[start : start + gradient.size], start + gradient.size
                    where = (network, layer_name, repr(layer), verb)
                    found = self.check({part: piece}, *where, lambda gradient=gradient: why(gradient))
                    title = "parameters" if vector == "values" else vector
                    largest[title] = max(largest.get(title, 0.0), *found.values())
        return largest


@contextmanager
def _replaced(thing: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Context manager: replace a method of one object by another function."""
    own = vars(thing).get(name)
    object.__setattr__(thing, name, function)
    try:
        yield
    finally:
        object.__delattr__(thing, name)
        if own is not None:
            object.__setattr__(thing, name, own)


def _outputs(call: Call, result: Any) -> dict[str, Any]:
    """Return the results of a call by name: return values, and statistics or gradients stored in the layer."""
    layer, arrays = call.layer, {}
    if call.verb in ("forward", "output"):
        arrays["output"] = result[0] if call.verb == "forward" else result
        return arrays | {name: getattr(layer, name) for name in layer.state_names}
    if call.verb == "double_backward":
        arrays["ddy"], arrays["dx2"] = result
    elif call.wrt != "params":
        arrays["dx"] = result
    if call.wrt != "input":
        for prefix, inner in layer.walk():
            arrays |= {f"{prefix}d{name}": getattr(inner, "d" + name) for name in inner.parameter_names}
    return arrays


def _input_sizes(call: Call, given: dict[str, float], last_input: float | None) -> str:
    """Describe the largest magnitudes among the inputs and parameters of a call, all of which are finite."""
    known = {f"its {name}": largest for name, largest in given.items()}
    if call.verb not in ("forward", "output") and last_input is not None:
        known["its input"] = last_input
    for name in call.layer.parameter_names:
        known[f"its {name}"] = tally(getattr(call.layer, name)).largest
    reach = [f"{name} reaches {short(largest)}" for name, largest in known.items()]
    return ", ".join(reach) or "it was given no numbers"

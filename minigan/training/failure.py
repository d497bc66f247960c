"""Where did the first NaN or infinity come from? A step made again, while every array in it is looked at.

A run that fails tells only that a loss isn't finite any more. By then the number has gone through every layer, down and
up again, and what began it is long past. Here every array is looked at as soon as it is there: the data, what layers
hand up (forward) and down (backward, double backward), the parameters' gradients, running statistics, the losses, and
what an optimiser makes of the parameters and of its own vectors. The first one with a number that isn't finite, in
order of time, is where it began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from minigan.backend import is_array
from minigan.model import Now
from minigan.optim import Optimizer
from minigan.training.finding import Finding, Seen, short, tally
from minigan.training.watching import Call, Watching, places

VERBS = {"output": "forward", "double_backward": "double backward"}  # for people, where it isn't the method's name
IN_A_GAME = {  # the methods of an objective in losses.py
    "real": "the loss of {critic} on real data",
    "fake": "the loss of {critic} on fakes",
    "generator": "the loss of {generator}",
}


def first_not_finite(
    model: Any, next_batch: Callable[..., Any], rng: Any, now: Now, seen: Callable[[Seen], None] | None = None
) -> Finding | dict[str, Any]:
    """Make one step of `model`, and return the first number in it that isn't finite; its measures if all are.

    With a finding the step was left in its midst, and `model` is spoilt. `seen` is called with everything that happens,
    in order of time. The numbers are looked at on the host, so this waits for the device again and again.
    """
    look = Look(model, seen or (lambda _: None))
    try:
        with np.errstate(all="ignore"), look, look.at_the_rest():
            look.at_state()
            measured = model.step(look.at_batches(next_batch), rng, now)
            for name, value in measured.items():
                look.at({name: value}, "", "", "", "step", lambda: "all that its layers and losses made is finite")
            look.at_own_arrays("update", "all that its layers made and the step returned is finite")
    except Found as found:
        return found.finding
    return measured


class Found(Exception):
    """Ends a step with its finding."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding


class Look(Watching):
    """Looks at every array that the layers of a model make. Raises Found at the first that isn't finite."""

    def __init__(self, model: Any, seen: Callable[[Seen], None]) -> None:
        self.model, self.seen, self.calls, self.batches = model, seen, 0, 0
        self.inputs: dict[str, float] = {}  # by place: the largest magnitude that its last forward was given
        super().__init__({**model.networks, **model.frozen})

    def at(
        self, arrays: dict[str, Any], network: str, layer: str, what: str, verb: str, why: Callable[[], str]
    ) -> dict[str, float]:
        """Return the largest magnitudes of named arrays. Raises Found if one isn't finite; `why` says what is known."""
        largest: dict[str, float] = {}
        for name, array in arrays.items():
            found = tally(array)
            if not found.finite:
                self.seen(Seen(network, layer, what, verb, largest | {name: float("nan" if found.nan else "inf")}))
                part = f"the {name}" if name in ("input", "output") else name
                raise Found(Finding(network, layer, what, verb, part, f"{why()} ({found})"))
            if found.size:
                largest[name] = found.largest
        return largest

    def around(self, call: Call) -> Any:
        """Look at what a layer is given, then at what it makes of it."""
        place, verb = call.place, VERBS.get(call.verb, call.verb)
        where = (place.network, place.name, repr(call.layer) if place.name else f"the network {place.network}", verb)
        given = {"input" if name == "x" else name: array for name, array in call.given.items()}
        before = self.at(given, *where, lambda: "all that was made before it is finite")
        if verb == "forward":
            self.inputs[str(place)] = before.get("input", 0.0)
        if not place.name:
            self.seen(Seen(*where[:3], f"{verb} ({call.wrt})" if verb == "backward" else verb, before, begins=True))
        self.calls += 1
        calls = self.calls
        result = call.proceed()
        largest = self.at(_made(call, result), *where, lambda: _why(call, before, self.inputs.get(str(place))))
        if not place.layer.children() and not (call.verb == "output" and self.calls > calls):  # `forward` was seen
            self.seen(Seen(*where, largest))
        return result

    def at_state(self) -> None:
        """Look at everything that was there before the step."""
        for network, layer_name, layer in places({**self.model.networks, **self.model.frozen}):
            arrays = {name: getattr(layer, name) for name in layer.parameter_names + layer.state_names}
            self.at(arrays, network, layer_name, repr(layer), "start", lambda: "the step didn't make it")
        for network, optimizer in self.model.optimizers.items():
            self._at_vectors(network, optimizer, "start", lambda _: "the step didn't make it")
        self.at_own_arrays("start", "the step didn't make it")

    def at_own_arrays(self, verb: str, why: str) -> None:
        """Look at the arrays that the model keeps besides its networks."""
        for name, array in self.model.state_dict().items():
            self.at({name: np.asarray(array)}, "", "", "the model's own arrays", verb, lambda: why)

    def at_batches(self, next_batch: Callable[..., Any]) -> Callable[..., Any]:
        """`next_batch`, whose batches are looked at."""

        def looked_at() -> Any:
            batch = next_batch()
            number, self.batches = self.batches, self.batches + 1
            arrays = {f"{name} of batch {number}": array for name, array in batch.items()}
            largest = self.at(arrays, "", "", "the data", "data", lambda: "it came so from the data set")
            self.seen(Seen("", "", "the data", "data", largest))
            return batch

        return looked_at

    @contextmanager
    def at_the_rest(self) -> Iterator[None]:
        """Look at objectives and optimisers as well, within this block."""
        with ExitStack() as stack:
            for name, loss in self.model.losses.items():
                for method in (m for m in dir(type(loss)) if not m.startswith("_") and callable(getattr(loss, m))):
                    stack.enter_context(_instead(loss, method, self._at_loss(name, loss, method)))
            for name, optimizer in self.model.optimizers.items():
                stack.enter_context(_instead(optimizer, "step", self._updating(name, optimizer, optimizer.step)))
            yield

    def _at_loss(self, name: str, loss: Any, method: str) -> Callable[..., Any]:
        """A method of an objective, (…) → (value, gradient), that is looked at."""
        network, what, compute = "", f"{name}.{method}", getattr(loss, method)
        for game in self.model.games:
            if game.objective is loss and method in IN_A_GAME:
                network = game.generator if method == "generator" else game.critic
                what = IN_A_GAME[method].format(critic=game.critic, generator=game.generator)

        def looked_at(*inputs: Any) -> Any:
            result = compute(*inputs)
            if isinstance(result, tuple) and len(result) == 2:
                arrays = {"the value": result[0], "its gradient": result[1]}
                why = f"its inputs reach {short(tally(tuple(x for x in inputs if is_array(x))).largest)}"
                largest = self.at(arrays, network, "", what, "loss", lambda: why)
                self.seen(Seen(network, "", what, "loss", largest))
            return result

        return looked_at

    def _updating(self, network: str, optimizer: Optimizer, step: Callable[[], None]) -> Callable[[], None]:
        def update() -> None:
            step()
            largest = self._at_vectors(
                network,
                optimizer,
                "update",
                lambda gradient: f"its gradient reaches {short(tally(gradient).largest)}, and lr is {optimizer.lr:g}",
            )
            self.seen(Seen(network, "", type(optimizer).__name__, "update", largest))

        return update

    def _at_vectors(self, network: str, optimizer: Optimizer, verb: str, why: Callable[[Any], str]) -> dict[str, float]:
        """Look at an optimiser's own vectors, and at the parameters that it moves, parameter by parameter."""
        largest: dict[str, float] = {}
        for vector in (*optimizer.state_names, "values"):
            start, flat = 0, getattr(optimizer.parameters if vector == "values" else optimizer, vector)
            for _, layer_name, layer in places({network: optimizer.parameters.network}):
                for name in layer.parameter_names:
                    gradient = getattr(layer, "d" + name)
                    part = name if vector == "values" else f"{type(optimizer).__name__}'s {vector} for {name}"
                    piece, start = flat[start : start + gradient.size], start + gradient.size
                    where = (network, layer_name, repr(layer), verb)
                    found = self.at({part: piece}, *where, lambda gradient=gradient: why(gradient))
                    title = "parameters" if vector == "values" else vector
                    largest[title] = max(largest.get(title, 0.0), *found.values())
        return largest


@contextmanager
def _instead(thing: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Within this block, a method of this one object is another function."""
    own = vars(thing).get(name)
    object.__setattr__(thing, name, function)
    try:
        yield
    finally:
        object.__delattr__(thing, name)
        if own is not None:
            object.__setattr__(thing, name, own)


def _made(call: Call, result: Any) -> dict[str, Any]:
    """What a call has made: what it returned, and what it has left in the layer."""
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


def _why(call: Call, given: dict[str, float], last_input: float | None) -> str:
    """How large the numbers are that a call had to work with: all of them are finite."""
    known = {f"its {name}": largest for name, largest in given.items()}
    if call.verb not in ("forward", "output") and last_input is not None:
        known["its input"] = last_input
    for name in call.layer.parameter_names:
        known[f"its {name}"] = tally(getattr(call.layer, name)).largest
    reach = [f"{name} reaches {short(largest)}" for name, largest in known.items()]
    return ", ".join(reach) or "it was given no numbers"

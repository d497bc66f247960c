"""Hooks around every pass of every layer of a network, which can be removed without a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

from minigan.layers import Layer
from minigan.threads.crew import one_at_a_time

VERBS = ("forward", "output", "backward", "double_backward")


class Place(NamedTuple):
    """The position of a layer: its network and its name there, which is "" for the network itself."""

    network: str
    name: str
    layer: Layer

    def __str__(self) -> str:
        return f"{self.network}.{self.name}" if self.name else self.network


def places(networks: dict[str, Layer]) -> Iterator[Place]:
    """Yield all layers of networks, each before its inner layers."""
    for name, network in networks.items():
        for prefix, layer in network.walk():
            yield Place(name, prefix.rstrip("."), layer)


@dataclass(frozen=True)
class Call:
    """An intercepted call of one of VERBS. `proceed()` runs the original method.

    layer: the layer that is called. It differs from `place.layer` if a layer works on a copy of its inner layer, as
           SpectralNorm does.
    given: the arguments by the names in docs/architecture.md: {"x": …}, {"dy": …} or {"ddx": …, "dy": …}.
    wrt:   the argument of backward; "both" for the other verbs.
    """

    place: Place
    layer: Layer
    verb: str
    given: dict[str, Any]
    wrt: str
    proceed: Callable[[], Any]


class LayerHooks:
    """Routes every call of VERBS on every layer of `networks` through `around`, until `close`.

    The class of a hooked layer is replaced by a subclass. A function stored on the instance would be bound to the
    original layer; a method of a subclass also works on a copy of the layer, with the parameters of the copy.
    Functions that other code has stored on the instance are still called, and `close` restores them.
    """

    def __init__(self, networks: dict[str, Layer]) -> None:
        self._watched: list[tuple[Layer, type, dict[str, Any]]] = []
        self._alone = ExitStack()
        self._alone.enter_context(one_at_a_time())  # so that calls come in the order of the model's code
        try:
            for place in places(networks):
                self._watch(place)
        except BaseException:
            self.close()
            raise

    def around(self, call: Call) -> Any:
        """Handle an intercepted call; subclasses override this and return the result of `call.proceed()`."""
        return call.proceed()

    def close(self) -> None:
        """Restore the original layers."""
        self._alone.close()
        while self._watched:
            layer, kind, own = self._watched.pop()
            layer.__class__ = kind
            del vars(layer)["_hooks"]
            vars(layer).update(own)

    def __enter__(self) -> LayerHooks:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def _watch(self, place: Place) -> None:
        layer, kind = place.layer, type(place.layer)
        own = {verb: vars(layer).pop(verb) for verb in VERBS if verb in vars(layer)}
        vars(layer)["_hooks"] = (self, place, own)
        layer.__class__ = _hooked_class(kind)
        self._watched.append((layer, kind, own))


def _hooked_class(kind: type) -> type:
    """Return a subclass of `kind`, of the same name, whose VERBS call the `around` of its LayerHooks."""

    def through(layer: Any, verb: str, given: dict[str, Any], args: tuple, wrt: str = "both") -> Any:
        watching, place, own = vars(layer)["_hooks"]

        def proceed() -> Any:
            return own[verb](*args) if verb in own else getattr(kind, verb)(layer, *args)

        return watching.around(Call(place, layer, verb, given, wrt, proceed))

    def forward(self: Any, x: Any, train: bool = True, rng: Any = None) -> Any:
        return through(self, "forward", {"x": x}, (x, train, rng))

    def output(self: Any, x: Any, train: bool = True, rng: Any = None) -> Any:
        return through(self, "output", {"x": x}, (x, train, rng))

    def backward(self: Any, dy: Any, cache: Any, wrt: Any = "both") -> Any:
        return through(self, "backward", {"dy": dy}, (dy, cache, wrt), wrt)

    def double_backward(self: Any, ddx: Any, dy: Any, cache: Any) -> Any:
        return through(self, "double_backward", {"ddx": ddx, "dy": dy}, (ddx, dy, cache))

    verbs = {"forward": forward, "output": output, "backward": backward, "double_backward": double_backward}
    return type(kind.__name__, (kind,), verbs)

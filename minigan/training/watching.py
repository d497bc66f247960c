"""Looking on while the layers of networks work: a hook around every verb, and no trace of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from minigan.layers import Layer

VERBS = ("forward", "output", "backward", "double_backward")


class Place(NamedTuple):
    """Where a layer stands: in the network called `network`, under `name` there, which is "" for the network itself."""

    network: str
    name: str
    layer: Layer

    def __str__(self) -> str:
        return f"{self.network}.{self.name}" if self.name else self.network


def places(networks: dict[str, Layer]) -> Iterator[Place]:
    """All layers of networks, outer ones before those inside of them."""
    for name, network in networks.items():
        for prefix, layer in network.walk():
            yield Place(name, prefix.rstrip("."), layer)


@dataclass(frozen=True)
class Call:
    """A verb of a layer, about to be called. `proceed()` calls it.

    layer: who is called. Not always `place.layer`: SpectralNorm computes with a copy of its inner layer.
    given: what it gets, by the names in docs/architecture.md: {"x": …}, {"dy": …} or {"ddx": …, "dy": …}.
    wrt:   of backward; "both" for the other verbs.
    """

    place: Place
    layer: Layer
    verb: str
    given: dict[str, Any]
    wrt: str
    proceed: Callable[[], Any]


class Watching:
    """Hooks every verb of every layer of `networks`: until `close`, calls go through `around`.

    A watched layer is of a class of its own, derived from the layer's: unlike functions that are hung on a layer, it
    computes with whatever it is called on, so a copy of the layer computes with what the copy holds. Verbs that were
    hung on a layer by others are called, and are there again afterwards.
    """

    def __init__(self, networks: dict[str, Layer]) -> None:
        self._watched: list[tuple[Layer, type, dict[str, Any]]] = []
        try:
            for place in places(networks):
                self._watch(place)
        except BaseException:
            self.close()
            raise

    def around(self, call: Call) -> Any:
        """What happens in place of a verb: return `call.proceed()`, and look on."""
        return call.proceed()

    def close(self) -> None:
        """Leave the layers as they were."""
        while self._watched:
            layer, kind, own = self._watched.pop()
            layer.__class__ = kind
            del vars(layer)["_watching"]
            vars(layer).update(own)

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def _watch(self, place: Place) -> None:
        layer, kind = place.layer, type(place.layer)
        own = {verb: vars(layer).pop(verb) for verb in VERBS if verb in vars(layer)}
        vars(layer)["_watching"] = (self, place, own)
        layer.__class__ = _watched_class(kind)
        self._watched.append((layer, kind, own))


def _watched_class(kind: type) -> type:
    """A class like `kind`, of the same name, whose verbs are called through the `around` of whoever watches."""

    def through(layer: Any, verb: str, given: dict[str, Any], args: tuple, wrt: str = "both") -> Any:
        watching, place, own = vars(layer)["_watching"]

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

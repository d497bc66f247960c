"""What a dry run shows: layers, shapes, parameters, memory, and the operations of a step.

Nothing of it is worked out on paper. One real step is made on a few random samples with throw-away weights, while
every layer notes what it is asked to do; so the numbers hold for whatever a model's step consists of.
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.layers import Layer
from minigan.training.run import RunConfig
from minigan.training.watching import Call, Watching

# Matrix products that each pass makes, each with as many multiply-adds as a forward pass. A layer that is linear in x
# makes two in double backward: ddy, which is a forward pass, and its parameters' gradient.
PRODUCTS = {"forward": 1, "backward (input)": 1, "backward (params)": 1, "backward (both)": 2, "double backward": 2}
PASSES = {"forward": "forward", "output": "forward", "double_backward": "double backward"}
PROBE = 8  # samples in the step that is watched
MEMORY_PROBE = 32  # at most, in the step whose memory is measured: with fewer, scratch space grows with the batch
MIDST = 1001  # steps that the optimisers believe to have made before it


def summarize(gan: Any, config: RunConfig) -> str:
    """Describe the networks and the cost of a step at the batch size of `config`. The weights of `gan` are spoilt."""
    watch = Watch(gan)
    _step(gan, config.shape, PROBE)
    watch.close()
    lines = []
    for name, network in gan.networks.items():
        lines += [_layer_table(name, network, watch), ""]
    lines += [_memory_table(gan, config), "", _cost_table(watch, config.batch_size)]
    return "\n".join(lines)


class Watch(Watching):
    """Notes, from its making until `close`, what the layers of a GAN's networks are asked to do."""

    def __init__(self, gan: Any) -> None:
        self.shapes: dict[int, tuple[tuple, tuple]] = {}  # id of a layer: `shape_of` its first input and output
        self.passes: Counter = Counter()  # through a whole network, by (network, pass)
        self.macs: Counter = Counter()  # multiply-adds, by (network, pass)
        self._current = ("", "")
        self.networks = list(gan.networks)
        super().__init__(gan.networks)

    def around(self, call: Call) -> Any:
        """Count the pass, if it is one through a whole network, and the products of a layer without inner layers."""
        layer, leaf = call.place.layer, not call.place.layer.children()
        if call.verb == "output" and leaf:  # it calls forward
            return call.proceed()
        verb = PASSES.get(call.verb, f"backward ({call.wrt})")
        if not call.place.name:  # what the layers inside do from here on belongs to this pass
            self._current = (call.place.network, verb)
            self.passes[self._current] += 1
        result = call.proceed()
        if verb == "forward":
            y = result[0] if call.verb == "forward" else result
            self.shapes.setdefault(id(layer), (shape_of(call.given["x"]), shape_of(y)))
        if leaf:
            self.macs[self._current] += PRODUCTS[verb] * layer.macs(*self.shapes[id(layer)])
        return result


def step_macs(gan: Any, step: Callable[..., Any] | None = None) -> float:
    """Multiply-adds of the matrix products of one step, for each sample of the batch. The weights are spoilt.

    step: what to count instead of `gan.step`, a function of (gan, next_batch, rng).
    """
    watch = Watch(gan)
    _step(gan, gan.shape, PROBE, step)
    watch.close()
    return sum(watch.macs.values()) / PROBE


def _step(gan: Any, shape: tuple[int, ...], n: int, step: Callable[..., Any] | None = None) -> None:
    """Make one step on `n` random samples, in the midst of training: some models begin with longer steps."""
    rng = np.random.default_rng(0)
    for optimizer in gan.optimizers.values():
        optimizer.t = MIDST

    def next_batch() -> Any:
        x = np.tanh(rng.standard_normal((n, *shape), dtype=np.float32))
        return (x, gan.labels(n)) if gan.n_classes else x

    (step or type(gan).step)(gan, next_batch, rng)


def shape_of(x: Any) -> tuple:
    """The shape of an array, or of each array in a tuple."""
    return tuple(map(shape_of, x)) if isinstance(x, tuple) else tuple(x.shape)


def _shown(shape: tuple) -> str:
    """A shape without the batch, for people: 16×16×1, or `100, label` for two arrays."""
    if isinstance(shape[0], tuple):
        return ", ".join(map(_shown, shape))
    return "×".join(map(str, shape[1:])) or "label"


def _batch(shape: tuple) -> int:
    """The length of the first axis, of the first array if there are several."""
    return _batch(shape[0]) if isinstance(shape[0], tuple) else shape[0]


def _layer_table(name: str, network: Layer, watch: Watch) -> str:
    """One row for each layer without inner layers."""
    rows = [("", "layer", "output", "parameters", "MFLOP")]
    for prefix, layer in network.walk():
        if layer.children() or id(layer) not in watch.shapes:
            continue
        x, y = watch.shapes[id(layer)]
        own, macs = sum(getattr(layer, p).size for p in layer.parameter_names), layer.macs(x, y) / _batch(x)
        shown = (prefix.rstrip("."), repr(layer), _shown(y))
        rows.append((*shown, f"{own:,}" if own else "", f"{2e-6 * macs:,.2f}" if macs else ""))
    shapes = " → ".join(map(_shown, watch.shapes[id(network)]))
    return f"{name}: {shapes}, {len(network.parameters()):,} parameters\n{table(rows, '<<>>>')}"


def _memory_table(gan: Any, config: RunConfig) -> str:
    """Bytes of what stays, and the peak of what a step needs besides."""
    vectors = [network.parameters().values.nbytes for network in gan.networks.values()]
    state = sum(getattr(o, name).nbytes for o in gan.optimizers.values() for name in o.state_names)
    n = max(4, min(MEMORY_PROBE, config.batch_size))
    small, large = (_peak(lambda size=size: _step(gan, config.shape, size)) for size in (n // 2, n))
    per_sample = (large - small) / (n - n // 2)
    rows = [
        ("parameters", mib(sum(vectors))),
        ("gradients", mib(sum(vectors))),
        ("optimiser state", mib(state)),
        *([("average of G's weights", mib(gan.average.average.parameters().values.nbytes))] if gan.average else []),
        (
            f"activations, batch of {config.batch_size}",
            mib(max(0, large + per_sample * (config.batch_size - n))),
        ),
    ]
    return "memory (activations: measured on small batches, at their peak, with all scratch space)\n" + table(
        rows, "<>"
    )


def _peak(action: Callable[[], None]) -> int:
    """Bytes that `action` allocates at most, at one time, beyond what was there before."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _cost_table(watch: Watch, batch_size: int) -> str:
    """Passes through the networks, and operations: a multiply-add counts as two."""
    rows = [("network", "pass", "times", "GFLOP")]
    scale = 2e-9 * batch_size / PROBE
    for name in watch.networks:
        for verb in PRODUCTS:
            if times := watch.passes[name, verb]:
                rows.append((name, verb, str(times), f"{scale * watch.macs[name, verb]:,.3f}"))
    total = scale * sum(watch.macs.values())
    return f"a step on batches of {batch_size}: {total:,.3f} GFLOP in matrix products\n{table(rows, '<<>>')}"


def mib(size: float) -> str:
    """A number of bytes for people."""
    return f"{size / 2**20:,.1f} MiB"


def table(rows: list[tuple[str, ...]], align: str) -> str:
    """Set rows in columns; `align` has < or > for each."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(align))]
    return "\n".join(
        "  " + "  ".join(f"{cell:{a}{w}}" for cell, a, w in zip(row, align, widths, strict=True)).rstrip()
        for row in rows
    )

"""What a dry run shows: layers, shapes, parameters, memory, and the operations of a step.

Nothing of it is worked out on paper. One real step is made in each phase, on a few random samples with throw-away
weights, while every layer notes what it is asked to do; so the numbers hold for whatever a model's step consists of.
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from minigan.common.small_models import moments, random_batch
from minigan.layers import Layer
from minigan.model import Now
from minigan.training.settings import RunConfig
from minigan.training.watching import Call, Watching

# Matrix products that each pass makes, each with as many multiply-adds as a forward pass. A layer that is linear in x
# makes two in double backward: ddy, which is a forward pass, and its parameters' gradient.
PRODUCTS = {"forward": 1, "backward (input)": 1, "backward (params)": 1, "backward (both)": 2, "double backward": 2}
PASSES = {"forward": "forward", "output": "forward", "double_backward": "double backward"}
PROBE = 8  # samples in the step that is watched
MEMORY_PROBE = 32  # at most, in the step whose memory is measured: with fewer, scratch space grows with the batch
PEAKS = 3  # measurements of a step's memory
MIDST = 1001  # steps that the model believes to have made before it

Shapes = dict[str, tuple[int, ...]]  # of a sample of each array; those that are missing are labels


def summarize(model: Any, config: RunConfig, shapes: Shapes) -> str:
    """Describe the networks, and memory and cost of a step in each phase. The weights of `model` are spoilt."""
    watches, activations, costs = [], {}, []
    for now in moments(model):
        watches.append(_watched(model, shapes, now))
        several, batch_size = len(model.phases) > 1, now.phase.batch_size or config.batch_size
        name = f"phase {now.phase.name}, " * several
        activations[f"{name}activations, batch of {batch_size}"] = _activations(model, shapes, now, batch_size)
        costs += ["", _cost_table(name, watches[-1], batch_size)]
    seen = {key: shapes for watch in reversed(watches) for key, shapes in watch.shapes.items()}
    tables = [_layer_table(name, network, seen) for name, network in model.networks.items()]
    tables += [_layer_table(f"{name}, frozen", network, seen) for name, network in model.frozen.items()]
    return "\n".join(["\n\n".join(tables), "", _memory_table(model, activations), *costs])


def step_macs(model: Any, shapes: Shapes, step: Callable[..., Any] | None = None) -> float:
    """Multiply-adds of the matrix products of one step, for each sample of the batch. The weights are spoilt.

    step: what to count instead of `model.step`, a function of (model, next_batch, rng, now).
    """
    return sum(_watched(model, shapes, next(moments(model)), step).macs.values()) / PROBE


def _watched(model: Any, shapes: Shapes, now: Now, step: Callable[..., Any] | None = None) -> Watch:
    """What the layers were asked to do in a step on PROBE samples."""
    watch = Watch(model)
    with watch:
        _step(model, shapes, now, PROBE, step)
    return watch


def _step(model: Any, shapes: Shapes, now: Now, n: int, step: Callable[..., Any] | None = None) -> None:
    """Make one step on `n` random samples, in the midst of a phase: some models begin with longer steps."""
    rng, shapes = np.random.default_rng(0), {name: shapes.get(name, ()) for name in model.arrays}
    for optimizer in model.optimizers.values():
        optimizer.t = MIDST

    def next_batch(some: int | None = None) -> dict[str, Any]:
        return random_batch(model, shapes, some or n, rng)

    (step or type(model).step)(model, next_batch, rng, replace(now, step=MIDST))


class Watch(Watching):
    """Counts, until `close`, the passes through a model's networks and the products of their layers."""

    def __init__(self, model: Any) -> None:
        self.shapes: dict[int, tuple[tuple, tuple]] = {}  # id of a layer: `shape_of` its first input and output
        self.passes: Counter = Counter()  # through a whole network, by (network, pass)
        self.macs: Counter = Counter()  # multiply-adds, by (network, pass)
        self._current = ("", "")
        networks = {**model.networks, **getattr(model, "frozen", {})}
        self.networks = list(networks)
        super().__init__(networks)

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


def shape_of(x: Any) -> tuple:
    """The shape of an array, or of each array in a tuple; () of a number, such as a level."""
    return tuple(map(shape_of, x)) if isinstance(x, tuple) else tuple(getattr(x, "shape", ()))


def _shown(shape: tuple) -> str:
    """A shape without the batch, for people: 16×16×1, or `100, label` for two arrays."""
    if not shape:
        return "number"
    if isinstance(shape[0], tuple):
        return ", ".join(map(_shown, shape))
    return "×".join(map(str, shape[1:])) or "label"


def _batch(shape: tuple) -> int:
    """The length of the first axis, of the first array if there are several."""
    return _batch(shape[0]) if isinstance(shape[0], tuple) else shape[0]


def _layer_table(name: str, network: Layer, shapes: dict[int, tuple[tuple, tuple]]) -> str:
    """One row for each layer without inner layers that a step has used."""
    rows = [("", "layer", "output", "parameters", "MFLOP")]
    for prefix, layer in network.walk():
        if layer.children() or id(layer) not in shapes:
            continue
        x, y = shapes[id(layer)]
        own, macs = sum(getattr(layer, p).size for p in layer.parameter_names), layer.macs(x, y) / _batch(x)
        shown = (prefix.rstrip("."), repr(layer), _shown(y))
        rows.append((*shown, f"{own:,}" if own else "", f"{2e-6 * macs:,.2f}" if macs else ""))
    ends = " → ".join(map(_shown, shapes[id(network)])) if id(network) in shapes else "no step uses it as a whole"
    return f"{name}: {ends}, {len(network.parameters()):,} parameters\n{table(rows, '<<>>>')}"


def _memory_table(model: Any, activations: dict[str, float]) -> str:
    """Bytes of what stays, and the peak of what a step needs besides."""
    sizes = {name: net.parameters().values.nbytes for name, net in {**model.networks, **model.frozen}.items()}
    trained = sum(sizes[name] for name in model.networks)
    state = sum(getattr(o, name).nbytes for o in model.optimizers.values() for name in o.state_names)
    rows = {"parameters": sum(sizes.values()), "gradients": trained, "optimiser state": state}
    rows |= {f"average of {name}'s weights": sizes[name] for name in model.averages}
    title = "memory (activations: measured on small batches, at their peak, with all scratch space)"
    return f"{title}\n{table([(name, mib(size)) for name, size in (rows | activations).items()], '<>')}"


def _activations(model: Any, shapes: Shapes, now: Now, batch_size: int) -> float:
    """Bytes that a step on a batch needs for a time, reckoned from two smaller ones.

    On a busy machine a thread may start too late to take scratch space of its own, so the largest of several peaks
    counts.
    """
    n = max(4, min(MEMORY_PROBE, batch_size))
    small, large = (max(_peak(partial(_step, model, shapes, now, size)) for _ in range(PEAKS)) for size in (n // 2, n))
    return max(0, large + (large - small) / (n - n // 2) * (batch_size - n))


def _peak(action: Callable[[], None]) -> int:
    """Bytes that `action` allocates at most, at one time, beyond what was there before."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _cost_table(phase: str, watch: Watch, batch_size: int) -> str:
    """Passes through the networks, and operations: a multiply-add counts as two."""
    rows = [("network", "pass", "times", "GFLOP")]
    scale = 2e-9 * batch_size / PROBE
    for name in watch.networks:
        for verb in PRODUCTS:
            if times := watch.passes[name, verb]:
                rows.append((name, verb, str(times), f"{scale * watch.macs[name, verb]:,.3f}"))
    total = scale * sum(watch.macs.values())
    return f"{phase}a step on batches of {batch_size}: {total:,.3f} GFLOP in matrix products\n{table(rows, '<<>>')}"


def mib(size: float) -> str:
    """A number of bytes for people."""
    return f"{size / 2**20:,.1f} MiB"


def table(rows: Sequence[tuple[str, ...]], align: str) -> str:
    """Set rows in columns; `align` has < or > for each."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(align))]
    return "\n".join(
        "  " + "  ".join(f"{cell:{a}{w}}" for cell, a, w in zip(row, align, widths, strict=True)).rstrip()
        for row in rows
    )

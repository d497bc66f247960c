"""The output of a dry run: layers, shapes, parameters, memory, and the operations of a step.

All figures are measured: one real step is run in each phase, on a few random samples with disposable weights, with
hooks on every layer that count its operations. Therefore they are correct for any model's step.
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from minigan.common.small_models import moments, random_batch
from minigan.layers import Layer
from minigan.model import Now
from minigan.training.hooks import Call, LayerHooks
from minigan.training.settings import RunConfig

# Matrix products in each pass, each with as many multiply-adds as a forward pass. The double backward pass of a layer
# that is linear in x has two: ddy, which is a forward pass, and the gradient of its parameters.
PRODUCTS = {"forward": 1, "backward (input)": 1, "backward (params)": 1, "backward (both)": 2, "double backward": 2}
PASSES = {"forward": "forward", "output": "forward", "double_backward": "double backward"}
PROBE = 8  # samples in the step whose operations are counted
MEMORY_PROBE = 32  # samples, at most, in the step whose memory is measured; below that, scratch space grows with them
PEAKS = 3  # measurements of a step's memory
STEPS_BEFORE = 1001  # the step number of the measured step: some models have longer steps at the beginning
LAZY = (
    5040  # a step number that is a multiple of 1 to 10, 12, 14, 15 and 16: some models have penalties every k-th step
)

Shapes = dict[str, tuple[int, ...]]  # of one sample of each array; missing arrays are labels


def summarize(model: Any, config: RunConfig, shapes: Shapes) -> str:
    """Describe the networks, and the memory and cost of a step in each phase. Overwrites the weights of `model`."""
    counters, activations, costs = [], {}, []
    for now in moments(model):
        usual, longest = (_count_passes(model, shapes, replace(now, step=at)) for at in (STEPS_BEFORE, LAZY))
        counters.append(longest)
        several, batch_size = len(model.phases) > 1, now.phase.batch_size or config.batch_size
        name = f"phase {now.phase.name}, " * several
        now = replace(now, step=LAZY)
        activations[f"{name}activations, batch of {batch_size}"] = _activations(model, shapes, now, batch_size)
        costs += ["", _cost_table(f"{name}a step", usual, batch_size)]
        if longest.passes != usual.passes:
            costs += ["", _cost_table(f"{name}a step with all of its penalties", longest, batch_size)]
    seen = {key: shapes for counter in reversed(counters) for key, shapes in counter.shapes.items()}
    tables = [_layer_table(name, network, seen) for name, network in model.networks.items()]
    tables += [_layer_table(f"{name}, frozen", network, seen) for name, network in model.frozen.items()]
    return "\n".join(["\n\n".join(tables), "", _memory_table(model, activations), *costs])


def step_macs(model: Any, shapes: Shapes, step: Callable[..., Any] | None = None, phase: int = 0) -> float:
    """Return the multiply-adds in the matrix products of one step, per sample. Overwrites the weights of `model`.

    step:  counted instead of `model.step`, a function of (model, next_batch, rng, now).
    phase: the index of the phase in which the step is
    """
    now = replace(next(islice(moments(model), phase, None)), step=STEPS_BEFORE)
    return sum(_count_passes(model, shapes, now, step).macs.values()) / PROBE


def _count_passes(model: Any, shapes: Shapes, now: Now, step: Callable[..., Any] | None = None) -> PassCounter:
    """Run a step on PROBE samples, and return the counts of its passes and operations."""
    counter = PassCounter(model)
    with counter:
        _step(model, shapes, now, PROBE, step)
    return counter


def _step(model: Any, shapes: Shapes, now: Now, n: int, step: Callable[..., Any] | None = None) -> None:
    """Run one step on `n` random samples, as step number `now.step` of a phase."""
    rng, shapes = np.random.default_rng(0), {name: shapes.get(name, ()) for name in model.arrays}
    for optimizer in model.optimizers.values():
        optimizer.t = now.step

    def next_batch(some: int | None = None) -> dict[str, Any]:
        return random_batch(model, shapes, some or n, rng)

    (step or type(model).step)(model, next_batch, rng, now)


class PassCounter(LayerHooks):
    """Counts the passes through a model's networks and the multiply-adds of their layers, until `close`."""

    def __init__(self, model: Any) -> None:
        self.shapes: dict[int, tuple[tuple, tuple]] = {}  # id of a layer: `shape_of` its first input and output
        self.passes: Counter = Counter()  # through a whole network, by (network, pass)
        self.macs: Counter = Counter()  # multiply-adds, by (network, pass)
        self._current = ("", "")
        networks = {**model.networks, **getattr(model, "frozen", {})}
        self.networks = list(networks)
        super().__init__(networks)

    def around(self, call: Call) -> Any:
        """Count a pass through a whole network, or the multiply-adds of a layer without inner layers."""
        layer, leaf = call.place.layer, not call.place.layer.children()
        if call.verb == "output" and leaf:  # it calls forward
            return call.proceed()
        verb = PASSES.get(call.verb, f"backward ({call.wrt})")
        if not call.place.name:  # a pass through a whole network: the following calls of layers belong to it
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
    """Return the shape of an array, or of each array in a tuple; () for a number."""
    return tuple(map(shape_of, x)) if isinstance(x, tuple) else tuple(getattr(x, "shape", ()))


def _shown(shape: tuple) -> str:
    """Format a shape without the batch axis: 16×16×1, or `100, label` for two arrays."""
    if not shape:
        return "number"
    if isinstance(shape[0], tuple):
        return ", ".join(map(_shown, shape))
    return "×".join(map(str, shape[1:])) or "label"


def _batch(shape: tuple) -> int:
    """Return the length of the first axis, of the first array if there are several."""
    return _batch(shape[0]) if isinstance(shape[0], tuple) else shape[0]


def _layer_table(name: str, network: Layer, shapes: dict[int, tuple[tuple, tuple]]) -> str:
    """Format one row for each layer without inner layers that the step has used."""
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
    """Format the bytes of persistent arrays, and the peak of temporary ones during a step."""
    sizes = {name: net.parameters().values.nbytes for name, net in {**model.networks, **model.frozen}.items()}
    trained = sum(sizes[name] for name in model.networks)
    state = sum(getattr(o, name).nbytes for o in model.optimizers.values() for name in o.state_names)
    rows = {"parameters": sum(sizes.values()), "gradients": trained, "optimizer state": state}
    rows |= {f"average of {name}'s weights": sizes[name] for name in model.averages}
    title = "memory (activations: measured on small batches, at their peak, with all scratch space)"
    return f"{title}\n{table([(name, mib(size)) for name, size in (rows | activations).items()], '<>')}"


def _activations(model: Any, shapes: Shapes, now: Now, batch_size: int) -> float:
    """Return the bytes of temporary arrays in a step on a batch, extrapolated from two smaller batches."""
    n = max(4, min(MEMORY_PROBE, batch_size))
    # the largest of several peaks: on a busy machine, a thread may start too late to allocate its scratch space
    small, large = (max(_peak(partial(_step, model, shapes, now, size)) for _ in range(PEAKS)) for size in (n // 2, n))
    return max(0, large + (large - small) / (n - n // 2) * (batch_size - n))


def _peak(action: Callable[[], None]) -> int:
    """Return the peak of the bytes that `action` allocates."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _cost_table(what: str, counter: PassCounter, batch_size: int) -> str:
    """Format the passes through the networks and their operations; a multiply-add counts as two."""
    rows = [("network", "pass", "times", "GFLOP")]
    scale = 2e-9 * batch_size / PROBE
    for name in counter.networks:
        for verb in PRODUCTS:
            if times := counter.passes[name, verb]:
                rows.append((name, verb, str(times), f"{scale * counter.macs[name, verb]:,.3f}"))
    total = scale * sum(counter.macs.values())
    return f"{what} on batches of {batch_size}: {total:,.3f} GFLOP in matrix products\n{table(rows, '<<>>')}"


def mib(size: float) -> str:
    """Format a number of bytes in MiB."""
    return f"{size / 2**20:,.1f} MiB"


def table(rows: Sequence[tuple[str, ...]], align: str) -> str:
    """Align rows in columns; `align` has < or > for each."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(align))]
    return "\n".join(
        "  " + "  ".join(f"{cell:{a}{w}}" for cell, a, w in zip(row, align, widths, strict=True)).rstrip()
        for row in rows
    )

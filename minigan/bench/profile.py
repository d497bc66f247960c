"""Where the time of a step goes: by kind of layer and method, the optimizers, and the rest.

While it runs, methods of the layers' classes are replaced by timed ones. Only layers without inner layers are timed:
the own work of a composite belongs to the rest, like losses, noise and everything else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minigan.backend import Device, get_device, keep_freed_memory
from minigan.bench.workloads import WORKLOADS
from minigan.threads.crew import one_at_a_time
from minigan.training.summary import table

VERBS = ("forward", "backward", "double_backward")
OPTIMIZER_VERBS = ("zero_grad", "step")


class Stopwatch:
    """Seconds and calls by (class, method), counting the outermost call where timed methods call each other.

    On a GPU, `synchronize` waits for the device before and after every call, which makes the step slower.
    """

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self.seconds: Counter[tuple[str, str]] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()
        self._synchronize, self._running = synchronize, False

    @contextmanager
    def watching(self, classes: dict[type, tuple[str, ...]]) -> Iterator[None]:
        """Time these methods of these classes inside this block.

        Classes are patched rather than instances, because a layer may work on a copy of another, as SpectralNorm does.
        """
        originals = [(cls, verb, vars(cls).get(verb)) for cls, verbs in classes.items() for verb in verbs]
        try:
            for cls, verb, _ in originals:
                setattr(cls, verb, self._timed(getattr(cls, verb), verb))
            yield
        finally:
            for cls, verb, own in originals:
                if own is None:  # inherited
                    delattr(cls, verb)
                else:
                    setattr(cls, verb, own)

    def _timed(self, method: Callable[..., Any], verb: str) -> Callable[..., Any]:
        def timed(this: Any, *args: Any, **kwargs: Any) -> Any:
            if self._running or (verb in VERBS and this.children()):
                return method(this, *args, **kwargs)
            key = (type(this).__name__, _named(verb, *args, **kwargs))
            self._synchronize()
            self._running, start = True, time.perf_counter()
            try:
                result = method(this, *args, **kwargs)
                self._synchronize()
                return result
            finally:
                self.seconds[key] += time.perf_counter() - start
                self.calls[key] += 1
                self._running = False

        return timed


def profile(name: str, batch_size: int, steps: int, device: str | Device, tf32: bool = False) -> str:
    """Run some steps of a workload, and return a table of where their time went."""
    keep_freed_memory()
    device, workload = get_device(device), WORKLOADS[name]
    device.allow_tf32(tf32)
    subject = workload.build(device)
    step = workload.ready(subject, batch_size, device)
    step()  # warm-up
    networks, optimizers = workload.parts(subject)
    classes = {type(layer): VERBS for network in networks for _, layer in network.walk() if not layer.children()}
    watch = Stopwatch(device.synchronize)
    timed = classes | {type(optimizer): OPTIMIZER_VERBS for optimizer in optimizers}
    with one_at_a_time(), watch.watching(timed):
        device.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        device.synchronize()
        whole = (time.perf_counter() - start) / steps
    title = f"{name}, batch {batch_size}, {device}: {1e3 * whole:.1f} ms a {workload.step}, mean of {steps}"
    return f"\n{title}\n{_rows(watch, whole, steps)}"


def _rows(watch: Stopwatch, whole: float, steps: int) -> str:
    """Return the table, most expensive first, and the remaining time in its last row."""
    rows = [("", "", "ms", "share", "calls")]
    for (kind, verb), seconds in sorted(watch.seconds.items(), key=lambda item: -item[1]):
        calls = watch.calls[kind, verb] / steps
        rows.append((kind, verb, f"{1e3 * seconds / steps:.2f}", f"{seconds / steps / whole:.1%}", f"{calls:g}"))
    rest = whole - sum(watch.seconds.values()) / steps
    return table([*rows, ("the rest", "", f"{1e3 * rest:.2f}", f"{rest / whole:.1%}", "")], "<<>>>")


def _named(verb: str, *args: Any, **kwargs: Any) -> str:
    """Return a method's name for the table: `backward (input)` for backward(dy, cache, wrt="input")."""
    if verb != "backward":
        return verb.replace("_", " ")
    return f"backward ({kwargs.get('wrt', args[2] if len(args) > 2 else 'both')})"

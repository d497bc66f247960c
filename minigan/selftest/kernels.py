"""Profile a step of DCGAN 64 on a GPU: its kernels, how many are launched, and how long the GPU is idle.

There are three measurements. From outside: how long the host takes to launch a step, and when the step is done; if both
times are about equal, the GPU waits for the host. From inside, if PyTorch is installed: its profiler records all
kernels of the process, including CuPy's. And by kind of layer, with a synchronization after each layer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from minigan.bench.profile import profile
from minigan.bench.workloads import WORKLOADS
from minigan.selftest.part import Part
from minigan.testing.transfers import transfers

ON_THE_DEVICE = {"kernel", "gpu_memcpy", "gpu_memset"}  # categories of the profiler's events
MOST = 10  # kernels in the table
STEPS, TIMED = 5, 20


def run(part: Part) -> None:
    """Profile a step from outside, from inside, and by kind of layer."""
    name, batch = ("dcgan-16", 2) if part.rehearsal else ("dcgan-64", 64)
    workload = WORKLOADS[name]
    step = workload.ready(workload.build(part.device), batch, part.device)
    start = time.monotonic()
    step()
    part.device.synchronize()
    part.say(
        f"{name}, batch {batch}: the first step took {time.monotonic() - start:.1f} s, kernels to compile included"
    )
    if part.rehearsal:
        before = transfers.launches
        step()
        part.say(f"a step launches {transfers.launches - before} operations, as counted by the stand-in")
    for tf32 in part.tf32_or_not():
        part.device.allow_tf32(tf32)
        step()
        part.say(outside(step, part.device.synchronize, "a step with TF32" if tf32 else "a step without TF32"))
    part.device.allow_tf32(False)
    generator, shape = (lambda: part.device.rng([0, 1])), (batch, 100)
    part.say(outside(generator, part.device.synchronize, "a random generator, which every step makes"))
    draw = lambda: generator().standard_normal(shape, dtype=np.float32)  # noqa: E731
    part.say(outside(draw, part.device.synchronize, f"the same, and {shape[0]}×{shape[1]} normal numbers"))
    with part.attempt("the profile"):
        events = profiled(step, part.device.synchronize)
        if events is None:
            part.say("no PyTorch, whose profiler would show the kernels: pip install torch")
        else:
            part.say(summary(events, STEPS))
    with part.attempt("the profile by kind of layer"):
        part.say(profile(name, batch, STEPS, part.device))


def outside(step: Callable[[], Any], synchronize: Callable[[], None], what: str) -> str:
    """Return the median times of a step, or of other work: until all of it is launched, and until all of it is done."""
    launched, done = [], []
    for _ in range(TIMED):
        synchronize()
        start = time.perf_counter()
        step()
        launched.append(time.perf_counter() - start)
        synchronize()
        done.append(time.perf_counter() - start)
    return f"{what}: launched in {1e3 * median(launched):.3g} ms, done after {1e3 * median(done):.3g} ms"


def profiled(step: Callable[[], Any], synchronize: Callable[[], None]) -> list[dict[str, Any]] | None:
    """Return the events of some steps from PyTorch's profiler, in Chrome's format, in µs; None without PyTorch."""
    try:
        import torch
        from torch import profiler as torch_profiler
    except ImportError:
        return None
    activities = torch_profiler.ProfilerActivity
    kind = activities.CUDA if torch.cuda.is_available() else activities.CPU
    if kind == activities.CUDA:
        torch.cuda.init()  # the profiler ignores a GPU that is not initialized
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        with torch_profiler.profile(activities=[kind]) as profiler:
            for _ in range(STEPS):
                step()
            synchronize()
        profiler.export_chrome_trace(str(path))
        return json.loads(path.read_text())["traceEvents"]


def summary(events: list[dict[str, Any]], steps: int) -> str:
    """Return a table of the most expensive kernels, and the launches and idle time of a step."""
    works = sorted((e for e in events if e.get("cat") in ON_THE_DEVICE), key=lambda e: e["ts"])
    if not works:
        return "the profiler saw no kernels: is this a GPU, and does PyTorch support it?"
    by_name: dict[str, list[float]] = {}
    busy, until = 0.0, works[0]["ts"]
    for event in works:
        by_name.setdefault(event["name"], []).append(event["dur"])
        end = event["ts"] + event["dur"]
        busy += max(0.0, end - max(until, event["ts"]))
        until = max(until, end)
    whole = until - works[0]["ts"]
    total = sum(map(sum, by_name.values()))
    lines = [f"{'ms a step':>10}{'share':>8}{'calls':>8}  kernel"]
    for name, times in sorted(by_name.items(), key=lambda item: -sum(item[1]))[:MOST]:
        spent = sum(times)
        lines.append(f"{spent / steps / 1e3:10.3f}{spent / total:8.1%}{len(times) / steps:8g}  {name[:100]}")
    lines.append(
        f"a step: {len(works) / steps:g} launches of {len(by_name)} kernels, {whole / steps / 1e3:.2f} ms, "
        f"of which the device is idle for {1 - busy / whole:.1%}"
    )
    return "\n".join(lines)

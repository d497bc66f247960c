"""Where the time of a step of DCGAN 64 goes on a GPU: its kernels, how many are launched, and how long it is idle.

Three looks. From outside: how long the host needs to ask for a step, and when the step is done; if both are about the
same, the card waits for the host. From inside, where PyTorch is installed: its profiler sees all kernels of the
process, CuPy's as well. And by kind of layer, which waits for the device after each.
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
    """Look at a step from outside, from inside, and by kind of layer."""
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
        part.say(f"a step asks the device for {transfers.launches - before} things, by the stand-in's count")
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
    """Medians of single steps, or of other work: until the host has asked for everything, and until all is done."""
    asked, done = [], []
    for _ in range(TIMED):
        synchronize()
        start = time.perf_counter()
        step()
        asked.append(time.perf_counter() - start)
        synchronize()
        done.append(time.perf_counter() - start)
    return f"{what}: asked for in {1e3 * median(asked):.3g} ms, done after {1e3 * median(done):.3g} ms"


def profiled(step: Callable[[], Any], synchronize: Callable[[], None]) -> list[dict[str, Any]] | None:
    """The events of some steps, as PyTorch's profiler writes them for Chrome: times in µs. None without PyTorch."""
    try:
        import torch
        from torch import profiler as torch_profiler
    except ImportError:
        return None
    activities = torch_profiler.ProfilerActivity
    kind = activities.CUDA if torch.cuda.is_available() else activities.CPU
    if kind == activities.CUDA:
        torch.cuda.init()  # or its profiler wouldn't look at the GPU
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        with torch_profiler.profile(activities=[kind]) as profiler:
            for _ in range(STEPS):
                step()
            synchronize()
        profiler.export_chrome_trace(str(path))
        return json.loads(path.read_text())["traceEvents"]


def summary(events: list[dict[str, Any]], steps: int) -> str:
    """The most expensive kernels, and of each step: how many are launched, and how long the device is idle."""
    works = sorted((e for e in events if e.get("cat") in ON_THE_DEVICE), key=lambda e: e["ts"])
    if not works:
        return "the profiler saw no kernels: is this a GPU, and does PyTorch know it?"
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

"""Benchmark contenders in turns: minigan, PyTorch in both of its memory layouts if installed, and a matrix product.

Every contender runs in its own process, so that thread pools don't interfere and each has its own peak memory. They
alternate in turns of half a second or one step, and the result is the median over the rounds, because other programs
slow down whole rounds rather than one contender. PyTorch runs the same networks twice, in its default memory layout and
in channels_last; the faster one counts. A device is synchronized once per turn, for every contender.

The floor is arithmetic: the multiply-adds that direct convolution needs for the step, at the rate at which this machine
multiplied two 2048×2048 matrices in the same rounds.

Memory is what a process holds once its networks are built, and the peak of its steps; see memory.py.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import numpy as np

from minigan.backend import get_device, keep_freed_memory
from minigan.bench.memory import CupyMemory, HostMemory
from minigan.bench.workloads import WORKLOADS
from minigan.errors import MiniganError
from minigan.threads.crew import count

REST_S = 0.1  # between turns: BLAS threads keep spinning for a while after a product
TURN_S = 0.5  # a turn repeats steps for this long, because the first one after a rest finds cold caches
SIDE = 2048  # of the matrices whose product measures the machine's rate


@dataclass
class Prepared:
    """A contender that is ready to run: its step, how to synchronize its device, its memory meter, its threads."""

    step: Callable[[], Any]
    synchronize: Callable[[], None]
    memory: Any  # with `settle` and `peak`
    threads: int | None


def measure(name: str, batch_size: int, rounds: int, device: str, tf32: bool = False) -> dict[str, Any]:
    """Run the contenders in turns; return the seconds and the memory of each, and the arithmetic of the step.

    With `tf32`, all of them may round the factors of products to 10 bits, which only GPUs do; otherwise none may.
    Raises MiniganError if a contender fails.
    """
    workload = WORKLOADS[name]
    names = ["product", "minigan", *peers(name, device)]
    contenders: dict[str, Contender] = {}
    try:
        for contender in names:
            contenders[contender] = Contender(contender, name, batch_size, device, tf32)
        built = {contender: contenders[contender].ask("ready") for contender in names}
        seconds: dict[str, list[float]] = {contender: [] for contender in names}
        for turn in range(rounds + 1):
            for contender in names:
                elapsed = contenders[contender].ask("go")
                if turn > 0:  # the first turn is a warm-up
                    seconds[contender].append(elapsed)
                time.sleep(REST_S)
        peaks = {contender: contenders[contender].ask("stop") for contender in names}
    finally:
        for contender in contenders.values():
            contender.process.kill()
            contender.process.join()
    rate = SIDE**3 / median(seconds.pop("product"))
    macs = workload.macs() * batch_size
    return {
        "workload": name,
        "step": workload.step,
        "size": workload.size,
        "batch_size": batch_size,
        "device": device,
        "tf32": tf32,
        "gmac": macs / 1e9,
        "gmac_per_second": rate / 1e9,
        "floor_s": macs / rate,
        "seconds": seconds,
        "before_bytes": {contender: built[contender]["held"] for contender in seconds},
        "peak_bytes": {contender: peaks[contender] for contender in seconds},
        "threads": {contender: built[contender]["threads"] for contender in seconds},
    }


def peers(name: str, device: str) -> list[str]:
    """Return PyTorch's layouts for a workload: none if it isn't available on the device, one if there are no pixels."""
    if not find_spec("torch"):
        return []
    if device != "cpu":
        import torch

        if not torch.cuda.is_available():
            return []
    return ["torch", "torch channels_last"] if len(WORKLOADS[name].shape) == 3 else ["torch"]


class Contender:
    """A process that runs steps on request."""

    def __init__(self, name: str, workload: str, batch_size: int, device: str, tf32: bool = False) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, name, workload, batch_size, device, tf32))
        self.process.start()
        theirs.close()

    def ask(self, word: str) -> Any:
        """Send a request, and return the answer.

        "ready" returns the bytes held and the number of threads, "go" the seconds of a step, "stop" the peak memory in
        bytes. Raises MiniganError if the contender failed.
        """
        with suppress(OSError):  # a process that has ended may have sent the reason before
            self._pipe.send(word)
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            answer = "its process has died, perhaps because memory ran out"
        if isinstance(answer, str):
            advice = ": try a smaller --batch-size" if "emory" in answer else ""
            raise MiniganError(f"the benchmark of {self.name} failed ({answer}){advice}")
        return answer


def _serve(pipe: Connection, name: str, workload: str, batch_size: int, device: str, tf32: bool) -> None:
    """Build a contender, then answer requests from the pipe until "stop"."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C, and ends this process
    try:
        made = {"product": _product, "minigan": _minigan}.get(name, _torch)(name, workload, batch_size, device, tf32)
        pipe.recv()  # "ready"
        held = made.memory.settle()
        seconds_of(made, 1)  # compiles CuPy's kernels, makes PyTorch's plans
        made.memory.settle()
        pipe.send({"held": held, "threads": made.threads})
        repeats = 1
        while pipe.recv() == "go":
            seconds = seconds_of(made, repeats)
            pipe.send(seconds)
            repeats = max(repeats, ceil(TURN_S / seconds))
        pipe.send(made.memory.peak())
    except EOFError:  # the parent has ended
        pass
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0])


def seconds_of(made: Prepared, repeats: int) -> float:
    """Run some steps, synchronize the device at their end, and return the seconds per step."""
    start = time.perf_counter()
    for _ in range(repeats):
        made.step()
    made.synchronize()
    return (time.perf_counter() - start) / repeats


def _product(contender: str, workload: str, batch_size: int, device_name: str, tf32: bool) -> Prepared:
    device = get_device(device_name)
    device.allow_tf32(tf32)
    a = device.array(np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32))
    out = device.xp.empty_like(a)
    return Prepared(lambda: device.xp.matmul(a, a, out=out), device.synchronize, HostMemory(), count())


def _minigan(contender: str, workload: str, batch_size: int, device_name: str, tf32: bool) -> Prepared:
    keep_freed_memory()  # as `minigan train` does
    device = get_device(device_name)
    device.allow_tf32(tf32)
    subject = WORKLOADS[workload].build(device)
    step = WORKLOADS[workload].ready(subject, batch_size, device)
    memory = HostMemory() if device.name == "cpu" else CupyMemory(device.xp)
    return Prepared(step, device.synchronize, memory, count())


def _torch(contender: str, workload: str, batch_size: int, device: str, tf32: bool) -> Prepared:
    from minigan.bench.torch_peer import prepare

    return Prepared(*prepare(WORKLOADS[workload], batch_size, device, contender.endswith("channels_last"), tf32))

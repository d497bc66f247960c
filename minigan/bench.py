"""How fast is a training step? minigan and, where it is installed, PyTorch, turn by turn on the same machine.

Every contender runs in a process of its own, so that their thread pools don't disturb each other and each has its own
peak memory. They take turns, of half a second or one step, and the figure is the median over the rounds, because other
programs on the machine slow down whole rounds rather than one contender. PyTorch runs the same networks twice, in its
plain memory layout and in channels_last; the better one counts. Most workloads are a whole step, with an update of each
network; two are an update of D alone, because that is where their GANs spend most of their time.

The floor is arithmetic: the multiply-adds that the step cannot avoid with direct convolution, at the rate at which
this machine multiplied two 2048×2048 matrices in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from math import ceil
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import numpy as np

from minigan.backend import get_device, keep_freed_memory
from minigan.errors import MiniganError
from minigan.gans import MODELS
from minigan.training.files import write_text
from minigan.training.summary import step_macs


@dataclass(frozen=True)
class Workload:
    """A model for pictures of a shape (H, W, C), and which of its steps is measured."""

    model: str
    shape: tuple[int, int, int]
    step: str = "step"
    settings: dict[str, Any] = field(default_factory=dict)

    def build(self, device: Any = "cpu") -> Any:
        """The GAN, with the same weights every time."""
        return MODELS[self.model](self.shape, **self.settings, rng=np.random.default_rng(0), device=device)


WORKLOADS = {
    "gan-28": Workload("gan", (28, 28, 1)),
    "dcgan-16": Workload("dcgan", (16, 16, 1)),
    "dcgan-28": Workload("dcgan", (28, 28, 1)),
    "dcgan-32": Workload("dcgan", (32, 32, 3)),
    "dcgan-64": Workload("dcgan", (64, 64, 3)),
    "wgan-gp-64": Workload("wgan-gp", (64, 64, 3), "critic step"),
    "sngan-32": Workload("sngan", (32, 32, 3), "discriminator step", {"networks": "resnet"}),
}
# The two updates of D draw their fakes with G in training mode, as in training; G learns nothing from them
STEPS: dict[str, Callable[[Any, Callable[[], Any], Any], Any]] = {
    "step": lambda gan, next_batch, rng: gan.step(next_batch, rng),
    "critic step": lambda gan, next_batch, rng: gan.critic_step(next_batch(), rng),
    "discriminator step": lambda gan, next_batch, rng: gan.discriminator_step(next_batch(), None, rng),
}
REST_S = 0.1  # between turns: BLAS threads keep spinning for a while after a product
TURN_S = 0.5  # a turn is as many steps as fill this: the first after a rest finds cold caches


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `minigan bench`."""
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="WORKLOAD",
        default=["dcgan-64"],
        help=f"any of {', '.join(WORKLOADS)} (default: dcgan-64)",
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", default=64, help="pictures a batch (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        default=7,
        help="turns of every contender, after one to warm up (default: %(default)s)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE (default: don't)")


def main(args: argparse.Namespace) -> int:
    """Run the workloads and print a table of each. Raises MiniganError for an unknown workload or a missing device."""
    for name in args.workloads:
        if name not in WORKLOADS:
            near = get_close_matches(name.lower(), WORKLOADS, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(WORKLOADS)}"
            raise MiniganError(f"there is no workload {name!r}: {hint}")
    if args.batch_size < 2 or args.rounds < 1:
        raise MiniganError("a benchmark needs a batch of at least 2 and at least 1 round")
    get_device(args.device)
    print(machine())
    results = []
    for name in args.workloads:
        results.append(measure(name, args.batch_size, args.rounds, args.device))
        print(table(results[-1]))
    if args.json:
        write_text(args.json, json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
    return 0


def machine() -> str:
    """One line: processor, cores, Python, NumPy."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, NumPy {np.__version__}"


def measure(workload: str, batch_size: int, rounds: int, device: str) -> dict[str, Any]:
    """Let the contenders take turns. Returns seconds and peak memory of each, and the arithmetic of the step.

    Raises MiniganError if one of them fails.
    """
    names = ["product", "minigan", *(("torch", "torch channels_last") if find_spec("torch") else ())]
    contenders = {}
    try:
        for name in names:
            contenders[name] = Contender(name, workload, batch_size, device)
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(rounds + 1):
            for name, contender in contenders.items():
                elapsed = contender.ask("go")
                if turn > 0:
                    seconds[name].append(elapsed)
                time.sleep(REST_S)
        peaks = {name: contender.ask("stop") for name, contender in contenders.items()}
    finally:
        for contender in contenders.values():
            contender.process.kill()
            contender.process.join()
    rate = 2048**3 / median(seconds.pop("product"))
    step = WORKLOADS[workload].step
    macs = step_macs(WORKLOADS[workload].build(), STEPS[step]) * batch_size
    return {
        "workload": workload,
        "step": step,
        "batch_size": batch_size,
        "device": device,
        "gmac": macs / 1e9,
        "gmac_per_second": rate / 1e9,
        "floor_s": macs / rate,
        "seconds": seconds,
        "peak_bytes": {name: peaks[name] for name in seconds},
    }


def table(result: dict[str, Any]) -> str:
    """The figures of a workload, as text."""
    medians = {contender: median(times) for contender, times in result["seconds"].items()}
    lines = [
        "",
        f"{result['workload']}, batch {result['batch_size']}, {result['device']}: "
        f"{2 * result['gmac']:.1f} GFLOP a {result['step']}; "
        f"the floor is {1e3 * result['floor_s']:.1f} ms at {2 * result['gmac_per_second']:.0f} GFLOP/s",
        f"{'':20}{'median':>10}{'fastest':>10}{'slowest':>10}{'pictures/s':>12}{'× floor':>9}{'peak memory':>14}",
    ]
    for contender, times in result["seconds"].items():
        peak = result["peak_bytes"][contender]
        lines.append(
            f"{contender:20}{1e3 * medians[contender]:7.1f} ms{1e3 * min(times):7.1f} ms{1e3 * max(times):7.1f} ms"
            f"{result['batch_size'] / medians[contender]:12.0f}{medians[contender] / result['floor_s']:9.2f}"
            + (f"{peak / 2**20:10.0f} MiB" if peak else "")
        )
    others = {contender: value for contender, value in medians.items() if contender != "minigan"}
    if others:
        best = min(others, key=others.__getitem__)
        ratios = [a / b for a, b in zip(result["seconds"][best], result["seconds"]["minigan"], strict=True)]
        lines.append(
            f"{best} ÷ minigan: {median(ratios):.2f} "
            f"(median of the rounds' ratios, which lie between {min(ratios):.2f} and {max(ratios):.2f})"
        )
    else:
        lines.append("PyTorch is not installed, so there is nothing to compare with: pip install torch")
    return "\n".join(lines)


class Contender:
    """A process that makes steps when it is asked to."""

    def __init__(self, name: str, workload: str, batch_size: int, device: str) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, name, workload, batch_size, device))
        self.process.start()
        theirs.close()

    def ask(self, word: str) -> Any:
        """The answer to "go" is the seconds of a step, to "stop" the peak memory. Raises MiniganError if it failed."""
        try:
            self._pipe.send(word)
            answer = self._pipe.recv()
        except (EOFError, OSError):
            answer = "its process has died"
        if isinstance(answer, str):
            raise MiniganError(f"the benchmark of {self.name} failed ({answer}): try a smaller --batch-size")
        return answer


def _serve(pipe: Connection, name: str, workload: str, batch_size: int, device: str) -> None:
    """Run a step whenever it is asked for, and say how long it took; at the end, the peak memory of this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    try:
        make = {"product": _product, "minigan": _minigan_step}.get(name, _torch_step)
        step = make(name, workload, batch_size, device)
        repeats = 1
        while pipe.recv() == "go":
            start = time.perf_counter()
            for _ in range(repeats):
                step()
            elapsed = (time.perf_counter() - start) / repeats
            pipe.send(elapsed)
            repeats = max(repeats, ceil(TURN_S / elapsed))
        pipe.send(_peak_bytes())
    except EOFError:  # the parent has gone
        pass
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0])


def _peak_bytes() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def _product(contender: str, workload: str, batch_size: int, device_name: str) -> Callable[[], None]:
    device = get_device(device_name)
    a = device.array(np.random.default_rng(0).standard_normal((2048, 2048), dtype=np.float32))

    def product() -> None:
        a @ a
        device.synchronize()

    return product


def _minigan_step(contender: str, workload: str, batch_size: int, device_name: str) -> Callable[[], None]:
    keep_freed_memory()  # as `minigan train` does
    device = get_device(device_name)
    gan, make_step = WORKLOADS[workload].build(device), STEPS[WORKLOADS[workload].step]
    rng = device.rng(0)
    real = rng.random((batch_size, *gan.shape), dtype=np.float32) * 2 - 1

    def step() -> None:
        make_step(gan, lambda: real, rng)
        device.synchronize()

    return step


def _torch_step(contender: str, workload: str, batch_size: int, device: str) -> Callable[[], None]:
    from minigan.bench_torch import torch_step

    channels_last = contender.endswith("channels_last")
    return torch_step(WORKLOADS[workload].step, WORKLOADS[workload].build(), batch_size, device, channels_last)

"""Run the parts of the self-test in turn, each in its own process, and copy their output to the terminal and a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Timer
from typing import TextIO

from minigan.selftest.part import Part, device_called

# {name: (share of the time, in seconds of eight minutes, title)}. Time that a part leaves goes to the next.
PARTS = {
    "agreement": (110, "every layer, loss, penalty, optimizer and model compared with NumPy"),
    "waiting": (30, "no step waits for the device"),
    "training": (100, "a minute of DCGAN"),
    "kernels": (50, "where the time of a step goes"),
    "speed": (180, "compared with PyTorch"),
}
GRACE = 5.0  # seconds between the time limit that a part is given and the moment when it is killed


def run_all(device: str, seconds: float, out: Path, names: list[str], title: str) -> int:
    """Run these parts, and return how many of them failed. All output also goes to selftest.txt."""
    start = time.monotonic()
    shares = {name: PARTS[name][0] for name in names}
    unit = seconds / sum(shares.values())
    failed: dict[str, str] = {}
    with (out / "selftest.txt").open("w", encoding="utf-8") as file:
        _say(title, file)
        for name in names:
            later = unit * sum(shares[other] for other in names[names.index(name) + 1 :])
            left = seconds - (time.monotonic() - start) - later
            _say(f"\n=== {name}: {PARTS[name][1]} (at most {left:.0f} s)", file)
            began = time.monotonic()
            problem = run_one(name, device, left, out, file)
            if problem:
                failed[name] = problem
            _say(f"=== {name}: {problem or 'well'}, {time.monotonic() - began:.1f} s", file)
        took = time.monotonic() - start
        verdict = ", ".join(f"{name} {problem}" for name, problem in failed.items()) or "all is well"
        _say(f"\n{len(names)} parts on {device} in {took:.0f} s: {verdict}", file)
    return len(failed)


def run_one(name: str, device: str, seconds: float, out: Path, file: TextIO) -> str:
    """Run a part, and return what was wrong, "" if nothing. A part that exceeds its time is killed."""
    command = [sys.executable, "-m", "minigan.selftest", name, device, f"{seconds - GRACE:.1f}", str(out)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        start_new_session=True,
    )
    ended = []
    timer = Timer(max(seconds, GRACE), lambda: ended.append(_end(process)))
    timer.start()
    try:
        for line in process.stdout:
            _say(line.rstrip("\n"), file)
        status = process.wait()
    finally:
        timer.cancel()
        _end(process)
    if ended:
        return "ended, because it took too long"
    return "" if status == 0 else f"failed (exit status {status})"


def _end(process: subprocess.Popen) -> None:
    """Kill a process and all its child processes."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()


def _say(line: str, file: TextIO) -> None:
    print(line, flush=True)
    print(line, file=file, flush=True)


def run_here(name: str, device: str, seconds: float, out: Path) -> int:
    """Run one part in this process, and return its number of failures."""
    part = Part(device_called(device), time.monotonic() + seconds, out)
    with part.attempt(name):
        import_module(f"minigan.selftest.{name}").run(part)
    return part.failures

"""Compare minigan with PyTorch's eager mode, without and with TF32, by the tables of `minigan bench`."""

from __future__ import annotations

import time

from minigan.bench.machine import machine
from minigan.bench.measure import measure
from minigan.bench.tables import ratio, table
from minigan.selftest.part import Part

WORKLOADS = ["dcgan-64", "wgan-gp-64", "dcgan-28", "gan-28", "sngan-32", "sample-64"]  # the most informative first
BATCH, ROUNDS = 64, 3


def run(part: Part) -> None:
    """Measure as many workloads as the time allows."""
    if part.rehearsal:
        jobs, batch, rounds, device = [("dense-1200", False)], 2, 1, "cpu"
        part.say("(a rehearsal on the CPU, to check that measuring works)")
    else:
        jobs = [(name, tf32) for name in WORKLOADS for tf32 in part.tf32_or_not()]
        batch, rounds, device = BATCH, ROUNDS, part.device.name
    part.say(machine(part.device))
    found, took = [], 0.0
    for name, tf32 in jobs:
        if part.left() < 1.2 * took:
            part.say(f"no time left for {name}{' with TF32' if tf32 else ''}")
            continue
        start = time.monotonic()
        with part.attempt(f"{name}{' with TF32' if tf32 else ''}"):
            result = measure(name, batch, rounds, device, tf32)
            part.say(table(result))
            found.append((f"{name}{', TF32' if tf32 else ''}", ratio(result)))
        took = max(took, time.monotonic() - start)
    part.say("\nPyTorch ÷ minigan, above 1 where minigan is faster:")
    for name, compared in found:
        part.say(f"  {name:20}" + ("no PyTorch for this device" if compared is None else f"{compared[1]:.2f}"))

"""The table of kernels, of events that are known."""

import json
import time
from types import SimpleNamespace

import pytest
from parts import a_part

from minigan.selftest import kernels


def event(name, start, duration, cat="kernel"):
    return {"ph": "X", "cat": cat, "name": name, "ts": start, "dur": duration}


EVENTS = [
    event("gemm", 1000, 600),
    event("add", 1500, 200),  # beside it, and on for 100
    event("gemm", 1800, 200),
    event("Memset (Device)", 2900, 100, "gpu_memset"),
    event("cudaLaunchKernel", 900, 5, "cuda_runtime"),
    {"ph": "M", "name": "process_name"},
]


def test_the_most_expensive_kernels_and_the_idle_share():
    rows = [line.split() for line in kernels.summary(EVENTS, steps=2).splitlines()]
    assert rows[1] == ["0.400", "72.7%", "1", "gemm"]
    assert rows[2] == ["0.100", "18.2%", "0.5", "add"]
    assert rows[3] == ["0.050", "9.1%", "0.5", "Memset", "(Device)"]
    # 1000 to 3000 µs, of which 700 + 200 + 100 are busy
    assert " ".join(rows[4]) == "a step: 2 launches of 3 kernels, 1.00 ms, of which the device is idle for 50.0%"


def test_only_ten_kernels_are_shown():
    many = [event(f"k{i}", 10 * i, 1 + i) for i in range(30)]
    lines = kernels.summary(many, 1).splitlines()
    assert len(lines) == 12
    assert lines[1].endswith("k29")


def test_no_kernels_are_a_sentence():
    assert "saw no kernels" in kernels.summary(EVENTS[4:], 1)


def test_asked_for_and_done():
    waits = SimpleNamespace(asked=False)

    def step():
        waits.asked = True

    def synchronize():
        if waits.asked:
            time.sleep(0.002)
        waits.asked = False

    found = kernels.outside(step, synchronize, "so")
    asked, done = (float(word) for word in found.split() if word.replace(".", "").isdigit())
    assert asked < 1 < 2 <= done


@pytest.mark.slow
def test_the_profiler_writes_events():
    torch = pytest.importorskip("torch")
    events = kernels.profiled(lambda: torch.ones(3) + 1, lambda: None)
    assert any("add" in event["name"] for event in events if "name" in event)
    json.dumps(events)


def test_without_pytorch_the_rest_is_shown(monkeypatch, capsys):
    monkeypatch.setattr(kernels, "profiled", lambda step, synchronize: None)
    monkeypatch.setattr(kernels, "TIMED", 1)
    part = a_part()
    kernels.run(part)
    shown = capsys.readouterr().out
    assert part.failures == 0
    assert "dcgan-16, batch 2: the first step took" in shown
    assert "a step launches 505 operations" in shown
    assert "a step without TF32: launched in" in shown
    assert "a random generator, which every step makes: launched in" in shown
    assert "no PyTorch" in shown
    assert "  BatchNorm        forward " in shown

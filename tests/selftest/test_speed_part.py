"""Which measurements are made in the time that there is."""

from types import SimpleNamespace

import pytest
from parts import a_part

from minigan.errors import DeviceError, MiniganError
from minigan.selftest import speed

RESULT = {"seconds": {"minigan": [2.0]}}


@pytest.fixture
def measured(monkeypatch):
    asked = []

    def measure(name, batch, rounds, device, tf32):
        asked.append((name, device, tf32))
        if name == "wgan-gp-64":
            raise MiniganError("out of memory")
        return RESULT

    monkeypatch.setattr(speed, "measure", measure)
    monkeypatch.setattr(speed, "table", lambda result: "TABLE")
    monkeypatch.setattr(speed, "ratio", lambda result: ("torch", 1.25, 1.0, 1.5))
    monkeypatch.setattr(speed, "machine", lambda device: "a machine")
    return asked


CUDA = SimpleNamespace(name="cuda:0", allow_tf32=lambda allowed: None)


def test_every_workload_without_tf32_and_with_it(measured, capsys):
    part = a_part(device=CUDA)
    speed.run(part)
    assert measured == [(name, "cuda:0", tf32) for name in speed.WORKLOADS for tf32 in (False, True)]
    shown = capsys.readouterr().out
    assert part.failures == 2  # and it went on
    assert "FAILED: wgan-gp-64 with TF32: MiniganError: out of memory" in shown
    assert "  sample-64, TF32     1.25" in shown


def test_what_there_is_no_time_for_is_left_out_and_said(measured, capsys):
    part = a_part(device=CUDA, seconds=-1)
    speed.run(part)
    assert measured == []
    assert part.failures == 0
    assert "no time left for dcgan-64 with TF32" in capsys.readouterr().out


def test_a_rehearsal_measures_something_small_on_the_cpu(measured):
    speed.run(a_part())
    assert measured == [("dense-1200", "cpu", False)]


def test_a_card_without_tf32_is_measured_without(measured):
    def allow_tf32(allowed):
        if allowed:
            raise DeviceError("device cuda:0 has no TF32")

    speed.run(a_part(device=SimpleNamespace(name="cuda:0", allow_tf32=allow_tf32)))
    assert measured == [(name, "cuda:0", False) for name in speed.WORKLOADS]

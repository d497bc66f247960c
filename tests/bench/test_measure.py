"""The contenders in their processes, their memory, and the machine."""

import os
import subprocess
import sys
from textwrap import dedent
from types import SimpleNamespace

import numpy as np
import pytest

from minigan.backend import CPU, Device
from minigan.bench import measure as bench
from minigan.bench.machine import machine
from minigan.bench.memory import CupyMemory, HostMemory
from minigan.bench.workloads import WORKLOADS
from minigan.errors import MiniganError

MIB = 2**20


def in_a_process(code):
    """What Python prints, with one thread for BLAS."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", dedent(code)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_the_figures_of_a_measurement(monkeypatch):
    monkeypatch.setattr(bench, "peers", lambda name, device: [])
    result = bench.measure("dense-1200", 2, 1, "cpu")
    assert {key: result[key] for key in ("workload", "step", "size", "batch_size", "device", "gmac")} == {
        "workload": "dense-1200",
        "step": "forward and backward pass",
        "size": None,
        "batch_size": 2,
        "device": "cpu",
        "gmac": pytest.approx(2 * 3 * 1.2**2 / 1000),
    }
    assert len(result["seconds"]["minigan"]) == 1
    assert 0 < result["seconds"]["minigan"][0] < 1
    assert result["floor_s"] == pytest.approx(result["gmac"] / result["gmac_per_second"])
    if sys.platform == "linux":
        assert 1200**2 * 8 < result["before_bytes"]["minigan"] <= result["peak_bytes"]["minigan"]  # W and dW


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan-16", "wgan-gp-64", "sample-32", "norm-16", "dense-1200"])
def test_pytorch_takes_part(name):
    pytest.importorskip("torch")
    result = bench.measure(name, 2, 1, "cpu")
    contenders = ["minigan", "torch", *(["torch channels_last"] if name != "dense-1200" else [])]
    for figures in ("seconds", "before_bytes", "peak_bytes", "threads"):
        assert list(result[figures]) == contenders
    assert all(times[0] > 0 for times in result["seconds"].values())


def test_who_the_peers_are(monkeypatch):
    pytest.importorskip("torch")
    assert bench.peers("dcgan-16", "cpu") == ["torch", "torch channels_last"]
    assert bench.peers("dense-1200", "cpu") == ["torch"]  # its arrays have one layout
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert bench.peers("dcgan-16", "cuda") == []
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    assert bench.peers("dcgan-16", "cpu") == []


def test_a_contender_that_fails_is_one_sentence_with_advice():
    contender = bench.Contender("minigan", "gan-28", 10**11, "cpu")
    try:
        with pytest.raises(
            MiniganError, match=r"the benchmark of minigan failed \(.*emory.*\): try a smaller"
        ) as error:
            contender.ask("ready")
    finally:
        contender.process.kill()
        contender.process.join()
    assert "\n" not in str(error.value)


def test_a_device_is_waited_for_once_a_turn():
    done = []
    made = bench.Prepared(lambda: done.append("step"), lambda: done.append("wait"), None, 1)
    assert bench.seconds_of(made, 3) > 0
    assert done == ["step", "step", "step", "wait"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_peak_is_of_what_came_after_settling():
    memory = HostMemory()
    np.ones(96 * MIB // 8)  # before, and gone
    held = memory.settle()
    assert memory.peak() - held < 16 * MIB
    np.ones(48 * MIB // 8)
    assert 40 * MIB < memory.peak() - held < 64 * MIB
    assert abs(memory.settle() - held) < 16 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_what_is_free_in_the_heap_does_not_count_as_held():
    """As it would where `keep_freed_memory` keeps it: the peak of the steps would seem to begin there."""
    held = in_a_process(
        """
        import numpy as np
        from minigan.backend import keep_freed_memory
        from minigan.bench.memory import HostMemory
        keep_freed_memory()
        arrays = [np.ones(1 << 20) for _ in range(20)]
        last = np.ones(1000)
        del arrays
        print(HostMemory().settle())
        """
    )
    assert int(held) < 100 * MIB  # and not 160 more


def test_on_a_gpu_memory_is_what_the_pool_has_taken():
    pool = SimpleNamespace(used=3, free=5)
    pool.free_all_blocks = lambda: setattr(pool, "free", 0)
    pool.total_bytes = lambda: pool.used + pool.free
    memory = CupyMemory(SimpleNamespace(get_default_memory_pool=lambda: pool))
    assert memory.settle() == 3
    pool.free = 4
    assert memory.peak() == 7


def test_the_machine_line_says_what_computes():
    line = machine(CPU)
    assert f"NumPy {np.__version__} with " in line
    assert "cores" in line
    assert "PyTorch" in line
    assert "\n" not in line


def test_a_gpu_stands_first_in_the_line_with_cupy_and_its_kind_of_float():
    cuda = SimpleNamespace(
        Device=lambda: SimpleNamespace(id=1),
        runtime=SimpleNamespace(getDeviceProperties=lambda number: {"name": f"GPU {number}".encode()}),
    )
    for compute_type, said in ((1, "without TF32"), (7, "with TF32")):
        core = SimpleNamespace(get_compute_type=lambda dtype, found=compute_type: found)
        line = machine(Device("cuda:1", SimpleNamespace(cuda=cuda, _core=core, __version__="14.0")))
        assert line.startswith("GPU 1 with ")
        assert f"CuPy 14.0, float32 {said}" in line


def test_every_workload_is_built_the_same_every_time():
    for name in ("dcgan-16", "conv4-8"):
        weights = [WORKLOADS[name].parts(WORKLOADS[name].build())[0][0].parameters().values for _ in range(2)]
        np.testing.assert_array_equal(*weights)

"""Which library an array belongs to, devices by name, and moving arrays."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from minigan.backend import CPU, STREAMS, Device, array_module, get_device, register_array_module, to_numpy
from minigan.errors import DeviceError
from minigan.testing import STRICT


def test_arrays_know_their_library():
    assert array_module(np.zeros(1)) is np
    assert array_module(np.float32(1)) is np
    assert array_module(STRICT.array([1.0])) is STRICT.xp
    with pytest.raises(TypeError, match="expected an array, got a list: convert it with"):
        array_module([1.0])


def test_a_library_of_your_own():
    class Mine:
        pass

    register_array_module(Mine, "my library")
    assert array_module(Mine()) == "my library"


def test_moving_copies(device):
    host = np.arange(3.0)
    there = device.array(host, np.float32)
    host[0] = 9
    assert there.dtype == np.float32
    again = device.array(there)
    there[1] = 9
    np.testing.assert_array_equal(to_numpy(again), [0, 1, 2])
    np.testing.assert_array_equal(CPU.array(there), [0, 9, 2])


def test_generators_repeat_themselves(device):
    one, other = (to_numpy(device.rng(5).random((2, 3))) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_generators_by_seed_and_step(device):
    """A pair seeds a generator of its own: near ones draw other numbers, and order counts."""
    seeds = [[0, 0], [0, 1], [1, 0], [0, 1 << 20], [5, 1]]
    draws = {to_numpy(device.rng(seed).random(4)).tobytes() for seed in seeds}
    assert len(draws) == len(seeds)


def test_on_cuda_it_is_philox():
    """With the same number of streams on every card, so that a seed draws the same on each of them."""
    random = SimpleNamespace(Generator=lambda bits: ("generator", bits), Philox4x3210=lambda seed, size: (seed, size))
    device = Device("cuda:0", SimpleNamespace(random=random))
    assert device.rng([3, 4]) == ("generator", ([3, 4], STREAMS))


def test_devices_by_name():
    assert get_device() is get_device("cpu") is CPU
    assert get_device(STRICT) is STRICT
    assert str(CPU) == "cpu"
    CPU.synchronize()


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda1", ""])
def test_unknown_names_are_refused(name):
    with pytest.raises(DeviceError, match="use cpu, cuda or cuda:N"):
        get_device(name)


def test_cuda_without_cupy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"pip install '\.\[cuda12\]'"):
        get_device("cuda")


class CuPyWithDevices:
    """As much of CuPy as `get_device` asks for, with `count` GPUs, or (None) without a driver."""

    class CUDARuntimeError(Exception):
        pass

    def __init__(self, count):
        self.count, self.used, self.waited = count, None, 0
        self.cuda = self.runtime = self.ndarray = self

    def getDeviceCount(self):  # noqa: N802
        if self.count is None:
            raise self.CUDARuntimeError
        return self.count

    def Device(self, index):  # noqa: N802
        self.chosen = index
        return self

    def use(self):
        self.used = self.chosen

    def get_current_stream(self):
        return self

    def synchronize(self):
        self.waited += 1


@pytest.mark.parametrize(("name", "index"), [("cuda", 0), ("cuda:1", 1)])
def test_a_gpu_becomes_the_current_one(monkeypatch, name, index):
    cupy = CuPyWithDevices(2)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    device = get_device(name)
    assert device == Device(f"cuda:{index}", cupy)
    assert cupy.used == index
    device.synchronize()
    assert cupy.waited == 1


@pytest.mark.parametrize(
    ("count", "found"), [(2, "only 2 found"), (0, "no NVIDIA GPU or driver"), (None, "no NVIDIA GPU or driver")]
)
def test_a_gpu_that_is_not_there(monkeypatch, count, found):
    monkeypatch.setitem(sys.modules, "cupy", CuPyWithDevices(count))
    with pytest.raises(DeviceError, match=f"cuda:2 is not available .{found}.*`device` cpu"):
        get_device("cuda:2")


@pytest.mark.parametrize("new_enough", [True, False])
def test_tf32_is_what_cupy_was_told_and_what_the_card_can(new_enough):
    told = {"f": 7}  # by CUPY_TF32=1

    def set_compute_type(dtype, number):
        told[dtype.char] = number if new_enough else 1

    core = SimpleNamespace(set_compute_type=set_compute_type, get_compute_type=lambda dtype: told[dtype.char])
    device = Device("cuda:0", SimpleNamespace(_core=core))
    assert device.tf32
    device.allow_tf32(False)
    assert not device.tf32
    if new_enough:
        device.allow_tf32(True)
        assert device.tf32
    else:
        with pytest.raises(DeviceError, match="NVIDIA GPU from 2020"):
            device.allow_tf32(True)


def test_a_cpu_has_no_tf32():
    for device in (CPU, STRICT):
        device.allow_tf32(False)
        assert not device.tf32
        with pytest.raises(DeviceError, match="has no TF32"):
            device.allow_tf32(True)

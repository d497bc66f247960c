"""On what was measured: the processor or the GPU, and the libraries."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from minigan.backend import Device
from minigan.threads import blas


def machine(device: Device) -> str:
    """One line: processor, cores, Python, NumPy and its BLAS, PyTorch; of a GPU its name and CuPy, too."""
    libraries = [f"Python {platform.python_version()}", f"NumPy {np.__version__} with {blas.describe()}"]
    where = f"{_processor()}, {_cores()}"
    if device.name.startswith("cuda"):
        number = device.xp.cuda.Device().id
        where = f"{device.xp.cuda.runtime.getDeviceProperties(number)['name'].decode()} beside {where}"
        libraries.append(f"CuPy {device.xp.__version__}, float32 {'with' if device.tf32 else 'without'} TF32")
    try:
        libraries.append(f"PyTorch {version('torch')}{_torch_kernels()}")
    except PackageNotFoundError:
        libraries.append("no PyTorch")
    return f"{where}; {', '.join(libraries)}"


def kernels() -> dict[str, Any]:
    """The BLAS and what overrules its choice of kernels, for a file of figures."""
    return {"blas": blas.describe()._asdict(), "environment": blas.environment()}


def warning() -> str:
    """A sentence if a variable decides which kernels run; "" where the processor does."""
    found = " ".join(f"{name}={value}" for name, value in blas.environment().items())
    if not found:
        return ""
    return f"{found} is set, which may replace this processor's kernels: unset it to measure what users get"


def _torch_kernels() -> str:
    """Such as ` (AVX2 kernels)`; nothing where PyTorch doesn't say."""
    try:
        import torch

        return f" ({torch.backends.cpu.get_cpu_capability()} kernels)"
    except (ImportError, AttributeError):
        return ""


def _processor() -> str:
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), model)
    return model


def _cores() -> str:
    """Such as `8 cores`, or `2 of 8 cores` where this process may not use them all."""
    there = os.cpu_count() or 1
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    return f"{there} cores" if ours == there else f"{ours} of {there} cores"

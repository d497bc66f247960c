"""Describe the machine of a benchmark: the processor or GPU, and the libraries."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from minigan.backend import Device
from minigan.threads import blas


def machine(device: Device) -> str:
    """Return one line: processor, cores, Python, NumPy and its BLAS, PyTorch, and for a GPU its name and CuPy."""
    libraries = [f"Python {platform.python_version()}", f"NumPy {np.__version__} with {blas.describe()}"]
    where = f"{_processor()}, {_cores()}"
    if device.name.startswith("cuda"):
        number = device.xp.cuda.Device().id
        where = f"{device.xp.cuda.runtime.getDeviceProperties(number)['name'].decode()} with {where}"
        libraries.append(f"CuPy {device.xp.__version__}, float32 {'with' if device.tf32 else 'without'} TF32")
    try:
        libraries.append(f"PyTorch {version('torch')}{_torch_kernels()}")
    except PackageNotFoundError:
        libraries.append("no PyTorch")
    return f"{where}; {', '.join(libraries)}"


def kernels() -> dict[str, Any]:
    """Return the BLAS, and the environment variables that override its kernels, to record with results."""
    return {"blas": blas.describe()._asdict(), "environment": blas.environment()}


def warning() -> str:
    """Return a sentence if environment variables select the kernels, "" if the processor does."""
    found = " ".join(f"{name}={value}" for name, value in blas.environment().items())
    if not found:
        return ""
    return f"{found} is set, which may replace this processor's kernels: unset it to measure what users get"


def _torch_kernels() -> str:
    """Return, for example, ` (AVX2 kernels)`; "" if PyTorch doesn't report them."""
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
    """Return `8 cores`, or `2 of 8 cores` if this process may not use all of them."""
    there = os.cpu_count() or 1
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    return f"{there} cores" if ours == there else f"{ours} of {there} cores"

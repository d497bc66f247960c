"""On what was measured: the processor or the GPU, and the libraries."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from minigan.backend import Device


def machine(device: Device) -> str:
    """One line: processor, cores, Python, NumPy and its BLAS, PyTorch; of a GPU its name and CuPy, too."""
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    libraries = [
        f"Python {platform.python_version()}",
        f"NumPy {np.__version__} with {blas.get('name', 'an unknown BLAS')} {blas.get('version', '')}".rstrip(),
    ]
    where = f"{_processor()}, {_cores()}"
    if device.name.startswith("cuda"):
        number = device.xp.cuda.Device().id
        where = f"{device.xp.cuda.runtime.getDeviceProperties(number)['name'].decode()} beside {where}"
        libraries.append(f"CuPy {device.xp.__version__}, float32 without TF32")
    try:
        libraries.append(f"PyTorch {version('torch')}")
    except PackageNotFoundError:
        libraries.append("no PyTorch")
    return f"{where}; {', '.join(libraries)}"


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

"""BLAS, the library with which NumPy multiplies matrices: its name, its kernels, its number of threads.

OpenBLAS chooses its kernels by the processor when it is loaded. Other kernels round differently, and may be twice as
fast on the same machine. So a measured time means little without the kernels, and a run resumed with other kernels no
longer has the same bits: `describe` names the kernels, and `environment` returns the variables that decide the choice.

OpenBLAS has threads of its own. If two Python threads multiplied matrices, four threads would compete for two cores;
those of OpenBLAS also spin after each product. So the first `crew.in_parallel` sets OpenBLAS to one thread for the rest
of the process (`use_one_thread`). `all_of_blas` restores its own number within a block.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np

# Variables that decide which kernels run: of OpenBLAS, MKL and BLIS, of NumPy's own loops, and of PyTorch.
KERNEL_VARIABLES = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_BLOCK_FACTOR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_CBWR",
    "BLIS_ARCH_TYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
)


class Description(NamedTuple):
    """A BLAS: "OpenBLAS", "0.3.31", "Haswell", 2. Kernels and threads are None where the library doesn't say."""

    name: str
    version: str
    kernels: str | None
    threads: int | None

    def __str__(self) -> str:
        kernels = f"{self.kernels} kernels" if self.kernels else "kernels unknown"
        threads = "threads unknown" if self.threads is None else f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"{self.name} {self.version}".rstrip() + f" ({kernels}, {threads})"


class OpenBLAS:
    """The OpenBLAS that NumPy's wheels carry."""

    def __init__(self) -> None:
        """Raises ImportError, OSError or AttributeError if NumPy is linked with another BLAS."""
        import numpy.linalg._umath_linalg as linked_with_blas

        library = ctypes.CDLL(linked_with_blas.__file__)  # finds symbols of the linked OpenBLAS, too
        self.get_threads = library.scipy_openblas_get_num_threads64_
        self.set_threads = library.scipy_openblas_set_num_threads64_
        self.set_threads.argtypes, self.set_threads.restype = [ctypes.c_int], None
        for text in (library.scipy_openblas_get_corename64_, library.scipy_openblas_get_config64_):
            text.restype = ctypes.c_char_p
        self.kernels = library.scipy_openblas_get_corename64_().decode()
        self.config = library.scipy_openblas_get_config64_().decode()  # "OpenBLAS 0.3.31  DYNAMIC_ARCH …"
        self.own = max(1, self.get_threads())  # as many as it was started with
        self.has_one = self.own == 1

    def use_one_thread(self) -> None:
        """Set BLAS to one thread."""
        if not self.has_one:
            self.set_threads(1)
            self.has_one = True

    def use_own_threads(self) -> None:
        """Set BLAS to the number of threads it was started with."""
        self.set_threads(self.own)
        self.has_one = self.own == 1


@cache
def openblas() -> OpenBLAS | None:
    """NumPy's OpenBLAS; None where NumPy uses another BLAS, whose threads can't be set from here."""
    try:
        return OpenBLAS()
    except (ImportError, OSError, AttributeError):
        return None


def describe() -> Description:
    """The BLAS of this process."""
    library = openblas()
    if library is not None:
        return Description(*library.config.split()[:2], library.kernels, library.own)
    built = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return Description(built.get("name", "unknown BLAS"), built.get("version", ""), None, None)


def environment() -> dict[str, str]:
    """The variables of KERNEL_VARIABLES that are set, by name."""
    return {name: os.environ[name] for name in KERNEL_VARIABLES if name in os.environ}


@contextmanager
def all_of_blas() -> Iterator[None]:
    """Within this block BLAS and LAPACK use as many threads as they would without minigan.

    The block may contain NumPy code only: a layer in it sets BLAS to one thread again.
    """
    library = openblas()
    if library is None or not library.has_one:
        yield
        return
    library.use_own_threads()
    try:
        yield
    finally:
        library.use_one_thread()

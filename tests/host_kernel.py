"""A kernel of CuPy on the host: its C, compiled by the C compiler of this machine, in a loop over the entries."""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

COMPILER = shutil.which("cc")
C_TYPES = {"f": ("float", ctypes.c_float), "d": ("double", ctypes.c_double)}


class ElementwiseKernel:
    """As much of CuPy's class as minigan needs: "T name" parameters, arrays of one dtype, and numbers."""

    def __init__(self, in_params, out_params, operation, name):
        self.names = [word.split()[1] for word in f"{in_params}, {out_params}".split(", ")]
        self.operation, self.name = operation, name

    def __call__(self, *args):
        (char,) = {a.dtype.char for a in args if isinstance(a, np.ndarray)}
        T, number = C_TYPES[char]
        declared, passed, loaded = [], [], []
        for name, a in zip(self.names, args, strict=True):
            if isinstance(a, np.ndarray):
                assert a.flags.c_contiguous
                declared.append(f"T *{name}_")
                loaded.append(f"#define {name} {name}_[i]")
                passed.append(ctypes.c_void_p(a.ctypes.data))
            else:
                declared.append(f"T {name}")
                passed.append(number(a))
        size = next(a.size for a in args if isinstance(a, np.ndarray))
        head = "\n".join(["#include <tgmath.h>", f"typedef {T} T;", *loaded])
        body = (
            f"void {self.name}(long n, {', '.join(declared)}) {{ for (long i = 0; i < n; i++) {{{self.operation}}} }}"
        )
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder, "k.c"), Path(folder, "k.so")
            source.write_text(f"{head}\n{body}\n")
            subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", library, source, "-lm"], check=True)
            getattr(ctypes.CDLL(str(library)), self.name)(ctypes.c_long(size), *passed)

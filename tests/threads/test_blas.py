"""Which BLAS there is, what it is told, and what overrules it."""

import os
import subprocess
import sys

import pytest
from crews import number_of_threads

from minigan.threads import blas
from minigan.threads.crew import in_parallel

PROGRAM = "from minigan.threads import blas; d = blas.describe(); print(d.kernels, d.threads, blas.environment())"


def described(**variables):
    plain = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS") and k not in blas.KERNEL_VARIABLES}
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=plain | variables, capture_output=True, text=True)
    return run.stdout.strip()


def test_blas_has_one_thread_once_layers_have_worked_and_its_own_where_it_is_asked_for(monkeypatch):
    with number_of_threads(2):
        library = blas.openblas()
        monkeypatch.setattr(library, "own", 2)
        assert in_parallel(lambda part: library.get_threads(), range(4)) == [1] * 4
        assert library.get_threads() == 1
        monkeypatch.setattr(library, "has_one", True)
        with pytest.raises(ZeroDivisionError), blas.all_of_blas():
            assert library.get_threads() == 2
            1 / 0  # noqa: B018
        assert library.get_threads() == 1


def test_the_kernels_and_threads_that_run_are_named_and_the_variable_that_chose_them():
    if blas.openblas() is None:
        pytest.skip("another BLAS than NumPy's own doesn't name its kernels")
    assert described(OPENBLAS_CORETYPE="Nehalem", OMP_NUM_THREADS="1") == ("Nehalem 1 {'OPENBLAS_CORETYPE': 'Nehalem'}")
    assert described().endswith("{}")


def test_a_description_is_one_phrase():
    assert str(blas.Description("OpenBLAS", "0.3.31", "Haswell", 2)) == "OpenBLAS 0.3.31 (Haswell kernels, 2 threads)"
    assert str(blas.Description("mkl", "", None, None)) == "mkl (kernels unknown, threads unknown)"


def test_another_blas_is_described_as_far_as_numpy_knows_it(monkeypatch):
    monkeypatch.setattr(blas, "openblas", lambda: None)
    found = blas.describe()
    assert found.name and found.kernels is found.threads is None
    with blas.all_of_blas():
        pass

"""Any number of threads for a test, whatever the machine has, and whatever BLAS may use."""

from contextlib import contextmanager

import pytest

from minigan.threads import blas, crew, partition

CREWS = {}  # a crew hires its threads once, so there is one for each number


@contextmanager
def number_of_threads(n):
    """Within this block there are n threads."""
    if n > 1 and blas.openblas() is None:
        pytest.skip("with another BLAS than NumPy's own there is one thread")
    hired = CREWS.setdefault(n, crew._Crew())
    with pytest.MonkeyPatch.context() as patch:
        for module in (crew, partition):
            patch.setattr(module, "count", lambda: n)
        patch.setattr(crew, "_crew", hired)
        yield hired

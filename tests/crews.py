"""Any number of threads for a test, whatever the machine has, and whatever BLAS may use."""

import time
from contextlib import contextmanager

import pytest

from minigan import threads

CREWS = {}  # a crew hires its threads once, so there is one for each number


@contextmanager
def number_of_threads(n):
    """Within this block `threads.count()` is n; at its end the threads are asleep."""
    if n > 1 and threads._blas() is None:
        pytest.skip("with another BLAS than NumPy's own there is one thread")
    crew = CREWS.setdefault(n, threads._Crew())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "count", lambda: n)
        patch.setattr(threads, "_crew", crew)
        patch.setattr(threads, "SPIN_SECONDS", 0.002)
        try:
            yield crew
        finally:
            fall_asleep(crew)


def fall_asleep(crew):
    """Wait until the threads sleep."""
    late = time.monotonic() + 10
    while crew.awake.is_set():
        assert time.monotonic() < late, "the threads don't go to sleep"
        time.sleep(0.001)
    with crew.in_use:  # it is held until all of them do
        pass

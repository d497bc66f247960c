"""A few threads that work on the parts of one call side by side.

NumPy's loops run on one core, but release the interpreter's lock while they run, so Python threads can run them side by
side. Four decisions make that pay:

* **The calling thread also takes parts.** A worker that the system starts late finds no parts left, and the caller
  waits only for workers that have begun one. So on a busy machine a call costs what one thread needs.
* **Waiting threads spin first, then sleep.** Waking a thread takes up to a third of a millisecond on a virtual machine,
  as long as a small layer. Between two layers a thread therefore spins for SPIN_TRIES looks at its signal, some tens of
  microseconds; on a machine with other work to do, longer would take the core from a thread that could use it.
* **Threads take parts in any order, but the parts and the order of every sum are fixed** by the shapes and the number
  of threads, and each part writes to memory of its own. So the load of the machine never changes a bit.
* **BLAS gets one thread** (`blas.py`): its own threads would compete with these for the cores.

There are as many threads as BLAS would use, but no more than MOST_THREADS: with OPENBLAS_NUM_THREADS=1 or
OMP_NUM_THREADS=1 there is one here as well. With another BLAS than NumPy's own OpenBLAS there is no way to tell it:
then everything runs in the caller's thread, and BLAS splits the products.

Only one thread at a time runs Python: between two NumPy calls a thread needs the interpreter's lock, and may have to
wait for it. So parts should be large: calls of a tenth of a millisecond, not of ten microseconds.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import cache, partial
from threading import Lock, Semaphore, Thread, local
from typing import Any, TypeVar

from minigan.threads import blas

Part = TypeVar("Part")
Result = TypeVar("Result")

MOST_THREADS = 8  # more would wait for the interpreter's lock
SPIN_TRIES = 32000  # looks at a signal before a thread sleeps: 50 to 80 µs


@cache
def count() -> int:
    """How many threads there are, the caller's among them."""
    library = blas.openblas()
    return 1 if library is None else min(MOST_THREADS, library.own)


class Signal:
    """A POSIX semaphore. `wait` spins, then sleeps, until `send` was called once more than `wait` has returned.

    Spinning must not hold the interpreter's lock, so it is a loop of the C library: lfind(key, base, &n, 0, compare)
    calls compare(key, base) up to n times, until it returns 0. With the semaphore as the key and `sem_trywait` to
    compare, it looks at the semaphore n times. Where the C library has no such semaphores, Python's is used, which
    sleeps at once.
    """

    def __init__(self) -> None:
        libc = _libc()
        if libc is None:
            semaphore = Semaphore(0)
            self.send, self.wait = semaphore.release, semaphore.acquire
            return
        self._memory = ctypes.create_string_buffer(64)  # sem_t has 32 bytes on 64-bit Linux, 16 on 32-bit
        self._address = ctypes.c_void_p(ctypes.addressof(self._memory))
        libc.sem_init(self._address, 0, 0)
        self._libc = libc

    def send(self) -> None:
        """Let one `wait` return."""
        self._libc.sem_post(self._address)

    def wait(self) -> None:
        """Spin, then sleep. Ctrl-C ends it with KeyboardInterrupt."""
        libc, tries = self._libc, ctypes.c_size_t(SPIN_TRIES)
        if libc.lfind(self._address, self._address, ctypes.byref(tries), ctypes.c_size_t(0), libc.sem_trywait):
            return
        while libc.sem_wait(self._address) != 0:  # a signal of the system's interrupted it
            pass


@cache
def _libc() -> Any:
    """The C library, or None where it has no semaphores without a name (macOS) or isn't to be had (Windows)."""
    try:
        libc = ctypes.CDLL(None)  # its functions are called without the interpreter's lock
        libc.lfind.restype = ctypes.c_void_p
        libc.sem_trywait, libc.sem_wait, libc.sem_post  # noqa: B018, raises AttributeError
        memory = ctypes.create_string_buffer(64)
        return libc if libc.sem_init(ctypes.byref(memory), 0, 0) == 0 else None
    except (OSError, AttributeError, TypeError):
        return None


class _Worker:
    """A thread that does one job after the other. A job that it hasn't begun can be taken back.

    Each step of this protocol is one operation under the interpreter's lock, and the order matters: the thread is
    `busy` before it looks for a job, and the caller takes the job back before it looks whether the thread is busy. So
    either the caller gets the job, or it sees that the thread is busy and waits.
    """

    def __init__(self) -> None:
        self.start, self.done = Signal(), Signal()
        self.jobs: deque[Callable[[], Any]] = deque()  # at most one
        self.busy = False
        self.problem: BaseException | None = None
        Thread(target=self._run, name="minigan", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.start.wait()
            self.busy = True
            self._do()
            self.busy = False
            self.done.send()

    def _do(self) -> None:
        try:
            job = self.jobs.pop()
        except IndexError:  # it was taken back
            return
        try:
            job()
        except BaseException as error:  # for the caller's thread to raise
            self.problem = error

    def begin(self, job: Callable[[], Any]) -> None:
        """Offer a job."""
        self.jobs.append(job)
        self.start.send()

    def end(self) -> None:
        """Take the job back, or wait for its end if it has begun. To call this again does no harm."""
        self.jobs.clear()
        while self.busy:  # `done` may hold signals of earlier calls, so `busy` is looked at again
            self.done.wait()

    def take_problem(self) -> BaseException | None:
        """What the job raised. It is forgotten here, because its traceback keeps arrays alive."""
        problem, self.problem = self.problem, None
        return problem


class _Crew:
    """The threads besides the caller's."""

    def __init__(self) -> None:
        self.in_use = Lock()  # held while parts run in parallel
        self.workers: list[_Worker] = []

    def hire(self) -> list[_Worker]:
        """The threads, made when they are first needed."""
        while len(self.workers) < count() - 1:
            self.workers.append(_Worker())
        return self.workers


_here = local()  # state of the calling thread
_crew = _Crew()
if hasattr(os, "register_at_fork"):  # a forked process has none of the threads

    def _hire_anew() -> None:
        global _crew
        _crew = _Crew()

    os.register_at_fork(after_in_child=_hire_anew)


def in_parallel(work: Callable[[Part], Result], parts: Sequence[Part], on_host: bool = True) -> list[Result]:
    """Call `work` on each part, side by side, and return the results in the order of the parts.

    A thread takes the next part when it is done with one. A single part, or the parts of an `in_parallel` inside
    another, run in the caller's thread, and so does work for a GPU (`on_host` is False): which GPU is the current one
    is a matter of each thread. An exception in a part is raised here, when all threads have ended.
    """
    crew = _crew
    if not on_host or count() == 1:
        return [work(part) for part in parts]
    blas.openblas().claim()
    if len(parts) < 2:
        return [work(part) for part in parts]
    results: list[Any] = [None] * len(parts)
    numbers = iter(range(len(parts)))

    def take_parts() -> None:
        outer, _here.in_a_part = in_a_part(), True
        try:
            for i in numbers:  # all threads draw from it
                results[i] = work(parts[i])
        finally:
            _here.in_a_part = outer

    if not crew.in_use.acquire(blocking=False):
        take_parts()
        return results
    workers: list[_Worker] = []
    try:
        for worker in crew.hire()[: len(parts) - 1]:
            workers.append(worker)
            worker.begin(partial(copy_context().run, take_parts))  # what NumPy is to do on an overflow, as here
        take_parts()
    finally:
        try:
            _end(workers)
        finally:
            problems = [problem for worker in workers if (problem := worker.take_problem()) is not None]
            crew.in_use.release()
    if problems:
        raise problems[0]
    return results


def _end(workers: list[_Worker]) -> None:
    """End the jobs of all, however often Ctrl-C is pressed meanwhile."""
    try:
        for worker in workers:
            worker.end()
    except KeyboardInterrupt:
        _end(workers)
        raise


def in_a_part() -> bool:
    """Whether the calling thread is working on one of several parts, so that there is no use in cutting it up."""
    return getattr(_here, "in_a_part", False)

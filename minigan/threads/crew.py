"""A thread pool that runs the parts of one call in parallel.

NumPy's loops run on one core, but release the interpreter's lock while they run, so several Python threads can compute
at the same time. Four decisions make that pay:

* **The calling thread also runs parts**, and waits only for workers that have begun one. If the system starts a worker
  late, no part is left for it. So on a busy machine a call takes no longer than with one thread.
* **Idle workers spin before they sleep.** Waking a thread takes up to a third of a millisecond on a virtual machine, as
  long as a small layer. So a worker first looks at its signal SPIN_TRIES times, which takes some tens of microseconds.
  If it spun longer, it would block a core that another program could use.
* **Scheduling never changes a bit.** Any thread may run any part, but the parts and the order of every sum depend on
  the shapes and the number of threads alone, and each part writes to memory of its own.
* **BLAS gets one thread** (`blas.py`): its own threads would compete with these for the cores.

There are as many threads as BLAS would use, at most MOST_THREADS: one with OPENBLAS_NUM_THREADS=1 or OMP_NUM_THREADS=1.
The number of threads of another BLAS than NumPy's own OpenBLAS can't be set from here: then everything runs in the
caller's thread, and BLAS splits the products.

Between two NumPy calls a thread needs the interpreter's lock and may have to wait for it. So a part should consist of
calls of a tenth of a millisecond, not of ten microseconds.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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

    Spinning must not hold the interpreter's lock, so it is a loop in the C library: lfind(key, base, &n, 0, compare)
    calls compare(key, base) until it returns 0, at most n times. With the semaphore as the key and `sem_trywait` as
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
    """The C library, or None where it has no unnamed semaphores (macOS) or can't be loaded so (Windows)."""
    try:
        libc = ctypes.CDLL(None)  # its functions are called without the interpreter's lock
        libc.lfind.restype = ctypes.c_void_p
        libc.sem_trywait, libc.sem_wait, libc.sem_post  # noqa: B018, raises AttributeError
        memory = ctypes.create_string_buffer(64)
        return libc if libc.sem_init(ctypes.byref(memory), 0, 0) == 0 else None
    except (OSError, AttributeError, TypeError):
        return None


class _Worker:
    """A thread that runs one job after the other. The caller can withdraw a job that has not begun.

    Each step of this protocol is one operation under the interpreter's lock, and the order matters: the thread sets
    `busy` before it takes a job, and the caller withdraws the job before it reads `busy`. So either the caller gets the
    job back, or it sees that the thread is busy and waits.
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
        except IndexError:  # it was withdrawn
            return
        try:
            job()
        except BaseException as error:  # for the caller's thread to raise
            self.problem = error

    def begin(self, job: Callable[[], Any]) -> None:
        """Hand over a job."""
        self.jobs.append(job)
        self.start.send()

    def end(self) -> None:
        """Withdraw the job, or wait for its end if it has begun. May be called again."""
        self.jobs.clear()
        while self.busy:  # `done` may hold signals of earlier calls, so `busy` is looked at again
            self.done.wait()

    def take_problem(self) -> BaseException | None:
        """Return what the job raised, and drop it here, because its traceback keeps arrays alive."""
        problem, self.problem = self.problem, None
        return problem


class _Crew:
    """The workers, which are started when they are first needed."""

    def __init__(self) -> None:
        self.in_use = Lock()  # held while parts run in parallel
        self.workers: list[_Worker] = []

    def hire(self) -> list[_Worker]:
        """Start the workers that are missing, and return all."""
        while len(self.workers) < count() - 1:
            self.workers.append(_Worker())
        return self.workers


_here = local()  # state of the calling thread
_crew = _Crew()
_watchers: list[None] = []
if hasattr(os, "register_at_fork"):  # a forked process has none of the threads

    def _hire_anew() -> None:
        global _crew
        _crew = _Crew()

    os.register_at_fork(after_in_child=_hire_anew)


def in_parallel(work: Callable[[Part], Result], parts: Sequence[Part], on_host: bool = True) -> list[Result]:
    """Call `work` on each part, in parallel, and return the results in the order of the parts.

    A thread that has finished a part takes the next one. A single part, and the parts of an `in_parallel` inside
    another, run in the caller's thread. So does work on a GPU (`on_host` is False), because each thread has a current
    GPU of its own. An exception in a part is raised here, after all threads have ended.
    """
    crew = _crew
    if not on_host or count() == 1:
        return [work(part) for part in parts]
    blas.openblas().use_one_thread()
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


def side_by_side(work: Callable[[Part], Result], parts: Sequence[Part], on_host: bool = True) -> list[Result]:
    """`in_parallel` for work of a model, such as passes through networks that don't share weights.

    Layers then work on one thread each, which is faster where they are small. While somebody watches layers
    (`one_at_a_time`), the parts run one after the other.
    """
    return in_parallel(work, parts, on_host) if on_host and not _watchers else [work(part) for part in parts]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Within this block `side_by_side` runs parts in the caller's thread, in their order."""
    _watchers.append(None)
    try:
        yield
    finally:
        _watchers.pop()


def _end(workers: list[_Worker]) -> None:
    """Withdraw or await the jobs of all workers, however often Ctrl-C is pressed meanwhile."""
    try:
        for worker in workers:
            worker.end()
    except KeyboardInterrupt:
        _end(workers)
        raise


def in_a_part() -> bool:
    """Whether the calling thread is running a part, so that cutting its work further would gain nothing."""
    return getattr(_here, "in_a_part", False)

"""A few threads for work that comes in parts, without a fight over the cores.

NumPy's loops run on one core, but let go of the interpreter's lock while they run, so Python threads can run them side
by side. Three things stand in the way, and this file is about them:

* **BLAS has threads of its own.** Two of our threads with a matrix product each would set four to work on two cores,
  and BLAS's keep spinning for a while after a product. So when a layer first works in parallel BLAS is told to use one
  thread, for the rest of the process: with more it rounds differently, and results must not depend on what was done
  just before. A product that is not part of anything larger comes through `product` or `add_product`, which split it.
  `all_of_blas()` gives BLAS its threads back for a while: for LAPACK, and for code of your own.
* **Waking a thread takes long**, up to a third of a millisecond on a virtual machine whose core has gone to sleep: as
  long as a small layer takes. So our threads wait as those of BLAS do. They spin, by way of the C library's spin lock,
  during which they don't hold the interpreter's lock, and go to sleep when nothing has come for a while.
* **Only one thread at a time runs Python.** Between two NumPy calls a thread needs the interpreter's lock, and may have
  to wait for it. So parts should be large: calls of a tenth of a millisecond, not of ten microseconds.

There are as many threads as BLAS would use, but no more than `MOST_THREADS`: with OPENBLAS_NUM_THREADS=1 or
OMP_NUM_THREADS=1 there is one here as well. With another BLAS than NumPy's own OpenBLAS, there is no way to tell it:
then everything runs in the caller's thread, and BLAS splits the products.

    in_parallel(work, parts)                  for anything
    over_rows(work, x)                        for element-wise work on an array
    product(a, b), add_product(out, a, b)     for a matrix product, and for its sum with an array

Results are the same in every run with the same number of threads: which thread works on a part is a matter of chance,
but what is summed in which order (`shares`) isn't.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from math import prod
from threading import Event, Lock, Thread, local
from typing import Any, TypeVar

import numpy as np

from minigan.backend import array_module

Part = TypeVar("Part")
Result = TypeVar("Result")

MOST_THREADS = 8  # more would wait for the interpreter's lock
SPIN_SECONDS = 0.05  # with nothing to do, before the threads go to sleep
ROWS_BYTES = 1 << 21  # of an array, for a piece of element-wise work: a few such pieces stay in the cache
LEAST_PRODUCT = 1 << 22  # multiplications: handing out fewer takes longer than making them


class _Blas:
    """NumPy's OpenBLAS, as far as its number of threads goes."""

    def __init__(self) -> None:
        import numpy.linalg._umath_linalg as linked_with_blas

        library = ctypes.CDLL(linked_with_blas.__file__)  # a symbol is looked for in what this is linked with, too
        self.get_threads = library.scipy_openblas_get_num_threads64_
        self.set_threads = library.scipy_openblas_set_num_threads64_
        self.set_threads.argtypes, self.set_threads.restype = [ctypes.c_int], None
        self.own = max(1, self.get_threads())  # as many as it was started with
        self.has_one = self.own == 1

    def claim(self) -> None:
        """Have BLAS use one thread from here on."""
        if not self.has_one:
            self.set_threads(1)
            self.has_one = True

    def give_back(self) -> None:
        """Have BLAS use its own number of threads from here on."""
        self.set_threads(self.own)
        self.has_one = self.own == 1


@cache
def _blas() -> _Blas | None:
    try:
        return _Blas()
    except (ImportError, OSError, AttributeError):
        return None


@cache
def count() -> int:
    """How many threads there are, the caller's among them."""
    blas = _blas()
    return 1 if blas is None else min(MOST_THREADS, blas.own)


@contextmanager
def all_of_blas() -> Iterator[None]:
    """Within this block BLAS, and LAPACK with it, use as many threads as they would without minigan."""
    blas = _blas()
    if blas is None or not blas.has_one:
        yield
        return
    blas.give_back()
    try:
        yield
    finally:
        blas.claim()


class _SpinLock:
    """`threading.Lock`, but `acquire` spins; where the C library has no spin lock, it is just that lock."""

    def __init__(self) -> None:
        try:
            libc = ctypes.CDLL(None)  # its functions are called without the interpreter's lock
            word = ctypes.c_int()
            libc.pthread_spin_init(ctypes.byref(word), 0)
            self.acquire = lambda: libc.pthread_spin_lock(ctypes.byref(word))
            self.release = lambda: libc.pthread_spin_unlock(ctypes.byref(word))
        except (OSError, AttributeError, TypeError):
            lock = Lock()
            self.acquire, self.release = lock.acquire, lock.release


class _Worker:
    """A thread that runs one job after the other. Both locks are held but for the moment when they give a signal."""

    def __init__(self) -> None:
        self.start, self.done, self.alarm = _SpinLock(), _SpinLock(), Lock()
        for lock in (self.start, self.done, self.alarm):
            lock.acquire()
        self.job: Callable[[], Any] | None = None
        self.problem: BaseException | None = None
        self.asleep = False
        Thread(target=self._run, name="minigan", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.start.acquire()
            if self.job is None:
                self.done.release()
                self.alarm.acquire()  # sleeps
            else:
                try:
                    self.job()
                except BaseException as error:  # for the caller's thread to raise
                    self.problem = error
                self.done.release()

    def begin(self, job: Callable[[], Any] | None) -> None:
        """Start a job; None is to go to sleep."""
        if self.asleep:
            self.alarm.release()
        self.job, self.asleep, self.problem = job, job is None, None
        self.start.release()

    def wait(self) -> None:
        """Spin until the job has ended."""
        self.done.acquire()


class _Crew:
    """The threads besides the caller's, and one that sends them to sleep when there is nothing to do."""

    def __init__(self) -> None:
        self.in_use = Lock()  # held while parts run in parallel
        self.workers: list[_Worker] = []
        self.watch: Thread | None = None
        self.last_used, self.awake = 0.0, Event()

    def hire(self) -> list[_Worker]:
        """The threads, made when they are first needed, and the one that watches them."""
        while len(self.workers) < count() - 1:
            self.workers.append(_Worker())
        if self.watch is None:
            self.watch = Thread(target=self._watch, name="minigan watch", daemon=True)
            self.watch.start()
        self.awake.set()
        return self.workers

    def _watch(self) -> None:
        while self.awake.wait():
            time.sleep(SPIN_SECONDS)
            with self.in_use:
                if time.monotonic() - self.last_used >= SPIN_SECONDS:
                    for worker in self.workers:
                        if not worker.asleep:
                            worker.begin(None)
                            worker.wait()
                    self.awake.clear()


_here = local()  # what is so for the calling thread
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
    _blas().claim()
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
            worker.begin(take_parts)
            workers.append(worker)
        take_parts()
    finally:
        try:
            _wait_for(workers)
        finally:
            problems = [worker.problem for worker in workers if worker.problem is not None]
            crew.last_used = time.monotonic()
            crew.in_use.release()
    if problems:
        raise problems[0]
    return results


def in_a_part() -> bool:
    """Whether the calling thread is working on one of several parts, so that there is no use in cutting it up."""
    return getattr(_here, "in_a_part", False)


def _wait_for(workers: list[_Worker]) -> None:
    """Wait for all of them, even if Ctrl-C is pressed while waiting for one."""
    if workers:
        try:
            workers[0].wait()
        finally:
            _wait_for(workers[1:])


def pieces(n: int, most: int, threads: int | None = None) -> list[slice]:
    """Cut 0…n into slices of at most `most` (at least 1), as even as possible, as many of them for each thread."""
    threads = threads or count()
    number = -(-n // max(1, most))
    number = max(1, min(n, -(-number // threads) * threads))
    return [slice(n * i // number, n * (i + 1) // number) for i in range(number)]


def shares(parts: Sequence[Part]) -> list[Sequence[Part]]:
    """Deal out parts, always in the same way: for sums, which would round differently if chance decided."""
    return [parts[i :: count()] for i in range(min(count(), len(parts)))]


def over_rows(work: Callable[[Any], Result], x: Any) -> list[Result]:
    """Call `work(rows)` for slices of the first axis of x that stay in the cache; return the results in their order.

    A small array, or one on a GPU, is a single slice.
    """
    if not isinstance(x, np.ndarray) or x.nbytes <= ROWS_BYTES:
        return [work(slice(0, len(x)) if x.ndim else ...)]
    return in_parallel(work, pieces(len(x), ROWS_BYTES * len(x) // x.nbytes))


def product(a: Any, b: Any, out: Any = None) -> Any:
    """a (…, C) @ b (C, K): each thread makes some of the rows, or of the columns if there are more of these.

    Stacks of matrices, a (p, M, C) and b (p, C, K), are multiplied one by one, each by one thread.
    """
    xp = array_module(a)
    if out is None:
        out = xp.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    if b.ndim == 2:
        M = prod(a.shape[:-1])
        a, whole = a.reshape(M, a.shape[-1]), out.reshape(M, b.shape[1])
        each = -(-max(whole.shape) // count())
        if whole.shape[0] > whole.shape[1]:
            parts = [(a[rows], b, whole[rows]) for rows in pieces(len(a), each)]
        else:
            parts = [(a, b[:, columns], whole[:, columns]) for columns in pieces(b.shape[1], each)]
        undivided = (a, b, whole)
    else:
        parts, undivided = [(a[i], b[i], out[i]) for i in range(len(b))], (a, b, out)
    if xp is not np or a.size * b.shape[-1] < LEAST_PRODUCT or in_a_part():
        parts = [undivided]
    in_parallel(lambda part: xp.matmul(part[0], part[1], out=part[2]), parts, on_host=xp is np)
    return out


def add_product(out: Any, a: Any, b: Any) -> None:
    """out (C, K) += a (C, M) @ b (M, K), some rows at a time: the product is added while it is in the cache."""
    xp = array_module(a)
    whole = xp is not np or a.size * b.shape[1] < LEAST_PRODUCT
    parts = [slice(0, len(out))] if whole else pieces(len(out), ROWS_BYTES * len(out) // out.nbytes)
    in_parallel(lambda rows: xp.add(out[rows], a[rows] @ b, out=out[rows]), parts, on_host=xp is np)

"""Work in parts: each done once, results in order, whoever calls, whatever fails, however many threads there are."""

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from functools import partial

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given
from hypothesis import strategies as st

from minigan.threads import blas, crew
from minigan.threads.crew import Signal, in_parallel, one_at_a_time, side_by_side

numbers = st.sampled_from((1, 2, 3, 5))
each_number = pytest.mark.parametrize("n", (1, 2, 3, 5))


@given(numbers, st.lists(st.sampled_from((0, 0.001, 0.003)), max_size=7))
def test_results_come_in_order_and_not_before_all_parts_have_ended(n, delays):
    done = []

    def work(i):
        time.sleep(delays[i])
        done.append(i)
        return i * i

    with number_of_threads(n):
        for _ in range(2):  # the second time the threads are there
            done.clear()
            assert in_parallel(work, range(len(delays))) == [i * i for i in range(len(delays))]
            assert sorted(done) == list(range(len(delays)))


def test_parts_run_side_by_side_in_no_more_threads_than_there_are():
    meet, ran_in = threading.Barrier(3), set()

    def work(part):
        ran_in.add(threading.get_ident())
        return meet.wait(timeout=10)

    with number_of_threads(3):
        assert sorted(in_parallel(work, range(3))) == [0, 1, 2]
        assert threading.get_ident() in ran_in
        in_parallel(lambda part: ran_in.add(threading.get_ident()), range(50))
    assert len(ran_in) == 3


class Trouble(Exception):
    pass


def test_work_of_a_model_runs_side_by_side_unless_somebody_watches_its_layers():
    both = threading.Barrier(2, timeout=20)  # broken if one part waits for the other's end
    with number_of_threads(2):
        assert len(set(side_by_side(lambda _: (both.wait(), threading.get_ident())[1], range(2)))) == 2
        with one_at_a_time(), one_at_a_time():
            order = []
            side_by_side(lambda i: order.append((i, threading.get_ident())), range(5))
        assert order == [(i, threading.get_ident()) for i in range(5)]
        side_by_side(lambda _: both.wait(), range(2))


@pytest.mark.parametrize("error", [Trouble, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_what_a_part_raises_is_raised_in_the_caller_when_all_threads_have_ended(n, error):
    running, bad = set(), set()

    def work(part):
        running.add(part)
        time.sleep(0 if part in bad else 0.001)
        running.remove(part)
        if part in bad:
            raise error(part)
        return part

    with number_of_threads(n):
        for bad in ({0}, {1}, {0, 1}, {1, 2}, {4}, {0, 1, 2, 3, 4}):
            with pytest.raises(error) as raised:
                in_parallel(work, range(5))
            assert raised.value.args[0] in bad
            assert not running
        bad = {}
        assert in_parallel(work, range(5)) == [0, 1, 2, 3, 4]  # nothing of it is left


def test_all_threads_heed_what_numpy_was_told_to_do_on_an_overflow():
    """Training tells it to be silent; a warning in the midst of its lines would look like a fault."""
    told, together = [], threading.Barrier(3)

    def work(part):
        together.wait(10)
        told.append((threading.get_ident(), np.geterr()["over"]))

    with number_of_threads(3):
        for heed in ("ignore", "raise", "warn"):
            with np.errstate(over=heed):
                in_parallel(work, range(3))
            assert len({thread for thread, _ in told}) == 3 and {over for _, over in told} == {heed}
            told.clear()


def test_what_a_part_raises_is_not_lost_when_somebody_else_has_the_threads_next(monkeypatch):
    def fail_elsewhere(part):
        meet.wait(timeout=10)
        if threading.current_thread() is not threading.main_thread():
            raise Trouble

    class InUse:
        """The crew's lock, which another caller gets as soon as this one releases it."""

        def __init__(self, lock):
            self.lock, self.acquire, self.others = lock, lock.acquire, [lambda: in_parallel(abs, range(4))]

        def __enter__(self):
            return self.lock.__enter__()

        def __exit__(self, *problem):
            self.lock.release()

        def release(self):
            self.lock.release()
            if self.others:
                self.others.pop()()

    meet = threading.Barrier(2)
    with number_of_threads(2) as hired, monkeypatch.context() as patch:
        patch.setattr(hired, "in_use", InUse(hired.in_use))
        with pytest.raises(Trouble):
            in_parallel(fail_elsewhere, range(2))


@each_number
def test_calls_within_parts_run_in_their_thread(n):
    def inner(part):
        return part, threading.get_ident()

    def outer(part):
        return threading.get_ident(), in_parallel(inner, range(4 * part, 4 * part + 4))

    with number_of_threads(n):
        for part, (thread, results) in enumerate(in_parallel(outer, range(7))):
            assert results == [(i, thread) for i in range(4 * part, 4 * part + 4)]


def test_two_callers_at_once_are_both_served():
    found = {}

    def caller(name):
        work = lambda part: (name, part, np.full(100, part).sum())  # noqa: E731
        found[name] = [in_parallel(work, range(5)) for _ in range(50)]

    with number_of_threads(2):
        callers = [threading.Thread(target=caller, args=(name,)) for name in "ab"]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join(timeout=20)
            assert not thread.is_alive()
    assert found == {name: [[(name, part, 100 * part) for part in range(5)]] * 50 for name in "ab"}


def test_an_interrupt_while_waiting_is_raised_when_all_threads_have_ended():
    """Otherwise a thread would go on with the old parts, and what comes next would take their end for its own."""
    meet, roles, helpers, ended = threading.Barrier(3), iter(("interrupts", "goes on")), [], []

    def interrupted(part):
        meet.wait(timeout=10)  # each of the three has one part
        if threading.current_thread() is not threading.main_thread():
            helpers.append(threading.get_ident())
            if next(roles) == "interrupts":
                time.sleep(0.01)
                signal.raise_signal(signal.SIGINT)  # Python raises KeyboardInterrupt in the main thread, the caller's
            else:
                time.sleep(0.1)
        ended.append(part)

    def next_work(slow, part):
        time.sleep(0.03 if threading.get_ident() == slow else 0.005)
        return part

    with number_of_threads(3):
        with pytest.raises(KeyboardInterrupt):
            in_parallel(interrupted, range(3))
        assert sorted(ended) == [0, 1, 2]
        for slow in helpers:
            assert in_parallel(partial(next_work, slow), range(6)) == [0, 1, 2, 3, 4, 5]


def test_when_the_system_has_no_more_threads_the_next_call_tries_again(monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("can't start new thread")

    with number_of_threads(2):
        monkeypatch.setattr(crew, "_crew", crew._Crew())
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="can't start"):
            patch.setattr(crew, "Thread", refuse)
            in_parallel(abs, range(2))
        meet = threading.Barrier(2)
        assert sorted(in_parallel(lambda part: meet.wait(timeout=0.5), range(2))) == [0, 1]


# Waiting


class Late(Signal):
    """A signal that a thread of the crew doesn't see before `core` is set, as if the system had no core for it."""

    core = threading.Event()

    def wait(self):
        super().wait()
        if threading.current_thread() is not threading.main_thread():
            self.core.wait(timeout=10)


def test_nobody_waits_for_a_thread_that_starts_late_and_it_finds_nothing_to_do(monkeypatch):
    ran_in = []

    def work(part):
        ran_in.append(threading.current_thread())
        return -part

    with number_of_threads(2):
        monkeypatch.setattr(crew, "Signal", Late)
        monkeypatch.setattr(crew, "_crew", crew._Crew())
        Late.core.clear()
        for _ in range(3):
            assert in_parallel(work, range(4)) == [0, -1, -2, -3]
        Late.core.set()
        meet = threading.Barrier(2)
        assert sorted(in_parallel(lambda part: meet.wait(timeout=10), range(2))) == [0, 1]
    assert ran_in == [threading.main_thread()] * 12


@pytest.mark.parametrize("libc", [True, False])
def test_threads_that_wait_use_no_processor_time(libc, monkeypatch):
    with number_of_threads(3):
        if not libc:
            monkeypatch.setattr(crew, "_libc", lambda: None)
        monkeypatch.setattr(crew, "_crew", crew._Crew())
        assert in_parallel(abs, range(-4, 0)) == [4, 3, 2, 1]
        before = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - before < 0.1
        assert in_parallel(abs, range(-4, 0)) == [4, 3, 2, 1]


@pytest.mark.parametrize("libc", [True, False])
def test_a_signal_is_seen_as_often_as_it_was_sent(libc, monkeypatch):
    if not libc:
        monkeypatch.setattr(crew, "_libc", lambda: None)
    there, back = Signal(), Signal()

    def answer():
        for _ in range(300):
            there.wait()
            back.send()

    thread = threading.Thread(target=answer)
    thread.start()
    for i in range(300):
        there.send()
        if i % 2:
            back.wait()
            back.wait()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_threads_keep_nothing_alive():
    a = np.zeros(3)
    alive = weakref.ref(a)
    with number_of_threads(2):
        with pytest.raises(Trouble):
            in_parallel(_fail, [a, a])
        del a
        late = time.monotonic() + 10
        while alive() is not None and time.monotonic() < late:
            time.sleep(0.001)
        assert alive() is None


def _fail(part):
    raise Trouble


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes by fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    with number_of_threads(3):
        in_parallel(abs, range(4))
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # a child that waits for threads which it hasn't got is ended
            started = threading.active_count()
            right = in_parallel(abs, [0, -1, -2, -3]) == [0, 1, 2, 3] and threading.active_count() > started
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("variable", ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
def test_one_thread_for_blas_means_one_thread_here(variable):
    program = (
        "import threading; from minigan.threads.crew import count, in_parallel;"
        "assert count() == 1; assert in_parallel(abs, [-1, -2]) == [1, 2];"
        "assert threading.active_count() == 1"
    )
    others = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    subprocess.run([sys.executable, "-c", program], env=others | {variable: "1"}, check=True, timeout=60)


def test_without_a_blas_that_can_be_told_there_is_one_thread(monkeypatch):
    monkeypatch.setattr(blas, "openblas", lambda: None)
    monkeypatch.setattr(crew, "count", crew.count.__wrapped__)  # neither takes nor leaves what is remembered
    assert crew.count() == 1
    assert in_parallel(abs, range(-4, 0)) == [4, 3, 2, 1]

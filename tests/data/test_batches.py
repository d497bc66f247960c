import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from minigan.backend import CPU
from minigan.data import ArrayDataset, Batches
from minigan.errors import DataError


def numbered(n=10, labels=True):
    """Points that are their own indices, so that batches show what is in them."""
    points = np.arange(n, dtype=np.float32).repeat(2).reshape(n, 2)
    return ArrayDataset("numbered", points, np.arange(n) if labels else None)


def take(batches, count):
    return [next(batches)[:, 0].astype(int).tolist() for _ in range(count)]


def jitter(x, rng):
    return x + rng.standard_normal(x.shape)


def test_an_epoch_is_a_permutation_and_the_next_one_another():
    with Batches(numbered(), 5) as batches:
        first, second = take(batches, 2), take(batches, 2)
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == list(range(10))
    assert first != second


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [4, 4, 4, 4]), (False, [4, 4, 2, 4])])
def test_the_rest_of_an_epoch(drop_last, sizes):
    with Batches(numbered(), 4, drop_last=drop_last) as batches:
        assert [len(next(batches)) for _ in range(4)] == sizes


@pytest.mark.parametrize("start", [0, 1, 3, 7])
@pytest.mark.parametrize("drop_last", [True, False])
def test_a_resumed_stream_goes_on_as_if_never_stopped(start, drop_last):
    options = {"batch_size": 4, "seed": 3, "augment": [jitter], "drop_last": drop_last}
    with Batches(numbered(), **options) as whole, Batches(numbered(), start=start, **options) as resumed:
        expected = [next(whole) for _ in range(start + 6)][start:]
        for batch in expected:
            np.testing.assert_array_equal(next(resumed), batch)
        assert (resumed.position, resumed.epoch) == (whole.position, whole.epoch)


def test_position_and_epoch_count_what_was_handed_out():
    with Batches(numbered(), 4) as batches:
        seen = []
        for _ in range(5):
            seen.append((batches.position, batches.epoch))
            next(batches)
        assert batches.batches_per_epoch == 2
    assert seen == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)]


def test_seeds_give_different_orders():
    with Batches(numbered(), 10, seed=0) as a, Batches(numbered(), 10, seed=1) as b:
        assert take(a, 1) != take(b, 1)


def test_each_batch_draws_its_own_augmentation():
    noise = ArrayDataset("zeros", np.zeros((8, 2), np.float32))
    with Batches(noise, 4, augment=[jitter]) as batches:
        drawn = [next(batches) for _ in range(6)]
    assert len({batch.tobytes() for batch in drawn}) == 6


def test_labels_belong_to_their_samples():
    with Batches(numbered(), 5) as batches, Batches(numbered(labels=False), 5) as without:
        x, y = batches.next_with_labels()
        assert y.tolist() == x[:, 0].astype(int).tolist()
        assert without.next_with_labels()[1] is None


def test_batches_go_to_the_device():
    class Recorder:
        def array(self, x):
            return ("device", CPU.array(x))

    with Batches(numbered(), 5, device=Recorder()) as batches:
        (where, x), (label_where, _) = batches.next_with_labels()
    assert (where, label_where, x.shape) == ("device", "device", (5, 2))


def test_too_little_data():
    with pytest.raises(DataError, match="numbered has only 10 samples, less than a batch of 11: use a smaller"):
        Batches(numbered(), 11)
    with pytest.raises(DataError, match="at least 1 sample, not 0"):
        Batches(numbered(), 0)


class Broken(ArrayDataset):
    def batch(self, indices):
        raise DataError("a.png is damaged")


def test_an_exception_in_the_thread_reaches_the_consumer_every_time():
    with Batches(Broken("b", np.zeros((8, 2), np.float32)), 4) as batches:
        for _ in range(2):
            with pytest.raises(DataError, match=r"a\.png is damaged"):
                next(batches)
        assert batches.position == 0


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_closing_ends_the_thread():
    with Batches(numbered(), 5) as batches:
        next(batches)
        assert len(reading_threads()) == 1
    assert not reading_threads()
    batches.close()
    with pytest.raises(ValueError, match="closed"):
        next(batches)


def test_a_forgotten_stream_leaves_no_thread():
    batches = Batches(numbered(), 5)
    next(batches)
    del batches
    gc.collect()
    deadline = time.monotonic() + 5
    while reading_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not reading_threads()


def test_reading_ahead_is_bounded():
    read = []

    def spy(x, rng):
        read.append(1)
        return x

    with Batches(numbered(), 5, augment=[spy]) as batches:
        next(batches)
        time.sleep(0.05)
        assert len(read) <= 4


def test_the_interpreter_ends_although_a_stream_is_open():
    code = "from minigan.data import Batches, ring; b = Batches(ring(1000), 10); next(b); print('done')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")

"""Feeds: which samples come, in which order, however the stream is cut, and what is drawn for each of them."""

import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.backend import CPU
from minigan.data import AUGMENTATIONS, ArrayDataset, Feeds, open_feeds
from minigan.errors import DataError, ShapeError
from minigan.model import LABEL, MASK, PICTURE, Kind

NUMBERS = Kind("numbers")
ONE = {"x": NUMBERS}
TWO = {"x": NUMBERS, "a": Kind("numbers", "a"), "b": Kind("numbers", "b")}
RNG = np.random.default_rng(0)


def numbered(kinds=ONE, **lengths):
    """Feeds whose samples are their own numbers, so that batches show what is in them."""
    sizes = {array: lengths.get(array, 10) for array in kinds}
    return open_feeds({array: np.arange(n) for array, n in sizes.items()}, kinds), kinds


def stream(feeds, cuts, array="x"):
    return np.concatenate([feeds.next(n)[array] for n in cuts]).astype(int).tolist()


def jitter(x, rngs):
    return x + np.array([rng.standard_normal(x.shape[1:]) for rng in rngs], np.float32)


def spoil(item, rng):
    return {"spoiled": item["p"] + rng.standard_normal(2)}


def points(n=10):
    kinds = {"p": Kind("points")}
    return open_feeds({"p": np.zeros((n, 2))}, kinds), kinds


@given(
    st.dictionaries(st.sampled_from("xab"), st.integers(1, 12), min_size=3),
    st.lists(st.integers(1, 9), min_size=1, max_size=8) | st.integers(1, 5).map(lambda n: [n] * 8),
    st.integers(0, 40),
    st.integers(0, 3),
)
def test_the_order_is_one_however_it_is_cut_and_wherever_it_begins(lengths, cuts, start, seed):
    sources, kinds = numbered(TWO, **lengths)
    with Feeds(sources, kinds, 1, seed) as whole, Feeds(sources, kinds, 4, seed, position=start) as cut:
        expected = whole.next(start + sum(cuts))
        got = [cut.next(n) for n in cuts]
        assert cut.position == whole.position
        whole.seek(start)
        again = whole.next(sum(cuts))
    for array in kinds:
        joined = np.concatenate([batch[array] for batch in got])
        np.testing.assert_array_equal(joined, expected[array][start:])
        np.testing.assert_array_equal(again[array], joined)


@given(st.integers(1, 20), st.integers(0, 5), st.integers(0, 9))
def test_an_epoch_is_a_permutation(n, epoch, seed):
    sources, kinds = numbered(x=n)
    with Feeds(sources, kinds, n, seed, position=epoch * n) as feeds:
        assert sorted(stream(feeds, [n])) == list(range(n))


def test_epochs_seeds_and_feeds_have_orders_of_their_own():
    sources, kinds = numbered(TWO, x=50, a=50, b=50)
    with Feeds(sources, kinds, 50, 0) as feeds, Feeds(sources, kinds, 50, 1) as other:
        first, second, third = feeds.next(), feeds.next(), other.next()
    orders = [batch[array].tolist() for batch in (first, second, third) for array in kinds]
    assert len({tuple(order) for order in orders}) == 9


def test_arrays_of_a_feed_stay_together_and_feeds_do_not():
    kinds = {"x": NUMBERS, "y": LABEL, "z": Kind("numbers", "other")}
    sources = open_feeds((np.arange(30), np.arange(30), np.arange(30)), kinds)
    with Feeds(sources, kinds, 7) as feeds:
        for _ in range(9):
            batch = feeds.next()
            assert batch["x"].tolist() == batch["y"].tolist() != batch["z"].tolist()


def test_an_epoch_is_the_longest_feed_s():
    sources, kinds = numbered(TWO, x=4, a=10, b=7)
    with Feeds(sources, kinds, 5) as feeds:
        assert (feeds.epoch_length, feeds.position) == (10, 0)
        feeds.next(), feeds.next(), feeds.next(2)
        assert feeds.position == 12


def test_a_set_smaller_than_a_batch_comes_several_times():
    sources, kinds = numbered(x=3)
    with Feeds(sources, kinds, 64) as feeds:
        values, counts = np.unique(feeds.next()["x"], return_counts=True)
    assert values.tolist() == [0, 1, 2] and counts.min() >= 21


def test_a_batch_of_more_samples_than_memory_holds_is_refused_at_once():
    """And not after as many permutations as make it up."""
    with Feeds(*numbered(), 10**15) as feeds, pytest.raises(MemoryError):
        feeds.next()


def test_the_batch_size_may_change():
    sources, kinds = numbered(x=30)
    with Feeds(sources, kinds, 4) as feeds, Feeds(sources, kinds, 30) as whole:
        sizes = [len(feeds.next()["x"])]
        feeds.batch_size = 6
        assert [*sizes, len(feeds.next()["x"]), feeds.position] == [4, 6, 10]
        assert stream(feeds, [20]) == stream(whole, [30])[10:]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 25))
def test_what_is_drawn_for_a_sample_does_not_depend_on_the_cut(cuts, start):
    sources, kinds = points()
    options = {"augment": [jitter], "damage": spoil}
    with Feeds(sources, kinds, 5, **options) as whole, Feeds(sources, kinds, 3, position=start, **options) as cut:
        expected = whole.next(start + sum(cuts))
        got = [cut.next(n) for n in cuts]
    for array in ("p", "spoiled"):
        np.testing.assert_array_equal(np.concatenate([batch[array] for batch in got]), expected[array][start:])
    assert not np.allclose(expected["spoiled"], 2 * expected["p"], atol=1e-3)  # each draws its own numbers
    assert len(np.unique(expected["p"], axis=0)) == len(np.unique(expected["spoiled"], axis=0)) == start + sum(cuts)


def test_damage_draws_the_same_whatever_the_augmentation():
    sources, kinds = points()
    noise = {"damage": lambda item, rng: {"noise": rng.random(3)}}
    with Feeds(sources, kinds, 5, **noise) as plain, Feeds(sources, kinds, 5, augment=[jitter], **noise) as augmented:
        np.testing.assert_array_equal(plain.next()["noise"], augmented.next()["noise"])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda item, rng: None, "returns arrays by name, {name: array}, and not None"),
        (
            lambda item, rng: {"n": np.zeros(int(item["x"]))},
            r"arrays of the same shape, and not {'n': \(\d,\)} for",
        ),
        (lambda item, rng: {"n": 0} if item["x"] % 2 else {"n": 0, "m": 0}, r"{'n': \(\), 'm': \(\)} for"),
    ],
)
def test_damage_that_makes_no_rows(damage, sentence):
    with Feeds(*numbered(), 10, damage=damage) as feeds, pytest.raises(DataError, match=sentence):
        feeds.next()


def test_damage_cannot_change_an_array_in_place():
    def careless(item, rng):
        item["p"] += 1
        return {"input": item["p"]}

    with Feeds(*points(), 2, damage=careless) as feeds, pytest.raises(ValueError, match="read-only"):
        feeds.next()


def test_damage_may_replace_an_array():
    sources, kinds = numbered()
    with Feeds(sources, kinds, 10, damage=lambda item, rng: {"x": -item["x"]}) as feeds:
        assert feeds.next()["x"].max() == 0


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_arrays_of_a_feed_are_changed_alike(augment):
    """A color, its gray copy and the mask of its bright half stay aligned, and the label is left as it is."""
    gray = np.zeros((20, 16, 16, 1), np.uint8)
    gray[:, 4:, 5:] = 255
    kinds = {"input": PICTURE, "target": PICTURE, "mask": MASK, "label": LABEL}
    data = {"input": gray.repeat(3, axis=3), "target": gray, "mask": gray, "label": np.arange(20)}
    with Feeds(open_feeds(data, kinds), kinds, 20, augment=[augment]) as feeds:
        batch = feeds.next()
    np.testing.assert_allclose(batch["input"], batch["target"].repeat(3, axis=3), atol=1e-6)
    np.testing.assert_array_equal(batch["mask"], batch["target"] >= 0)
    assert batch["mask"].dtype == np.uint8
    assert sorted(batch["label"]) == list(range(20))
    assert len(np.unique(batch["mask"], axis=0)) > 1


def test_pictures_of_two_sizes_in_a_feed_are_not_augmented():
    kinds = {"low": PICTURE, "high": PICTURE, "other": Kind("picture", "other")}
    data = {
        array: RNG.integers(0, 256, (4, side, 8, 3)).astype(np.uint8)
        for array, side in zip(kinds, (8, 16, 4), strict=True)
    }
    sources = open_feeds(data, kinds)
    with pytest.raises(DataError, match='"low" and "high" belong together and differ in size, 8x8 and 16x8, so that'):
        Feeds(sources, kinds, 2, augment=[jitter])
    Feeds(sources, kinds, 2).close()


def test_only_arrays_that_are_asked_for_come_and_in_their_order():
    data = {array: np.arange(10) for array in "zyx"}
    sources = open_feeds(data, dict.fromkeys("zyx", NUMBERS))
    with Feeds(sources, dict.fromkeys("xz", NUMBERS), 2) as feeds:
        assert list(feeds.next()) == ["x", "z"]
    with pytest.raises(DataError, match='the feed "data" has no array "w"'):
        Feeds(sources, {"w": NUMBERS}, 2)
    with pytest.raises(DataError, match='the feed "other" has no array "x"'):
        Feeds(sources, {"x": Kind("numbers", "other")}, 2)


def test_batches_go_to_the_device():
    class Recorder:
        def array(self, x):
            return ("device", CPU.array(x))

    sources, kinds = numbered(TWO)
    with Feeds(sources, kinds, 5, device=Recorder()) as feeds:
        assert [(where, x.shape) for where, x in feeds.next().values()] == [("device", (5,))] * 3


@pytest.mark.parametrize(
    ("n", "sentence"),
    [
        (0, "a batch has at least 1 sample, not 0: use a larger `batch_size`"),
        (-2, "at least 1 sample, not -2"),
        (2.0, "a batch is a whole number of samples, not 2.0"),
        ("2", "a batch is a whole number of samples, not '2'"),
        (1.5, "a batch is a whole number of samples, not 1.5"),
        (True, "a batch is a whole number of samples, not True"),
    ],
)
def test_what_is_no_batch(n, sentence):
    sources, kinds = numbered()
    with pytest.raises(DataError, match=sentence):
        Feeds(sources, kinds, n)
    with Feeds(sources, kinds, 2) as feeds, pytest.raises(DataError, match=sentence):
        feeds.next(n)


@pytest.mark.parametrize("sources", [ArrayDataset("mine", np.zeros((8, 2))), np.zeros((8, 2)), "digits", None])
def test_feeds_are_made_of_sources(sources):
    with pytest.raises(
        DataError, match=r"takes the sources of all feeds, by name, got .*; open_feeds\(data, kinds\) makes"
    ):
        Feeds(sources, ONE, 2)


class Broken(ArrayDataset):
    def batch(self, indices):
        raise DataError("a.png is damaged")


def test_an_exception_in_the_thread_reaches_the_consumer_every_time():
    kinds = {"p": Kind("points")}
    sources = open_feeds(Broken("b", np.zeros((8, 2), np.float32)), kinds)
    with Feeds(sources, kinds, 4) as feeds:
        for n in (4, 4, 3, 3):
            with pytest.raises(DataError, match=r"a\.png is damaged"):
                feeds.next(n)
        assert feeds.position == 0


def test_points_are_not_flipped():
    sources, kinds = points()
    with (
        Feeds(sources, kinds, 4, augment=[AUGMENTATIONS["flip"]]) as feeds,
        pytest.raises(ShapeError, match="pictures"),
    ):
        feeds.next()


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("feeds")]


def test_closing_ends_the_thread():
    sources, kinds = numbered()
    with Feeds(sources, kinds, 5) as feeds:
        feeds.next()
        assert len(reading_threads()) == 1
    assert not reading_threads()
    feeds.close()
    with pytest.raises(ValueError, match="closed"):
        feeds.next()


def test_forgotten_feeds_leave_no_thread():
    feeds = Feeds(*numbered(), 5)
    feeds.next()
    del feeds
    gc.collect()
    deadline = time.monotonic() + 5
    while reading_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not reading_threads()


def test_reading_ahead_is_bounded_and_follows_the_last_size():
    read = []

    def spy(x, rngs):
        read.append(len(x))
        return x

    with Feeds(*points(), 5, augment=[spy]) as feeds:
        feeds.next()
        time.sleep(0.05)
        assert read == [5] * 4
        feeds.next(2), feeds.next(2)
        time.sleep(0.05)
        assert read == [5] * 4 + [2] * 5


def test_the_interpreter_ends_although_feeds_are_open():
    code = (
        "from minigan.data import Feeds, open_feeds; from minigan.model import POINTS; kinds = {'real': POINTS}; "
        "f = Feeds(open_feeds('ring', kinds, limit=1000), kinds, 10); f.next(); print('done')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_an_array_that_a_batch_has_not_is_named():
    kinds = {"real": PICTURE}
    with (
        Feeds(open_feeds(np.zeros((4, 2, 2, 1), np.uint8), kinds), kinds, 2) as feeds,
        pytest.raises(DataError, match='a batch has no array "reel": did you mean real?'),
    ):
        feeds.next()["reel"]

"""How work is cut: everything once, evenly, and always in the same way."""

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import example, given
from hypothesis import strategies as st

from minigan.testing import STRICT
from minigan.threads import partition
from minigan.threads.partition import over_rows, pieces, shares

numbers = st.sampled_from((1, 2, 3, 5))


@example(n=5, length=3, most=10)  # fewer than there are threads
@example(n=2, length=5, most=2)
@given(numbers, st.integers(0, 1000), st.integers(0, 1100))
def test_pieces_cover_everything_once_and_evenly(n, length, most):
    with number_of_threads(n):
        cut = pieces(length, most)
    assert [i for piece in cut for i in range(length)[piece]] == list(range(length))
    assert [p.start for p in cut] == [0, *(p.stop for p in cut[:-1])]
    lengths = [p.stop - p.start for p in cut]
    assert max(lengths) <= max(1, most)
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 1 or length == 0
    assert len(cut) % n == 0 or len(cut) == max(1, length)  # as many for each thread, if there are enough


@given(numbers, st.integers(0, 12))
def test_shares_deal_out_every_part_once_and_always_in_the_same_way(n, length):
    parts = list(range(length))
    with number_of_threads(n):
        dealt = shares(parts)
        assert dealt == shares(parts)
    assert sorted(part for share in dealt for part in share) == parts
    assert all(share == sorted(share) for share in dealt)
    assert len(dealt) == min(n, length)
    assert max(map(len, dealt), default=0) - min(map(len, dealt), default=0) <= 1


def test_without_a_limit_each_thread_gets_one_piece():
    with number_of_threads(3):
        assert pieces(7) == pieces(7, 3) == [slice(0, 2), slice(2, 4), slice(4, 7)]
        assert pieces(2) == [slice(0, 1), slice(1, 2)]


@given(numbers, st.integers(0, 20), st.integers(1, 200), st.booleans())
def test_over_rows_takes_every_row_once(n, length, at_most, by_argument):
    x, y = np.arange(3.0 * length).reshape(length, 3), np.zeros((length, 3))

    def work(rows):
        y[rows] += x[rows]
        return rows

    with number_of_threads(n), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "ROWS_BYTES", 1 if by_argument else at_most)
        slices = over_rows(work, x, at_most) if by_argument else over_rows(work, x)
    np.testing.assert_array_equal(y, x)
    assert [i for rows in slices for i in range(length)[rows]] == list(range(length))
    assert all(x[rows].nbytes <= max(at_most, 24) for rows in slices)


def test_over_rows_is_one_call_for_a_gpu(monkeypatch):
    monkeypatch.setattr(partition, "ROWS_BYTES", 1)
    assert over_rows(lambda rows: rows, STRICT.array(np.zeros((5, 2)))) == [slice(0, 5)]

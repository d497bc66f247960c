"""How work is cut: everything once, evenly, and always in the same way."""

from crews import number_of_threads
from hypothesis import example, given
from hypothesis import strategies as st

from minigan.threads.partition import pieces, shares

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

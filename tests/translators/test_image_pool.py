"""The image pool: what comes out, when, and that nothing comes out twice or is lost."""

import numpy as np

from minigan.backend import CPU
from minigan.translators.image_pool import ImagePool


def whites(*numbers):
    return np.array(numbers, np.float32).reshape(-1, 1, 1, 1)


def test_the_pool_gives_older_pictures_half_of_the_time_once_it_is_full():
    pool, rng = ImagePool(50, (1, 1, 1), CPU), np.random.default_rng(0)
    given = [int(pool.exchange(whites(i), rng)[0, 0, 0, 0]) for i in range(1050)]
    assert given[:50] == list(range(50))
    assert 400 < sum(one < i for i, one in enumerate(given)) < 600
    assert len(set(given[50:])) == 1000, "none comes out twice"
    assert set(given[50:]) | set(pool.pictures.ravel()) == set(range(1050)), "none is lost"


class Draws:
    """A generator whose draws are these."""

    def __init__(self, *draws):
        self.draws = list(draws)

    def random(self):
        return self.draws.pop(0)

    def integers(self, n):
        assert n == 2
        return self.draws.pop(0)


def test_a_draw_below_one_half_takes_a_picture_out_and_puts_the_new_one_in():
    pool = ImagePool(2, (1, 1, 1), CPU)
    pool.exchange(whites(1, 2), Draws())
    assert pool.exchange(whites(3, 4), Draws(0.49, 1, 0.5)).ravel().tolist() == [2, 4]
    assert pool.pictures.ravel().tolist() == [1, 3]


def test_every_picture_of_a_batch_is_exchanged_by_itself():
    pool = ImagePool(2, (1, 1, 1), CPU)
    assert pool.exchange(whites(1, 2, 3, 4), np.random.default_rng(0)).ravel()[:2].tolist() == [1, 2]
    assert pool.filled == 2


def test_a_pool_of_nothing_gives_what_it_gets():
    pool, fakes = ImagePool(0, (1, 1, 1), CPU), whites(1, 2, 3)
    np.testing.assert_array_equal(pool.exchange(fakes, np.random.default_rng(0)), fakes)


def test_what_comes_out_is_no_view_of_the_pool():
    pool, rng = ImagePool(1, (1, 1, 1), CPU), np.random.default_rng(2)
    pool.exchange(whites(1), rng)
    out = pool.exchange(whites(2, 3, 4, 5), rng)
    before = out.copy()
    pool.pictures[...] = 9
    np.testing.assert_array_equal(out, before)

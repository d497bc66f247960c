"""WGAN: clipped weights, many critic steps, RMSprop."""

import numpy as np
import pytest
from family import make, real_data
from steps import make_step

from minigan.gans import WGAN
from minigan.optim import RMSprop


@pytest.mark.parametrize("clip_value", [0.01, 0.1])
@pytest.mark.parametrize("name", ["wgan-points", "wgan-28"])
def test_every_weight_of_the_critic_is_clipped_after_every_update_and_none_of_the_generator(name, clip_value):
    gan = make(name, clip_value=clip_value)
    make_step(gan, lambda: real_data(gan), np.random.default_rng(0))
    D, G = (gan.networks[which].parameters().values for which in "DG")
    assert np.abs(D).max() <= np.float32(clip_value) < np.abs(G).max()
    assert (np.abs(D) == np.float32(clip_value)).any()


@pytest.mark.parametrize("clip_value", [0, -0.01, float("nan")])
def test_a_clip_value_that_leaves_nothing_is_refused(clip_value):
    with pytest.raises(ValueError, match="clip_value"):
        make("wgan-points", clip_value=clip_value)


@pytest.mark.parametrize(
    ("t", "extra", "without"), [(0, 100, 5), (24, 100, 5), (25, 5, 5), (499, 5, 5), (500, 100, 5), (1000, 100, 5)]
)
def test_critic_steps_as_in_the_authors_loop(t, extra, without):
    gan = make("wgan-points", n_critic=5, extra_critic=True)
    gan.optimizers["G"].t = t
    assert gan.critic_steps() == extra
    gan.extra_critic = False
    assert gan.critic_steps() == without


def test_the_first_step_trains_the_critic_a_hundred_times():
    gan = make("wgan-points", extra_critic=True)
    make_step(gan, lambda: real_data(gan), np.random.default_rng(0))
    assert (gan.optimizers["D"].t, gan.optimizers["G"].t) == (100, 1)


def test_defaults_are_the_papers():
    gan = WGAN((64, 64, 3), features=2, rng=np.random.default_rng(0))
    assert [(type(o), o.lr, o.alpha) for o in gan.optimizers.values()] == [(RMSprop, 5e-5, 0.99)] * 2
    assert (gan.n_critic, gan.clip_value, gan.extra_critic, gan.batch_size) == (5, 0.01, True, 64)


def test_d_loss_is_the_difference_of_the_mean_scores():
    gan = make("wgan-28")
    measured = make_step(gan, lambda: real_data(gan), np.random.default_rng(0))
    assert measured["d_loss"] == pytest.approx(measured["d_fake"] - measured["d_real"], rel=1e-5)

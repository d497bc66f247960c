"""LSGAN: the objective is the paper's, in both codings."""

import numpy as np
import pytest
from family import make, real_data
from steps import make_step


@pytest.mark.parametrize(("coding", "a", "b", "c"), [("binary", 0, 1, 1), ("pearson", -1, 1, 0)])
def test_half_the_mean_squared_distance_from_the_targets(coding, a, b, c):
    """D's logits before its update are measured against b and a, G's fakes, with the updated D, against c."""
    gan, twin = (make("lsgan-16", coding=coding) for _ in range(2))
    real, rng = real_data(gan), np.random.default_rng(0)
    fake, _ = twin.networks["G"].forward(twin.latent(6, np.random.default_rng(0)))
    l_real, l_fake = (twin.networks["D"].forward(x)[0] for x in (real, fake))
    measured = make_step(gan, lambda: real, rng)
    assert measured["d_loss"] == pytest.approx(
        ((l_real - b) ** 2).mean() / 2 + ((l_fake - a) ** 2).mean() / 2, rel=1e-4
    )
    assert measured["d_real"] == pytest.approx(l_real.mean(), rel=1e-4)
    assert measured["d_fake"] == pytest.approx(l_fake.mean(), rel=1e-4)
    l_fake, _ = gan.networks["D"].forward(fake)
    assert measured["g_loss"] == pytest.approx(((l_fake - c) ** 2).mean() / 2, rel=1e-4)


def test_another_coding_is_refused():
    with pytest.raises(ValueError, match="choose from binary, pearson"):
        make("lsgan-16", coding="ternary")

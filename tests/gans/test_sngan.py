"""SN-GAN: every weight of D is normalized, one power iteration a step finds σ, and classes enter by projection."""

import numpy as np
import pytest
from family import make, real_data

from minigan.gans import SNGAN
from minigan.layers import (
    ConditionalBatchNorm,
    Conv2D,
    Dense,
    Embedding,
    GlobalSumPool,
    Projection,
    SelfAttention,
    SpectralNorm,
)

KINDS = ["sngan-points", "sngan-points-labels", "sngan-16", "sngan-16-attention", "sngan-28-labels"]
KINDS += ["sngan-32-resnet-labels"]


@pytest.mark.parametrize("name", KINDS)
def test_every_weight_of_d_is_normalized_and_none_of_g(name):
    gan = make(name)
    weights = [layer for _, layer in gan.networks["D"].walk() if isinstance(layer, (Dense, Conv2D, Embedding))]
    wrapped = [layer.layer for _, layer in gan.networks["D"].walk() if isinstance(layer, SpectralNorm)]
    assert len(weights) == len(wrapped) > 1
    assert {id(layer) for layer in weights} == {id(layer) for layer in wrapped}
    assert not any(isinstance(layer, SpectralNorm) for _, layer in gan.networks["G"].walk())


@pytest.mark.parametrize("name", ["sngan-points", "sngan-16"])
def test_the_slope_of_d_is_bounded(name):
    """Once σ is found: by 1 if all layers are dense; a convolution may stretch by √(the patches that a pixel is in)."""
    gan = make(name)
    D = gan.networks["D"]
    for _, layer in D.walk():
        if isinstance(layer, SpectralNorm):
            layer.iterate(300)
    x = real_data(gan, n=200)
    logits, cache = D.forward(x, train=False)
    slopes = np.linalg.norm(D.backward(np.ones_like(logits), cache, "input").reshape(200, -1), axis=1)
    bound = 1.0 if "points" in name else 2.0**2  # a pixel is in 4/2 × 4/2 patches, in each of two convolutions
    assert 0 < slopes.max() <= bound


def test_one_power_iteration_a_discriminator_step():
    """u after a step of D is the old u, once through W Wᵀ."""
    gan = make("sngan-points")
    layer = next(layer for _, layer in gan.networks["D"].walk() if isinstance(layer, SpectralNorm))
    W, u = layer.layer.W.copy(), layer.u.copy()  # (C, K), (K,)
    gan.discriminator_step(real_data(gan), None, np.random.default_rng(0))
    expected = W.T @ (W @ u)
    np.testing.assert_allclose(layer.u, expected / np.linalg.norm(expected), rtol=1e-4, atol=1e-6)


def test_real_and_fake_in_one_pass_are_the_hinge_loss():
    gan = make("sngan-16")
    measured = gan.discriminator_step(real_data(gan), None, np.random.default_rng(0))
    assert measured["d_loss"] == pytest.approx(2 - measured["d_real"] + measured["d_fake"], rel=1e-5)  # |logits| < 1


def test_classes_choose_gs_norms_and_project_ds_features():
    gan = make("sngan-32-resnet-labels")
    assert sum(isinstance(layer, ConditionalBatchNorm) for _, layer in gan.networks["G"].walk()) == 6
    assert isinstance(gan.networks["D"].layers[-1], Projection)
    assert any(isinstance(layer, GlobalSumPool) for _, layer in gan.networks["D"].walk())


@pytest.mark.parametrize(
    ("shape", "options", "lr", "betas", "n_critic", "channels"),
    [
        ((28, 28, 1), {}, 2e-4, (0.5, 0.999), 1, {64, 128}),
        ((32, 32, 3), {"networks": "resnet"}, 2e-4, (0.0, 0.9), 5, {128}),
    ],
)
def test_defaults(shape, options, lr, betas, n_critic, channels):
    gan = SNGAN(shape, rng=np.random.default_rng(0), **options)
    assert [(o.lr, o.betas) for o in gan.optimizers.values()] == [(lr, betas)] * 2
    assert gan.n_critic == n_critic
    D = {layer.out_channels for _, layer in gan.networks["D"].walk() if isinstance(layer, Conv2D)}
    assert channels == D
    if options:
        G = {layer.out_channels for _, layer in gan.networks["G"].walk() if isinstance(layer, Conv2D)}
        assert {256, 3} == G


@pytest.mark.parametrize("options", [{"labels": True}, {"n_classes": 3}])
def test_labels_and_their_number_go_together(options):
    with pytest.raises(ValueError, match="needs both"):
        SNGAN((2,), rng=np.random.default_rng(0), **options)


def seen_by_attention(network, x):
    """The pixels and channels of what self-attention gets in a pass through a network."""
    seen = []
    for _, layer in network.walk():
        if isinstance(layer, SelfAttention):
            output = layer.output

            def spied(x, *arguments, output=output, **keywords):
                seen.append(x.shape[1:])
                return output(x, *arguments, **keywords)

            layer.output = spied
    network.output(x, train=False)
    return seen


@pytest.mark.parametrize(
    ("size", "options", "G_sees", "D_sees"),
    [
        (32, {"attention": 16}, (16, 16, 8), (16, 16, 8)),
        (16, {"attention": 4}, (4, 4, 8), (4, 4, 8)),
        (28, {"attention": 7}, (7, 7, 8), (7, 7, 8)),
        (28, {"attention": 14}, (14, 14, 4), (14, 14, 4)),
        (32, {"attention": 16, "networks": "resnet"}, (16, 16, 8), (16, 16, 4)),
        (32, {"attention": 8, "networks": "resnet"}, (8, 8, 8), (8, 8, 4)),
    ],
)
def test_attention_is_at_the_stage_that_is_asked_for(size, options, G_sees, D_sees):
    gan = SNGAN((size, size, 1), features=4, latent_dim=3, **options, rng=np.random.default_rng(0))
    assert seen_by_attention(gan.networks["G"], np.zeros((1, 3), np.float32)) == [G_sees]
    assert seen_by_attention(gan.networks["D"], np.zeros((1, size, size, 1), np.float32)) == [D_sees]


@pytest.mark.parametrize(
    ("shape", "options", "sentence"),
    [
        (
            (28, 28, 1),
            {"attention": 16},
            "`attention` is 16, but sngan for 28 pixels has no such stage: choose 7 or 14",
        ),
        ((32, 32, 1), {"attention": 32}, "choose 4, 8 or 16"),
        ((32, 32, 1), {"attention": 4, "networks": "resnet"}, "sngan's resnet has no such stage: choose 8 or 16"),
        ((2,), {"attention": 8}, "sngan for points has no such stage: leave it out, it is for pictures"),
    ],
)
def test_attention_at_a_stage_that_is_not_there(shape, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        SNGAN(shape, **options, rng=np.random.default_rng(0))

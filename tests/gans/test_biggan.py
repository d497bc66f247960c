"""BigGAN: all weights are normalized, each block has its part of z, classes enter everywhere."""

import numpy as np
import pytest
from family import real_data
from steps import make_step

from minigan.errors import MiniganError, ShapeError
from minigan.gans import BigGAN
from minigan.gans.biggan import orthogonal_regularization, truncated
from minigan.layers import (
    AdaptiveAffine,
    BatchNorm,
    Conv2D,
    Dense,
    Embedding,
    Projection,
    SelfAttention,
    Sequential,
    SpectralNorm,
)
from minigan.options import arguments_of

TINY = {"latent_dim": 8, "features": 1}
LABELS = {"labels": True, "n_classes": 3}


def make(name):
    return BigGAN((32, 32, 1), **TINY, **(LABELS if name.endswith("labels") else {}), rng=np.random.default_rng(0))


def weights(network, *kinds):
    return [layer for _, layer in network.walk() if isinstance(layer, kinds)]


@pytest.mark.parametrize("name", ["biggan-32", "biggan-32-labels"])
def test_every_weight_is_normalized_but_the_embedding_of_g(name):
    gan = make(name)
    for which, network in gan.networks.items():
        wrapped = {id(layer.layer) for layer in weights(network, SpectralNorm)}
        kinds = (Dense, Conv2D, Embedding) if which == "D" else (Dense, Conv2D)
        assert {id(layer) for layer in weights(network, *kinds)} == wrapped
        assert len(weights(network, SelfAttention)) == 1
        for layer in weights(network, SpectralNorm):  # all begin with the singular values 1, and u and v belong to them
            assert layer.sigma() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("latent_dim", [8, 6, 4])
def test_each_block_has_its_part_of_z(latent_dim):
    """Part 0 of z alone reaches the first layer; changing part i changes the norms of block i and no others."""
    gan = BigGAN((32, 32, 1), latent_dim=latent_dim, features=1, **LABELS, rng=np.random.default_rng(0))
    norms = weights(gan.networks["G"], AdaptiveAffine)
    assert len(norms) == 6
    taken = [norm.gain[0].slices for norm in norms]
    assert [norm.bias[0].slices for norm in norms] == taken
    parts = [slices[0] for slices in taken]
    assert parts[::2] == parts[1::2]  # both norms of a block
    first = gan.networks["G"].layers[2].layers[0][0].slices
    covered = [*first, *parts[::2]]
    assert covered[0][0] == 0
    assert covered[-1][1] == latent_dim
    assert all(one[1] == other[0] for one, other in zip(covered, covered[1:], strict=False))
    assert {slices[1] for slices in taken} == {(latent_dim, latent_dim + 128)}  # the class


def test_the_loss_of_d_is_that_of_real_and_fake_pictures():
    gan, logits = make("biggan-32"), []
    forward = gan.networks["D"].forward
    gan.networks["D"].forward = lambda *x, **more: logits.append(forward(*x, **more)) or logits[-1]
    measured = make_step(gan, real_data(gan), np.random.default_rng(0))
    real, fake = np.split(logits[0][0], 2)
    assert measured["d_loss"] == pytest.approx(np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean())


def test_truncation_removes_the_tails_of_a_normal_distribution():
    """ψ times the numbers of N(0, 1) between −2 and 2, in the order of z."""
    z = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    cut, ranks = truncated(z, 0.5), np.linspace(0.01, 0.99, 20)
    assert cut.dtype == z.dtype and abs(cut).max() <= 1
    np.testing.assert_array_equal(np.argsort(z)[::100], np.argsort(cut)[::100])
    np.testing.assert_allclose(np.quantile(cut, ranks), 0.5 * np.quantile(z[abs(z) <= 2], ranks), atol=0.01)
    assert not truncated(np.array([9.0, -40.0]), 0).any()


def test_samples_of_truncated_latents():
    gan, z = make("biggan-32-labels"), np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    expected = gan.generate(truncated(z, 0.7), np.array([2, 0, 1]))
    np.testing.assert_array_equal(gan.generate(z, np.array([2, 0, 1]), truncation=0.7), expected)
    assert (gan.generate(z, np.array([2, 0, 1])) != expected).any()
    with pytest.raises(MiniganError, match=r"`truncation` is -1: it limits \|z\| to twice its value"):
        gan.generate(z, truncation=-1)


def test_the_condition_scales_and_shifts_what_is_normalized():
    """γ = 1 + c W_γ and β = c W_β, with W divided by its largest singular value."""
    gan = BigGAN((32, 32, 1), **TINY, **LABELS, rng=np.random.default_rng(0))
    block = gan.networks["G"].layers[3][0]
    norm = block.body[0]
    rng = np.random.default_rng(1)
    h, c = rng.standard_normal((4, 4, 4, 4)).astype(np.float32), rng.standard_normal((4, 136)).astype(np.float32)
    y, _ = norm.forward((h, c))
    picked = np.concatenate([c[:, 2:4], c[:, 8:]], axis=1)
    W_gamma, W_beta = (layer[1].layer.W for layer in (norm[1].gain, norm[1].bias))
    gamma, beta = 1 + picked @ W_gamma / np.linalg.norm(W_gamma, 2), picked @ W_beta / np.linalg.norm(W_beta, 2)
    x_hat = (h - h.mean(axis=(0, 1, 2))) / h.std(axis=(0, 1, 2))
    np.testing.assert_allclose(y, gamma[:, None, None] * x_hat + beta[:, None, None], atol=1e-4)


def test_without_labels_only_z_enters():
    gan = make("biggan-32")
    assert not weights(gan.networks["G"], Embedding)
    assert not weights(gan.networks["D"], Projection, Embedding)
    assert all(len(norm.gain[0].slices) == 1 for norm in weights(gan.networks["G"], AdaptiveAffine))
    assert gan.arrays.keys() == {"real"}


def test_the_regularization_by_hand():
    """Rows (1, 1) and (2, 0): their product is 2, so R = β/2·(2² + 2²) = 4β."""
    dense = Dense(2, 2).to(dtype=np.float64)
    dense.W = np.array([[1.0, 2.0], [1.0, 0.0]])
    assert orthogonal_regularization(Sequential(dense), 0.5) == pytest.approx(2.0)
    # dM = 2β (M Mᵀ ∘ (1 − I)) M = [[0, 2], [2, 0]] [[1, 1], [2, 0]] = [[4, 0], [2, 2]], and dW is its transpose
    np.testing.assert_allclose(dense.dW, [[4, 2], [0, 2]])


def test_its_gradient_is_that_of_the_number_it_returns():
    rng = np.random.default_rng(0)
    network = Sequential(Conv2D(2, 3, 3, rng=rng), Dense(3, 4, rng=rng), Embedding(3, 4, rng=rng)).to(dtype=np.float64)
    parameters = network.parameters()
    start, direction = parameters.values.copy(), rng.standard_normal(len(parameters))
    orthogonal_regularization(network, 0.3)
    gradient = parameters.grads.copy()
    assert not network.layers[2].dW.any()
    values = []
    for t in (1e-5, -1e-5):
        parameters.values[:] = start + t * direction
        values.append(orthogonal_regularization(network, 0.3))
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(gradient @ direction, rel=1e-8)


def test_the_regularization_is_added_to_gs_gradients_alone():
    """Of G's step and of nothing else: the gradients of two models that differ in it."""
    plain, regular = (BigGAN((32, 32, 1), **TINY, ortho=beta, rng=np.random.default_rng(0)) for beta in (0.0, 0.1))
    real = real_data(plain)
    measured = [make_step(gan, real, np.random.default_rng(0)) for gan in (plain, regular)]
    assert "ortho" not in measured[0].keys() | plain.measures.keys()
    assert measured[1].keys() == regular.measures.keys()
    fresh = BigGAN((32, 32, 1), **TINY, rng=np.random.default_rng(0)).networks["G"]
    assert measured[1]["ortho"] == pytest.approx(orthogonal_regularization(fresh, 0.1), rel=1e-4)
    D, G = ([gan.networks[name].parameters().grads for gan in (plain, regular)] for name in "DG")
    np.testing.assert_array_equal(*D)
    np.testing.assert_allclose(G[1] - G[0], fresh.parameters().grads, atol=1e-5)


def test_real_and_fake_in_one_pass_of_d():
    """One power iteration in each of the two updates: u is the old u, twice through M Mᵀ."""
    gan = make("biggan-32")
    layer = weights(gan.networks["D"], SpectralNorm)[1]
    layer.layer.W += 0.1 * np.random.default_rng(0).standard_normal(layer.layer.W.shape, dtype=np.float32)
    M_T, v = layer.layer.W.reshape(-1, layer.layer.W.shape[-1]).copy(), layer.v.copy()
    gan.optimizers["D"].lr = 0.0
    make_step(gan, real_data(gan), np.random.default_rng(0))
    for _ in range(2):
        u = v @ M_T / np.linalg.norm(v @ M_T)
        v = M_T @ u / np.linalg.norm(M_T @ u)
    np.testing.assert_allclose(layer.u, u, rtol=1e-4, atol=1e-6)


def test_defaults():
    gan = BigGAN((32, 32, 3), features=2, rng=np.random.default_rng(0))
    assert {n: (o.lr, o.betas, o.eps) for n, o in gan.optimizers.items()} == {
        "G": (1e-4, (0.0, 0.999), 1e-6),
        "D": (4e-4, (0.0, 0.999), 1e-6),
    }
    assert (gan.n_critic, gan.latent_dim, gan.ortho) == (1, 128, 0.0)
    assert {layer.channels for layer in weights(gan.networks["G"], BatchNorm, SelfAttention)} == {8}
    assert arguments_of(BigGAN)["features"].default == 64


@pytest.mark.parametrize(
    ("shape", "options", "error", "sentence"),
    [
        (
            (28, 28, 1),
            {},
            ShapeError,
            "biggan makes pictures of 32 by 32 pixels, not 28×28×1: give `img_size` 32$",
        ),
        (
            (32, 32, 1),
            {"latent_dim": 3},
            ValueError,
            "`latent_dim` is 3: biggan cuts z into 4 parts, so it needs 4 or more",
        ),
        ((32, 32, 1), {"attention": 32}, ValueError, "`attention` is 32, but biggan has no such stage: choose 8 or 16"),
        ((32, 32, 1), {"labels": True}, ValueError, "a conditional model needs both"),
    ],
)
def test_what_it_cannot_do_is_said_in_a_sentence(shape, options, error, sentence):
    with pytest.raises(error, match=sentence):
        BigGAN(shape, **options, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("attention", "pixels"), [(8, 8), (16, 16), (0, None)])
def test_where_attention_is(attention, pixels):
    gan = BigGAN((32, 32, 1), **TINY, attention=attention, rng=np.random.default_rng(0))
    seen = []
    for network in gan.networks.values():
        for layer in weights(network, SelfAttention):
            forward = layer.forward
            layer.forward = lambda x, *a, forward=forward, **k: seen.append(x.shape[1]) or forward(x, *a, **k)
    make_step(gan, real_data(gan), np.random.default_rng(0))
    assert set(seen) == ({pixels} if pixels else set())

"""DCGAN: the networks are the table in its docstring, and every gradient of a step goes where it should."""

import copy

import numpy as np
import pytest
from steps import make_step

from minigan.backend import to_numpy
from minigan.data import open_digits
from minigan.errors import MiniganError, ShapeError
from minigan.gans import DCGAN, GAN
from minigan.gans.dcgan import stage_widths
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, LeakyReLU, ReLU, Tanh
from minigan.optim import Adam
from minigan.testing import check_through, devices_under_test, forbid_transfers, shake

SHAPES = [(16, 16, 1), (28, 28, 1), (28, 28, 3), (32, 32, 3), (64, 64, 1), (64, 64, 3), (128, 128, 3)]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s[0]}x{s[2]}")
small = pytest.mark.parametrize("shape", [(16, 16, 1), (28, 28, 3)], ids=["16x1", "28x3"])
each_device = pytest.mark.parametrize("device", devices_under_test(), ids=str)


def dcgan(shape, seed=0, features=4, **options):
    return DCGAN(shape, latent_dim=6, features=features, rng=np.random.default_rng(seed), **options)


def pictures(shape, n=5, seed=1, dtype=np.float32):
    return np.tanh(np.random.default_rng(seed).normal(size=(n, *shape))).astype(dtype)


def noise(n=5, seed=2, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(n, 6)).astype(dtype)


def in_float64(gan):
    for name, network in gan.networks.items():
        network.to(dtype=np.float64)
        gan.optimizers[name] = Adam(network.parameters(), 0.0)
    return gan


# The networks


def stages(network, x):
    """The shapes (H, W, C) or (C,) after every layer with a matrix product, from the input on."""
    shapes = [x.shape[1:]]
    for layer in network.layers:
        x, _ = layer.forward(x)
        if isinstance(layer, (Dense, Conv2D, ConvTranspose2D)):
            shapes.append(x.shape[1:])
    return shapes


STAGES = {  # with `features` = f: what the module's docstring says for 64
    16: lambda f, C: [(4, 4, 2 * f), (8, 8, f), (16, 16, C)],
    28: lambda f, C: [(16 * f,), (7 * 7 * 2 * f,), (14, 14, f), (28, 28, C)],
    32: lambda f, C: [(4, 4, 8 * f), (8, 8, 4 * f), (16, 16, 2 * f), (32, 32, f), (32, 32, C)],
    64: lambda f, C: [(4, 4, 8 * f), (8, 8, 4 * f), (16, 16, 2 * f), (32, 32, f), (64, 64, C)],
    128: lambda f, C: [(4, 4, 16 * f), (8, 8, 8 * f), (16, 16, 4 * f), (32, 32, 2 * f), (64, 64, f), (128, 128, C)],
}
MIRRORED = {  # D's input and stages, before the logit
    16: lambda f, C: [(16, 16, C), (8, 8, f), (4, 4, 2 * f)],
    28: lambda f, C: [(28, 28, C), (14, 14, f), (7, 7, 2 * f), (16 * f,)],
    32: lambda f, C: [(32, 32, C), (32, 32, f), (16, 16, 2 * f), (8, 8, 4 * f), (4, 4, 8 * f)],
    64: lambda f, C: [(64, 64, C), (32, 32, f), (16, 16, 2 * f), (8, 8, 4 * f), (4, 4, 8 * f)],
    128: lambda f, C: [(128, 128, C), (64, 64, f), (32, 32, 2 * f), (16, 16, 4 * f), (8, 8, 8 * f), (4, 4, 16 * f)],
}
KERNELS = {16: {4}, 28: {5}, 32: {3, 4}, 64: {4}, 128: {4}}


@each_shape
def test_stages_are_those_of_the_table(shape):
    gan, (size, _, C) = dcgan(shape), shape
    assert stages(gan.networks["G"], noise())[1:] == STAGES[size](4, C)
    *before, logit = stages(gan.networks["D"], pictures(shape))
    assert before == MIRRORED[size](4, C)
    assert np.prod(logit) == 1
    for network in gan.networks.values():
        convolutions = [layer for layer in network.layers if isinstance(layer, (Conv2D, ConvTranspose2D))]
        assert {c.kernel_size for c in convolutions} == {(k, k) for k in KERNELS[size]}
        # every convolution halves or doubles, but those from and to 1², and at 32×32 the 3×3 at the picture
        assert {c.stride for c in convolutions if c.padding != (0, 0) and c.kernel_size != (3, 3)} == {(2, 2)}


def test_at_full_size_the_widths_are_the_papers():
    gan = DCGAN((64, 64, 3), rng=np.random.default_rng(0))
    assert [layer.W.shape for layer in gan.networks["G"].layers if isinstance(layer, ConvTranspose2D)] == [
        (4, 4, 512, 100),
        (4, 4, 256, 512),
        (4, 4, 128, 256),
        (4, 4, 64, 128),
        (4, 4, 3, 64),
    ]
    assert len(gan.networks["G"].parameters()) == 3_576_704 + 3  # PyTorch's DCGAN has no output bias
    assert len(gan.networks["D"].parameters()) == 2_765_568 + 64 + 1  # nor on D's first and last layer
    assert gan.batch_size == 64
    assert stage_widths(128, 64) == [1024, 512, 256, 128, 64]
    for optimizer in gan.optimizers.values():
        assert (optimizer.lr, optimizer.betas, optimizer.eps) == (2e-4, (0.5, 0.999), 1e-8)


@each_shape
@pytest.mark.parametrize("which", ["G", "D"])
def test_norms_activations_and_biases(shape, which):
    """After a matrix product: norm and activation, and no bias before the norm. Not so at the picture and the logit."""
    layers = [
        layer for layer in dcgan(shape).networks[which].layers if type(layer).__name__ not in ("Reshape", "Flatten")
    ]
    activation = ReLU if which == "G" else LeakyReLU
    ends = []
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, BatchNorm):
            assert type(after) is activation
        elif isinstance(layer, (Dense, Conv2D, ConvTranspose2D)):
            assert (layer.b is None) == isinstance(after, BatchNorm)
            ends.append(type(after))
    if which == "G":
        assert ends == [BatchNorm] * (len(ends) - 1) + [Tanh]
    else:
        assert ends == [LeakyReLU] + [BatchNorm] * (len(ends) - 2) + [type(None)]
        assert {layer.negative_slope for layer in layers if isinstance(layer, LeakyReLU)} == {0.2}


@pytest.mark.parametrize("shape", [(28, 28, 1), (64, 64, 3)], ids=["28", "64"])
def test_initial_weights(shape):
    """W ~ N(0, .02), gamma ~ N(1, .02), beta and b are 0."""
    gan = DCGAN(shape, features=32, rng=np.random.default_rng(0))
    for network in gan.networks.values():
        arrays = network.state_dict()
        gammas = np.concatenate([a for name, a in arrays.items() if name.endswith("gamma")])
        for a, mean in [(gammas, 1)] + [(a, 0) for name, a in arrays.items() if name.endswith("W")]:
            assert a.mean() == pytest.approx(mean, abs=5 * 0.02 / np.sqrt(a.size))
            assert a.std() == pytest.approx(0.02, rel=5 / np.sqrt(2 * a.size))
        assert not any(a.any() for name, a in arrays.items() if name.endswith((".b", "beta")))


@each_shape
def test_what_it_generates(shape):
    gan = dcgan(shape)
    z = gan.latent(7, np.random.default_rng(0))
    assert (z.shape, z.dtype) == ((7, 6), np.float32)
    x = gan.generate(z * 100)
    assert (x.shape, x.dtype) == ((7, *shape), np.float32)
    assert -1 <= x.min() < 0 < x.max() <= 1
    np.testing.assert_array_equal(gan.generate(z), gan.generate(z))  # inference: nothing is drawn, nothing moves
    np.testing.assert_allclose(gan.generate(z[:1]), gan.generate(z)[:1], rtol=1e-4, atol=1e-6)  # nor depends on others


def test_latent_is_normal():
    z = dcgan((16, 16, 1)).latent(5000, np.random.default_rng(0))
    assert z.mean() == pytest.approx(0, abs=0.03)
    assert z.std() == pytest.approx(1, abs=0.03)
    assert (z**4).mean() == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("shape", [(16, 16), (2,), (16, 28, 1), (20, 20, 1), (256, 256, 3), (28, 28, 2), (28, 28, 0)])
def test_other_shapes_are_refused_in_one_sentence(shape):
    with pytest.raises(ShapeError, match=f"not {'×'.join(map(str, shape))}") as caught:
        dcgan(shape)
    assert isinstance(caught.value, MiniganError)
    assert "\n" not in str(caught.value)


# A step


@each_shape
def test_a_step_changes_every_parameter_of_both_and_says_how_it_went(shape):
    gan = dcgan(shape)
    before = {name: network.parameters().values.copy() for name, network in gan.networks.items()}
    measured = make_step(gan, lambda: pictures(shape), np.random.default_rng(0))
    assert measured.keys() == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert all(np.shape(value) == () and value.dtype == np.float32 for value in measured.values())
    assert 0 < measured["d_fake"] < 1
    assert 0 < measured["d_real"] < 1
    for name, network in gan.networks.items():
        moved = np.abs(network.parameters().values - before[name])
        assert 0 < moved.max() < 2.1e-4  # Adam's first step is lr
        for key, (_, gradient) in network.parameters().named().items():
            assert gradient.any(), f"{name}.{key} learns nothing"


@small
def test_one_step_as_its_docstring_tells_it(shape):
    """D first on real, then on fake; then G, on the same fakes, through the D that has just been updated."""
    gan, other = dcgan(shape), dcgan(shape)
    measured = make_step(gan, lambda: pictures(shape), np.random.default_rng(3))
    fake, cache = other.networks["G"].forward(other.latent(5, np.random.default_rng(3)))
    expected = other.discriminator_step(pictures(shape), fake)
    expected |= other.generator_step(fake, cache)
    assert measured == expected
    for name in "GD":
        np.testing.assert_array_equal(gan.networks[name].parameters().values, other.networks[name].parameters().values)


@small
def test_what_a_step_reports(shape):
    """Losses and means of D(x) and D(G(z)), from the formulas of the paper."""
    gan = dcgan(shape)
    twin = copy.deepcopy(gan.networks)
    fake = twin["G"].forward(noise())[0]
    D_real, D_fake = (1 / (1 + np.exp(-twin["D"].forward(x)[0].astype(float))) for x in (pictures(shape), fake))
    fake, cache = gan.networks["G"].forward(noise())
    measured = gan.discriminator_step(pictures(shape), fake)
    assert measured["d_real"] == pytest.approx(D_real.mean(), rel=1e-5)
    assert measured["d_fake"] == pytest.approx(D_fake.mean(), rel=1e-5)
    assert measured["d_loss"] == pytest.approx(-np.log(D_real).mean() - np.log(1 - D_fake).mean(), rel=1e-5)
    D_fake = 1 / (1 + np.exp(-gan.networks["D"].forward(fake)[0].astype(float)))
    assert gan.generator_step(fake, cache)["g_loss"] == pytest.approx(-np.log(D_fake).mean(), rel=1e-5)


@small
def test_each_step_keeps_to_its_own_network(shape):
    gan = dcgan(shape)
    G, D = (gan.networks[name].parameters() for name in "GD")
    rng = np.random.default_rng(0)
    for own, other in ((D, G), (G, D)):
        fake, cache = gan.networks["G"].forward(noise())
        other.grads[:] = rng.normal(size=len(other))
        before = other.values.copy(), other.grads.copy(), own.values.copy()
        if own is D:
            gan.discriminator_step(pictures(shape), fake)
        else:
            gan.generator_step(fake, cache)
        np.testing.assert_array_equal(other.values, before[0])
        np.testing.assert_array_equal(other.grads, before[1])
        assert (own.values != before[2]).any()


@small
def test_gradients_of_the_last_step_are_forgotten(shape):
    clean, soiled = dcgan(shape), dcgan(shape)
    for network in soiled.networks.values():
        network.parameters().grads[:] = 1e6
    for gan in (clean, soiled):
        make_step(gan, lambda: pictures(shape), np.random.default_rng(0))
    for name in "GD":
        np.testing.assert_array_equal(clean.networks[name].parameters().grads, soiled.networks[name].parameters().grads)


@small
def test_real_and_fake_are_batches_of_their_own(shape):
    """D's batch norm sees them one after the other: its running mean moves twice, first to real, then to fake."""
    gan = dcgan(shape)
    D = copy.deepcopy(gan.networks["D"])
    fake = gan.networks["G"].forward(noise())[0]
    gan.discriminator_step(pictures(shape), fake)
    D.forward(pictures(shape))
    D.forward(fake)
    for name, array in gan.networks["D"].state_dict().items():
        if "running" in name:
            np.testing.assert_array_equal(array, D.state_dict()[name])


def test_n_critic_is_the_number_of_discriminator_steps():
    gan, batches = dcgan((16, 16, 1), n_critic=3), []

    def next_batch():
        batches.append(pictures((16, 16, 1), seed=len(batches)))
        return batches[-1]

    make_step(gan, next_batch, np.random.default_rng(0))
    assert (len(batches), gan.optimizers["D"].t, gan.optimizers["G"].t) == (3, 3, 1)


def test_options_reach_the_optimizers_and_the_loss():
    gan = dcgan((16, 16, 1), lr=3e-4, b1=0.1, b2=0.9, label_smoothing=0.1)
    assert [(o.lr, o.betas) for o in gan.optimizers.values()] == [(3e-4, (0.1, 0.9))] * 2
    assert gan.loss.label_smoothing == 0.1


# Gradients


QUICK_OR_SLOW = [pytest.param(shape, marks=[pytest.mark.slow] * (shape[0] > 28)) for shape in SHAPES]


@pytest.mark.parametrize("shape", QUICK_OR_SLOW, ids=lambda s: f"{s[0]}x{s[2]}")
def test_gradient_of_g_through_d(shape):
    """Away from the initial biases of 0: where G's ReLUs are off they hand exact zeros to D's leaky ReLU, its kink."""
    G, D = (shake(network, np.random.default_rng(0)) for network in dcgan(shape, features=2).networks.values())
    check_through(G, D, noise(4), entries=2, step=1e-6)


@small
@pytest.mark.parametrize("which", ["G", "D"])
def test_a_step_goes_down_the_gradient_of_the_loss_that_it_reports(which, shape):
    """Differences of that loss along random directions, in float64, with a learning rate of 0."""
    gan = in_float64(dcgan(shape, features=2, label_smoothing=0.1))
    real, z = pictures(shape, dtype=np.float64), noise(dtype=np.float64)
    parameters, rng = gan.networks[which].parameters(), np.random.default_rng(0)

    def loss():
        fake, cache = gan.networks["G"].forward(z)
        step = gan.generator_step(fake, cache) if which == "G" else gan.discriminator_step(real, fake)
        return step["g_loss" if which == "G" else "d_loss"]

    loss()
    start, gradient = parameters.values.copy(), parameters.grads.copy()
    for _ in range(5):
        direction = rng.normal(size=len(parameters))
        ahead, behind = [], []
        for side, sign in ((ahead, 1), (behind, -1)):
            parameters.values[:] = start + sign * 1e-8 * direction
            side.append(loss())
        slope = (ahead[0] - behind[0]) / 2e-8
        assert slope == pytest.approx(gradient @ direction, abs=1e-6 * np.linalg.norm(gradient))


# Devices and seeds


@each_device
@each_shape
def test_a_step_on_every_device(shape, device):
    """Nothing mixes host and device, nothing is copied to the host, and it is the step of the host."""
    gan, host = dcgan(shape, device=device), dcgan(shape)
    real, z = pictures(shape), noise()
    there = device.array(real), device.array(z)
    with forbid_transfers():
        fake, cache = gan.networks["G"].forward(there[1])
        measured = gan.discriminator_step(there[0], fake) | gan.generator_step(fake, cache)
    fake, cache = host.networks["G"].forward(z)
    expected = host.discriminator_step(real, fake) | host.generator_step(fake, cache)
    for name in expected:
        assert to_numpy(measured[name]) == pytest.approx(expected[name], rel=1e-4)
    for name in "GD":
        g, expected_g = to_numpy(gan.networks[name].parameters().grads), host.networks[name].parameters().grads
        assert np.linalg.norm(g - expected_g) < 1e-3 * np.linalg.norm(expected_g)


@each_device
def test_a_whole_step_with_noise_of_the_device(device):
    gan = dcgan((16, 16, 1), device=device)
    real, rng = device.array(pictures((16, 16, 1))), device.rng(0)
    with forbid_transfers():
        measured = make_step(gan, lambda: real, rng)
        fakes = gan.generate(gan.latent(3, rng))
    assert fakes.shape == (3, 16, 16, 1)
    assert all(np.isfinite(to_numpy(value)) for value in measured.values())


@small
def test_seeds_reproduce_exactly(shape):
    def trained(seed):
        gan, rng = dcgan(shape, seed), np.random.default_rng(5)
        measured = [make_step(gan, lambda: pictures(shape), rng) for _ in range(3)]
        return measured, gan.generate(gan.latent(4, rng))

    measured, x = trained(0)
    again, y = trained(0)
    assert measured == again
    np.testing.assert_array_equal(x, y)
    assert (trained(1)[1] != x).any()


@pytest.mark.slow
def test_it_learns_what_digits_look_like():
    """The mean picture and the spread of the pixels come near those of the digits; both start far away."""
    digits = open_digits(16).batch(np.arange(1797))
    rng = np.random.default_rng(0)
    gan = DCGAN((16, 16, 1), latent_dim=16, features=8, lr=1e-3, rng=np.random.default_rng(0))
    z = gan.latent(500, rng)

    def distances():
        x = gan.generate(z)
        return np.array([np.abs(x.mean(0) - digits.mean(0)).mean(), np.abs(x.std(0) - digits.std(0)).mean()])

    before = distances()
    for _ in range(200):
        measured = make_step(gan, lambda: digits[rng.integers(1797, size=32)], rng)
    assert all(np.isfinite(value) for value in measured.values())
    assert (distances() < before / 2).all()


@pytest.mark.parametrize(("model", "shape"), [(DCGAN, (16, 16, 1)), (GAN, (2,))])
def test_a_discriminator_that_is_never_updated_is_refused(model, shape):
    with pytest.raises(ValueError, match="`n_critic` is 0"):
        model(shape, n_critic=0, rng=np.random.default_rng(0))

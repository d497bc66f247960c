"""The dense GAN, for pictures and for points: networks, gradients, momentum, and that it learns."""

import copy

import numpy as np
import pytest
from steps import make_step

from minigan.backend import to_numpy
from minigan.data import ring
from minigan.errors import ShapeError
from minigan.gans import GAN
from minigan.layers import Dense, Dropout, Maxout
from minigan.optim import SGD, Adam
from minigan.testing import check_through, devices_under_test, forbid_transfers, shake

PICTURE, POINT = (6, 6, 1), (2,)
each_kind = pytest.mark.parametrize("shape", [PICTURE, POINT], ids=["pictures", "points"])
each_device = pytest.mark.parametrize("device", devices_under_test(), ids=str)


def dense_gan(shape, seed=0, **options):
    return GAN(shape, latent_dim=5, rng=np.random.default_rng(seed), **options)


def real_data(shape, n=6, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, (n, *shape)).astype(np.float32)


def step_of(gan, which, seed=3):
    """One of the two steps on 6 samples, the draws always the same."""
    rng = gan.device.rng(seed)
    if which == "G":
        return gan.generator_step(6, rng)
    real = gan.device.array(real_data(gan.shape))
    return gan.discriminator_step((real + 1) / 2 if gan.pictures else real, rng)


# The networks


def kinds(network):
    return " ".join(type(layer).__name__ for layer in network.layers)


def test_picture_networks_are_those_of_the_papers_code():
    gan = GAN((28, 28, 1), rng=np.random.default_rng(0))
    G, D = gan.networks["G"], gan.networks["D"]
    assert kinds(G) == "Dense ReLU Dense ReLU Dense Sigmoid Reshape"
    assert [layer.W.shape for layer in G.layers if isinstance(layer, Dense)] == [(100, 1200), (1200, 1200), (1200, 784)]
    assert kinds(D) == "Flatten Dropout Dense Maxout Dropout Dense Maxout Dropout Dense"
    assert [layer.W.shape for layer in D.layers if isinstance(layer, Dense)] == [(784, 1200), (240, 1200), (240, 1)]
    assert [layer.p for layer in D.layers if isinstance(layer, Dropout)] == [0.2, 0.5, 0.5]
    assert {layer.pieces for layer in D.layers if isinstance(layer, Maxout)} == {5}
    for network, bound in ((G, 0.05), (D, 0.005)):
        for layer in network.layers:
            if isinstance(layer, Dense):
                assert 0.95 * bound < np.abs(layer.W).max() <= bound
                assert layer.W.std() == pytest.approx(bound / np.sqrt(3), rel=0.1)
                assert not layer.b.any()
    assert gan.batch_size == 100
    assert all(type(o) is SGD and (o.lr, o.momentum) == (0.1, 0.5) for o in gan.optimizers.values())


def test_point_networks():
    gan = GAN(POINT, rng=np.random.default_rng(0))
    G, D = gan.networks["G"], gan.networks["D"]
    assert kinds(G) == kinds(D) == "Dense LeakyReLU Dense LeakyReLU Dense"
    assert [layer.W.shape for layer in G.layers if isinstance(layer, Dense)] == [(2, 128), (128, 128), (128, 2)]
    assert [layer.W.shape for layer in D.layers if isinstance(layer, Dense)] == [(2, 128), (128, 128), (128, 1)]
    assert all(type(o) is Adam and (o.lr, o.betas) == (5e-4, (0.5, 0.999)) for o in gan.optimizers.values())


@each_kind
@pytest.mark.parametrize("lr", [0.0, 0.03])
def test_options_reach_the_optimizers_and_the_loss(shape, lr):
    gan = dense_gan(shape, lr=lr, b1=0.6, label_smoothing=0.2)
    for optimizer in gan.optimizers.values():
        assert optimizer.lr == lr
        assert (optimizer.momentum if shape == PICTURE else optimizer.betas[0]) == 0.6
    assert gan.loss.label_smoothing == 0.2


@pytest.mark.parametrize("shape", [(28, 28, 1), (7, 11, 3), (2,)])
def test_what_it_generates(shape):
    gan = dense_gan(shape)
    x = gan.generate(gan.latent(9, np.random.default_rng(0)))
    assert (x.shape, x.dtype) == ((9, *shape), np.float32)
    if len(shape) == 3:
        assert -1 <= x.min() < 0 < x.max() <= 1


@each_kind
def test_latent_has_variance_one(shape):
    z = GAN(shape, latent_dim=100, rng=np.random.default_rng(0)).latent(2000, np.random.default_rng(0))
    assert (z.shape, z.dtype) == ((2000, 100), np.float32)
    assert z.mean() == pytest.approx(0, abs=0.01)
    assert z.var() == pytest.approx(1, abs=0.01)
    assert (np.abs(z).max() <= np.float32(np.sqrt(3))) == (shape == PICTURE)  # uniform, or normal


@pytest.mark.parametrize("shape", [(), (28, 28), (2, 28, 28, 1)])
def test_other_shapes_are_refused_in_one_sentence(shape):
    with pytest.raises(ShapeError, match="gan generates pictures") as caught:
        dense_gan(shape)
    assert "\n" not in str(caught.value)


# A step


@each_kind
def test_a_step_changes_every_parameter_of_both_and_says_how_it_went(shape):
    gan = dense_gan(shape)
    before = {name: network.parameters().values.copy() for name, network in gan.networks.items()}
    measured = make_step(gan, lambda: real_data(shape), np.random.default_rng(0))
    assert measured.keys() == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert all(np.shape(value) == () and value.dtype == np.float32 for value in measured.values())
    for name, network in gan.networks.items():
        assert (network.parameters().values != before[name]).any()
        for key, (_, gradient) in network.parameters().named().items():
            assert gradient.any(), f"{name}.{key} learns nothing"


@each_kind
def test_what_a_step_reports(shape):
    """Half the cross-entropy of algorithm 1; D sees pictures in [0, 1]; each step draws fakes of its own."""
    gan = dense_gan(shape)
    shake(gan.networks["D"], np.random.default_rng(4))  # initial weights of ±.005 hardly see the pictures
    rng = np.random.default_rng(0)
    twin, draws = copy.deepcopy(gan.networks), np.random.default_rng(0)
    real = real_data(shape)
    fake = twin["G"].forward(gan.latent(6, draws))[0]
    D_real, D_fake = (
        1 / (1 + np.exp(-twin["D"].forward(x, rng=draws)[0].astype(float)))
        for x in ((real + 1) / 2 if gan.pictures else real, fake)
    )
    measured = make_step(gan, lambda: real, rng)
    assert measured["d_loss"] == pytest.approx(-np.log(D_real).mean() / 2 - np.log(1 - D_fake).mean() / 2, rel=1e-5)
    assert measured["d_real"] == pytest.approx(D_real.mean(), rel=1e-5)
    assert measured["d_fake"] == pytest.approx(D_fake.mean(), rel=1e-5)
    fake = twin["G"].forward(gan.latent(6, draws))[0]
    D_fake = 1 / (1 + np.exp(-gan.networks["D"].forward(fake, rng=draws)[0].astype(float)))
    assert measured["g_loss"] == pytest.approx(-np.log(D_fake).mean(), rel=1e-5)


@each_kind
@pytest.mark.parametrize("which", ["G", "D"])
def test_each_step_keeps_to_its_own_network(which, shape):
    gan = dense_gan(shape)
    own, other = (gan.networks[name].parameters() for name in (which, "DG"["GD".index(which)]))
    other.grads[:] = np.random.default_rng(0).normal(size=len(other))
    before = other.values.copy(), other.grads.copy(), own.values.copy()
    step_of(gan, which)
    np.testing.assert_array_equal(other.values, before[0])
    np.testing.assert_array_equal(other.grads, before[1])
    assert (own.values != before[2]).any()


@each_kind
def test_gradients_of_the_last_step_are_forgotten(shape):
    clean, soiled = dense_gan(shape), dense_gan(shape)
    for network in soiled.networks.values():
        network.parameters().grads[:] = 1e6
    for gan in (clean, soiled):
        make_step(gan, lambda: real_data(shape), np.random.default_rng(0))
    for name in "GD":
        np.testing.assert_array_equal(clean.networks[name].parameters().grads, soiled.networks[name].parameters().grads)


@each_kind
def test_n_critic_is_the_number_of_discriminator_steps(shape):
    gan, batches = dense_gan(shape, n_critic=2), []

    def next_batch():
        batches.append(real_data(shape, seed=len(batches)))
        return batches[-1]

    make_step(gan, next_batch, np.random.default_rng(0))
    assert (len(batches), gan.optimizers["D"].t, gan.optimizers["G"].t) == (2, 2, 1)


@pytest.mark.parametrize(
    ("b1", "steps", "momentum"),
    [
        (0.5, 0, 0.5),
        (0.5, 499, 0.5),
        (0.5, 500, 0.5 + 0.2 / 250),
        (0.5, 125 * 500, 0.6),
        (0.5, 250 * 500, 0.7),
        (0.5, 10**6, 0.7),
        (0.0, 125 * 500, 0.35),
        (0.9, 250 * 500, 0.9),
    ],
)
def test_momentum_grows_from_b1_over_250_epochs(b1, steps, momentum):
    gan = dense_gan(PICTURE, b1=b1)
    for optimizer in gan.optimizers.values():
        optimizer.t = steps
    make_step(gan, lambda: real_data(PICTURE), np.random.default_rng(0))
    for optimizer in gan.optimizers.values():
        assert optimizer.momentum == pytest.approx(momentum, rel=1e-12)


def test_for_points_adam_stays_as_it_is():
    gan = dense_gan(POINT)
    gan.optimizers["G"].t = 10**6
    make_step(gan, lambda: real_data(POINT), np.random.default_rng(0))
    assert gan.optimizers["G"].betas == (0.5, 0.999)
    assert not hasattr(gan.optimizers["G"], "momentum")


# Gradients


@each_kind
def test_gradient_of_g_through_d(shape):
    gan = dense_gan(shape)
    G, D = (shake(network, np.random.default_rng(0), 0.02) for network in gan.networks.values())
    check_through(G, D, np.random.default_rng(2).normal(size=(3, 5)), entries=2, step=1e-6)


@each_kind
@pytest.mark.parametrize("which", ["G", "D"])
def test_a_step_goes_down_the_gradient_of_the_loss_that_it_reports(which, shape):
    """Differences of that loss along random directions, in float64, with a learning rate of 0."""
    gan = dense_gan(shape, label_smoothing=0.1)
    for name, network in gan.networks.items():
        shake(network, np.random.default_rng(0), 0.02)  # D's initial weights are so small that G's gradient is 1e-5
        gan.optimizers[name] = Adam(network.to(dtype=np.float64).parameters(), 0.0)
    parameters, rng = gan.networks[which].parameters(), np.random.default_rng(0)
    loss = "g_loss" if which == "G" else "d_loss"

    # float64 from the first product on: noise and data are given in float64, too
    latent = gan.latent
    gan.latent = lambda n, rng: latent(n, rng).astype(np.float64)
    real = real_data(shape).astype(np.float64)

    def value():
        if which == "G":
            return gan.generator_step(6, np.random.default_rng(3))[loss]
        return gan.discriminator_step(real, np.random.default_rng(3))[loss]

    value()
    start, gradient = parameters.values.copy(), parameters.grads.copy()
    for _ in range(3):
        direction = rng.normal(size=len(parameters)) / np.sqrt(len(parameters))
        values = []
        for sign in (1, -1):
            parameters.values[:] = start + sign * 1e-6 * direction
            values.append(value())
        slope = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx(gradient @ direction, abs=1e-7 * np.linalg.norm(gradient))


# Devices and seeds


@each_kind
@each_device
def test_a_step_on_every_device(device, shape):
    """Nothing mixes host and device, nothing is copied to the host."""
    gan = dense_gan(shape, device=device)
    real, rng = device.array(real_data(shape)), device.rng(3)
    before = {name: to_numpy(network.parameters().values).copy() for name, network in gan.networks.items()}
    with forbid_transfers():
        measured = make_step(gan, lambda: real, rng)
        x = gan.generate(gan.latent(4, rng))
    assert (x.shape, x.dtype) == ((4, *shape), np.float32)
    assert all(np.isfinite(to_numpy(value)) for value in measured.values())
    for name, network in gan.networks.items():
        assert (to_numpy(network.parameters().values) != before[name]).any()


@each_kind
def test_the_strict_device_draws_and_computes_as_the_host_does(shape):
    host, strict = (dense_gan(shape, device=device) for device in devices_under_test()[:2])
    for which in "DG":
        expected, measured = step_of(host, which), step_of(strict, which)
        for name in expected:
            assert to_numpy(measured[name]) == pytest.approx(expected[name], rel=1e-5)
        np.testing.assert_allclose(
            to_numpy(strict.networks[which].parameters().grads),
            host.networks[which].parameters().grads,
            rtol=1e-3,
            atol=1e-6,
        )


@each_kind
def test_seeds_reproduce_exactly(shape):
    def trained(seed):
        gan, rng = dense_gan(shape, seed), np.random.default_rng(5)
        measured = [make_step(gan, lambda: real_data(shape), rng) for _ in range(3)]
        return measured, gan.generate(gan.latent(4, rng))

    measured, x = trained(0)
    again, y = trained(0)
    assert measured == again
    np.testing.assert_array_equal(x, y)
    assert (trained(1)[1] != x).any()


@pytest.mark.slow
def test_it_learns_a_ring():
    """Samples come near the eight Gaussians: the mean distance to the nearest center shrinks."""
    data, rng = ring(20_000), np.random.default_rng(0)
    gan = GAN(POINT, latent_dim=8, rng=np.random.default_rng(0))
    z = gan.latent(1000, rng)

    def distance():
        return np.linalg.norm(gan.generate(z)[:, None] - data.centers, axis=-1).min(1).mean()

    before = distance()
    for _ in range(1000):
        make_step(gan, lambda: data.batch(rng.integers(len(data), size=100)), rng)
    assert distance() < before / 3

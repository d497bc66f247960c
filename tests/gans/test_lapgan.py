"""LAPGAN: the pyramid loses nothing, each level trains on real coarse pictures, samples go up the levels."""

import numpy as np
import pytest
from steps import make_step

from minigan.common.model_checks import check_exhibits, check_measures, check_model
from minigan.errors import ShapeError
from minigan.gans import LAPGAN
from minigan.gans.lapgan import MEASURED, shapes_of_levels
from minigan.layers import Dropout, Flatten
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.optim import Adam
from minigan.testing import devices_under_test, forbid_transfers, shake


def make(shape=(28, 28, 1), seed=0, **options):
    return LAPGAN(shape, **{"latent_dim": 3, "features": 2} | options, rng=np.random.default_rng(seed))


def pictures(gan, n=5, dtype=np.float32):
    return gan.device.array(np.tanh(np.random.default_rng(1).normal(size=(n, *gan.shape))).astype(dtype))


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((28, 28, 1), [7, 14, 28]),
        ((32, 32, 3), [8, 16, 32]),
        ((64, 64, 3), [8, 16, 32, 64]),
        ((14, 14, 1), [7, 14]),
        ((36, 36, 1), [9, 18, 36]),
    ],
)
def test_levels_of_a_size(shape, sizes):
    gan = make(shape)
    assert [level.shape for level in gan.levels] == [(size, size, shape[2]) for size in sizes]
    assert set(gan.networks) == {f"{which}{size}" for size in sizes for which in "GD"}
    assert gan.latent_dim == 3 + sum(size**2 for size in sizes[1:])
    assert gan.generate(gan.latent(2, np.random.default_rng(0))).shape == (2, *shape)


def test_height_and_width_may_differ():
    gan = make((56, 28, 1))
    assert [level.shape[:2] for level in gan.levels] == [(14, 7), (28, 14), (56, 28)]
    measured = make_step(gan, pictures(gan), np.random.default_rng(0))
    assert measured.keys() == gan.measures.keys() == {f"{name}_{size}" for size in (14, 28, 56) for name in MEASURED}
    assert gan.show([], np.random.default_rng(0))["levels"].samples.shape == (24, 56, 28, 1)


def test_gradients_of_the_last_step_are_forgotten():
    clean, soiled = make((14, 14, 1)), make((14, 14, 1))
    for network in soiled.networks.values():
        network.parameters().grads[:] = 1e6
    for gan in (clean, soiled):
        make_step(gan, pictures(gan), np.random.default_rng(0))
    for name in clean.networks:
        np.testing.assert_array_equal(*(gan.networks[name].parameters().grads for gan in (clean, soiled)))


def test_a_step_moves_every_network():
    gan = make((14, 14, 1))
    before = {name: network.parameters().values.copy() for name, network in gan.networks.items()}
    make_step(gan, pictures(gan), np.random.default_rng(0))
    assert all((network.parameters().values != before[name]).any() for name, network in gan.networks.items())


@pytest.mark.parametrize("shape", [(13, 13, 1), (12, 12, 1), (15, 28, 1), (28, 28, 2), (2,), (28, 28)])
def test_other_shapes_are_refused_in_one_sentence(shape):
    with pytest.raises(ShapeError, match="at least 14 pixels, not .*: give another `img_size`$") as caught:
        shapes_of_levels(shape)
    assert "\n" not in str(caught.value)


def test_the_pyramid_loses_nothing():
    """Residuals added to coarse pictures, from the coarsest up, give the picture again; d is a mean of 2×2."""
    gan = make((32, 32, 3))
    x = pictures(gan, dtype=np.float64)
    pyramid = gan.pyramid(x)
    assert pyramid[0][1] is None
    built = pyramid[0][0]
    for one, coarse in pyramid[1:]:
        built = gan.double.output(built) + (one - coarse)
        np.testing.assert_allclose(built, one, atol=1e-12)
    np.testing.assert_array_equal(pyramid[-1][0], x)
    np.testing.assert_allclose(pyramid[0][0], x.reshape(5, 8, 4, 8, 4, 3).mean(axis=(2, 4)), atol=1e-12)


def test_the_noise_of_a_level_is_its_own():
    gan = make()
    z = gan.latent(1000, np.random.default_rng(0))
    assert (z.dtype, z.shape) == (np.float32, (1000, 3 + 14**2 + 28**2))
    assert -1 <= z.min() < -0.99
    assert 0.99 < z.max() < 1
    parts = gan.by_level(z)
    assert [part.shape[1:] for part in parts] == [(3,), (14, 14, 1), (28, 28, 1)]
    np.testing.assert_array_equal(np.concatenate([part.reshape(1000, -1) for part in parts], axis=1), z)
    changed = z[:1].copy()
    changed[:, -1] += 1  # of the finest level
    for level, (a, b) in enumerate(zip(gan.generate_levels(z[:1]), gan.generate_levels(changed), strict=True)):
        assert (a != b).any() == (level == 2)


def seen_by(gan, which):
    """The list of inputs that reach a network."""
    seen, network = [], gan.networks[which]
    forward = network.forward
    network.forward = lambda x, *more, **named: seen.append(x) or forward(x, *more, **named)
    return seen


def test_each_level_sees_real_coarse_pictures_and_d_the_sum():
    gan = make((14, 14, 3))
    real = pictures(gan)
    in_G, in_D = seen_by(gan, "G14"), seen_by(gan, "D14")
    z = gan.by_level(gan.latent(5, np.random.default_rng(0)))[1]  # what the step will draw
    coarse = gan.double.output(gan.half.output(real))
    fake = coarse + gan.networks["G14"].output((z, coarse))
    make_step(gan, real, np.random.default_rng(0))
    ((noise, given),) = in_G  # G runs once: its update uses the fakes of D's
    np.testing.assert_array_equal(noise, z)
    np.testing.assert_array_equal(given, coarse)
    both, again = in_D
    np.testing.assert_array_equal(both, np.concatenate([real, fake]))
    np.testing.assert_array_equal(again, fake)


def test_the_coarsest_level_makes_a_whole_picture():
    gan = make((14, 14, 1))
    real = pictures(gan)
    in_D = seen_by(gan, "D7")
    z = gan.by_level(gan.latent(5, np.random.default_rng(0)))[0]
    fake = gan.networks["G7"].output(z)
    make_step(gan, real, np.random.default_rng(0))
    np.testing.assert_array_equal(in_D[0], np.concatenate([gan.half.output(real), fake]))


def test_what_a_step_returns():
    """Of each level the losses and the mean opinions, by what D has said before its update."""
    gan = make((14, 14, 1))
    for network in gan.networks.values():
        without_dropout(network)
    check_model(gan)
    logits = {}
    for which in ("D7", "D14"):
        forward = gan.networks[which].forward
        gan.networks[which].forward = lambda *a, f=forward, which=which, **n: kept(logits, which, f(*a, **n))
    measured = make_step(gan, pictures(gan), np.random.default_rng(0))
    check_measures(gan, measured)
    assert list(measured) == list(gan.measures) == [f"{name}_{size}" for size in (7, 14) for name in MEASURED]
    for size in (7, 14):
        both, fooled = logits[f"D{size}"]
        found = [measured[f"{name}_{size}"] for name in MEASURED]
        loss, (real, fake) = Minimax(), (both[:5], both[5:])
        expected = [(loss.real(real)[0] + loss.fake(fake)[0]) / 2, loss.generator(fooled)[0]]
        assert found == pytest.approx([*expected, sigmoid(real).mean(), sigmoid(fake).mean()], rel=1e-6)
    for game, size in zip(gan.games, (7, 14), strict=True):
        assert (game.critic, game.generator) == (f"D{size}", f"G{size}")
        assert [game.critic_loss, game.generator_loss, game.real, game.fake] == [f"{n}_{size}" for n in MEASURED]


def kept(logits, which, result):
    logits.setdefault(which, []).append(result[0])
    return result


def without_dropout(network):
    for _, layer in network.walk():
        if isinstance(layer, Dropout):
            layer.p = 0.0


@pytest.mark.parametrize("which", ["G7", "D7", "G14", "D14"])
def test_a_step_goes_down_the_gradient_of_the_loss_that_it_reports(which):
    """Differences of that loss along random directions, in float64, nothing being updated; no other network's loss."""
    gan = make((14, 14, 1))
    gan.latent = lambda n, rng: 2 * np.random.default_rng(7).random((n, gan.latent_dim)) - 1
    for name, network in gan.networks.items():
        shake(network, np.random.default_rng(0), 0.05)
        network.to(dtype=np.float64)
        gan.optimizers[name] = Adam(network.parameters(), 0.0)
    real, parameters, rng = pictures(gan, dtype=np.float64), gan.networks[which].parameters(), np.random.default_rng(3)

    def loss():
        return make_step(gan, real, np.random.default_rng(4))[f"{which[0].lower()}_loss_{which[1:]}"]

    loss()
    start, gradient = parameters.values.copy(), parameters.grads.copy()
    assert gradient.any()
    for _ in range(3):
        direction = rng.normal(size=len(parameters))
        sides = []
        for sign in (1, -1):
            parameters.values[:] = start + sign * 1e-7 * direction
            sides.append(loss())
        slope = (sides[0] - sides[1]) / 2e-7
        assert slope == pytest.approx(gradient @ direction, abs=2e-6 * np.linalg.norm(gradient))


def test_no_level_depends_on_another_in_training():
    """Other weights at one level change no number and no gradient of the other."""
    one, other = make((14, 14, 1)), make((14, 14, 1))
    shake(other.networks["G7"], np.random.default_rng(0), 1.0)
    shake(other.networks["D7"], np.random.default_rng(0), 1.0)
    for gan in (one, other):
        for network in gan.networks.values():
            without_dropout(network)
    a, b = (make_step(gan, pictures(gan), np.random.default_rng(0)) for gan in (one, other))
    assert a["d_loss_7"] != b["d_loss_7"]
    assert all(a[f"{name}_14"] == b[f"{name}_14"] for name in MEASURED)
    for which in ("G14", "D14"):
        grads = [gan.networks[which].parameters().grads for gan in (one, other)]
        np.testing.assert_array_equal(*grads)


def test_samples_go_up_the_levels():
    gan = make((14, 14, 1))
    z = gan.latent(3, np.random.default_rng(0))
    first, noise = gan.by_level(z)
    coarse = gan.double.output(gan.networks["G7"].output(first, train=False))
    expected = coarse + gan.networks["G14"].output((noise, coarse), train=False)
    levels = gan.generate_levels(10 * z)  # so large that some pixels are outside of [−1, 1]
    np.testing.assert_array_equal(gan.generate(10 * z), levels[-1].clip(-1, 1))
    assert abs(levels[-1]).max() > 1
    np.testing.assert_allclose(gan.generate_levels(z)[-1], expected, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="not conditional"):
        gan.generate(z, np.zeros(3, int))
    with pytest.raises(ValueError, match="not conditional"):
        gan.trace(z, np.zeros(3, int))


def test_the_gradient_of_the_samples_by_z():
    """Against differences, through all three levels; pixels outside of [−1, 1] have none."""
    gan = make(features=1)
    for network in gan.networks.values():
        network.to(dtype=np.float64)
        shake(network, np.random.default_rng(0), 0.3)
    rng = np.random.default_rng(1)
    z = 2 * rng.random((2, gan.latent_dim)) - 1
    samples, backward = gan.trace(z)
    np.testing.assert_allclose(samples, gan.generate(z), atol=1e-12)
    assert (abs(samples) == 1).any()
    assert (abs(samples) < 1).any()
    dsamples = rng.normal(size=samples.shape)
    dz = backward(dsamples)
    assert dz.shape == z.shape
    for columns in gan.by_level(np.arange(gan.latent_dim)[None]):  # those of each level in z
        direction = np.zeros_like(z)
        direction[:, columns.ravel()] = rng.normal(size=(2, columns.size))
        slope = ((gan.generate(z + 1e-7 * direction) - gan.generate(z - 1e-7 * direction)) * dsamples).sum() / 2e-7
        assert slope == pytest.approx((dz * direction).sum(), rel=1e-6)
    assert not any(network.parameters().grads.any() for network in gan.networks.values())


def test_averages_of_every_g_draw():
    gan = make((14, 14, 1))
    gan.average_weights(0.5)
    assert set(gan.averages) == {"G7", "G14"}
    z = gan.latent(2, np.random.default_rng(0))
    start = gan.generate(z)
    make_step(gan, pictures(gan), np.random.default_rng(0))
    np.testing.assert_array_equal(gan.generate(z), start)
    for average in gan.averages.values():
        average.update()
    assert (gan.generate(z) != start).any()


def test_it_shows_every_level_beside_the_others():
    gan = make()
    shake(gan.networks["G7"], np.random.default_rng(0), 0.3)
    shown = gan.show([], np.random.default_rng(0))
    check_exhibits(gan, shown)
    samples, levels = shown["samples"], shown["levels"]
    assert (samples.samples.shape, samples.like) == ((64, 28, 28, 1), "real")
    assert (levels.columns, levels.captions) == (3, ("7 pixels", "14 pixels", "28 pixels"))
    row = levels.samples[3:6]  # of the second sample
    np.testing.assert_allclose(row[2], samples.samples[1], atol=1e-6)
    assert row[0].reshape(7, 4, 7, 4).std(axis=(1, 3)).max() == 0  # pixels of 4×4
    smallest = gan.generate_levels(gan.latent(64, np.random.default_rng(0))[1:2])[0][0]
    assert smallest.min() < -1 and smallest.max() > 1
    np.testing.assert_allclose(row[0][::4, ::4], smallest.clip(-1, 1), atol=1e-6)


def test_the_networks_of_the_authors_scripts():
    gan = LAPGAN((32, 32, 3), rng=np.random.default_rng(0))
    shapes = {
        name: [layer.W.shape for _, layer in net.walk() if hasattr(layer, "W")] for name, net in gan.networks.items()
    }
    assert shapes["G8"] == [(100, 1024), (1024, 1024), (1024, 192)]
    assert shapes["D8"] == [(192, 1024), (1024, 1024), (1024, 1)]
    assert shapes["G32"] == [(7, 7, 4, 64), (7, 7, 64, 64), (5, 5, 64, 3)]
    assert shapes["D32"] == [(5, 5, 3, 64), (5, 5, 64, 64), (12 * 12 * 64, 1)]
    assert shapes["D16"][-1] == (4 * 4 * 64, 1)
    dropout = {name: [x.p for _, x in net.walk() if isinstance(x, Dropout)] for name, net in gan.networks.items()}
    assert dropout == {name: [0.5] * n for name, n in zip(gan.networks, (0, 2, 0, 1, 0, 1), strict=True)}
    assert any(isinstance(layer, Flatten) for layer in gan.networks["D32"].layers)
    assert all(type(o) is Adam and (o.lr, o.betas) == (2e-4, (0.5, 0.999)) for o in gan.optimizers.values())


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
def test_a_step_on_every_device(device):
    gan = make((14, 14, 1), device=device)
    real, rng = pictures(gan), device.rng(0)
    with forbid_transfers():
        make_step(gan, real, rng)
        gan.generate(gan.latent(2, rng))
        samples, backward = gan.trace(gan.latent(2, rng))
        backward(samples)

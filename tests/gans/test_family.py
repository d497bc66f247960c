"""What every member of the family has to do: learn in both networks, down the gradient of the loss that it reports."""

import numpy as np
import pytest
from family import MEMBERS, SMALL, make, real_data
from steps import make_step

from minigan.backend import CPU, to_numpy
from minigan.errors import ShapeError
from minigan.gans import CGAN, MODELS
from minigan.layers import SpectralNorm
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.optim import Adam
from minigan.testing import devices_under_test, forbid_transfers, shake

each_member = pytest.mark.parametrize("name", MEMBERS)
each_other_device = pytest.mark.parametrize("device", [one for one in devices_under_test() if one is not CPU], ids=str)


@each_member
def test_a_step_changes_every_parameter_of_both_and_says_how_it_went(name):
    gan = make(name)
    before = {which: network.parameters().values.copy() for which, network in gan.networks.items()}
    measured = make_step(gan, lambda: real_data(gan), np.random.default_rng(0))
    assert measured.keys() - {"penalty"} == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert all(np.shape(value) == () and value.dtype == np.float32 for value in measured.values())
    assert all(np.isfinite(value) for value in measured.values())
    for which, network in gan.networks.items():
        assert network.parameters().values.dtype == np.float32
        assert (network.parameters().values != before[which]).any()
        named = network.parameters().named()
        if which == "D" and name.startswith(
            ("wgan", "sngan", "biggan")
        ):  # one score up, one down: what all share cancels out
            named.pop([key for key in named if key.endswith(("b", "dense.layer.b"))][-1])
        for key, (_, gradient) in named.items():
            assert gradient.any(), f"{which}.{key} learns nothing"


@each_member
@pytest.mark.parametrize("which", ["G", "D"])
def test_a_step_goes_down_the_gradient_of_the_loss_that_it_reports(name, which):
    """Differences of that loss (with the penalty) along random directions, in float64, nothing being updated."""
    gan = in_float64(make(name))
    real = real_data(gan, dtype=np.float64)
    parameters, rng = gan.networks[which].parameters(), np.random.default_rng(3)

    def loss():
        measured = make_step(gan, lambda: real, np.random.default_rng(4))
        return measured["g_loss"] if which == "G" else measured["d_loss"] + measured.get("penalty", 0)

    loss()
    start, gradient = parameters.values.copy(), parameters.grads.copy()
    for _ in range(2):
        direction = rng.normal(size=len(parameters))
        ahead, behind = [], []
        for side, sign in ((ahead, 1), (behind, -1)):
            parameters.values[:] = start + sign * 1e-8 * direction
            side.append(loss())
        slope = (ahead[0] - behind[0]) / 2e-8
        assert slope == pytest.approx(gradient @ direction, abs=2e-6 * np.linalg.norm(gradient))


@each_member
def test_who_sees_what_in_a_step(name):
    """D sees the real batch, then fakes; the losses are of these logits; every pass has the labels of the batch."""
    gan = make(name)
    batch = real_data(gan)
    real, labels = batch if gan.n_classes else (batch, None)
    seen = {which: spied(network, gan.n_classes > 0) for which, network in gan.networks.items()}
    measured = make_step(gan, lambda: batch, np.random.default_rng(0))

    N, half = len(real), 2 if isinstance(gan, CGAN) else 1  # cGAN halves D's loss
    x, logits, told = (np.concatenate(arrays) for arrays in zip(*seen["D"], strict=True))
    drawn = [y for _, y, _ in seen["G"]]
    np.testing.assert_array_equal(x[:N], (real + 1) / 2 if getattr(gan, "pictures", False) else real)
    np.testing.assert_array_equal(x[N : 2 * N], drawn[0])
    np.testing.assert_array_equal(x[-N:], drawn[-1])
    if gan.n_classes:
        np.testing.assert_array_equal(told, np.tile(labels, len(x) // N))
        assert all((given == labels).all() for _, _, given in seen["G"])

    for_real, for_fake, for_G = logits[:N], logits[N : 2 * N], logits[-N:]
    score = sigmoid if isinstance(gan.loss, Minimax) else np.asarray
    expected = {
        "d_loss": (gan.loss.real(for_real)[0] + gan.loss.fake(for_fake)[0]) / half,
        "g_loss": gan.loss.generator(for_G)[0],
        "d_real": score(for_real).mean(),
        "d_fake": score(for_fake).mean(),
    }
    for key, value in expected.items():
        assert measured[key] == pytest.approx(value, rel=1e-5, abs=1e-6), key


def spied(network, conditional):
    """The list to which every pass through a network adds (x, y, labels), labels being [] where there are none."""
    passes, forward, output = [], network.forward, network.output

    def note(x, y):
        passes.append((x[0], y, x[1]) if conditional else (x, y, []))

    def spied_forward(x, *arguments, **keywords):
        y, cache = forward(x, *arguments, **keywords)
        note(x, y)
        return y, cache

    def spied_output(x, *arguments, **keywords):
        y = output(x, *arguments, **keywords)
        note(x, y)
        return y

    network.forward, network.output = spied_forward, spied_output
    return passes


def in_float64(gan):
    """Shaken, so that no bias is 0 (a kink of what follows) and no weight too small; a learning rate of 0."""
    gan.latent = lambda n, rng: np.random.default_rng(7).normal(size=(n, gan.latent_dim))
    gan.clip_value = np.inf  # WGAN's clipping is an update, too
    for which, network in gan.networks.items():
        shake(network, np.random.default_rng(0), 0.05)
        network.to(dtype=np.float64)
        gan.optimizers[which] = Adam(network.parameters(), 0.0)
        for _, layer in network.walk():
            if isinstance(layer, SpectralNorm):
                layer.n_power_iterations = 0  # u and v are constants of the gradient, so they must stand still
    return gan


@each_member
def test_each_network_learns_from_its_own_loss_alone(name):
    """With G's learning rate at 0 only D moves, and the other way round."""
    for moves, stays in ("DG", "GD"):
        gan = make(name)
        gan.optimizers[stays].lr = 0.0
        values = {which: network.parameters().values.copy() for which, network in gan.networks.items()}
        gan.clip_value = np.inf
        make_step(gan, lambda gan=gan: real_data(gan), np.random.default_rng(0))
        np.testing.assert_array_equal(gan.networks[stays].parameters().values, values[stays])
        assert (gan.networks[moves].parameters().values != values[moves]).any()


@each_member
def test_gradients_of_the_last_step_are_forgotten(name):
    clean, soiled = make(name), make(name)
    for network in soiled.networks.values():
        network.parameters().grads[:] = 1e6
    for gan in (clean, soiled):
        make_step(gan, lambda gan=gan: real_data(gan), np.random.default_rng(0))
    for which in "GD":
        np.testing.assert_array_equal(
            clean.networks[which].parameters().grads, soiled.networks[which].parameters().grads
        )


@each_member
def test_n_critic_is_the_number_of_discriminator_steps(name):
    gan, batches = make(name, n_critic=3), []

    def next_batch():
        batches.append(real_data(gan, seed=len(batches)))
        return batches[-1]

    make_step(gan, next_batch, np.random.default_rng(0))
    assert (len(batches), gan.optimizers["D"].t, gan.optimizers["G"].t) == (3, 3, 1)
    with pytest.raises(ValueError, match="`n_critic` is 0"):
        make(name, n_critic=0)


@each_member
def test_what_it_generates(name):
    gan = make(name)
    z = gan.latent(7, np.random.default_rng(0))
    assert (z.shape, z.dtype) == ((7, 5), np.float32)
    x = gan.generate(z)
    assert (x.shape, x.dtype) == ((7, *gan.shape), np.float32)
    if len(gan.shape) == 3:
        assert -1 <= x.min() < x.max() <= 1
    np.testing.assert_array_equal(gan.generate(z), x)  # inference: nothing is drawn, nothing moves
    np.testing.assert_allclose(gan.generate(z[:1]), x[:1], rtol=1e-4, atol=1e-6)  # nor depends on others


@each_member
def test_the_class_matters_to_a_conditional_one_and_others_refuse_it(name):
    gan = make(name)
    z, labels = gan.latent(3, np.random.default_rng(0)), np.array([2, 2, 2])
    if not gan.n_classes:
        with pytest.raises(ValueError, match="not conditional"):
            gan.generate(z, labels)
        return
    make_step(gan, lambda: real_data(gan), np.random.default_rng(0))  # all classes begin alike where their norms do
    assert (gan.generate(z, labels) != gan.generate(z, labels - 1)).any()
    np.testing.assert_array_equal(gan.generate(z), gan.generate(z, np.arange(3)))  # it goes round the classes
    np.testing.assert_array_equal(gan.generate(z, [2, 2, 2]), gan.generate(z, labels))
    with pytest.raises(ShapeError, match="labels 0 to 2"):
        gan.generate(z, labels + 1)
    with pytest.raises(ValueError, match="3 latents need as many labels"):
        gan.generate(z, labels[:2])


@each_member
def test_d_knows_the_class(name):
    gan = make(name)
    if not gan.n_classes:
        return
    x, labels = real_data(gan)
    D = gan.networks["D"]
    assert (D.forward((x, labels), train=False)[0] != D.forward((x, (labels + 1) % 3), train=False)[0]).any()


@each_other_device
@each_member
def test_a_step_on_every_other_device(name, device):
    """Nothing mixes host and device, and nothing is copied to the host."""
    gan = make(name, device=device)
    real, rng = real_data(gan), device.rng(0)
    with forbid_transfers():
        measured = make_step(gan, lambda: real, rng)
        gan.generate(gan.latent(2, rng))
    assert all(np.isfinite(to_numpy(value)) for value in measured.values())


@each_member
def test_the_seed_decides_everything(name):
    one, same, other = (make(name, seed=seed) for seed in (0, 0, 1))
    for gan in (one, same, other):
        make_step(gan, lambda gan=gan: real_data(gan), np.random.default_rng(0))
    for which in "GD":
        values = [gan.networks[which].parameters().values for gan in (one, same, other)]
        np.testing.assert_array_equal(values[0], values[1])
        assert (values[0] != values[2]).any()


@each_member
def test_the_average_draws_once_it_is_kept(name):
    gan = make(name)
    gan.average_weights(0.5)
    z = gan.latent(4, np.random.default_rng(0))
    start = gan.generate(z)
    gan.optimizers["G"].lr = 0.1
    make_step(gan, lambda: real_data(gan), np.random.default_rng(0))
    drawn_by_the_average = gan.generate(z)
    if "points" in name:  # there are no running statistics that the average would share
        np.testing.assert_array_equal(drawn_by_the_average, start)
    gan.averages["G"].update()
    averaged = gan.generate(z)
    assert (averaged != start).any()
    gan.averages = {}
    assert (gan.generate(z) != averaged).any()


@pytest.mark.parametrize("model", ["lsgan", "wgan", "wgan-gp", "sngan", "cdcgan"])
@pytest.mark.parametrize("shape", [(28, 28), (20, 20, 1), (16, 28, 1), (28, 28, 2)])
def test_pictures_of_other_shapes_are_refused_in_one_sentence(model, shape):
    options = SMALL | ({"n_classes": 3} if model == "cdcgan" else {})
    with pytest.raises(ShapeError, match=f"{model} makes square pictures") as caught:
        MODELS[model](shape, **options, rng=np.random.default_rng(0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(28, 28, 1), (2,)])
@pytest.mark.parametrize("model", ["wgan-gp", "sngan"])
def test_a_resnet_makes_pictures_of_32_pixels_only(model, shape):
    with pytest.raises(ShapeError, match="give `img_size` 32"):
        MODELS[model](shape, networks="resnet", rng=np.random.default_rng(0))

"""StyleGAN: it grows from 8 pixels, mixes the styles of the layers in use, and generates at any level."""

import numpy as np
import pytest

from minigan.common.model_checks import check_exhibits, check_measures, check_model
from minigan.errors import ShapeError
from minigan.gans import StyleGAN
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import Now, phase_at
from minigan.optim import Adam
from minigan.testing import devices_under_test, forbid_transfers, shake

SMALL = {"latent_dim": 5, "features": 2, "mapping_layers": 2}
N, GROWTH = 4, 40  # pictures in a batch; samples: 20 of 8 pixels, 20 of the fade to 16


def make(size=16, **options):
    return StyleGAN((size, size, 1), **{"growth_samples": GROWTH} | SMALL | options, rng=np.random.default_rng(0))


def step(gan, samples, chance=None):
    now = Now(0, samples, chance or np.random.default_rng(0), phase=phase_at(gan.phases, samples))
    dtype = gan.networks["D"].parameters().values.dtype
    real = np.tanh(np.random.default_rng(1).standard_normal((N, *gan.shape))).astype(dtype)
    return gan.step(lambda: {"real": gan.device.array(real)}, gan.device.rng(2), now)


def test_it_grows_from_8_pixels():
    gan = make()
    assert [(p.name, p.begins) for p in gan.phases] == [("8px", 0), ("fade-16px", 20), ("16px", 40)]
    never = {f"{name}.rgb4" for name in ("synthesis", "D")}
    large = {f"{name}.{layer}16" for name in ("synthesis", "D") for layer in ("block", "rgb")}
    assert [set(p.idle) for p in gan.phases] == [never | large, never, never | {"synthesis.rgb8", "D.rgb8"}]
    assert len(make(32, growth_samples=90).phases) == 5
    assert [(p.name, p.begins) for p in make(8).phases] == [("8px", 0)]
    assert [p.name for p in make(growth_samples=0).phases] == ["16px"]
    with pytest.raises(ValueError, match="`growth_samples` is 1, and growing has 2 phases .*: give at least 2 samples"):
        make(growth_samples=1)


@pytest.mark.parametrize("samples", [0, 30, 40])
def test_a_step_trains_the_layers_of_its_phase_alone(samples):
    gan = make()
    check_model(gan)
    for network in gan.networks.values():  # strengths and biases of 0 have no gradient before them
        shake(network, np.random.default_rng(3), 0.3)
    before = {name: network.state_dict() for name, network in gan.networks.items()}
    measured = step(gan, samples)
    check_measures(gan, measured)
    assert measured.keys() == gan.measures.keys()
    idle = phase_at(gan.phases, samples).idle
    for name, network in gan.networks.items():
        for key, (values, _) in network.parameters().named().items():
            is_idle = f"{name}.{key}".startswith(tuple(f"{one}." for one in idle))
            assert (values != before[name][key]).any() != is_idle, f"{name}.{key}"


def test_level_and_alpha_of_a_step():
    gan = make()
    found = []
    for samples in (0, 24, 40):
        found.append((step(gan, samples)["alpha"], gan.level, gan.layers_in_use()))
    assert found == [(1, 1, 4), (pytest.approx(5 / 21), pytest.approx(1 + 5 / 21), 6), (1, 2, 6)]


@pytest.mark.parametrize(("samples", "cuts"), [(0, {1, 2, 3, 4}), (40, {1, 2, 3, 4, 5, 6})])
def test_styles_are_mixed_among_the_layers_in_use(samples, cuts):
    """A cut behind the last of them leaves the batch unmixed, in a tenth of the steps."""
    gan, found, rng = make(), [], np.random.default_rng(0)
    step(gan, samples)
    for _ in range(300):
        ws, _ = gan.mixed_styles(2, rng, Now(0, samples, rng))
        assert ws.shape == (2, 6, 5)
        in_use = ws[0, : max(cuts)]
        found.append(int((in_use == in_use[0]).all(axis=1).sum()))
    assert set(found) == cuts
    assert 0.05 < np.mean(np.array(found) == max(cuts)) < 0.16


def test_gradients_of_the_last_step_are_forgotten():
    clean, soiled = make(), make()
    for network in soiled.networks.values():
        network.parameters().grads[:] = 1e6
    for gan in (clean, soiled):
        step(gan, 40)
    for name in clean.networks:
        np.testing.assert_array_equal(*(gan.networks[name].parameters().grads for gan in (clean, soiled)))


def test_moments_begin_again_with_a_phase():
    gan = make()
    step(gan, 0)
    gan.begin(gan.phases[1], Now(0, 20, np.random.default_rng(0)))
    assert gan.level == pytest.approx(1 + 1 / 21)
    for optimizer in gan.optimizers.values():
        assert optimizer.t == 0
        assert not optimizer.m.any() and not optimizer.v.any()


@pytest.mark.parametrize("which", ["mapping", "synthesis", "D"])
def test_a_step_goes_down_the_gradient_of_the_loss_that_it_reports(which):
    """Differences of that loss along random directions in a fade, in float64, nothing being updated."""
    gan = make(gamma=3.0)
    for name, network in gan.networks.items():
        shake(network, np.random.default_rng(3), 0.3).to(dtype=np.float64)
        gan.optimizers[name] = Adam(network.parameters(), 0.0)
    gan.latent = lambda n, rng: rng.standard_normal((n, gan.latent_dim))
    parameters, rng = gan.networks[which].parameters(), np.random.default_rng(4)
    h = 1e-5 if which == "mapping" else 1e-7  # whose stored weights are a hundred times as large

    def loss():
        measured = step(gan, 30)
        return measured["d_loss"] + 1.5 * measured["r1"] if which == "D" else measured["g_loss"]

    loss()
    start, gradient = parameters.values.copy(), parameters.grads.copy()
    for _ in range(2):
        direction, sides = rng.standard_normal(len(parameters)), []
        for sign in (1, -1):
            parameters.values[:] = start + sign * h * direction
            sides.append(loss())
        assert (sides[0] - sides[1]) / (2 * h) == pytest.approx(gradient @ direction, rel=1e-5)


def test_losses_are_those_of_the_logits():
    """D sees fakes, then the real pictures of the level; then G's fakes."""
    gan, logits = make(), []
    forward = gan.networks["D"].forward

    def spied(x, *more, **named):
        y, cache = forward(x, *more, **named)
        logits.append(y)
        return y, cache

    gan.networks["D"].forward = spied
    measured, loss = step(gan, 40), Minimax()
    fake, real, _, fooled = logits  # the third is of R1
    found = [measured[name] for name in ("d_loss", "g_loss", "d_real", "d_fake")]
    d_loss = loss.real(real)[0] + loss.fake(fake)[0]
    assert found == pytest.approx([d_loss, loss.generator(fooled)[0], sigmoid(real).mean(), sigmoid(fake).mean()])


def test_averages_have_a_half_life():
    """At first of a twentieth of the pictures so far: of 40 pictures 2, so a batch of 4 leaves a quarter."""
    gan = make()
    step(gan, 40)
    assert [average.decay for average in gan.averages.values()] == pytest.approx([0.25, 0.25])


def test_rules_of_thumb_are_said():
    rate, growth, half_life = make().heuristics(4)
    assert rate.startswith("`lr` is") and growth.startswith("`growth_samples` is") and half_life.startswith("`half_li")
    assert make(lr=0.1, growth_samples=0, half_life=0.0).heuristics(4) == []


@pytest.mark.parametrize("samples", [0, 30, 40])
def test_samples_and_their_gradient_at_any_level(samples):
    """Small pictures are enlarged. The gradient by w is that of differences, and leaves the parameters alone."""
    gan = make()
    step(gan, samples)
    for network in gan.networks.values():
        shake(network, np.random.default_rng(3), 0.2).to(dtype=np.float64)
    gan.averages = {}
    w = np.random.default_rng(4).standard_normal((2, gan.n_layers, 5))
    gan.networks["synthesis"].parameters().zero_grad()
    pictures, backward = gan.trace(w)
    np.testing.assert_allclose(gan.synthesize(w), pictures.clip(-1, 1), atol=1e-12)
    assert pictures.shape == (2, 16, 16, 1)
    if samples == 0:
        np.testing.assert_array_equal(pictures[:, ::2, ::2], pictures[:, 1::2, 1::2])
    rng = np.random.default_rng(5)
    dpictures, direction = rng.standard_normal(pictures.shape), rng.standard_normal(w.shape)
    ahead, behind = (gan.trace(w + side * 1e-6 * direction)[0] for side in (1, -1))
    slope = ((ahead - behind) / 2e-6 * dpictures).sum()
    assert slope == pytest.approx((backward(dpictures) * direction).sum(), rel=1e-6)
    assert not gan.networks["synthesis"].parameters().grads.any()


def test_g_leaves_the_gradients_of_d_alone():
    gan = make()
    gan.level = 2.0
    gan.generator_step(N, np.random.default_rng(0), Now(0, 40, np.random.default_rng(0)))
    assert not gan.networks["D"].parameters().grads.any()


def test_generating_is_styles_then_synthesis_and_the_same_every_time():
    gan = make()
    step(gan, 40)
    shake(gan.drawing("synthesis"), np.random.default_rng(3))  # the strength of noise is 0 at first
    z = gan.latent(3, np.random.default_rng(0))
    np.testing.assert_array_equal(gan.generate(z, truncation=0.5), gan.synthesize(gan.styles(z, truncation=0.5)))
    np.testing.assert_array_equal(gan.generate(z), gan.generate(z))
    np.testing.assert_array_equal(gan.styles(z, truncation=0.0), np.broadcast_to(gan.w_mean, (3, 6, 5)))
    assert (gan.synthesize(gan.styles(z), rng=np.random.default_rng(1)) != gan.generate(z)).any()
    with pytest.raises(ValueError, match="not conditional"):
        gan.trace(gan.styles(z), np.zeros(3, int))
    shown = gan.show([], np.random.default_rng(0))
    check_exhibits(gan, shown)
    assert shown["samples"].samples.shape == (64, 16, 16, 1)


def test_level_and_mean_style_are_state():
    gan, again = make(), make()
    step(gan, 30)
    again.load_state_dict(gan.state_dict())
    assert again.level == gan.level
    np.testing.assert_array_equal(again.w_mean, gan.w_mean)
    assert gan.w_mean.any()


def test_penalty_in_every_step_unless_it_weighs_nothing():
    gan = make()
    assert gan.penalty.gamma == 10
    assert (gan.games[0].penalty, gan.games[0].penalty_weight) == ("r1", 5)
    assert {"r1"} == step(gan, 0).keys() - step(make(gamma=0.0), 0).keys()


def test_r1_is_measured_without_its_weight():
    """The mean squared gradient of D at the real pictures, before D's update."""
    one, seven = make(gamma=1.0), make(gamma=7.0)
    D, real = make().networks["D"], np.tanh(np.random.default_rng(1).standard_normal((N, 16, 16, 1)))
    logits, cache = D.forward((real.astype(np.float32), 2))
    dx, _ = D.backward(np.ones_like(logits), cache, wrt="input")
    expected = pytest.approx((dx * dx).sum() / N, rel=1e-4)
    assert step(one, 40)["r1"] == expected
    assert step(seven, 40)["r1"] == expected


def test_plan_and_refusals():
    assert StyleGAN.planned(300, {})["growth_samples"] == 200
    assert StyleGAN.planned(300, {"growth_samples": 7, "batch_size": 8})["growth_samples"] == 7
    with pytest.raises(ShapeError, match="groups of 4 pictures, which don't divide a batch of 6"):
        StyleGAN.planned(300, {"batch_size": 6})
    for shape in ((12, 12, 1), (16, 8, 1), (4, 4, 1), (2,)):
        with pytest.raises(ShapeError, match="^stylegan grows from .* choose an `img_size` of these$"):
            StyleGAN(shape, rng=np.random.default_rng(0))


def test_defaults():
    gan = StyleGAN((8, 8, 3), features=2, rng=np.random.default_rng(0))
    assert [(o.lr, o.betas) for o in gan.optimizers.values()] == [(16e-3, (0.0, 0.99))] * 3  # of 512 channels: 1e-3
    assert make(lr=0.5).optimizers["D"].lr == 0.5
    assert len(gan.networks["mapping"].layers) == 1 + 2 * 8
    assert gan.latent_dim == 128
    assert set(gan.averages) == {"mapping", "synthesis"}
    assert make(half_life=0).averages == {}


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
def test_a_step_on_every_device(device):
    gan = make(device=device)
    now = Now(0, 30, np.random.default_rng(0), phase=phase_at(gan.phases, 30))
    real = device.array(np.zeros((N, 16, 16, 1), np.float32))
    with forbid_transfers():
        gan.step(lambda: {"real": real}, device.rng(0), now)
        gan.generate(gan.latent(2, device.rng(0)))

"""StyleGAN2's step: what each update minimizes, when penalties are computed, styles, and averages."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.gans.stylegan2 import StyleGAN2, lazy_adam
from minigan.layers import Dense
from minigan.model import Now
from minigan.testing import STRICT, forbid_transfers, shake

N, SIZE, Z = 4, 8, 5
RNG = np.random.default_rng(0)


def make(dtype=np.float32, **options):
    options = {"features": 2, "max_features": 3} | options
    gan = StyleGAN2((SIZE, SIZE, 1), Z, **options, rng=np.random.default_rng(0))
    if dtype == np.float64:
        for network in gan.networks.values():
            shake(network, np.random.default_rng(1)).to(dtype=dtype)
        gan.latent = lambda n, rng: rng.standard_normal((n, Z))
        gan.w_mean, gan.path_mean = np.zeros(Z), np.full((), 0.3)
    return gan


def pictures(dtype=np.float32):
    return np.tanh(np.random.default_rng(1).standard_normal((N, SIZE, SIZE, 1))).astype(dtype)


def step(gan, t=0, samples=0, real=None):
    real = pictures() if real is None else real
    return gan.step(lambda: {"real": real}, np.random.default_rng(2), Now(t, samples, np.random.default_rng(3)))


class Keeping:
    """An optimizer that stays where it is and keeps the gradients that it was to step by."""

    def __init__(self, parameters):
        self.parameters, self.kept = parameters, []

    def zero_grad(self):
        self.parameters.zero_grad()

    def step(self):
        self.kept.append(self.parameters.grads.copy())


@pytest.mark.parametrize("mixing", [0.0, 0.999])
def test_each_update_goes_down_the_gradient_of_what_it_minimizes(mixing):
    """By differences: the loss first, then the penalty times its weight and its interval. Old gradients don't count."""
    gan, real = make(np.float64, gamma=3.0, r1_every=5, path_every=2, path_weight=4.0, mixing=mixing), pictures(float)
    gan.path.rate = 0.0
    generator = [{"g_loss": 1}, {"path_penalty": 4 * 2}]
    wanted = {"mapping": generator, "synthesis": generator, "D": [{"d_loss": 1}, {"r1": 5 * 3 / 2}]}
    gan.optimizers = {name: Keeping(network.parameters()) for name, network in gan.networks.items()}
    for network in gan.networks.values():
        network.parameters().grads[...] = 1
    step(gan, real=real)
    for name, losses in wanted.items():
        values, kept = gan.networks[name].parameters().values, gan.optimizers[name].kept[:2]
        direction = np.random.default_rng(4).standard_normal(len(values))
        direction /= np.where(abs(values) > 50, 1, 100)  # those of mapping are a hundred times as large

        def loss(h, values=values, direction=direction, losses=losses):
            before = values.copy()
            values += h * direction
            measured = step(gan, real=real)
            values[...] = before
            return np.array([sum(c * measured[key] for key, c in weights.items()) for weights in losses])

        h = 1e-4
        numeric = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
        np.testing.assert_allclose([gradient @ direction for gradient in kept], numeric, rtol=1e-6, err_msg=name)
        assert abs(numeric).min() > 1e-9


def test_penalties_are_rare_and_counted_by_adam():
    gan = make(r1_every=4, path_every=2)
    measured = [step(gan, t).keys() - {"d_loss", "g_loss", "d_real", "d_fake"} for t in range(5)]
    path = {"path_length", "path_penalty"}
    assert measured == [path | {"r1"}, set(), path, set(), path | {"r1"}]
    assert {name: optimizer.t for name, optimizer in gan.optimizers.items()} == {"mapping": 8, "synthesis": 8, "D": 7}
    without = make(gamma=0.0, path_weight=0.0)
    assert step(without).keys() == {"d_loss", "g_loss", "d_real", "d_fake"}


def test_adam_with_the_length_and_the_memory_of_the_steps_without_a_penalty():
    adam = lazy_adam(Dense(2, 2), 0.01, (0.5, 0.9), 3)
    assert adam.lr * 4 == pytest.approx(0.01 * 3)
    assert [beta**4 for beta in adam.betas] == pytest.approx([0.5**3, 0.9**3])
    plain = lazy_adam(Dense(2, 2), 0.01, (0.0, 0.9), 0)
    assert (plain.lr, plain.betas) == (0.01, (0.0, 0.9))
    gan = make(lr=0.1)
    assert gan.optimizers["D"].lr == pytest.approx(0.1 * 16 / 17)
    assert gan.optimizers["mapping"].lr == gan.optimizers["synthesis"].lr == pytest.approx(0.1 * 4 / 5)
    off = make(lr=0.1, gamma=0.0, path_weight=0.0)
    assert {optimizer.lr for optimizer in off.optimizers.values()} == {0.1}


def test_gamma_by_size_and_batch():
    """An explicit γ of 0.0002 · 8²/4 makes the same step."""
    by_default, explicit, other = make(), make(gamma=0.0002 * 64 / 4), make(gamma=0.01)
    for gan in (by_default, explicit, other):
        step(gan)
    values = [gan.networks["D"].parameters().values for gan in (by_default, explicit, other)]
    np.testing.assert_array_equal(values[0], values[1])
    assert (values[0] != values[2]).any()


def test_the_update_of_g_leaves_ds_gradients_alone():
    gan = make()
    gan.generator_step(N, np.random.default_rng(0), Now(0, 0, RNG))
    assert not gan.networks["D"].parameters().grads.any()


def test_r1_is_measured_without_weight_and_interval():
    """The mean squared gradient of D at the real pictures, before the update."""
    gan, real = make(gamma=3.0, r1_every=5), pictures()
    logits, cache = gan.networks["D"].forward(real)
    dx = gan.networks["D"].backward(np.ones_like(logits), cache, wrt="input")
    assert gan.r1_step(real, RNG)["r1"] == pytest.approx((dx * dx).sum() / N, rel=1e-4)


def test_what_is_chosen_by_a_rule_is_said_with_its_reason():
    gamma, half_life = make().heuristics(8)
    assert gamma.startswith("`gamma` is 0.0016: 0.0002 · 8² / 8, by size² / batch size, because gradients are summed")
    assert "10,000 pictures: averages of weights have the decay 0.9994 for batches of 8, at first" in half_life
    assert make(gamma=0.0016).heuristics(8) == (half_life,)
    assert make(gamma=0.0, half_life=0.0).heuristics(8) == ()


def test_a_mix_has_the_second_style_from_a_random_layer_on():
    gan = make(mixing=0.999)
    cuts = set()
    for seed in range(20):
        ws, _ = gan.mixed_styles(2, np.random.default_rng(0), Now(0, 0, np.random.default_rng(seed)))
        first, second = ws[:, 0], ws[:, -1]
        assert (first != second).any()
        cut = next(i for i in range(4) if (ws[:, i] != first).any())
        np.testing.assert_array_equal(ws[:, :cut], np.repeat(first[:, None], cut, axis=1))
        np.testing.assert_array_equal(ws[:, cut:], np.repeat(second[:, None], 4 - cut, axis=1))
        cuts.add(cut)
    assert cuts == {1, 2, 3}
    gan, rng, other = make(mixing=0.0), np.random.default_rng(0), np.random.default_rng(0)
    ws, _ = gan.mixed_styles(2, rng, Now(0, 0, RNG))
    np.testing.assert_array_equal(ws, np.repeat(ws[:, :1], 4, axis=1))
    gan.latent(2, other)  # without a mix, no second latents are drawn
    assert rng.random() == other.random()


def test_truncation():
    gan, z = make(), RNG.standard_normal((3, Z)).astype(np.float32)
    gan.w_mean[...] = RNG.standard_normal(Z)
    w = gan.networks["mapping"].output(z)
    np.testing.assert_allclose(gan.styles(z)[:, 2], w, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(gan.styles(z, truncation=0.0), np.broadcast_to(gan.w_mean, (3, 4, Z)))
    half = gan.styles(z, truncation=0.5, layers=2)
    np.testing.assert_allclose(half[:, 1], (w + gan.w_mean) / 2, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(half[:, 2], w)
    np.testing.assert_array_equal(gan.generate(z, truncation=0.5), gan.synthesize(gan.styles(z, truncation=0.5)))
    for call in (gan.styles, gan.generate, lambda z, labels: gan.trace(gan.styles(z), labels)):
        with pytest.raises(ValueError, match="this model is not conditional"):
            call(z, np.zeros(3, int))


def test_samples_are_the_same_every_time_unless_noise_is_drawn():
    gan, z = make(), RNG.standard_normal((3, Z)).astype(np.float32)
    for name, array in gan.networks["synthesis"].parameters().named().items():
        if name.endswith("strength"):
            array[0][...] = 1
    step(gan, samples=1_000_000)
    for average in gan.averages.values():
        average.update()
    w, x = gan.styles(z), gan.generate(z)
    assert -1 <= x.min() < x.max() <= 1
    np.testing.assert_array_equal(gan.synthesize(w), x)
    np.testing.assert_allclose(gan.generate(z[:1]), x[:1], rtol=1e-4, atol=1e-6)
    assert (gan.synthesize(w, np.random.default_rng(0)) != x).any()
    assert (gan.networks["synthesis"].output(w, train=False) != gan.drawing("synthesis").output(w, train=False)).any()


def test_trace_leads_from_pictures_back_to_styles():
    gan = make(np.float64, half_life=0.0)
    w, v = gan.styles(RNG.standard_normal((2, Z))), RNG.standard_normal((2, 4, Z))
    x, backward = gan.trace(w)
    dx = RNG.standard_normal(x.shape)
    before = gan.networks["synthesis"].parameters().grads.copy()
    dw = backward(dx)
    np.testing.assert_array_equal(gan.networks["synthesis"].parameters().grads, before)
    h = 1e-5
    numeric = np.vdot(dx, gan.trace(w + h * v)[0] - gan.trace(w - h * v)[0]) / (2 * h)
    assert np.vdot(dw, v) == pytest.approx(numeric, rel=1e-6)


def test_the_mean_style_and_the_usual_length_are_kept():
    gan = make(mixing=0.0)
    gan.w_mean[...] = 3
    ws, _ = gan.mixed_styles(N, np.random.default_rng(0), Now(0, 0, RNG))
    np.testing.assert_allclose(gan.w_mean, 0.995 * 3 + 0.005 * ws[:, 0].mean(axis=0), rtol=1e-6)
    measured = step(gan)
    assert gan.path_mean == pytest.approx(0.01 * measured["path_length"])
    other, state = make(), gan.state_dict()
    other.load_state_dict(state)
    assert other.path_mean.shape == ()
    kept = {name: array.copy() for name, array in state.items()}
    for model in (gan, other):  # the same, and neither writes into the state
        np.testing.assert_array_equal(model.w_mean, kept["w_mean"])
        assert model.path_mean == kept["path_mean"]
        step(model)
        assert (model.w_mean != kept["w_mean"]).any() and model.path_mean != kept["path_mean"]
        assert all((array == kept[name]).all() for name, array in state.items())


def test_the_path_length_takes_half_a_batch_and_at_least_one():
    gan, counts = make(), []
    gan.path_length_step = lambda n, rng, now: counts.append(n) or {}
    for n in (1, 2, 4):
        step(gan, real=pictures()[:n])
    assert counts == [1, 1, 2]


def test_averages_have_a_half_life_in_pictures():
    gan = make()
    step(gan, samples=1_000_000)
    assert gan.averages["synthesis"].decay ** (10_000 / N) == pytest.approx(0.5)
    step(gan, samples=2_000)
    assert gan.averages["mapping"].decay ** (100 / N) == pytest.approx(0.5)
    step(gan, samples=0)
    assert gan.averages["mapping"].decay == 0
    gan.average_weights(0.9)  # what --ema does
    step(gan, samples=1_000_000)
    assert {average.decay for average in gan.averages.values()} == {0.9} and set(gan.averages) == set(gan.averaged)
    assert make(half_life=0.0).averages == {}


def test_a_batch_that_groups_do_not_divide():
    with pytest.raises(ShapeError, match="groups of 4 pictures, which don't divide a batch of 30: use a `batch_size`"):
        StyleGAN2.planned(1000, {"group": 4, "batch_size": 30})
    for arguments in (
        {"group": 4, "batch_size": 32},
        {"group": 0, "batch_size": 30},
        {"group": 4, "batch_size": 2},
        {"group": 1, "batch_size": 30},
        {},
    ):
        assert StyleGAN2.planned(1000, arguments) == arguments


def test_a_step_on_another_device():
    """Nothing mixes host and device, and nothing is copied to the host."""
    gan = make(device=STRICT)
    real = STRICT.array(pictures())
    with forbid_transfers():
        step_there = gan.step(lambda: {"real": real}, STRICT.rng(0), Now(0, 0, np.random.default_rng(0)))
        gan.generate(gan.latent(2, STRICT.rng(1)), truncation=0.7)
    assert step_there.keys() >= {"r1", "path_length"}

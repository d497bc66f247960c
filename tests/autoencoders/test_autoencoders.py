"""vae and vaegan: which loss reaches which network, the equilibrium rule, and what both do with codes."""

from math import log, prod

import numpy as np
import pytest
from steps import make_step

from minigan.autoencoders import VAE, VAEGAN
from minigan.common.model_checks import check_exhibits, check_measures, check_model
from minigan.layers.activations import sigmoid, softplus
from minigan.optim import Adam
from minigan.testing import STRICT, devices_under_test, forbid_transfers, shake
from minigan.testing.transfers import transfers

SHAPE = (16, 16, 1)
both = pytest.mark.parametrize("cls", [VAE, VAEGAN], ids=["vae", "vaegan"])


def make(cls, seed=0, shape=SHAPE, **options):
    return cls(shape, **{"latent_dim": 3, "features": 2} | options, rng=np.random.default_rng(seed))


def pictures(n=5, dtype=np.float32, shape=SHAPE):
    return np.tanh(np.random.default_rng(1).normal(size=(n, *shape))).astype(dtype)


def exact(model):
    """In float64, perturbed, with a learning rate of 0, and the same z′ in each step."""
    model.latent = lambda n, rng: rng.standard_normal((n, model.latent_dim))
    for name, network in model.networks.items():
        shake(network, np.random.default_rng(0), 0.05)
        network.to(dtype=np.float64)
        model.optimizers[name] = Adam(network.parameters(), 0.0)
    return model


LOSSES = {  # of each network, by the measures of a step and the number of values of a picture or of its features
    VAE: {name: lambda m, model: m["loss"] for name in ("encoder", "decoder")},
    VAEGAN: {
        "encoder": lambda m, model: m["error"] + 2 * 0.7 / (8 * 8 * 4) * m["kl"],
        "decoder": lambda m, model: 0.3 * m["error"] + m["g_loss"],
        "features": lambda m, model: m["d_loss"],
        "verdict": lambda m, model: m["d_loss"],
    },
}


@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls, losses in LOSSES.items() for name in losses])
def test_each_network_goes_down_the_gradient_of_its_own_loss(cls, name):
    """Differences of that loss, made of what the step reports, along random directions.

    f(x) is held fixed for the error: it is a target, and D isn't trained by that loss.
    """
    model = exact(make(cls, beta=0.7, **({"gamma": 0.3} if cls is VAEGAN else {})))
    x, rng = pictures(dtype=np.float64), np.random.default_rng(3)
    parameters = model.networks[name].parameters()

    def measured():
        return make_step(model, x, np.random.default_rng(4))

    measured()
    start, gradient = parameters.values.copy(), parameters.grads.copy()
    assert gradient.any()
    for _ in range(2):
        direction, sides = rng.normal(size=len(parameters)), []
        for sign in (1, -1):
            parameters.values[:] = start + sign * 1e-7 * direction
            sides.append(LOSSES[cls][name](measured(), model))
        slope = (sides[0] - sides[1]) / 2e-7
        assert slope == pytest.approx(gradient @ direction, abs=2e-6 * np.linalg.norm(gradient))


def test_the_loss_of_vae_is_its_lower_bound():
    """−log p(x|z) + KL for a normal distribution of variance β, times 2β/M, up to a constant."""
    model, x = exact(make(VAE, beta=0.7)), pictures(dtype=np.float64)
    h, _ = model.networks["encoder"].forward(x)
    z = h[:, :3] + np.exp(h[:, 3:]) * np.random.default_rng(4).standard_normal((5, 3))
    decoded, _ = model.networks["decoder"].forward(z)
    M = prod(SHAPE)
    minus_log_p = ((x - decoded) ** 2).sum(axis=(1, 2, 3)) / (2 * 0.7) + M / 2 * log(2 * np.pi * 0.7)
    measured = make_step(model, x, np.random.default_rng(4))
    bound = minus_log_p.mean() + measured["kl"]
    assert measured["loss"] == pytest.approx(2 * 0.7 / M * (bound - M / 2 * log(2 * np.pi * 0.7)), rel=1e-12)
    assert measured["error"] == pytest.approx(((x - decoded) ** 2).mean(), rel=1e-12)


def test_what_a_step_of_vaegan_returns():
    model, x = exact(make(VAEGAN, margin=10)), pictures(dtype=np.float64)
    encoder, decoder, features, verdict = model.networks.values()
    rng = np.random.default_rng(4)
    h, _ = encoder.forward(x)
    decoded, _ = decoder.forward(h[:, :3] + np.exp(h[:, 3:]) * rng.standard_normal((5, 3)))
    sample, _ = decoder.forward(rng.standard_normal((5, 3)))
    f_x, f_decoded, f_sample = (features.forward(y)[0] for y in (x, decoded, sample))
    real, fake = (verdict.forward(f)[0] for f in (f_x, f_sample))
    assert make_step(model, x, np.random.default_rng(4)) == pytest.approx(
        {
            "d_loss": (softplus(-real) + softplus(fake)).mean(),
            "g_loss": softplus(-fake).mean(),
            "d_real": sigmoid(real).mean(),
            "d_fake": sigmoid(fake).mean(),
            "error": ((f_decoded - f_x) ** 2).mean(),
            "pixels": ((decoded - x) ** 2).mean(),
            "kl": ((h[:, :3] ** 2 + np.exp(2 * h[:, 3:]) - 1) / 2 - h[:, 3:]).sum(axis=1).mean(),
            "d_updates": 1,
            "decoder_updates": 1,
        },
        rel=1e-12,
    )


@pytest.mark.parametrize(
    ("a", "b", "D", "decoder"),
    [
        (0.69, 0.69, True, True),
        (0.32, 0.69, False, True),
        (0.69, 0.32, False, True),
        (0.34, 1.02, True, True),
        (1.04, 0.69, True, False),
        (0.69, 1.04, True, False),
        (0.32, 1.04, True, True),  # both would be skipped
    ],
)
def test_the_equilibrium_rule(a, b, D, decoder):
    """By D's costs of real and of generated pictures: below .33, D is skipped, above 1.03 the decoder."""
    found = make(VAEGAN).balanced(np.float32(a), np.float32(b))
    assert found == {"features": D, "verdict": D, "decoder": decoder}
    assert make(VAEGAN, margin=10).balanced(np.float32(a), np.float32(b)) == dict.fromkeys(found, True)


@pytest.mark.parametrize("skipped", [(), ("features", "verdict"), ("decoder",)])
def test_a_skipped_network_keeps_every_bit(skipped):
    """The encoder always learns, and the measures tell which update was skipped."""
    model = make(VAEGAN)
    model.balanced = lambda a, b: {name: name not in skipped for name in ("features", "verdict", "decoder")}
    before = {name: network.parameters().values.copy() for name, network in model.networks.items()}
    measured = make_step(model, pictures(), np.random.default_rng(0))
    same = {name for name, network in model.networks.items() if (network.parameters().values == before[name]).all()}
    assert same == set(skipped)
    assert [model.optimizers[name].t for name in model.networks] == [int(name not in skipped) for name in before]
    assert measured["d_updates"] == ("verdict" not in skipped)
    assert measured["decoder_updates"] == ("decoder" not in skipped)


def test_the_rule_reads_once():
    """The step waits for the device as often as the model says."""
    model = VAEGAN(SHAPE, latent_dim=3, features=2, rng=np.random.default_rng(0), device=STRICT)
    x, before = STRICT.array(pictures()), transfers.to_host
    make_step(model, x, STRICT.rng(0))
    assert transfers.to_host - before == VAEGAN.reads == 1
    assert VAE.reads == 0


@both
def test_the_contract(cls):
    model = make(cls)
    model.average_weights(0.9)
    check_model(model)
    measured = make_step(model, pictures(), np.random.default_rng(0))
    check_measures(model, measured)
    assert measured.keys() == model.measures.keys()
    assert all(value.dtype == np.float32 for value in measured.values())
    assert list(model.averages) == ["encoder", "decoder"]


@both
def test_gradients_of_the_last_step_are_forgotten(cls):
    clean, soiled = make(cls), make(cls)
    for network in soiled.networks.values():
        network.parameters().grads[:] = 1e6
    for model in (clean, soiled):
        make_step(model, pictures(), np.random.default_rng(0))
    for name in clean.networks:
        np.testing.assert_array_equal(*(model.networks[name].parameters().grads for model in (clean, soiled)))


@both
def test_codes_and_pictures_of_codes(cls):
    model, x = make(cls, shape=(16, 20, 3)), pictures(shape=(16, 20, 3))
    make_step(model, x, np.random.default_rng(0))
    h = model.networks["encoder"].output(x, train=False)
    z = model.encode(x)
    np.testing.assert_array_equal(z, h[:, :3])
    mean, sigma = model.posterior(x)
    np.testing.assert_array_equal(mean, z)
    np.testing.assert_allclose(sigma, np.exp(h[:, 3:]), rtol=1e-6)
    decoded = model.networks["decoder"].output(z, train=False)
    np.testing.assert_array_equal(model.generate(z), decoded)
    np.testing.assert_array_equal(model.reconstruct(x), decoded)
    np.testing.assert_allclose(model.reconstruct(x[:2]), decoded[:2], rtol=1e-4, atol=1e-6)  # each for itself
    assert model.latent(4, np.random.default_rng(0)).shape == (4, 3)
    for verb in (model.generate, model.trace):
        with pytest.raises(ValueError, match="not conditional"):
            verb(z, np.zeros(5, int))


@both
def test_averages_encode_and_draw_once_they_are_kept(cls):
    model, x = make(cls), pictures()
    model.average_weights(0.5)
    z, start = model.encode(x), model.generate(np.ones((1, 3), np.float32))
    make_step(model, x, np.random.default_rng(0))
    np.testing.assert_array_equal(model.encode(x), z)
    np.testing.assert_array_equal(model.generate(np.ones((1, 3), np.float32)), start)
    for average in model.averages.values():
        average.update()
    assert (model.encode(x) != z).any()
    assert (model.generate(np.ones((1, 3), np.float32)) != start).any()


@both
def test_the_gradient_of_pictures_by_their_codes(cls):
    model = exact(make(cls))
    rng = np.random.default_rng(1)
    z, direction = rng.normal(size=(2, 2, 3))
    samples, backward = model.trace(z)
    np.testing.assert_allclose(samples, model.generate(z), rtol=0, atol=1e-12)
    dsamples = rng.normal(size=samples.shape)
    slope = ((model.generate(z + 1e-6 * direction) - model.generate(z - 1e-6 * direction)) * dsamples).sum() / 2e-6
    assert slope == pytest.approx((backward(dsamples) * direction).sum(), rel=1e-6)
    assert not model.networks["decoder"].parameters().grads.any()


@both
def test_held_out_pictures_are_shown_beside_their_reconstructions_and_judged(cls):
    model = make(cls)
    items = [{"real": x[None]} for x in pictures(9)]
    shown = model.show(items, np.random.default_rng(0))
    check_exhibits(model, shown)
    assert shown["samples"].samples.shape == (64, *SHAPE)
    pairs = shown["reconstructions"]
    assert (pairs.samples.shape, pairs.columns, pairs.captions) == ((16, *SHAPE), 2, ("picture", "reconstruction"))
    np.testing.assert_array_equal(pairs.samples[::2], pictures(9)[:8])
    np.testing.assert_array_equal(pairs.samples[1::2], model.reconstruct(pictures(9)[:8]))
    assert model.show([], np.random.default_rng(0)).keys() == {"samples"}
    expected = ((model.reconstruct(pictures(9)) - pictures(9)) ** 2).mean()
    assert model.judge(items, None) == pytest.approx({"held_out_error": expected}, rel=1e-5)
    assert model.judge([], None) == {}
    assert model.judgements.keys() == {"held_out_error"}


@both
@pytest.mark.parametrize("device", devices_under_test(), ids=str)
def test_a_step_on_every_device(cls, device):
    model = make(cls, device=device)
    x, rng = device.array(pictures()), device.rng(0)
    make_step(model, x, rng)
    with forbid_transfers():
        model.reconstruct(x)
        samples, backward = model.trace(model.latent(2, rng))
        backward(samples)
    model.show([{"real": x[:1]}], rng)
    assert np.isfinite(model.judge([{"real": x[:1]}], rng)["held_out_error"])

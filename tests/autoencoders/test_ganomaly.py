"""GANomaly: each network goes down its own loss, D starts anew when it has won, a score looks at one picture alone."""

import numpy as np
import pytest
from steps import make_step

from minigan.autoencoders import GANomaly
from minigan.autoencoders.ganomaly import JUDGED, decoder, stage_widths
from minigan.backend import to_numpy
from minigan.common.model_checks import check_exhibits, check_measures, check_model
from minigan.errors import ShapeError
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, LeakyReLU
from minigan.optim import Adam
from minigan.testing import devices_under_test, forbid_transfers, shake
from minigan.testing.transfers import transfers

TINY = {"latent_dim": 3, "features": 2}
TERMS = {"pixel_error": 50.0, "code_error": 1.0, "feature_error": 1.0}  # of the generator's loss, with their weights
PLAIN = {"adversarial": 0.0, "code_weight": 0.0}


def make(shape=(16, 16, 1), seed=0, **options):
    return GANomaly(shape, **TINY | options, rng=np.random.default_rng(seed))


def pictures(n=4, shape=(16, 16, 1), seed=1, dtype=np.float32):
    return np.tanh(np.random.default_rng(seed).normal(size=(n, *shape))).astype(dtype)


def in_float64(gan):
    """Shaken, so that no weight is too small, and with optimizers that stand still."""
    for name, network in gan.networks.items():
        shake(network, np.random.default_rng(0), 0.05)
        gan.optimizers[name] = Adam(network.to(dtype=np.float64).parameters(), 0.0)
    return gan


@pytest.mark.parametrize("options", [{}, PLAIN, {"adversarial": 0.0}, {"code_weight": 0.0}, {"restart_below": 0.0}])
def test_it_keeps_to_the_contract_with_and_without_its_parts(options):
    gan = make(**options)
    check_model(gan)
    measured = make_step(gan, pictures(), np.random.default_rng(0))
    check_measures(gan, measured)
    assert measured.keys() == gan.measures.keys()
    parts = {"encoder", "decoder"} | ({"second"} if gan.code_weight else set())
    assert set(gan.averaged) == parts
    assert gan.networks.keys() == parts | ({"features", "verdict"} if gan.adversarial else set())
    assert gan.reads == (1.0 if gan.adversarial and gan.restart_below else 0.0)


@pytest.mark.parametrize("which", ["encoder", "decoder", "second", "features", "verdict"])
@pytest.mark.parametrize("weights", [TERMS, {"pixel_error": 2.0, "code_error": 30.0, "feature_error": 7.0}])
def test_a_step_goes_down_the_gradient_of_the_loss_of_each_network(which, weights):
    """Differences of the loss along random directions, in float64. The loss of D alone reaches D's networks."""
    options = {"pixel_weight": "pixel_error", "code_weight": "code_error", "adversarial": "feature_error"}
    gan = in_float64(make(**{option: weights[term] for option, term in options.items()}))
    x, parameters, rng = pictures(dtype=np.float64), gan.networks[which].parameters(), np.random.default_rng(3)
    own = {"d_loss": 1.0} if which in ("features", "verdict") else weights

    def loss():
        measured = make_step(gan, x, np.random.default_rng(4))
        return sum(weight * measured[term] for term, weight in own.items())

    loss()
    start, gradient = parameters.values.copy(), parameters.grads.copy()
    for _ in range(3):
        direction, sides = rng.normal(size=len(parameters)), []
        for sign in (1, -1):
            parameters.values[:] = start + sign * 1e-7 * direction
            sides.append(loss())
        slope = (sides[0] - sides[1]) / 2e-7
        assert slope == pytest.approx(gradient @ direction, abs=2e-6 * np.linalg.norm(gradient))


def test_gradients_of_the_last_step_are_forgotten():
    clean, soiled = make(), make()
    for network in soiled.networks.values():
        network.parameters().grads[:] = 1e6
    for gan in (clean, soiled):
        make_step(gan, pictures(), np.random.default_rng(0))
    for name, network in clean.networks.items():
        np.testing.assert_array_equal(network.parameters().grads, soiled.networks[name].parameters().grads)


def test_d_starts_anew_when_its_loss_is_below_the_bound():
    """With new weights of now.rng and without moments; else it goes on, and a bound of 0 never asks."""
    for bound, restarts in ((1e-5, False), (100.0, True), (0.0, False)):
        gan = make(restart_below=bound)
        before = {name: network.parameters().values.copy() for name, network in gan.networks.items()}
        measured = make_step(gan, pictures(), np.random.default_rng(0), number=7)
        assert measured.get("restarts", 0.0) == float(restarts)
        assert ("restarts" in measured) == (bound > 0)
        for name in ("features", "verdict"):
            optimizer, values = gan.optimizers[name], gan.networks[name].parameters().values
            assert (optimizer.t, bool(optimizer.m.any())) == ((0, False) if restarts else (1, True))
            moved = abs(values - before[name]).max()
            assert moved > 0.01 if restarts else 0 < moved < 1e-3
        assert gan.optimizers["encoder"].t == 1
    gan = make(restart_below=100.0)
    state = {}
    for number in (1, 1, 2):
        make_step(gan, pictures(), np.random.default_rng(0), number=number)
        state[number, len(state)] = gan.networks["verdict"].parameters().values.copy()
    one, same, other = state.values()
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()


def test_the_score_is_the_distance_of_the_codes_and_depends_on_no_other_picture():
    gan, x = make(), pictures(6)
    make_step(gan, x, np.random.default_rng(0))
    z, y = gan.encode(x), gan.reconstruct(x)
    assert (z.shape, y.shape) == ((6, 3), x.shape)
    again = gan.networks["second"].output(y, train=False)
    np.testing.assert_allclose(gan.score(x), ((z - again) ** 2).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(gan.score(x[2:3]), gan.score(x)[2:3], rtol=1e-4)
    np.testing.assert_array_equal(gan.scored(x)[1], y)


def test_a_plain_autoencoder_scores_by_its_error():
    gan, x = make(**PLAIN), pictures(3)
    np.testing.assert_allclose(gan.score(x), ((x - gan.reconstruct(x)) ** 2).mean(axis=(1, 2, 3)), rtol=1e-6)


def test_averages_of_all_three_networks_score():
    gan, x = make(), pictures()
    gan.average_weights(0.5)
    start = gan.score(x)
    make_step(gan, x, np.random.default_rng(0))
    for name in ("encoder", "decoder", "second"):
        gan.averages[name].update()
        moved = gan.score(x)
        assert (moved != start).all()
        start = moved


def test_it_judges_every_second_held_out_picture_and_shows_some():
    """Those with odd numbers are left for the threshold: other pictures in their place change nothing."""
    gan, x = make(), pictures(2 * JUDGED + 9)
    held_out = [{"real": x[i : i + 1]} for i in range(len(x))]
    found = gan.judge(held_out, None)
    seen = x[: 2 * JUDGED : 2]
    assert found["held_out_error"] == pytest.approx(abs(seen - gan.reconstruct(seen)).mean(), rel=1e-4)
    assert found["held_out_score"] == pytest.approx(gan.score(seen).mean(), rel=1e-4)
    others = [item if i % 2 == 0 else {"real": item["real"] * 0} for i, item in enumerate(held_out)]
    assert gan.judge(others, None) == found
    shown = gan.show(held_out[:5], None)
    check_exhibits(gan, shown)
    row = shown["held_out"].samples[3:6]  # of the second picture that is judged
    np.testing.assert_array_equal(row[0], x[2])
    np.testing.assert_allclose(row[1], gan.reconstruct(x[2:3])[0], atol=1e-6)
    np.testing.assert_allclose(row[2], abs(row[0] - row[1]) - 1, atol=1e-6)
    assert gan.show([], None) == {}
    assert all(np.isnan(value) for value in gan.judge([], None).values())


def test_the_networks_of_the_authors_code():
    gan = GANomaly((32, 32, 3), rng=np.random.default_rng(0))
    shapes = {name: [f.W.shape for _, f in net.walk() if hasattr(f, "W")] for name, net in gan.networks.items()}
    body = [(4, 4, 3, 64), (4, 4, 64, 128), (4, 4, 128, 256)]
    assert shapes["encoder"] == shapes["second"] == [*body, (4, 4, 256, 100)]
    assert (shapes["features"], shapes["verdict"]) == (body, [(4, 4, 256, 1)])
    assert shapes["decoder"] == [(4, 4, 256, 100), (4, 4, 128, 256), (4, 4, 64, 128), (4, 4, 3, 64)]
    norms = {name: [f.channels for _, f in net.walk() if type(f) is BatchNorm] for name, net in gan.networks.items()}
    assert norms["encoder"] == norms["features"] == [128, 256]
    assert norms["decoder"] == [256, 128, 64]
    layers = [f for net in gan.networks.values() for _, f in net.walk()]
    assert {f.negative_slope for f in layers if type(f) is LeakyReLU} == {0.2}
    assert not any(name.endswith(".b") for net in gan.networks.values() for name in net.state_dict())
    assert all(f.W.std() == pytest.approx(0.02, rel=0.05) for f in layers if isinstance(f, (Conv2D, ConvTranspose2D)))
    assert all(type(o) is Adam and (o.lr, o.betas) == (2e-4, (0.5, 0.999)) for o in gan.optimizers.values())
    assert (stage_widths(8, 4), stage_widths(128, 2)) == ([4], [2, 4, 8, 16, 32])
    made = decoder((64, 64, 1), 5, 2, np.random.default_rng(0)).output(np.zeros((2, 5), np.float32))
    assert made.shape == (2, 64, 64, 1)


@pytest.mark.parametrize("shape", [(28, 28, 1), (4, 4, 1), (16, 32, 1), (16, 16, 2), (16, 16), (2,)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match="8, 16, 32, 64 … pixels with 1 or 3 channels, not "):
        make(shape)


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
def test_a_step_on_every_device(device):
    """Only the loss of D comes to the host."""
    gan, x, rng = make(device=device, restart_below=0.0), device.array(pictures()), device.rng(0)
    with forbid_transfers():
        make_step(gan, x, rng)
        gan.score(x)
    gan = make(device=device, restart_below=100.0)
    before = transfers.to_host
    restarts = make_step(gan, x, rng)["restarts"]
    assert (transfers.to_host - before == gan.reads) or device.xp is np
    assert to_numpy(restarts) == 1

"""SRGAN: the gradients of both updates, its two stages, what is kept of the first, and the blend of both."""

import numpy as np
import pytest
from still import Still, slope
from test_srresnet import batch_of

from minigan.backend import to_numpy
from minigan.errors import CheckpointError, MiniganError, ShapeError
from minigan.metrics import read_network
from minigan.model import Now
from minigan.testing import devices_under_test, forbid_transfers
from minigan.translators import MODELS
from minigan.translators.srgan import SRGAN

SMALL = {"features": 4, "blocks": 1, "critic_features": 2, "scale": 2}


def make(channels=3, size=16, seed=0, pretrain_samples=10, **options):
    rng = np.random.default_rng(seed)
    return SRGAN((size, size, channels), pretrain_samples=pretrain_samples, **SMALL | options, rng=rng)


def step(model, batch, stage=1, **now):
    phase = model.phases[stage]
    return model.step(lambda: batch, None, Now(0, phase.begins, np.random.default_rng(0), phase=phase, **now))


def in_float64(model):
    """Networks in float64, optimizers that stand still, and a batch."""
    for name, network in model.networks.items():
        model.optimizers[name] = Still(network.to(dtype="float64").parameters())
    for network in model.frozen.values():
        network.to(dtype="float64")
    return {name: a.astype(np.float64) for name, a in batch_of(model, model.channels, size=16).items()}


OPTIONS = [
    {},
    {"loss": "relativistic", "colors": "rgb"},
    {"content": "vgg19.pth", "content_layer": "1_2", "content_weight": 0.3, "adversarial": 0.0},
    {"norm": "batch", "pixel_loss": "l2", "content": "none"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_gradient_of_stage_two_is_that_of_the_weighted_sum(options):
    options = {"pixel_weight": 0.5, "content_weight": 0.2, "adversarial": 0.7} | options
    model = make(channels=3 if "colors" in options else 1, **options)
    batch, G = in_float64(model), model.networks["G"]

    def loss():
        found = step(model, batch)
        total = 0.5 * found[options.get("pixel_loss", "l1")] + model.content_weight * found.get("content", 0)
        return total + model.adversarial * found.get("g_loss", 0)

    loss()
    grads, direction = G.parameters().grads.copy(), np.random.default_rng(2).standard_normal(len(G.parameters()))
    assert slope(loss, G.parameters().values, direction) == pytest.approx(grads @ direction, rel=1e-6)


@pytest.mark.parametrize("loss", ["standard", "relativistic"])
def test_the_gradient_of_the_critic_is_that_of_its_loss(loss):
    model = make(loss=loss)
    batch, D = in_float64(model), model.networks["D"]
    step(model, batch)
    grads, direction = D.parameters().grads.copy(), np.random.default_rng(2).standard_normal(len(D.parameters()))
    found = slope(lambda: step(model, batch)["d_loss"], D.parameters().values, direction)
    assert found == pytest.approx(grads @ direction, rel=1e-6)


def test_each_term_can_be_left_out():
    batch = batch_of(make(), size=16)
    assert {"l1", "content", "g_loss", "d_loss", "d_real", "d_fake"} <= step(make(), batch).keys()
    without_d = make(adversarial=0.0)
    assert step(without_d, batch).keys() == {"l1", "batch_psnr", "content"}
    assert (set(without_d.networks), without_d.games, without_d.phases[0].idle) == ({"G"}, (), ())
    for options in ({"content": "none"}, {"content_weight": 0.0}):
        assert (make(**options).frozen, "content" in step(make(**options), batch)) == ({}, False)
    # without the pixels' weight, L1 is measured, and doesn't move G
    model = make(adversarial=0.0, content="none")
    model.pixel_weight = 0.0
    assert "l1" in step(model, batch)
    assert not model.networks["G"].parameters().grads.any()
    with pytest.raises(ValueError, match="are all 0: leave one of them on"):
        make(pixel_weight=0.0, adversarial=0.0, content="none")


def test_the_content_loss_has_the_depth_and_weight_of_its_network():
    """Two depths of the network of photos with 0.1; of VGG19 the paper's (1/12.75)²."""
    model = make()
    assert (len(model.frozen["content"].layers), model.content_weight) == (2 * 6, 0.1)
    vgg = make(content="vgg19.pth", content_layer="1_2", adversarial=0.0)
    assert (len(vgg.frozen["content"].layers), vgg.content_weight) == (5, pytest.approx(0.0061515, rel=1e-4))
    assert (make(content_weight=0.3).content_weight, make(content="none").content_weight) == (0.3, 0)
    assert model.phases[0].idle == ("D",) and model.games[0].objective is model.losses["loss"] is model.loss


def test_a_relativistic_critic_reports_comparisons_and_the_content_network_gets_no_gradient():
    model, rng = make(channels=1, loss="relativistic"), np.random.default_rng(0)
    t, y = rng.uniform(-1, 1, (2, 3, 16, 16, 1)).astype(np.float32)
    passes = [model.networks["D"].forward(x, rng=rng) for x in (t, y)]
    (real, _), (fake, _) = passes
    found = model.critic_step(*passes)
    assert found["d_real"] == pytest.approx(np.mean(1 / (1 + np.exp(fake.mean() - real))), rel=1e-5)
    assert found["d_fake"] == pytest.approx(np.mean(1 / (1 + np.exp(real.mean() - fake))), rel=1e-5)
    model.content_loss(y, t)
    assert not model.frozen["content"].parameters().grads.any()


def test_psnr_decides_only_if_nothing_else_is_wanted():
    assert all(make(**options).translations[0].undecided for options in ({}, {"adversarial": 0.0}, {"content": "none"}))
    assert not make(adversarial=0.0, content="none").translations[0].undecided
    assert not SRGAN.translations[0].undecided


def test_stage_one_trains_g_alone_as_srresnet_does():
    model, other = make(), MODELS["srresnet"]((16, 16, 3), 2, features=4, blocks=1, rng=np.random.default_rng(5))
    other.networks["G"].load_state_dict(model.networks["G"].state_dict())
    batch, D = batch_of(model, size=16), model.networks["D"].state_dict()
    found = step(model, batch, stage=0)
    assert found == other.step(lambda: batch, None, Now(0, 0, np.random.default_rng(0)))
    ours, theirs = model.networks["G"].state_dict(), other.networks["G"].state_dict()
    assert all(np.array_equal(a, theirs[name]) for name, a in ours.items())
    assert all(np.array_equal(a, D[name]) for name, a in model.networks["D"].state_dict().items())


def begun(**options):
    """A model at the beginning of stage two, and one after two steps of it; and a batch."""
    model = make(**options)
    batch = batch_of(model, size=16)
    step(model, batch, stage=0)
    model.begin(model.phases[1], Now(1, 10, np.random.default_rng(0)))
    assert model.optimizers["G"].t == 0
    assert not model.optimizers["G"].m.any()
    one = model.networks["G"].state_dict()
    for _ in range(2):
        step(model, batch)
    return model, one, batch


def test_the_weights_of_stage_one_are_kept_and_blended():
    model, one, batch = begun(lr2=0.01)
    two, low = model.networks["G"].state_dict(), batch["low"]
    result = model.apply(low)
    assert set(model.stages({"low": low})) == {"stage one", "stage two"}
    np.testing.assert_array_equal(model.stages({"low": low})["stage two"], result)
    for strength in (0, 0.25, 1):
        model.set_strength(strength)
        found = model.apply(low)
        other = make()
        other.networks["G"].load_state_dict(
            {name: (1 - strength) * a + strength * two[name] for name, a in one.items()}
        )
        np.testing.assert_allclose(found, other.apply(low), atol=1e-6)
    assert np.abs(model.stages({"low": low})["stage one"] - result).max() > 1e-3
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match="it is from 0, stage one, to 1, stage two"):
            model.set_strength(wrong)


def test_before_stage_two_there_is_nothing_to_blend():
    model = make()
    assert list(model.stages(batch_of(model, size=16))) == ["stage one"]
    assert not [name for name in model.state_dict() if name.startswith("stage_one")]
    with pytest.raises(ValueError, match="no stage two yet"):
        model.set_strength(0.5)


def test_a_checkpoint_has_stage_one_and_the_checksum_of_the_content_network():
    model, one, batch = begun()
    arrays = model.state_dict()
    other = make(seed=1)
    other.frozen["content"].load_state_dict(model.frozen["content"].state_dict())
    other.load_state_dict(arrays)
    low = {"low": batch["low"]}
    np.testing.assert_array_equal(other.stages(low)["stage one"], model.stages(low)["stage one"])
    assert {name.removeprefix("stage_one.") for name in arrays} == {*one, "content_digest"}
    other.frozen["content"][0].W[0, 0, 0, 0] += 1
    with pytest.raises(CheckpointError, match="the content network isn't the one that this run began with"):
        other.load_state_dict(arrays)


def test_without_stage_one_the_first_weights_are_kept():
    """Such a run begins with the weights of another one."""
    model = make(pretrain_samples=0)
    assert [phase.name for phase in model.phases] == ["adversarial"]
    first = model.networks["G"].state_dict()
    batch = batch_of(model, size=16)
    for _ in range(2):
        step(model, batch, stage=0)
    kept = model.stage_one.state_dict()
    assert all(np.array_equal(a, first[name]) for name, a in kept.items())


def test_lengths_and_rates_of_the_stages():
    """Half of the run, or steps of the run's batch size; a half cosine, then two constant rates."""
    assert SRGAN.planned(1000, {"pretrain_samples": None, "batch_size": 16})["pretrain_samples"] == 500
    given = {"pretrain_samples": None, "pretrain_steps": 20, "batch_size": 16}
    assert SRGAN.planned(1000, given)["pretrain_samples"] == 320
    assert SRGAN.planned(1000, given | {"pretrain_steps": 0})["pretrain_samples"] == 0
    assert SRGAN.planned(1000, given | {"pretrain_samples": 7})["pretrain_samples"] == 7
    model = make(pretrain_samples=400, lr=0.1, lr2=0.01)

    def rate(samples):
        now = Now(samples // 4, samples, np.random.default_rng(0), samples / 1000)
        return model.rates(now)["G"]

    assert [rate(s) for s in (0, 200, 399, 400, 696, 704, 996)] == pytest.approx(
        [0.1, 0.05, 0, 0.01, 0.01, 0.001, 0.001], abs=1e-5
    )
    assert make(pretrain_samples=0).rates(Now(0, 0, np.random.default_rng(0))) == {"G": 1e-4, "D": 1e-4}


def test_the_content_network_is_read_when_a_run_begins():
    model = make()
    model.fill_frozen(read_network)
    shipped = read_network("photos")
    np.testing.assert_array_equal(model.frozen["content"][0].W, shipped["0.0.0.W"])
    t = batch_of(model, size=16)["high"]
    assert model.content_loss(t, t)[0] < 1e-10
    with pytest.raises(MiniganError, match="nowhere.pth"):
        make(content="nowhere.pth").fill_frozen(read_network)
    make(content="none").fill_frozen(pytest.fail)


def test_only_a_logit_that_is_compared_has_no_bias():
    assert make(loss="standard").networks["D"].layers[-1].bias
    assert not make(loss="relativistic").networks["D"].layers[-1].bias


def test_what_is_refused():
    with pytest.raises(ValueError, match="`content_layer` is '9': choose from 1, 2, 3, 4"):
        make(content_layer="9")
    with pytest.raises(ShapeError, match="5_4 needs crops of 16×16"):
        make(size=14, content="vgg19.pth")
    assert MODELS["srgan"] is SRGAN


def test_the_critic_learns():
    model = make(lr2=0.01)
    batch = batch_of(model, n=6, size=16)
    first = step(model, batch)
    for _ in range(30):
        last = step(model, batch)
    assert last["d_loss"] < 0.7 * first["d_loss"]
    assert last["d_real"] > 0.5 > last["d_fake"]


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
@pytest.mark.parametrize("options", [{}, {"loss": "relativistic", "colors": "rgb", "norm": "batch"}])
def test_a_step_on_every_device_waits_for_nothing(device, options):
    """Steps of both stages give the numbers of the host, and nothing is copied to the host in between."""
    host, model = make(**options), make(**options, device=device)
    model.frozen["content"].load_state_dict(host.frozen["content"].state_dict())
    batch = batch_of(host, size=16)
    there = {name: device.array(a) for name, a in batch.items()}
    for stage in (0, 1):
        expected = step(host, batch, stage)
        with forbid_transfers():
            found = step(model, there, stage)
        for name, value in expected.items():
            np.testing.assert_allclose(to_numpy(found[name]), value, rtol=1e-3, err_msg=name)
        if stage == 0:
            for one in (host, model):
                one.begin(one.phases[1], Now(1, 10, np.random.default_rng(0)))
    np.testing.assert_allclose(to_numpy(model.apply(there["low"])), host.apply(batch["low"]), atol=1e-3)
    np.testing.assert_allclose(to_numpy(model.baseline(there)["high"]), host.baseline(batch)["high"], atol=1e-5)
    model.set_strength(0.5)
    model.apply(there["low"])

"""Progressive growing: levels and phases, which layers compute, the derivatives of a step, and what is refused."""

import numpy as np
import pytest

from minigan.backend import to_numpy
from minigan.errors import ShapeError
from minigan.gans.growing import GrowingCritic, GrowingGenerator, reduced, stage, width
from minigan.gans.progan import ProGAN, phases
from minigan.layers import Equalized, MinibatchStdDev
from minigan.model import Now, phase_at
from minigan.testing import devices_under_test, forbid_transfers, shake

SMALL = {"latent_dim": 5, "features": 4}
N, GROWTH = 4, 60  # pictures in a batch; samples until the last fade has ended: 15 in each phase


def make(size=16, dtype=np.float32, **options):
    options = {"growth_samples": GROWTH} | SMALL | options
    gan = ProGAN((size, size, 1), **options, rng=np.random.default_rng(0))
    if dtype == np.float64:
        gan.latent = lambda n, rng: rng.standard_normal((n, gan.latent_dim))
        for name, network in gan.networks.items():
            gan.optimizers[name] = type(gan.optimizers[name])(network.to(dtype=dtype).parameters(), 1e-3, (0.0, 0.99))
    return gan


def pictures(size=16, dtype=np.float32):
    return np.tanh(np.random.default_rng(1).standard_normal((N, size, size, 1))).astype(dtype)


def step(gan, samples, real=None):
    now = Now(0, samples, np.random.default_rng(0), phase=phase_at(gan.phases, samples))
    real = pictures(gan.shape[0]) if real is None else real
    return gan.step(lambda: {"real": real}, np.random.default_rng(2), now)


def test_phases_share_the_samples_and_name_what_is_idle():
    found = make().phases
    assert [(p.name, p.begins) for p in found] == [
        ("4px", 0), ("fade-8px", 15), ("8px", 30), ("fade-16px", 45), ("16px", 60),
    ]  # fmt: skip
    assert {name for name in found[1].idle if name[0] == "G"} == {"G.block16", "G.rgb16"}
    assert {name for name in found[2].idle if name[0] == "D"} == {"D.block16", "D.rgb16", "D.rgb4"}
    assert found[4].idle == ("G.rgb4", "G.rgb8", "D.rgb4", "D.rgb8")
    assert len(phases(3, 100)) == 7
    with pytest.raises(ValueError, match="`growth_samples` is 3, and growing has 4 phases .*: give at least 4 samples"):
        make(growth_samples=3)


@pytest.mark.parametrize("growth", [None, 0])
def test_without_growth_there_is_the_last_phase_alone(growth):
    gan = make(growth_samples=growth)
    assert [(p.name, p.begins) for p in gan.phases] == [("16px", 0)]
    assert gan.level_at(0) == gan.level_at(99) == 2
    assert step(gan, 0)["alpha"] == 1


def test_the_level_rises_in_a_fade_and_stays_between_them():
    gan = make()
    assert [gan.level_at(s) for s in (0, 14, 30, 44, 60, 1000)] == [0, 0, 1, 1, 2, 2]
    assert [gan.level_at(s) for s in (15, 22, 29, 45)] == pytest.approx([1 / 16, 8 / 16, 15 / 16, 1 + 1 / 16])
    assert [stage(level) for level in (0, 2, 2.25)] == [(0, 1), (2, 1), (3, 0.25)]


def test_growth_takes_two_thirds_of_a_run_unless_it_is_given():
    assert ProGAN.planned(300, {})["growth_samples"] == 200
    assert ProGAN.planned(300, {"growth_samples": 7, "batch_size": 8})["growth_samples"] == 7


def test_rate_and_lengths_of_phases_are_said_with_their_reason():
    rate, growth = make(lr=None).heuristics(5)
    assert rate.startswith("`lr` is 0.011: 0.001 · √(512 / 4), by `features`, so that outputs change as much in a step")
    names = "4px, fade-8px, 8px, fade-16px"
    assert growth.startswith(f"`growth_samples` is 60: {names} take 15 pictures each (3 steps) and 16px the rest")
    assert make(lr=0.01).heuristics(5) == [growth]
    assert make(lr=0.01, growth_samples=0).heuristics(5) == []


@pytest.mark.parametrize(("level", "expected"), [(2, 1), (0, 1 / 64), (1.25, (0.25, 1 / 4))])
def test_real_pictures_are_reduced_by_means_and_blended(level, expected):
    """Pictures of 16 pixels with one white pixel: at level 1.25, a quarter of it stays, the rest covers 2×2."""
    x = np.zeros((1, 16, 16, 1), np.float32)
    x[0, 5, 6] = 1
    y = reduced(x, 2, level)
    if level == 2:
        assert y is x
    elif level == 0:
        assert y.shape == (1, 4, 4, 1) and y[0, 1, 1, 0] == 1 / 16 and y.sum() == 1 / 16
    else:
        at, around = 0.25 + 0.75 / 4, 0.75 / 4
        np.testing.assert_allclose(y[0, 4:6, 6:8, 0], [[around, around], [at, around]])
        assert y.sum() == pytest.approx(1)


def test_channels_are_halved_above_32_pixels():
    assert [width(k, 512) for k in range(8)] == [512, 512, 512, 512, 256, 128, 64, 32]
    assert width(7, 4) == 1


def test_the_learning_rate_is_the_authors_for_512_channels_and_larger_for_fewer():
    rates = [[o.lr for o in make(**options).optimizers.values()] for options in ({"features": 32}, {"lr": 0.1})]
    assert rates == [pytest.approx([4e-3, 4e-3]), [0.1, 0.1]]


def test_all_weights_are_equalized_and_d_sees_variety():
    gan = make()
    for network in gan.networks.values():
        inner = [layer for _, layer in network.walk() if "W" in layer.parameter_names]
        assert len(inner) == len([layer for _, layer in network.walk() if isinstance(layer, Equalized)])
    kinds = [type(layer) for _, layer in gan.networks["D"].walk()]
    assert kinds.count(MinibatchStdDev) == 1
    assert MinibatchStdDev not in [type(layer) for _, layer in make(group=0).networks["D"].walk()]


def test_without_equalization_the_networks_compute_the_same_at_first():
    z = np.random.default_rng(3).standard_normal((4, 6)).astype(np.float32)
    results = []
    for equalize in (True, False):
        rng = np.random.default_rng(0)
        G, D = GrowingGenerator(1, 6, 1, 4, equalize, rng), GrowingCritic(1, 1, 4, 4, equalize, rng)
        results.append(D.output((G.output((z, 0.5)), 0.5)))
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_a_phase_begins_with_moments_of_zero_at_its_level():
    gan = make()
    step(gan, 0)
    assert all(optimizer.v.any() for optimizer in gan.optimizers.values())
    gan.begin(gan.phases[2], Now(3, 30, np.random.default_rng(0)))
    assert gan.level == 1
    assert not any(o.t or o.m.any() or o.v.any() for o in gan.optimizers.values())


@pytest.mark.parametrize("samples", [0, 20, 30, 50, 70])
def test_a_step_trains_the_layers_of_its_phase_alone(samples):
    """The others keep every bit, even after steps that trained them: the moments are reset at a phase's beginning."""
    gan = make()
    step(gan, 50)
    gan.begin(phase_at(gan.phases, samples), Now(1, samples, np.random.default_rng(0)))
    before = {name: network.state_dict() for name, network in gan.networks.items()}
    phase = phase_at(gan.phases, samples)
    measured = step(gan, samples)
    assert measured.keys() == gan.measures.keys()
    assert all(value.dtype == np.float32 and np.isfinite(value) for value in measured.values())
    for name, network in gan.networks.items():
        for key, array in network.state_dict().items():
            idle = f"{name}.{key.split('.')[0]}" in phase.idle
            last = name == "D" and key == "block4.8.layer.b"  # one score up, one down
            assert last or np.array_equal(array, before[name][key]) == idle, f"{name}.{key}"


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_all_passes_are_those_of_the_layers_of_the_level(level):
    """Without the minibatch deviation, D is piecewise linear, and nothing is added to the gradient of its input."""
    for group in (4, 0):
        D, rng = make(dtype=np.float64, group=group).networks["D"], np.random.default_rng(4)
        x, v = rng.standard_normal((2, 4, 4 << stage(level)[0], 4 << stage(level)[0], 1))
        path, dy = D.path(level), rng.standard_normal((4, 1))
        (y, cache), (expected, inner) = D.forward((x, level)), path.forward(x)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(y, D.output((x, level)))
        dx, of_level = D.backward(dy, cache)
        np.testing.assert_array_equal(dx, path.backward(dy, inner))
        assert of_level is None and D.backward(dy, cache, wrt="params") is None
        (ddy, dx2), (their_ddy, their_dx2) = D.double_backward((v, None), dy, cache), path.double_backward(v, dy, inner)
        np.testing.assert_array_equal(ddy, their_ddy)
        if group:
            np.testing.assert_array_equal(dx2[0], their_dx2)
            assert dx2[1] is None
        else:
            assert dx2 is None


@pytest.mark.parametrize("which", ["G", "D"])
@pytest.mark.parametrize("samples", [10, 25, 50])
def test_a_step_goes_down_the_gradient_of_the_loss_that_it_reports(which, samples):
    """Differences of that loss, with the penalties, along random directions, nothing being updated."""
    gan = make(dtype=np.float64)
    for network in gan.networks.values():
        shake(network, np.random.default_rng(0), 0.05)
    for optimizer in gan.optimizers.values():
        optimizer.lr = 0.0
    parameters, rng, real = gan.networks[which].parameters(), np.random.default_rng(3), pictures(dtype=np.float64)

    def loss():
        found = step(gan, samples, real)
        return found["g_loss"] if which == "G" else found["d_loss"] + found["penalty"] + 1e-3 * found["drift"]

    loss()
    start, gradient = parameters.values.copy(), parameters.grads.copy()
    for _ in range(3):
        direction, values = rng.standard_normal(len(parameters)), []
        for sign in (1, -1):
            parameters.values[:] = start + sign * 1e-8 * direction
            values.append(loss())
        slope = (values[0] - values[1]) / 2e-8
        assert slope == pytest.approx(gradient @ direction, abs=2e-6 * np.linalg.norm(gradient))


def test_samples_have_the_full_size_from_the_start_and_a_gradient():
    gan = make(dtype=np.float64)
    z, rng = gan.latent(2, np.random.default_rng(0)), np.random.default_rng(1)
    for level, block in ((0.0, 4), (0.5, 2), (2.0, 1)):
        gan.level = level
        x, backward = gan.trace(z)
        assert x.shape == (2, 16, 16, 1)
        np.testing.assert_array_equal(x, gan.generate(z))
        np.testing.assert_array_equal(x, x[:, ::block, ::block].repeat(block, 1).repeat(block, 2))
        dx, direction = rng.standard_normal(x.shape), rng.standard_normal(z.shape)
        ahead, behind = (gan.generate(z + sign * 1e-6 * direction) for sign in (1, -1))
        slope = ((ahead - behind) * dx).sum() / 2e-6
        assert slope == pytest.approx((backward(dx) * direction).sum(), rel=1e-6)


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
@pytest.mark.parametrize("samples", [0, 50])
def test_a_step_on_every_device(device, samples):
    """Nothing mixes host and device, and nothing is copied to the host."""
    gan, rng = make(device=device), device.rng(0)
    now, real = Now(0, samples, np.random.default_rng(0)), device.array(pictures())
    with forbid_transfers():
        measured = gan.step(lambda: {"real": real}, rng, now)
        x, backward = gan.trace(gan.latent(2, rng))
        backward(x)
    assert all(np.isfinite(to_numpy(value)) for value in measured.values())


def test_the_level_is_state():
    gan, other = make(), make()
    step(gan, 20)
    other.load_state_dict(gan.state_dict())
    assert other.level == gan.level == 6 / 16


def test_what_is_refused():
    for shape in ((4, 4, 1), (24, 24, 1), (16, 8, 1), (28, 28, 1), (2,)):
        with pytest.raises(ShapeError, match="square pictures of 8, 16, 32, 64 … pixels"):
            ProGAN(shape, **SMALL, rng=np.random.default_rng(0))
    with pytest.raises(ShapeError, match="don't divide a batch of 30: use a `batch_size` that is a multiple of 4"):
        ProGAN.planned(300, {"batch_size": 30})
    assert ProGAN.planned(300, {"batch_size": 30, "group": 0})
    G = make().networks["G"]
    for level in (-0.1, 2.1):
        with pytest.raises(ShapeError, match=f"level {level} isn't between 0 and 2"):
            G.output((np.zeros((1, 5), np.float32), level))
    with pytest.raises(ShapeError, match="takes a tuple of 2 arrays"):
        G.output(np.zeros((1, 5), np.float32))
    with pytest.raises(ValueError, match="not conditional"):
        make().generate(np.zeros((1, 5), np.float32), np.zeros(1, int))

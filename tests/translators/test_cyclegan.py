"""CycleGAN: what each network minimizes, what it sees, the image pool, and what the model declares."""

import numpy as np
import pytest
from crews import number_of_threads
from steps import make_step

from minigan.common.model_checks import check_measures, check_model
from minigan.errors import ShapeError
from minigan.layers import Conv2D, InstanceNorm
from minigan.losses import l1
from minigan.model import Model
from minigan.optim import Adam
from minigan.testing import STRICT, forbid_transfers
from minigan.training.settings import DECAYS
from minigan.translators import cyclegan
from minigan.translators.cyclegan import CycleGAN

SHAPE = (8, 12, 3)


def make(a=SHAPE, b=SHAPE, seed=0, double=False, **options):
    options = {"features": 2, "blocks": 1, "pool": 3} | options
    model = CycleGAN(a, b, **options, rng=np.random.default_rng(seed))
    if double:
        for name, network in model.networks.items():
            model.optimizers[name] = Adam(network.to(dtype=np.float64).parameters(), 0.0)
        for pool in model.pools.values():
            pool.pictures = pool.pictures.astype(np.float64)
    return model


def pictures(model, n=2, seed=1, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return {name: np.tanh(rng.standard_normal((n, *shape))).astype(dtype) for name, shape in model.shapes.items()}


def test_a_step_changes_every_parameter_and_returns_every_measure():
    model = make()
    before = {name: network.parameters().values.copy() for name, network in model.networks.items()}
    measured = make_step(model, pictures(model), np.random.default_rng(0))
    check_model(model)
    check_measures(model, measured)
    assert measured.keys() == model.measures.keys()
    assert all(np.isfinite(value) and value.dtype == np.float32 for value in measured.values())
    for name, network in model.networks.items():
        assert (network.parameters().values != before[name]).any()
        for key, (_, gradient) in network.parameters().named().items():
            assert gradient.any(), f"{name}.{key} learns nothing"


@pytest.mark.parametrize("d", cyclegan.DIRECTIONS, ids=lambda d: d.there)
def test_what_runs_at_the_same_time_adds_to_the_gradients_of_different_networks(d):
    model = make()
    changed = lambda: {name for name, network in model.networks.items() if network.parameters().grads.any()}  # noqa: E731
    one = model.there_and_back(pictures(model)[d.source], d, np.random.default_rng(0))
    assert changed() == {d.back}  # the other direction adds to those of its own `back`, which is this one's `there`
    one.there.backward(one.dy, one.cache, wrt="params")
    assert changed() == {d.back, d.there}


def test_both_directions_at_the_same_time_are_one_after_the_other():
    """The same bits in every run, and the same numbers as with one thread: no gradient is lost between two threads."""
    steps = []
    for n in (1, 2, 2, 2, 2):
        model, rng = make(double=True), np.random.default_rng(0)
        with number_of_threads(n):
            measured = make_step(model, pictures(model, dtype=np.float64), rng)
        steps.append((*(net.parameters().grads.copy() for net in model.networks.values()), *measured.values()))
    for other in steps[2:]:
        assert all(np.array_equal(a, b) for a, b in zip(steps[1], other, strict=True))
    for a, b in zip(steps[0], steps[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14 * max(1, abs(a).max()))


@pytest.mark.parametrize("name", ["AB", "BA", "DA", "DB"])
@pytest.mark.parametrize(
    "options", [{}, {"cycle": 3.0, "identity": 0.2}, {"identity": 0.0}, {"b": (8, 12, 1)}], ids=str
)
def test_each_network_goes_down_the_gradient_of_what_it_minimizes(name, options):
    """Differences of the sum of reported losses, along a random direction, in float64; nothing is updated.

    Generators: g_a + g_b + λ (cycle_a + cycle_b) + λ_identity (identity_a + identity_b). Critics: d_a, d_b.
    """
    model = make(double=True, **options)
    batch = pictures(model, dtype=np.float64)
    parts = {"g": 1, "cycle": model.cycle, "identity": model.cycle * model.identity}
    if name[0] == "D":
        weights = {f"d_{name[1].lower()}": 1}
    else:
        weights = {f"{loss}_{side}": factor for loss, factor in parts.items() for side in "ab"}

    def loss():
        for pool in model.pools.values():
            pool.filled = 0  # the critics see the translations of this step
        measured = make_step(model, batch, np.random.default_rng(0))
        return sum(weight * measured[measure] for measure, weight in weights.items() if weight)

    loss()
    parameters, h = model.networks[name].parameters(), 1e-9
    start, gradient = parameters.values.copy(), parameters.grads.copy()
    direction = np.random.default_rng(3).standard_normal(len(parameters))
    values = []
    for sign in (1, -1):
        parameters.values[:] = start + sign * h * direction
        values.append(loss())
    assert (values[0] - values[1]) / (2 * h) == pytest.approx(gradient @ direction, rel=1e-5)
    assert abs(gradient @ direction) > 1e-3


def test_the_default_identity_weight_is_half_of_the_cycle_weight():
    assert (make().cycle, make().identity) == (10.0, 0.5)


def test_gradients_of_an_earlier_step_do_not_count():
    found = []
    for earlier in (0, 7):
        model = make()
        for network in model.networks.values():
            network.parameters().grads[...] = earlier
        make_step(model, pictures(model), np.random.default_rng(0))
        found.append([network.parameters().grads for network in model.networks.values()])
    for clean, other in zip(*found, strict=True):
        np.testing.assert_array_equal(clean, other)


def test_the_generators_losses_do_not_train_the_critics():
    model = make()
    model.critic_step = lambda *_: {}
    make_step(model, pictures(model), np.random.default_rng(0))
    assert not any(model.networks[name].parameters().grads.any() for name in ("DA", "DB"))
    assert all(model.networks[name].parameters().grads.any() for name in ("AB", "BA"))


def test_defaults_by_the_size_of_the_pictures(monkeypatch):
    """Widths and depths are those of the shorter side, of a; the field is near a quarter of it."""
    built = []

    def tiny(*args, rng):
        built.append(args)
        return Conv2D(1, 1, 1, rng=rng)

    monkeypatch.setattr(cyclegan, "build_resnet", tiny)
    monkeypatch.setattr(cyclegan, "build_patchgan", tiny)
    for size, expected in ((64, (32, 4, 16)), (128, (64, 6, 34)), (256, (64, 9, 70))):
        built.clear()
        CycleGAN((size, size + 64, 3), (size + 4, 400, 3), rng=np.random.default_rng(0))
        features, blocks, field = expected
        assert built == [(3, 3, features, blocks, "transposed")] * 2 + [(3, field, features, InstanceNorm)] * 2
    built.clear()
    CycleGAN(SHAPE, (8, 8, 1), 5, 2, "bilinear", 1, rng=np.random.default_rng(0))
    generators = [(3, 1, 5, 2, "bilinear"), (1, 3, 5, 2, "bilinear")]
    assert built == [*generators, (3, 1, 5, InstanceNorm), (1, 1, 5, InstanceNorm)]


def test_what_the_critics_see():
    """The batch, and from the pool the translations of this step while it isn't full."""
    model, seen = make(), {"DA": [], "DB": []}
    for name, D in ((name, model.networks[name]) for name in seen):
        forward = D.forward
        D.forward = lambda x, *args, name=name, forward=forward, **kw: seen[name].append(x) or forward(x, *args, **kw)
    batch = pictures(model)
    AB, BA = (model.networks[name].output(batch[x], train=False) for name, x in (("AB", "a"), ("BA", "b")))
    measured = make_step(model, batch, np.random.default_rng(0))
    for name, real, fake in (("DA", batch["a"], BA), ("DB", batch["b"], AB)):
        for found, expected in zip(seen[name], (fake, real, fake), strict=True):  # first for the generator
            np.testing.assert_allclose(found, expected, atol=1e-6)
    assert measured["cycle_a"] == pytest.approx(0.5, abs=0.5) and model.pools["b"].filled == 2


def test_g_losses_are_those_of_the_paper_and_d_losses_have_the_half():
    model = make(double=True)
    batch = pictures(model, dtype=np.float64)
    fake = model.networks["AB"].output(batch["a"], train=False)
    on_fake, on_real = (model.networks["DB"].output(x, train=False) for x in (fake, batch["b"]))
    measured = make_step(model, batch, np.random.default_rng(0))
    assert measured["g_b"] == pytest.approx(((on_fake - 1) ** 2).mean())
    assert measured["d_b"] == pytest.approx(((on_real - 1) ** 2).mean() / 2 + (on_fake**2).mean() / 2)
    assert measured["real_b"] == pytest.approx(on_real.mean()) and measured["fake_b"] == pytest.approx(on_fake.mean())


def test_one_adam_for_each_network_equals_one_for_each_pair():
    """Two steps by the gradients of a step: those of AB and BA as one vector, in one Adam, as in the reference code."""
    model, pairs = make(lr=0.01), {}
    for pair in (("AB", "BA"), ("DA", "DB")):
        values = np.concatenate([model.networks[name].parameters().values for name in pair])
        pairs[pair] = values, np.zeros_like(values), np.zeros_like(values)
    for t in (1, 2):
        make_step(model, pictures(model, seed=t), np.random.default_rng(t))
        for pair, (p, m, v) in pairs.items():
            g = np.concatenate([model.networks[name].parameters().grads for name in pair])
            m += 0.5 * (g - m)
            v += 0.001 * (g * g - v)
            p -= 0.01 * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
            np.testing.assert_allclose(
                p, np.concatenate([model.networks[name].parameters().values for name in pair]), atol=1e-6
            )


def test_the_rate_is_constant_for_half_of_the_run_and_then_falls_to_0():
    decay = DECAYS[CycleGAN.lr_decay](1000)
    assert [decay(step) for step in (0, 500, 750, 999)] == pytest.approx([1, 1, 0.5, 0.002])
    assert CycleGAN.rates is Model.rates, "another decay replaces this one, and isn't multiplied by it"


def test_the_pools_are_part_of_the_state():
    model, other = make(), make(seed=5)
    make_step(model, pictures(model), np.random.default_rng(0))
    other.load_state_dict(model.state_dict())
    for name, pool in model.pools.items():
        assert other.pools[name].filled == pool.filled == 2
        np.testing.assert_array_equal(other.pools[name].pictures, pool.pictures)


def test_a_step_never_waits_for_a_gpu():
    model = CycleGAN(SHAPE, SHAPE, features=2, blocks=1, pool=3, rng=np.random.default_rng(0), device=STRICT)
    batch = {name: STRICT.array(x) for name, x in pictures(model).items()}
    with forbid_transfers():
        for i in range(3):  # until the pool is full
            make_step(model, batch, STRICT.rng(i), i)


# Other channels, sizes and sets


def test_from_gray_to_color():
    model = make(a=(8, 12, 1), b=(8, 12, 3))
    assert model.identity == 0
    measured = make_step(model, pictures(model), np.random.default_rng(0))
    assert measured.keys() == model.measures.keys() - {"identity_a", "identity_b"}
    assert model.pools["b"].pictures.shape == (3, 8, 12, 3)
    with pytest.raises(ValueError, match="a has 1 channels and b has 3"):
        make(a=(8, 12, 1), identity=0.5)


def test_sets_of_different_sizes():
    model = make(a=(8, 8, 3), b=(12, 16, 3))
    make_step(model, pictures(model), np.random.default_rng(0))
    assert model.pools["b"].pictures.shape == (3, 8, 8, 3), "translated pictures keep the size of their source"


@pytest.mark.parametrize("size", [(8, 12), (9, 15)])
def test_translations_of_any_size(size):
    model, rng = make(a=(8, 8, 1)), np.random.default_rng(0)
    a, b = (rng.uniform(-1, 1, (1, *size, C)).astype(np.float32) for C in (1, 3))
    found = model.translate({"a": a, "b": b})
    assert found["b"].shape == (1, *size, 3) and found["a"].shape == (1, *size, 1)
    np.testing.assert_array_equal(found["b"], model.apply(a))
    np.testing.assert_array_equal(found["a"], model.apply(b, to="a"))
    assert model.translate({"b": b}).keys() == {"a"}
    with pytest.raises(ValueError, match="`to` is 'c': choose from b, a"):
        model.apply(a, to="c")


def test_translations_use_averaged_weights():
    model = make()
    model.average_weights(0.5)
    make_step(model, pictures(model), np.random.default_rng(0))
    model.averages["AB"].average.parameters().values[...] = 0
    x = pictures(model)["a"]
    assert not model.apply(x).any() and model.networks["AB"].output(x).any()


def test_the_cycle_error_of_held_out_pictures():
    model = make()
    items = [{name: x[i : i + 1] for name, x in pictures(model, 3).items()} for i in range(3)]
    found = model.judge(items, None)
    assert found.keys() == model.judgements.keys()
    again = [model.apply(model.apply(item["b"], "a"), "b") for item in items]
    expected = np.mean([l1(y, item["b"])[0] for y, item in zip(again, items, strict=True)])
    assert found["held_out_cycle_b"] == pytest.approx(expected, rel=1e-6)
    on_device = CycleGAN(SHAPE, SHAPE, features=2, blocks=1, rng=np.random.default_rng(0), device=STRICT)
    items = [{name: STRICT.array(x) for name, x in item.items()} for item in items]
    assert on_device.judge(items, None) == pytest.approx(found, rel=1e-5)


def test_sizes_that_the_generators_do_not_take():
    with pytest.raises(ShapeError, match="pictures of b are 10×8"):
        make(b=(10, 8, 3))
    with pytest.raises(ShapeError, match="`field` 34 is too large for pictures of 8×12 pixels"):
        make(field=34)

"""pix2pix: the losses are the paper's, every gradient goes where it should, and inference is the same everywhere."""

import numpy as np
import pytest
from steps import make_step

from minigan.backend import to_numpy
from minigan.common.model_checks import check_measures, check_model
from minigan.errors import ShapeError
from minigan.layers import Dropout
from minigan.layers.activations import softplus
from minigan.losses import pixel_cross_entropy
from minigan.model import MAP, PICTURE, can
from minigan.optim import SGD
from minigan.testing import devices_under_test, forbid_transfers, shake
from minigan.translators.pix2pix import Pix2Pix

SIZE, CLASSES = 16, 4
COLORS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
VARIANTS = {
    "pictures": {},
    "batch norm": {"norm": "batch"},
    "no norm": {"norm": "none", "field": 1},
    "no gan": {"gan": False},
    "label to photo": {"labels": "input"},
    "photo to label": {"labels": "target"},
    "cross-entropy": {"labels": "target", "loss": "cross-entropy", "weight": 3.0},
    "cross-entropy alone": {"labels": "target", "loss": "cross-entropy", "gan": False},
    "gray to color": {"damage": "gray"},
}
each_variant = pytest.mark.parametrize("name", VARIANTS)


def make(name, seed=0, device="cpu", **more):
    """A small model of a variant."""
    options = VARIANTS[name] | more
    channels = {array: CLASSES if options.get("labels") == array else 3 for array in ("input", "target")}
    shapes = {f"{array}_shape": (SIZE, SIZE, n) for array, n in channels.items()}
    colors = {f"{array}_colors": COLORS for array, n in channels.items() if n == CLASSES}
    return Pix2Pix(**shapes, **colors, features=3, rng=np.random.default_rng(seed), device=device, **options)


def some_maps(rng, n):
    """One-hot maps, in which one pixel in five is of unknown class."""
    return (rng.integers(CLASSES + 1, size=(n, SIZE, SIZE, 1)) == np.arange(CLASSES)).astype(np.float32)


def some_batch(model, n=2, seed=1):
    """Inputs and targets on the model's device."""
    rng, batch = np.random.default_rng(seed), {}
    for array in ("input", "target"):
        pictures = np.tanh(rng.standard_normal((n, SIZE, SIZE, 3))).astype(np.float32)
        batch[array] = some_maps(rng, n) if model.arrays.get(array) == MAP else pictures
    return {array: model.device.array(x) for array, x in batch.items()}


def frozen(name, **more):
    """A model in float64, with weights far from 0 and so from kinks, whose steps compute gradients and move nothing."""
    model = make(name, **more)
    for key, network in model.networks.items():
        shake(network.to(dtype=np.float64), np.random.default_rng(0))
        model.optimizers[key] = SGD(network.parameters(), 0.0)
    return model, {array: x.astype(np.float64) for array, x in some_batch(model).items()}


def losses(name, model, batch):
    """D's and G's loss as the paper has them, computed without the model's own step."""
    x, t, rng = batch["input"], batch["target"], np.random.default_rng(0)
    maps = model.arrays.get("target") == MAP
    out = model.networks["G"].output(x, rng=rng)
    y = np.exp(out) / np.exp(out).sum(axis=-1, keepdims=True) if maps else np.tanh(out)
    y = y * t.sum(axis=-1, keepdims=True) if maps else y
    error = pixel_cross_entropy(out, t)[0] if "loss" in VARIANTS[name] else abs(y - t).mean()
    if "D" not in model.networks:
        return 0.0, model.weight * error
    real, fake = (model.networks["D"].output(np.concatenate([x, other], axis=-1)) for other in (t, y))
    d_loss = (softplus(-real).mean() + softplus(fake).mean()) / 2
    return d_loss, softplus(-fake).mean() + model.weight * error


@each_variant
def test_it_keeps_to_the_contract(name):
    model = make(name)
    model.average_weights(0.9)
    check_model(model)
    measured = make_step(model, some_batch(model), np.random.default_rng(0))
    check_measures(model, measured)
    assert measured.keys() == model.measures.keys()
    assert set(model.networks) == ({"G", "D"} if model.games else {"G"})
    assert all(np.isfinite(value) for value in measured.values())


@each_variant
def test_the_values_are_those_of_the_paper(name):
    model, batch = frozen(name)
    d_loss, g_loss = losses(name, model, batch)
    measured = make_step(model, batch, np.random.default_rng(0))
    error = measured["cross_entropy" if "loss" in VARIANTS[name] else "l1"]
    assert measured.get("g_loss", 0) + model.weight * error == pytest.approx(g_loss, rel=1e-12)
    assert measured.get("d_loss", 0) / 2 == pytest.approx(d_loss, rel=1e-12)


@each_variant
def test_the_gradients_of_a_step_are_those_of_the_losses(name):
    """Along random directions, by differences; D's gradient holds nothing of G's loss, and G's nothing of D's."""
    model, batch = frozen(name)
    make_step(model, batch, np.random.default_rng(0))
    for which, i in (("D", 0), ("G", 1)):
        if which not in model.networks:
            continue
        p, written = model.networks[which].parameters().values, model.networks[which].parameters().grads.copy()
        for seed in range(3):
            u, start, ends = np.random.default_rng(seed).standard_normal(p.shape) * 1e-7, p.copy(), []
            for sign in (1, -1):
                p[...] = start + sign * u
                ends.append(losses(name, model, batch)[i])
            p[...] = start
            assert (ends[0] - ends[1]) / 2 == pytest.approx(written @ u, rel=1e-5, abs=1e-13)


@each_variant
def test_each_network_is_moved_by_its_own_optimizer(name):
    for moves in ("G", "D"):
        model = make(name)
        before = {key: network.parameters().values.copy() for key, network in model.networks.items()}
        for key, optimizer in model.optimizers.items():
            optimizer.lr = 1e-3 * (key == moves)
        make_step(model, some_batch(model), np.random.default_rng(0))
        for key, network in model.networks.items():
            assert (network.parameters().values != before[key]).any() == (key == moves)


def test_gradients_of_the_last_step_are_forgotten():
    clean, soiled = make("pictures"), make("pictures")
    for network in soiled.networks.values():
        network.parameters().grads[:] = 1e6
    for model in (clean, soiled):
        make_step(model, some_batch(model), np.random.default_rng(0))
    for key in "GD":
        a, b = (model.networks[key].parameters().values for model in (clean, soiled))
        np.testing.assert_array_equal(a, b)


def test_d_sees_nothing_where_the_class_is_unknown():
    model, seen = make("photo to label"), []
    batch, D = some_batch(model), model.networks["D"]
    forward = D.forward
    D.forward = lambda x, *args, **kwargs: seen.append(x) or forward(x, *args, **kwargs)
    make_step(model, batch, np.random.default_rng(0))
    unknown = batch["target"].sum(axis=-1) == 0
    assert len(seen) == 3
    assert unknown.any()
    for pair in seen:
        np.testing.assert_array_equal(pair[..., :3], batch["input"])
        assert not pair[unknown][:, 3:].any()
    np.testing.assert_allclose(seen[1][~unknown][:, 3:].sum(axis=-1), 1, rtol=1e-6)


@each_variant
def test_inference_draws_nothing_and_changes_nothing(name):
    model = make(name)
    make_step(model, some_batch(model), np.random.default_rng(0))
    before = {key: network.state_dict() for key, network in model.networks.items()}
    item = {"input": some_batch(model, seed=3)["input"][:1]}
    y = model.translate(item)["target"]
    np.testing.assert_array_equal(model.translate(item)["target"], y)
    assert y.shape[:3] == item["input"].shape[:3]
    for key, network in model.networks.items():
        for array, value in network.state_dict().items():
            np.testing.assert_array_equal(value, before[key][array])
    if model.of_classes:
        np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-5)
    else:
        assert -1 <= y.min() < y.max() <= 1


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_a_result_does_not_depend_on_the_other_pictures(norm):
    model = make("pictures", norm=norm)
    batch = some_batch(model, n=3)
    make_step(model, batch, np.random.default_rng(0))
    np.testing.assert_allclose(model.apply(batch["input"][:1]), model.apply(batch["input"])[:1], atol=1e-5)


def test_instance_norm_is_the_same_in_training_and_inference():
    model = make("pictures", dropout=0.0)
    x = some_batch(model)["input"]
    np.testing.assert_array_equal(*(model.networks["G"].output(x, train=train) for train in (True, False)))


@pytest.mark.parametrize("size", [(SIZE, SIZE), (13, 21), (5, 40)])
def test_pictures_of_any_size(size):
    model = make("pictures")
    x = np.random.default_rng(0).uniform(-1, 1, (1, *size, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.apply(x), model.translate({"input": x})["target"])
    assert model.apply(x).shape == x.shape


def test_apply_takes_and_makes_maps_in_their_colors():
    model = make("label to photo")
    maps = some_maps(np.random.default_rng(0), 1)
    maps[maps.sum(axis=-1) == 0] = [1, 0, 0, 0]
    colored = COLORS[maps.argmax(axis=-1)] / np.float32(127.5) - 1
    wanted = model.translate({"input": maps})["target"]
    np.testing.assert_array_equal(model.apply(colored), wanted)
    np.testing.assert_array_equal(model.apply(np.clip(colored + 0.3, -1, 1)), wanted)  # nearest, as after JPEG
    numbers = maps.argmax(axis=-1)[..., None] / np.float32(127.5) - 1
    np.testing.assert_array_equal(model.apply(numbers.astype(np.float32)), wanted)
    labeler = make("photo to label")
    x = some_batch(labeler)["input"]
    classes = labeler.translate({"input": x})["target"].argmax(axis=-1)
    np.testing.assert_array_equal((labeler.apply(x) + 1) * 127.5, COLORS[classes])


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
@pytest.mark.parametrize("name", ["label to photo", "photo to label"])
def test_apply_on_every_device(name, device):
    x = np.tanh(np.random.default_rng(0).standard_normal((1, SIZE, SIZE, 3))).astype(np.float32)
    model, host = make(name, device=device), make(name)
    np.testing.assert_allclose(to_numpy(model.apply(device.array(x))), host.apply(x), atol=1e-5)


def test_inputs_are_made_of_targets_by_a_damage():
    model = make("gray to color")
    assert model.arrays == Pix2Pix.needs(damage="gray") == {"target": PICTURE}
    t = np.random.default_rng(0).uniform(-1, 1, (8, 8, 3)).astype(np.float32)
    x = model.damage({"target": t}, np.random.default_rng(0))["input"]
    np.testing.assert_allclose(x, np.repeat(t @ [[0.299], [0.587], [0.114]], 3, axis=-1), atol=1e-6)
    assert not can(make("pictures"), "damage")


def test_defaults_follow_the_size():
    model = Pix2Pix((64, 64, 1), (64, 64, 3), features=2, rng=np.random.default_rng(0))
    assert model.multiple == 64
    assert model.networks["D"].output(np.zeros((1, 64, 64, 4), np.float32)).shape == (1, 30, 30, 1)  # field 16
    assert sum(isinstance(layer, Dropout) for _, layer in model.networks["G"].walk()) == 3


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"loss": "cross-entropy"}, ValueError, "`loss` cross-entropy compares class maps: give `labels` target"),
        ({"damage": "gray", "labels": "target"}, ValueError, "leave one of them out"),
        ({"damage": "hole:center"}, ValueError, "pix2pix doesn't know where a hole is; train restore"),
        ({"damage": "rust"}, ValueError, "rust"),
        ({"damage": "gray", "target_shape": (16, 16, 1)}, ValueError, "`damage` gray takes colors away"),
        ({"input_shape": (16, 8, 3)}, ShapeError, "inputs have 16×8 pixels, targets 16×16: they must be the same"),
        ({"depth": 5}, ShapeError, "`depth` 5 takes multiples of 32 pixels, not 16×16"),
        ({"field": 70}, ShapeError, "`field` 70 is too large for pictures of 16×16 pixels"),
        ({"field": 20}, ValueError, "`field` is 20: choose from 1, 16, 34, 70"),
        ({"target_shape": (18, 18, 3), "input_shape": (18, 18, 3)}, ShapeError, "18×18 pixels aren't multiples of 4"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(options, error, sentence):
    shapes = {"target_shape": (16, 16, 3), "input_shape": (16, 16, 3)}
    with pytest.raises(error, match=sentence):
        Pix2Pix(**shapes | options, rng=np.random.default_rng(0))


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
@each_variant
def test_a_step_on_every_device(name, device):
    """Nothing mixes host and device, and nothing is copied to the host."""
    model = make(name, device=device)
    batch = some_batch(model)
    with forbid_transfers():
        measured = make_step(model, batch, device.rng(0))
        model.translate({"input": batch["input"]})
    assert all(np.isfinite(to_numpy(value)) for value in measured.values())

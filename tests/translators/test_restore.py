"""Restore: the gradients of its step, what it keeps of a picture with a hole, and what training and `apply` share."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Conv2D
from minigan.model import Now, can
from minigan.translators import MODELS
from minigan.translators.restore import Restore

SMALL = {"features": 4, "depth": 3}


def make(damage="noise:25", channels=1, size=16, seed=0, **options):
    return Restore((size, size, channels), damage, **SMALL | options, rng=np.random.default_rng(seed))


def batch_of(model, channels=1, n=3, size=16, seed=1):
    """A batch as a run makes it: clean pictures, and what `damage` adds."""
    rng = np.random.default_rng(seed)
    clean = np.tanh(rng.standard_normal((n, size, size, channels), np.float32))
    made = [model.damage({"clean": picture}, rng) for picture in clean]
    return {"clean": clean} | {name: np.stack([one[name] for one in made]) for name in made[0]}


def step(model, batch, progress=0.0):
    return model.step(lambda: batch, None, Now(0, 0, np.random.default_rng(0), progress))


@pytest.mark.parametrize("damage", ["noise:25", "hole:blobs"])
@pytest.mark.parametrize(("loss", "adversarial"), [("l2", 0), ("l1", 0), ("l2", 0.5)])
def test_the_steps_gradient_is_that_of_the_loss(damage, loss, adversarial):
    """Compare with differences in float64, in a random direction of all weights."""
    model = make(damage, loss=loss, adversarial=adversarial)
    for name, network in model.networks.items():
        model.optimizers[name] = Still(network.to(dtype="float64").parameters())
    G = model.networks["G"]
    batch = batch_of(model)
    batch = {name: a if name == "mask" else a.astype(np.float64) for name, a in batch.items()}
    step(model, batch)
    values, grads = G.parameters().values, G.parameters().grads.copy()
    direction = np.random.default_rng(2).standard_normal(len(values))
    losses = []
    for sign in (1, -1):
        values += sign * 1e-7 * direction
        measured = step(model, batch)
        losses.append(float(measured[loss] + adversarial * measured.get("g_loss", 0)))
        values -= sign * 1e-7 * direction
    assert (losses[0] - losses[1]) / 2e-7 == pytest.approx(grads @ direction, rel=1e-6)


class Still:
    """An optimizer that leaves the weights as they are."""

    def __init__(self, parameters):
        self.parameters = parameters

    def zero_grad(self):
        self.parameters.zero_grad()

    def step(self):
        pass


def test_training_reduces_the_error_of_what_apply_returns():
    """The same batch again and again: the restored pictures get closer to the clean ones than the damaged are."""
    model = make(lr=1e-2, features=16, loss="l2")
    batch = batch_of(model, n=8)

    def error(y):
        return float(((y - batch["clean"]) ** 2).mean())

    for _ in range(150):
        measured = step(model, batch)
    restored = model.translate(batch)["clean"]
    assert np.array_equal(restored, model.apply(batch["damaged"]))
    assert error(restored) < 0.7 * error(batch["damaged"].clip(-1, 1))
    assert measured["batch_psnr"] == pytest.approx(10 * np.log10(4 / measured["l2"]), rel=1e-5)


def test_apply_is_the_network_in_inference_mode_and_leaves_no_trace():
    """Batch norm uses its running statistics: the result for a picture doesn't depend on the others in the batch."""
    model = make()
    batch = batch_of(model)
    step(model, batch)
    x, before = batch["damaged"], model.networks["G"].state_dict()
    together = model.apply(x)
    alone = np.concatenate([model.apply(x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together, (x - model.networks["G"].output(x, train=False)).clip(-1, 1))
    assert all(np.array_equal(a, before[name]) for name, a in model.networks["G"].state_dict().items())


@pytest.mark.parametrize("network", ["unet", "dncnn"])
def test_only_the_hole_changes_and_nothing_in_it_is_looked_at(network):
    model = make("hole:blobs", channels=3, network=network)
    step(model, batch_of(model, channels=3))
    batch = batch_of(model, channels=3, size=13)  # no multiple of a U-Net's 2^depth
    x, mask = batch["damaged"], batch["mask"]
    y = model.apply(x, mask)
    known = np.broadcast_to(mask == 1, x.shape)
    assert np.array_equal(y[known], x[known])
    assert not np.array_equal(y[~known], x[~known])
    painted = np.where(known, x, np.float32(0.9))
    np.testing.assert_allclose(model.apply(painted, mask), y, atol=1e-6)
    assert np.array_equal(model.apply(x), x.clip(-1, 1))  # without a mask there is no hole
    assert (model.masked, model.applied) == (True, ())  # holes are filled from anywhere: no tiles
    other = make("noise:5")
    assert (other.masked, other.applied) == (False, ("G",))


def test_the_average_of_weights_restores_if_there_is_one():
    model = make()
    model.average_weights(0.9)
    batch = batch_of(model)
    step(model, batch)
    averaged = model.apply(batch["damaged"])
    model.averages = {}
    assert not np.array_equal(averaged, model.apply(batch["damaged"]))


def test_sizes():
    """48 × 10 with batch norm, the paper's 64 × 17, a U-Net for holes, and what is given by hand."""
    rng = np.random.default_rng(0)
    counts = [
        len(Restore((40, 40, 1), **options, rng=rng).networks["G"].parameters())
        for options in ({}, {"preset": "paper"}, {"features": 8, "depth": 2})
    ]
    assert counts[0] == 2 * 9 * 48 + 49 + 8 * (9 * 48**2 + 2 * 48)
    assert counts[1] == 2 * 9 * 64 + 65 + 15 * (9 * 64**2 + 2 * 64)
    assert counts[2] == 2 * 9 * 8 + 9
    multiples = [Restore((size, 64, 3), "hole:center", features=2, rng=rng).multiple for size in (64, 40)]
    assert multiples == [16, 8]
    assert Restore((64, 64, 3), "hole:center", network="dncnn", features=2, rng=rng).multiple == 1
    with pytest.raises(ValueError, match="2 at least"):
        Restore((40, 40, 1), depth=1, rng=rng)


def test_an_untrained_network_hardly_changes_the_picture():
    model = Restore((40, 40, 3), rng=np.random.default_rng(0))
    x = batch_of(model, channels=3, size=40)["damaged"].clip(-1, 1)
    assert np.abs(model.apply(x) - x).mean() < 0.2 * np.abs(x).mean()


def test_the_critic_learns_and_restores_nothing_by_itself():
    """D's step leaves G alone; without its weight there is no D at all."""
    model = make(adversarial=0.01, lr=0.05)
    batch = batch_of(model)
    before = {name: network.state_dict() for name, network in model.networks.items()}
    real, fake = (model.networks["D"].output(batch[name]) for name in ("clean", "damaged"))
    measured = model.critic_step(batch["clean"], batch["damaged"], None)
    assert measured["d_loss"] == pytest.approx(np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean(), rel=1e-5)
    changed = {
        name: [key for key, a in network.state_dict().items() if not np.array_equal(a, before[name][key])]
        for name, network in model.networks.items()
    }
    assert not changed["G"]
    assert len(changed["D"]) == len(before["D"])
    assert set(measured) == {"d_loss", "d_real", "d_fake"}
    for _ in range(60):
        later = model.critic_step(batch["clean"], batch["damaged"], None)
    assert later["d_loss"] < 0.7 * measured["d_loss"]
    assert later["d_real"] > 0.5 > later["d_fake"]
    assert (set(make().networks), make().games) == ({"G"}, ())


def test_the_critic_fits_the_size_of_the_crops():
    convolutions = [
        sum(isinstance(layer, Conv2D) for layer in make(size=size, channels=3, adversarial=0.01).networks["D"].layers)
        for size in (16, 128)
    ]
    assert convolutions == [3, 4]  # receptive fields of 16 and 34 pixels
    with pytest.raises(ShapeError, match="`field` 16 is too large for pictures of 4×4 pixels"):
        make(size=4, adversarial=0.01)


def test_the_critic_has_a_tenth_of_the_learning_rate():
    assert {name: one.lr for name, one in make(adversarial=0.01, lr=0.05).optimizers.items()} == {"G": 0.05, "D": 0.005}


def test_wrong_damages_are_refused_when_the_model_is_built():
    with pytest.raises(ValueError, match="is unknown"):
        make("rain:3")
    with pytest.raises(ValueError, match="use pictures in color"):
        make("gray")
    assert MODELS["restore"] is Restore


def test_pairs_bring_their_own_damage():
    """The data gives what the model would make, so the step is the same, and nothing damages the pictures again."""
    assert list(Restore.needs(damage="pairs")) == ["damaged", "clean"]
    rng = np.random.default_rng(1)
    batch = {name: rng.uniform(-1, 1, (2, 16, 16, 1)).astype(np.float32) for name in ("damaged", "clean")}
    results = []
    for damage in ("pairs", "noise:25"):
        model = make(damage)
        assert can(model, "damage") == (damage != "pairs")
        step(model, batch)
        results.append(model.networks["G"].parameters().values)
    np.testing.assert_array_equal(*results)
    with pytest.raises(ValueError, match="`clip` is for a damage that the model makes"):
        make("pairs", clip=True)

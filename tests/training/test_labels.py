"""Labels on their way from the data to the step, and pictures by class."""

import signal
from dataclasses import replace

import conditional
import numpy as np
import pytest
from test_trainer import interrupt_at
from tiny import CONFIG, make_trainer, newest, train, weights

from minigan.backend import array_module, to_numpy
from minigan.training import RunFolder, TrainingError
from minigan.training.pictures import grid
from minigan.training.summary import summarize

CONFIG = replace(CONFIG, sample_interval=12)
DIGITS = replace(CONFIG, model="tiny", model_args={"n_classes": 10}, classes=tuple("0123456789"))
MODES = tuple(f"mode {k}" for k in range(8))
RING = replace(DIGITS, model_args={"n_classes": 8}, classes=MODES, data="ring", shape=(2,), augment=())


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    conditional.know(monkeypatch)


def test_every_step_gets_the_labels_of_its_own_batch(tmp_path, device):
    """The label of a point is the nearest centre. Also after a resume, which starts in the middle of an epoch."""
    trainer = make_trainer(tmp_path / "run", replace(RING, n_steps=11), device=device)
    seen = watch_batches(trainer)
    train(trainer)
    checkpoint = newest(trainer.folder.path)
    resumed = make_trainer(tmp_path / "run", replace(RING, n_steps=20), checkpoint.state["position"], device)
    resumed.resume(checkpoint)
    seen_again = watch_batches(resumed)
    train(resumed)
    assert (len(seen), len(seen_again)) == (11, 9)
    centers = trainer.dataset.centers
    for x, labels in seen + seen_again:
        assert array_module(labels) is array_module(x) is device.xp
        nearest = np.linalg.norm(to_numpy(x)[:, None] - centers, axis=2).argmin(axis=1)
        np.testing.assert_array_equal(to_numpy(labels), nearest)
        assert len(set(nearest)) > 1


def test_an_unconditional_step_gets_samples_alone(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, n_steps=1))
    seen = watch_batches(trainer)
    train(trainer)
    assert seen[0].shape == (8, 16, 16, 1)


def test_a_resumed_conditional_run_ends_bit_for_bit_like_an_unbroken_one(tmp_path):
    unbroken = make_trainer(tmp_path / "unbroken", DIGITS)
    train(unbroken)
    broken = make_trainer(tmp_path / "broken", DIGITS)
    interrupt_at(broken, 7)
    assert train(broken) == signal.SIGINT
    checkpoint = newest(broken.folder.path)
    resumed = make_trainer(tmp_path / "broken", RunFolder(tmp_path / "broken").config(), checkpoint.state["position"])
    resumed.resume(checkpoint)
    train(resumed)
    np.testing.assert_array_equal(weights(resumed.gan), weights(unbroken.gan))
    last = [trainer.folder.samples()[-1].read_bytes() for trainer in (resumed, unbroken)]
    assert last[0] == last[1]


def test_the_picture_has_a_column_for_every_class(tmp_path):
    trainer = make_trainer(tmp_path / "run", DIGITS)
    samples = trainer.gan.generate(trainer.latents, np.tile(np.arange(10), 8))
    assert len(samples) == 80
    assert trainer.draw(trainer.samples()).tobytes() == grid(samples, columns=10).tobytes()


def test_many_classes_share_a_square(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(DIGITS, model_args={"n_classes": 17}))
    assert trainer.latents.shape == (64, 4)
    image = trainer.draw(trainer.samples())
    assert image.width == image.height


def test_a_dry_run_makes_a_step_with_labels():
    text = summarize(DIGITS.build_gan(), DIGITS)
    assert "G: 4, label → 16×16×1" in text
    assert "D: 16×16×1, label → 1" in text


def test_a_dry_run_looks_at_a_step_in_the_midst_of_training(monkeypatch):
    """Not at WGAN's first ones, with their hundred critic updates."""
    step, seen = conditional.TinyConditional.step, []
    watched = lambda gan, *args: seen.append(gan.optimizers["G"].t) or step(gan, *args)  # noqa: E731
    monkeypatch.setattr(conditional.TinyConditional, "step", watched)
    summarize(DIGITS.build_gan(), DIGITS)
    assert min(seen) > 1000


# Averages


def test_the_average_follows_every_step_and_draws_the_pictures(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, ema=0.999))
    G = trainer.gan.networks["G"]
    followed, step, update = [], trainer.gan.step, trainer.gan.average.update
    trainer.gan.step = lambda *args: followed.append("step") or step(*args)
    trainer.gan.average.update = lambda: followed.append("update") or update()
    train(trainer)
    assert followed == ["step", "update"] * 12
    by_average, by_G = (grid(net.forward(trainer.latents, train=False)[0]) for net in (trainer.gan.average.average, G))
    assert trainer.draw(trainer.samples()).tobytes() == by_average.tobytes() != by_G.tobytes()


def test_an_average_changes_no_other_number_of_the_training(tmp_path):
    trainers = [make_trainer(tmp_path / str(ema), replace(CONFIG, ema=ema)) for ema in (None, 0.9)]
    for trainer in trainers:
        train(trainer)
    np.testing.assert_array_equal(*(weights(trainer.gan) for trainer in trainers))


def test_a_resumed_average_ends_bit_for_bit_like_an_unbroken_one(tmp_path):
    config = replace(CONFIG, ema=0.9)
    unbroken = make_trainer(tmp_path / "unbroken", config)
    train(unbroken)
    train(make_trainer(tmp_path / "parts", replace(config, n_steps=7)))
    checkpoint = newest(tmp_path / "parts")
    resumed = make_trainer(tmp_path / "parts", config, checkpoint.state["position"])
    resumed.resume(checkpoint)
    train(resumed)
    mine, other = resumed.gan.average.state_dict(), unbroken.gan.average.state_dict()
    assert mine["t"] == 12
    for name in other:
        np.testing.assert_array_equal(mine[name], other[name], err_msg=name)


def test_an_average_may_begin_and_end_on_the_way(tmp_path):
    averaged = replace(CONFIG, ema=0.9, n_steps=1)
    for ema, name in ((None, "without"), (0.9, "with")):
        trainer = make_trainer(tmp_path / name, replace(averaged, ema=ema))
        train(trainer)
        other = replace(averaged, ema=None if ema else 0.9).build_gan()
        newest(trainer.folder.path).restore(other)
        np.testing.assert_array_equal(weights(other), weights(trainer.gan))
        if other.average:
            np.testing.assert_array_equal(
                other.average.average.parameters().values, other.networks["G"].parameters().values
            )
            assert other.average.t == 0


def test_a_decay_that_makes_no_average_is_a_sentence():
    with pytest.raises(TrainingError, match="dcgan: a decay of 1.5 makes no average"):
        replace(CONFIG, ema=1.5).build_gan()


# Points


def test_modes_are_counted_whenever_a_picture_is_drawn(tmp_path):
    """G draws seven modes as good as real points here. It is asked for 10,000, from the same latents every time."""
    trainer = make_trainer(tmp_path / "run", replace(RING, sample_interval=6))
    dataset, counted = trainer.dataset, []

    def generate(z):
        if len(z) == 10_000:
            counted.append(z)
        return dataset.centers[np.arange(len(z)) % 7] + dataset.std * z[:, :2]

    trainer.gan.generate = generate
    train(trainer)
    records = trainer.folder.records()
    assert [r["step"] for r in records if "modes" in r] == [6, 12]
    assert records[-1]["modes"] == 7
    assert records[-1]["quality"] == pytest.approx(1 - np.exp(-4.5), abs=0.005)
    np.testing.assert_array_equal(*counted)


@pytest.mark.slow
def test_counting_modes_does_not_change_training(tmp_path):
    trainers = [make_trainer(tmp_path / str(n), replace(RING, n_steps=4, sample_interval=n)) for n in (1, 4)]
    for trainer in trainers:
        train(trainer)
    np.testing.assert_array_equal(*(weights(trainer.gan) for trainer in trainers))
    assert len({(r["modes"], r["quality"]) for t in trainers for r in t.folder.records()[-1:]}) == 1


def watch_batches(trainer):
    """A list that gets what the trainer's step is given."""
    step, seen = trainer.gan.step, []

    def watched(next_batch, rng):
        return step(lambda: seen.append(next_batch()) or seen[-1], rng)

    trainer.gan.step = watched
    return seen

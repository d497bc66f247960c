import json
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny import CONFIG, make_trainer, newest, train, weights

from minigan.errors import DataError, MiniganError
from minigan.testing import STRICT
from minigan.training import TrainingError
from minigan.training.lock import LockedError


def test_a_run_keeps_everything_in_its_folder(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    assert train(trainer) == 0
    names = sorted(p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob("*") if p.is_file())
    samples = [f"samples/step-{step:06d}.png" for step in (0, 6, 12)]
    checkpoints = [f"checkpoints/step-{step:06d}.npz" for step in (5, 10, 12)]
    others = ["config.json", "losses.png", "metrics.jsonl", "report.html", "samples.gif"]
    assert names == [*checkpoints, *others, *samples]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model_args"] == CONFIG.model_args
    with Image.open(tmp_path / "run" / "samples.gif") as film:
        assert film.n_frames == 3


def test_the_first_pictures_come_early_and_only_regular_ones_are_looked_at_by_the_doctor(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, sample_interval=30, checkpoint_interval=100, n_steps=60))
    looked_at, look_at = [], trainer.doctor.look_at
    trainer.doctor.look_at = lambda step, samples: looked_at.append(step) or look_at(step, samples)
    train(trainer)
    assert [int(path.stem[5:]) for path in trainer.folder.samples()] == [0, 20, 30, 50, 60]
    assert looked_at == [30, 60]


def test_a_run_on_every_device_can_be_resumed(tmp_path, device):
    trainer = make_trainer(tmp_path / "run", device=device)
    train(trainer)
    checkpoint = newest(trainer.folder.path)
    longer = replace(CONFIG, n_steps=14)
    resumed = make_trainer(tmp_path / "run", longer, checkpoint.state["position"], device)
    resumed.resume(checkpoint)
    train(resumed)
    assert resumed.step == 14


def test_records_are_means_over_the_steps_since_the_last(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, sample_interval=100, checkpoint_interval=100, n_steps=20))
    step, losses = trainer.gan.step, []
    trainer.gan.step = lambda *args: losses.append(step(*args)) or losses[-1]
    train(trainer)
    records = trainer.folder.records()
    assert [r["step"] for r in records] == [10, 20]
    assert records[1]["d_loss"] == pytest.approx(np.mean([m["d_loss"] for m in losses[10:]]), rel=1e-6)
    measures = {"d_loss", "g_loss", "d_real", "d_fake", "pictures_per_second", "gradients", "weights"}
    assert set(records[0]) == {"step", "epoch", "seconds"} | measures
    assert records[1]["epoch"] == 2.5


def test_measures_stay_on_the_device_until_they_are_recorded(tmp_path, monkeypatch):
    fetched_at = set()
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, sample_interval=100, checkpoint_interval=100))
    monkeypatch.setattr("minigan.training.trainer.to_numpy", lambda x: fetched_at.add(trainer.step) or np.asarray(x))
    train(trainer)
    assert fetched_at == {0, 1, 10, 12}  # the first picture, the first step, a record, the last


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_resumed_run_ends_bit_for_bit_like_an_unbroken_one(tmp_path, n_critic):
    config = replace(CONFIG, model_args=CONFIG.model_args | {"n_critic": n_critic})
    unbroken = make_trainer(tmp_path / "unbroken", config)
    train(unbroken)
    broken = make_trainer(tmp_path / "broken", config)
    interrupt_at(broken, 7)
    assert train(broken) == signal.SIGINT
    assert broken.step == 7

    checkpoint = newest(broken.folder.path)
    resumed = make_trainer(tmp_path / "broken", replace(config, seed=0), checkpoint.state["position"])
    resumed.resume(checkpoint)
    train(resumed)
    np.testing.assert_array_equal(weights(resumed.gan), weights(unbroken.gan))
    last = [trainer.folder.samples()[-1].read_bytes() for trainer in (resumed, unbroken)]
    assert last[0] == last[1]
    records = [[r | {"seconds": 0, "pictures_per_second": 0} for r in t.folder.records()] for t in (resumed, unbroken)]
    assert records[0] == records[1]
    assert [r["step"] for r in records[0]] == [6, 10, 12]


@pytest.mark.slow
def test_drawing_samples_does_not_change_training(tmp_path):
    often, never = (replace(CONFIG, sample_interval=n) for n in (1, 100))
    trainers = [make_trainer(tmp_path / str(i), config) for i, config in enumerate((often, never))]
    for trainer in trainers:
        train(trainer)
    np.testing.assert_array_equal(*(weights(trainer.gan) for trainer in trainers))


def test_ctrl_c_in_the_last_step_interrupts_nothing(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, n_steps=4))
    interrupt_at(trainer, 4)
    assert train(trainer) == 0
    assert newest(tmp_path / "run").state["step"] == 4


def test_a_run_that_never_began_writes_nothing_into_the_folder_of_another(tmp_path):
    other = make_trainer(tmp_path / "run").folder
    other.create(CONFIG)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LockedError):
        train(make_trainer(tmp_path / "run"))
    assert sorted(tmp_path.rglob("*")) == before
    other.unlock()


def test_nan_ends_training_and_the_last_checkpoint_stays(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, n_steps=100))
    step = trainer.gan.step

    def step_until_nan(next_batch, rng):
        if trainer.step == 7:
            trainer.gan.networks["D"].parameters().values[:] = np.nan
        return step(next_batch, rng)

    trainer.gan.step = step_until_nan
    with pytest.raises(TrainingError, match=r"the discriminator's loss became nan at step 8: .* checkpoint of step 5"):
        train(trainer)
    assert newest(trainer.folder.path).state["step"] == 5


def test_nan_in_the_first_step_leaves_nothing_and_a_run_without_a_checkpoint_is_replaced(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    step = trainer.gan.step
    trainer.gan.step = lambda *args: step(*args) | {"g_loss": np.float32("nan")}
    with pytest.raises(TrainingError, match="the generator's loss became nan at step 1"):
        train(trainer)
    assert not (tmp_path / "run").exists()
    trainer = make_trainer(tmp_path / "run")
    trainer.save = lambda best: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space"):
        train(trainer)
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, n_steps=3))
    trainer.folder.check_unused()
    train(trainer)
    assert [r["step"] for r in trainer.folder.records()] == [3]
    with pytest.raises(TrainingError, match="holds a run already"):
        trainer.folder.check_unused()


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    train(trainer)
    before = trainer.folder.checkpoints()[-1].read_bytes()
    trainer.gan.networks["G"].parameters().values[0] = np.inf
    with pytest.raises(MiniganError, match=r"networks.G.1.W is not finite"):
        trainer.save()
    assert trainer.folder.checkpoints()[-1].read_bytes() == before


def test_nothing_is_left_behind_if_the_first_batch_is_broken(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    trainer.batches._pending[0].result()

    def broken():
        raise DataError("cat.png is broken")

    trainer.batches._pending[0].result = broken
    with pytest.raises(DataError):
        train(trainer)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_has_nothing_to_resume(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    train(trainer)
    with pytest.raises(TrainingError, match="has 12 steps behind it: give a larger"):
        make_trainer(tmp_path / "run").resume(newest(trainer.folder.path))


def test_points_are_drawn_over_real_ones(tmp_path):
    ring = replace(CONFIG, model="gan", model_args={"latent_dim": 2}, data="ring", shape=(2,), augment=())
    trainer = make_trainer(tmp_path / "run", ring)
    train(trainer)
    with Image.open(trainer.folder.samples()[-1]) as image:
        assert image.size == (480, 480)


def interrupt_at(trainer, number):
    """Press Ctrl-C in the middle of step `number`."""
    step = trainer.gan.step

    def pressed(next_batch, rng):
        if trainer.step == number - 1:
            signal.raise_signal(signal.SIGINT)
        return step(next_batch, rng)

    trainer.gan.step = pressed


@pytest.mark.parametrize(
    ("decay", "expected"), [("none", [1, 1, 1]), ("linear", [1, 0.5, 1 / 12]), ("cosine", [1, 0.5])]
)
def test_the_learning_rate_falls_from_the_first_step_to_the_last(tmp_path, decay, expected):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, lr_decay=decay))
    step, rates = trainer.gan.step, []
    trainer.gan.step = lambda *args: rates.append([o.lr for o in trainer.gan.optimizers.values()]) or step(*args)
    train(trainer)
    for at, factor in zip((0, 6, 11), expected, strict=False):
        assert rates[at] == pytest.approx([2e-4 * factor] * 2)


def test_a_resumed_run_goes_on_with_the_learning_rate_it_had(tmp_path):
    config = replace(CONFIG, lr_decay="linear", ema=0.9)
    whole = make_trainer(tmp_path / "whole", config)
    train(whole)
    first = make_trainer(tmp_path / "parts", config)
    interrupt_at(first, 7)
    train(first)
    checkpoint = newest(first.folder.path)
    assert checkpoint.state["step"] == 7
    second = make_trainer(tmp_path / "parts", config, checkpoint.state["position"])
    second.resume(checkpoint)
    train(second)
    np.testing.assert_array_equal(weights(second.gan), weights(whole.gan))


def test_a_run_on_a_device_goes_on_as_if_it_had_never_stopped(tmp_path):
    """After Ctrl-C too, which makes a checkpoint at a step where an unbroken run makes none."""
    whole = make_trainer(tmp_path / "whole", device=STRICT)
    train(whole)
    first = make_trainer(tmp_path / "parts", device=STRICT)
    interrupt_at(first, 7)
    train(first)
    checkpoint = newest(first.folder.path)
    assert (checkpoint.state["step"], "generator" in checkpoint.arrays) == (7, False)
    second = make_trainer(tmp_path / "parts", start=checkpoint.state["position"], device=STRICT)
    second.resume(checkpoint)
    train(second)
    np.testing.assert_array_equal(weights(second.gan), weights(whole.gan))

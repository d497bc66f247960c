"""A number that isn't finite: where it began, what is kept of it, and going back."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import CONFIG, make_trainer, newest, train, weights

from minigan.backend import to_numpy
from minigan.errors import CheckpointError
from minigan.layers import BatchNorm
from minigan.testing import STRICT
from minigan.training import TrainingError
from minigan.training.checkpoint import DamagedCheckpoint, load_newest
from minigan.training.failure import load_failure

LONG = replace(CONFIG, n_steps=40, checkpoint_interval=10, sample_interval=100)


def break_layer(trainer, number, times=1):
    """After step `number`, D's batch norm makes NaNs until the learning rate has been made smaller `times` times."""
    layer = trainer.gan.networks["D"].layers[3]
    assert isinstance(layer, BatchNorm)
    forward, healthy = layer.forward, 0.3 ** (times - 0.5)

    def broken(x, train=True, rng=None):
        y, cache = forward(x, train, rng)
        if trainer.step >= number and trainer.lr_factor > healthy:
            y[0] = np.nan
        return y, cache

    layer.forward = broken


def test_the_layer_is_named_and_the_step_can_be_made_again(tmp_path):
    trainer = make_trainer(tmp_path / "run", LONG)
    break_layer(trainer, 25)
    sentence = r"at step 26: .* in the output of BatchNorm\(4\) \(layer D\.3\) in forward: .* step 20 is kept"
    with pytest.raises(TrainingError, match=sentence):
        train(trainer)
    checkpoint, batches = load_failure(trainer.folder.failure)
    assert checkpoint.state["step"] == 25
    unbroken = make_trainer(tmp_path / "unbroken", replace(LONG, n_steps=25))
    train(unbroken)
    again = make_trainer(tmp_path / "again", LONG)
    again.restore(checkpoint)
    np.testing.assert_array_equal(weights(again.gan), weights(unbroken.gan))
    assert [x.shape for x, _ in batches] == [(8, 16, 16, 1)]
    np.testing.assert_array_equal(batches[0][0], again.next_batch())
    assert newest(tmp_path / "run").state["step"] == 20


def test_rollback_goes_back_to_the_last_checkpoint_with_less_of_the_learning_rate(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(LONG, on_nan="rollback"))
    break_layer(trainer, 25)
    assert train(trainer) == 0
    assert trainer.step == 40
    assert trainer.gan.optimizers["G"].lr == pytest.approx(0.3 * 2e-4)
    records = trainer.folder.records()
    assert [record["step"] for record in records] == [10, 20, 30, 40]
    (note,) = (note for record in records for note in record.get("notes", []) if note["check"] == "not finite")
    assert "layer D.3" in note["sentence"]
    assert "gone back to step 20, to go on with 0.3 of the learning rate" in note["sentence"]
    state = newest(tmp_path / "run").state
    assert (state["lr_factor"], state["rollbacks"]) == (0.3, 1)


@pytest.mark.slow
def test_a_run_that_was_rolled_back_and_killed_goes_on_with_the_smaller_rate(tmp_path):
    config = replace(LONG, on_nan="rollback")
    whole, parts = make_trainer(tmp_path / "whole", config), make_trainer(tmp_path / "parts", config)
    break_layer(whole, 25)
    train(whole)
    break_layer(parts, 25)
    advance = parts.advance

    def killed():
        advance()
        if parts.rollbacks and parts.step == 23:
            raise MemoryError

    parts.advance = killed
    with pytest.raises(MemoryError):
        train(parts)
    resumed = make_trainer(tmp_path / "parts", config)
    break_layer(resumed, 25)
    resumed.resume(newest(tmp_path / "parts"))
    assert resumed.rollbacks == 1
    train(resumed)
    np.testing.assert_array_equal(weights(resumed.gan), weights(whole.gan))


def test_without_a_checkpoint_it_goes_back_to_the_beginning(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(LONG, on_nan="rollback", n_steps=12))
    break_layer(trainer, 3)
    train(trainer)
    slower = make_trainer(tmp_path / "slower", replace(LONG, n_steps=12))
    slower.lr_factor = 0.3
    train(slower)
    np.testing.assert_array_equal(weights(trainer.gan), weights(slower.gan))


@pytest.mark.slow
def test_after_three_times_it_gives_up(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(LONG, on_nan="rollback"))
    break_layer(trainer, 25, times=9)
    with pytest.raises(TrainingError, match=r"at step 26.*the checkpoint of step 20 is kept"):
        train(trainer)
    assert trainer.rollbacks == 3
    assert newest(tmp_path / "run").state["lr_factor"] == pytest.approx(0.027)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["running_mean", "v"])
def test_what_no_loss_knows_of_is_noticed(tmp_path, where):
    """A running statistic is used in inference only, and an infinite v of Adam stops a weight without a word."""
    trainer = make_trainer(tmp_path / "run", LONG)
    gan = trainer.gan
    step = gan.step

    def spoilt(next_batch, rng):
        measured = step(next_batch, rng)
        if trainer.step == 13:
            vector = gan.optimizers["G"].v if where == "v" else gan.networks["G"].layers[2].running_mean
            vector[0] = np.inf
        return measured

    gan.step = spoilt
    with pytest.raises(TrainingError, match=r"(running statistics|vectors) of G became .* by step 20.*step 10 is kept"):
        train(trainer)
    assert newest(tmp_path / "run").state["step"] == 10


def test_ctrl_c_ends_the_search(tmp_path):
    import signal

    trainer = make_trainer(tmp_path / "run", LONG)
    break_layer(trainer, 25)
    restore = trainer.restore

    def pressed(checkpoint):
        signal.raise_signal(signal.SIGINT)
        restore(checkpoint)

    trainer.restore = pressed
    with pytest.raises(TrainingError, match=r"became nan at step 26; try a smaller --lr"):
        train(trainer)
    assert not trainer.folder.failure.exists()


def test_a_checkpoint_that_cannot_be_read_just_now_is_not_taken_for_damaged(tmp_path, monkeypatch):
    """No permission, no memory, a network disk that hesitates: going on from an older one would throw work away."""
    train(make_trainer(tmp_path / "run"))
    path = newest(tmp_path / "run").path
    for error, said in ((PermissionError(13, "Permission denied"), "Permission denied"), (MemoryError(), "memory")):

        def failing(file, error=error):
            raise error

        monkeypatch.setattr("minigan.training.checkpoint.read_npz", failing)
        with pytest.raises(CheckpointError, match=said) as caught:
            load_newest([path], "dcgan", lambda _: None)
        assert not isinstance(caught.value, DamagedCheckpoint)


def test_the_search_makes_the_same_steps_on_a_device(tmp_path):
    trainer, losses = make_trainer(tmp_path / "run", replace(LONG, augment=()), device=STRICT), {}
    break_layer(trainer, 25)
    step = trainer.gan.step

    def noted(next_batch, rng):
        measured = step(next_batch, rng)
        losses.setdefault(trainer.step, []).append(float(to_numpy(measured["g_loss"])))
        return measured

    trainer.gan.step = noted
    with pytest.raises(TrainingError, match=r"layer D\.3.* step 20 is kept"):
        train(trainer)
    again = {at: found for at, found in losses.items() if len(found) == 2}
    assert 24 in again
    assert all(one == other for one, other in again.values())

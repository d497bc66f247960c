"""A number that isn't finite: where it began, what is kept of it, and going back."""

import signal
from dataclasses import replace

import numpy as np
import pytest
from tiny import CONFIG, arrays_of, assert_same, make_run, newest, resume_run, train, weights

from minigan.backend import to_numpy
from minigan.errors import CheckpointError
from minigan.layers import BatchNorm
from minigan.testing import STRICT
from minigan.training import TrainingError
from minigan.training.checkpoint import DamagedCheckpoint, load_newest
from minigan.training.npz_files import load_failure

LONG = replace(CONFIG, n_steps=40, checkpoint_interval=10, sample_interval=100)


def break_layer(run, number, times=1):
    """After step `number`, D's batch norm makes NaNs until the learning rate has been made smaller `times` times."""
    stepper, layer = run.stepper, run.model.networks["D"].layers[3]
    assert isinstance(layer, BatchNorm)
    forward, healthy = layer.forward, 0.3 ** (times - 0.5)

    def broken(x, train=True, rng=None):
        y, cache = forward(x, train, rng)
        if stepper.step >= number and stepper.lr_factor > healthy:
            y[0] = np.nan
        return y, cache

    layer.forward = broken


def test_the_layer_is_named_and_the_step_can_be_made_again(tmp_path):
    run = make_run(tmp_path / "run", LONG)
    break_layer(run, 25)
    sentence = r"at step 26: .* in the output of BatchNorm\(4\) \(layer D\.3\) in forward: .* step 20 is kept"
    with pytest.raises(TrainingError, match=sentence):
        train(run)
    checkpoint, batches = load_failure(run.folder.failure)
    assert checkpoint.state["step"] == 25
    unbroken = make_run(tmp_path / "unbroken", replace(LONG, n_steps=25))
    train(unbroken)
    again = make_run(tmp_path / "again", LONG)
    again.stepper.restore(checkpoint)
    assert_same(arrays_of(again), arrays_of(unbroken))
    assert [batch["real"].shape for batch in batches] == [(8, 16, 16, 1)]
    np.testing.assert_array_equal(batches[0]["real"], again.feeds.next()["real"])
    assert newest(tmp_path / "run").state["step"] == 20


def test_rollback_goes_back_to_the_last_checkpoint_with_less_of_the_learning_rate(tmp_path):
    run = make_run(tmp_path / "run", replace(LONG, on_nan="rollback"))
    break_layer(run, 25)
    assert train(run) == 0
    assert run.stepper.step == 40
    assert run.model.optimizers["G"].lr == pytest.approx(0.3 * 2e-4)
    records = run.folder.records.read()
    assert [record["step"] for record in records] == [10, 20, 30, 40]
    (note,) = (note for record in records for note in record.get("notes", []) if note["check"] == "not finite")
    assert "layer D.3" in note["sentence"]
    assert "rolled back to step 20, with the learning rate reduced to 0.3 of its value" in note["sentence"]
    state = newest(tmp_path / "run").state
    assert (state["lr_factor"], state["rollbacks"]) == (0.3, 1)


@pytest.mark.slow
def test_a_run_that_was_rolled_back_and_killed_goes_on_with_the_smaller_rate(tmp_path):
    config = replace(LONG, on_nan="rollback")
    whole, parts = make_run(tmp_path / "whole", config), make_run(tmp_path / "parts", config)
    break_layer(whole, 25)
    train(whole)
    break_layer(parts, 25)
    stepper = parts.stepper
    advance = stepper.advance

    def killed():
        advance()
        if stepper.rollbacks and stepper.step == 23:
            raise MemoryError

    stepper.advance = killed
    with pytest.raises(MemoryError):
        train(parts)
    resumed = resume_run(tmp_path / "parts", config)
    break_layer(resumed, 25)
    assert resumed.stepper.rollbacks == 1
    train(resumed)
    assert_same(arrays_of(resumed), arrays_of(whole))


def test_without_a_checkpoint_it_goes_back_to_the_beginning(tmp_path):
    run = make_run(tmp_path / "run", replace(LONG, on_nan="rollback", n_steps=12))
    break_layer(run, 3)
    train(run)
    slower = make_run(tmp_path / "slower", replace(LONG, n_steps=12))
    slower.stepper.lr_factor = 0.3
    train(slower)
    np.testing.assert_array_equal(weights(run.model), weights(slower.model))


@pytest.mark.slow
def test_after_three_times_it_gives_up(tmp_path):
    run = make_run(tmp_path / "run", replace(LONG, on_nan="rollback"))
    break_layer(run, 25, times=9)
    with pytest.raises(TrainingError, match=r"at step 26.*the checkpoint of step 20 is kept"):
        train(run)
    assert run.stepper.rollbacks == 3
    assert newest(tmp_path / "run").state["lr_factor"] == pytest.approx(0.027)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["running_mean", "v"])
def test_what_no_loss_knows_of_is_noticed(tmp_path, where):
    """A running statistic is used in inference only, and an infinite v of Adam stops a weight without a word."""
    run = make_run(tmp_path / "run", LONG)
    gan = run.model
    step = gan.step

    def spoiled(next_batch, rng, now):
        measured = step(next_batch, rng, now)
        if now.step == 13:
            vector = gan.optimizers["G"].v if where == "v" else gan.networks["G"].layers[2].running_mean
            vector[0] = np.inf
        return measured

    gan.step = spoiled
    with pytest.raises(TrainingError, match=r"(running statistics|vectors) of G became .* by step 20.*step 10 is kept"):
        train(run)
    assert newest(tmp_path / "run").state["step"] == 10


def test_ctrl_c_ends_the_search(tmp_path):
    run = make_run(tmp_path / "run", LONG)
    break_layer(run, 25)
    restore = run.stepper.restore

    def pressed(checkpoint):
        signal.raise_signal(signal.SIGINT)
        restore(checkpoint)

    run.stepper.restore = pressed
    with pytest.raises(TrainingError, match=r"became nan at step 26; try a smaller `lr`"):
        train(run)
    assert not run.folder.failure.exists()


def test_a_checkpoint_that_cannot_be_read_just_now_is_not_taken_for_damaged(tmp_path, monkeypatch):
    """No permission, no memory, a network disk that hesitates: going on from an older one would throw work away."""
    train(make_run(tmp_path / "run"))
    path = newest(tmp_path / "run").path
    for error, said in ((PermissionError(13, "Permission denied"), "Permission denied"), (MemoryError(), "memory")):

        def failing(file, error=error):
            raise error

        monkeypatch.setattr("minigan.training.checkpoint.read_npz", failing)
        with pytest.raises(CheckpointError, match=said) as caught:
            load_newest([path], "dcgan")
        assert not isinstance(caught.value, DamagedCheckpoint)


def test_the_search_makes_the_same_steps_on_a_device(tmp_path):
    run, losses = make_run(tmp_path / "run", replace(LONG, augment=()), device=STRICT), {}
    break_layer(run, 25)
    step = run.model.step

    def noted(next_batch, rng, now):
        measured = step(next_batch, rng, now)
        losses.setdefault(now.step, []).append(float(to_numpy(measured["g_loss"])))
        return measured

    run.model.step = noted
    with pytest.raises(TrainingError, match=r"layer D\.3.* step 20 is kept"):
        train(run)
    again = {at: found for at, found in losses.items() if len(found) == 2}
    assert 24 in again
    assert all(one == other for one, other in again.values())

"""Going back, with several networks, feeds and phases, a frozen network, and a pool of the model's own."""

from dataclasses import replace

import numpy as np
import pytest
from odd import ODD, odd_resumed, odd_run
from tiny import arrays_of, assert_same, before_step, newest, train

from minigan.training import TrainingError
from minigan.training.npz_files import load_failure


def fail_once(run, number):
    """Step `number` returns a NaN, whenever it is made with the whole learning rate."""
    step = run.model.step

    def failing(next_batch, rng, now):
        measured = step(next_batch, rng, now)
        bad = now.step == number - 1 and run.stepper.lr_factor == 1
        return measured | ({"loss": measured["loss"] * np.float32(np.nan)} if bad else {})

    run.model.step = failing


@pytest.mark.parametrize("number", [2, 6, 9])
def test_the_search_leads_to_the_step_with_everything_that_belongs_to_it(tmp_path, number):
    """In either phase, and in the first step of the second; the batches are those of all feeds."""
    run = odd_run(tmp_path / "run", replace(ODD, checkpoint_interval=3))
    fail_once(run, number)
    with pytest.raises(TrainingError, match=rf"loss became nan at step {number}: .* in loss that the step returned"):
        train(run)
    checkpoint, batches = load_failure(run.folder.failure)
    unbroken = odd_run("nowhere")
    with unbroken.feeds:
        for _ in range(number - 1):
            unbroken.stepper.advance()
    assert checkpoint.state["step"] == number - 1
    assert_same(checkpoint.arrays, arrays_of(unbroken))
    again = odd_run(tmp_path / "again")
    again.stepper.restore(checkpoint)
    again.stepper.begin_step()
    with again.feeds:
        expected = again.feeds.next()
    assert len(batches) == 1
    assert_same(batches[0], expected)


def test_a_batch_that_the_step_changes_is_kept_as_it_came(tmp_path):
    run = odd_run(tmp_path / "run")
    step = run.model.step

    def changing(next_batch, rng, now):
        def spoiled():
            batch = next_batch()
            batch["one"] *= np.float32(2) if now.step < 3 else np.float32(np.nan)
            return batch

        return step(spoiled, rng, now)

    run.model.step = changing
    with pytest.raises(TrainingError, match="became nan at step 4"):
        train(run)
    assert np.isfinite(load_failure(run.folder.failure)[1][0]["one"]).all()


def test_a_pool_that_is_not_finite_is_never_saved(tmp_path):
    run = odd_run(tmp_path / "run", replace(ODD, on_nan="rollback"))
    before_step(run, 14, lambda: run.model.pool.fill(np.nan if run.stepper.lr_factor == 1 else 0))
    assert train(run) == 0
    assert run.stepper.rollbacks == 1
    (note,) = (note for record in run.folder.records.read() for note in record.get("notes", ()))
    assert "model.pool is not finite after step 14" in note["sentence"]
    assert "is in pool of the model's own arrays after the update" in note["sentence"]
    assert np.isfinite(newest(tmp_path / "run").arrays["model.pool"]).all()


def test_a_rollback_keeps_the_frozen_networks_and_every_rate_falls(tmp_path):
    run = odd_run(tmp_path / "run", replace(ODD, on_nan="rollback", n_steps=12))
    fail_once(run, 3)
    assert train(run) == 0
    assert run.folder.frozen.exists()
    low = 0.3 * 0.01 / (1 + 11 / 12)
    assert [o.lr for o in run.model.optimizers.values()] == pytest.approx([low, 0.3 * 0.01])
    longer = odd_resumed(tmp_path / "run", replace(ODD, on_nan="rollback", n_steps=14))
    assert longer.stepper.lr_factor == 0.3
    train(longer)


def test_exhibits_after_the_step_that_was_gone_back_to_are_forgotten(tmp_path):
    run = odd_run(
        tmp_path / "run", replace(ODD, on_nan="rollback", sample_interval=2, checkpoint_interval=5, n_steps=8)
    )
    fail_once(run, 8)
    train(run)
    for exhibit in ("points", "other"):
        assert [int(path.stem[5:]) for path in run.folder.pictures(exhibit)] == [0, 2, 4, 6, 8]
    assert [record["step"] for record in run.folder.records.read()] == [2, 4, 5, 6, 8]


@pytest.mark.parametrize("on_nan", ["stop", "rollback"])
def test_a_model_that_begins_with_a_nan_is_refused_and_leaves_nothing(tmp_path, on_nan):
    """In its weights, or in what it keeps besides: the lowest loss so far, say, which is infinite at first."""
    for spoil in (
        lambda model: model.networks["high"].W.fill(np.inf),
        lambda model: setattr(model, "state_dict", lambda: {"lowest": np.float32(np.inf)}),
    ):
        run = odd_run(tmp_path / "run", replace(ODD, on_nan=on_nan))
        spoil(run.model)
        with pytest.raises(
            TrainingError, match=r"(high.W|model.lowest) is not finite after step 0: a model must begin"
        ):
            train(run)
        assert not (tmp_path / "run").exists()

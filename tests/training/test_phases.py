"""Phases of training: what happens at a boundary, once, whether a run is stopped exactly there or not."""

from dataclasses import replace

import numpy as np
import pytest
from odd import ODD, Odd, odd_resumed, odd_run
from tiny import arrays_of, assert_same, interrupt_at, newest, train

from minigan.model import Phase
from minigan.training import load_checkpoint

BOUNDARY = 5  # steps of 8 samples, then 40 samples are over


def without_times(run):
    times = {"seconds": 0, "pictures_per_second": 0}
    return [record | times for record in run.folder.records.read()]


def test_a_record_closes_at_the_boundary_and_says_of_which_phase_it_is(tmp_path):
    run = odd_run(tmp_path / "run")
    train(run)
    records = run.folder.records.read()
    assert [(r["step"], r["phase"]) for r in records] == [
        (5, "first"),
        (10, "second"),
        (20, "second"),
        (25, "second"),
    ]
    assert run.model.begun == [("second", 40)]


def test_a_model_of_one_phase_doesnt_name_it(tmp_path):
    class Plain(Odd):
        def __init__(self, one_shape, *, rng, device="cpu"):
            super().__init__(one_shape, rng=rng, device=device)
            self.phases = (Phase("only"),)

    run = odd_run(tmp_path / "run", cls=Plain)
    train(run)
    assert not any("phase" in record for record in run.folder.records.read())
    assert not list((tmp_path / "run").glob("phase-*"))


def test_the_checkpoint_at_the_end_of_a_phase_is_kept_whatever_comes_after_it(tmp_path):
    run = odd_run(tmp_path / "run", replace(ODD, keep_checkpoints=1))
    train(run)
    assert [path.name for path in run.folder.checkpoints()] == ["step-000025.npz"]
    assert [path.name for path in (tmp_path / "run").glob("phase-*")] == ["phase-first.npz"]
    kept = load_checkpoint(run.folder.phase("first"))
    assert (kept.state["step"], kept.state["samples"], kept.state["phase"]) == (BOUNDARY, 40, "first")
    from_there = odd_resumed(tmp_path / "run", checkpoint=kept)  # as any checkpoint: to go on from, differently perhaps
    train(from_there)
    assert_same(arrays_of(from_there), arrays_of(run))


@pytest.mark.parametrize("number", [BOUNDARY - 1, BOUNDARY, BOUNDARY + 1])
def test_a_run_that_is_stopped_at_a_boundary_ends_like_an_unbroken_one(tmp_path, number):
    """`begin` is called once: by whoever makes the first step of the phase."""
    unbroken, first = odd_run(tmp_path / "unbroken"), odd_run(tmp_path / "broken")
    train(unbroken)
    interrupt_at(first, number)
    train(first)
    assert first.stepper.step == number
    second = odd_resumed(tmp_path / "broken")
    train(second)
    assert first.model.begun + second.model.begun == [("second", 40)]
    assert first.model.begun == ([("second", 40)] if number > BOUNDARY else [])
    assert_same(arrays_of(second), arrays_of(unbroken))
    assert without_times(second) == without_times(unbroken)
    assert (tmp_path / "broken" / "phase-first.npz").exists()


def test_each_phase_has_batches_of_its_own_size(tmp_path):
    run, sizes = odd_run(tmp_path / "run"), []
    step = run.model.step
    run.model.step = lambda next_batch, rng, now: step(
        lambda n=None: sizes.append(run.feeds.batch_size) or next_batch(n), rng, now
    )
    train(run)
    assert sizes == [8] * 5 + [6] * 20


def test_the_doctor_counts_anew_in_each_phase(tmp_path):
    run, begun = odd_run(tmp_path / "run"), []
    begin = run.stepper.doctor.begin
    run.stepper.doctor.begin = lambda phase: begun.append(phase.name) or begin(phase)
    train(run)
    assert begun == ["second"]
    assert run.stepper.doctor.context.phase.name == "second"


def test_idle_layers_dont_move(tmp_path):
    """Adam without moments, and SGD whose step isn't called: bit for bit what they were."""
    run = odd_run(tmp_path / "run")
    before = run.model.networks["high"].parameters().values.copy()
    train(run)
    kept = load_checkpoint(run.folder.phase("first")).arrays
    np.testing.assert_array_equal(kept["networks.high.W"].ravel(), before[:16])
    assert not np.array_equal(newest(tmp_path / "run").arrays["networks.high.W"].ravel(), before[:16])


def test_batches_that_dont_end_at_a_boundary_end_behind_it(tmp_path):
    """41 samples are over after the sixth batch of 8, and phases that no step falls into are passed over."""

    class Three(Odd):
        def __init__(self, one_shape, *, rng, device="cpu"):
            super().__init__(one_shape, rng=rng, device=device)
            self.phases = (Phase("first"), Phase("second", 41), Phase("third", 45), Phase("fourth", 60))

    run = odd_run(tmp_path / "run", cls=Three)
    train(run)
    assert run.model.begun == [("third", 48), ("fourth", 64)]
    assert sorted(path.name for path in (tmp_path / "run").glob("phase-*")) == ["phase-first.npz", "phase-third.npz"]


def test_a_rollback_over_a_boundary_begins_the_phase_again(tmp_path):
    """What the phase's beginning had changed was taken back with the rest."""
    run = odd_run(tmp_path / "run", replace(ODD, on_nan="rollback", checkpoint_interval=3))
    step, failed = run.model.step, []

    def failing(next_batch, rng, now):
        measured = step(next_batch, rng, now)
        if now.step == BOUNDARY and not failed:
            failed.append(now.step)
            return measured | {"loss": measured["loss"] * np.nan}
        return measured

    run.model.step = failing
    assert train(run) == 0
    assert run.stepper.rollbacks == 1
    assert set(run.model.begun) == {("second", 40)} and len(run.model.begun) > 1

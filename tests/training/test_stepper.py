"""Steps follow from the seed, counts of steps and samples, and the arrays of a checkpoint: from nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from odd import ODD, odd_resumed, odd_run
from tiny import CONFIG, arrays_of, assert_same, make_run, newest, train

from minigan.errors import CheckpointError
from minigan.model import Now
from minigan.testing import STRICT
from minigan.training import load_checkpoint
from minigan.training.checkpoint import save_checkpoint


def watch(run):
    """A list that gets (step, samples, drawn on the device, drawn on the host, batch, rates) of each step."""
    seen, step = [], run.model.step

    def watched(next_batch, rng, now):
        rates = [optimizer.lr for optimizer in run.model.optimizers.values()]
        seen.append((now.step, now.samples, float(rng.random()), now.rng.random(), rates, []))
        return step(lambda n=None: seen[-1][-1].append(next_batch(n)) or seen[-1][-1][-1], rng, now)

    run.model.step = watched
    return seen


def drawn(seed, steps=3):
    run = odd_run("nowhere", replace(ODD, seed=seed))
    seen = watch(run)
    with run.feeds:
        for _ in range(steps):
            run.stepper.advance()
    return [one[2:4] for one in seen]


def test_generators_follow_from_the_seed_and_the_step():
    """Those of the device and of the host: equal for an equal seed, and others for each step and each seed."""
    assert drawn(0) == drawn(0)
    numbers = [number for seed in (0, 1) for pair in drawn(seed) for number in pair]
    assert len(set(numbers)) == len(numbers)


def test_a_step_knows_how_many_samples_came_before_it_and_how_far_the_run_is():
    run = odd_run("nowhere")
    with run.feeds:
        for _ in range(7):
            run.stepper.advance()
    now = run.stepper.now()
    assert isinstance(now, Now)
    assert (now.step, now.samples, now.phase.name) == (7, 5 * 8 + 2 * 6, "second")
    assert now.progress == 7 / 25


@pytest.mark.parametrize("device", [None, STRICT], ids=["host", "strict"])
def test_after_every_step_the_state_is_all_that_the_next_steps_need(tmp_path, device):
    """From each step of a short run, over the boundary of its phases: into a file, out of it, and on to the end."""
    unbroken = odd_run(tmp_path, replace(ODD, n_steps=9), device)
    with unbroken.feeds:
        for step in range(9):
            save_checkpoint(tmp_path / f"{step}.npz", unbroken.model, unbroken.stepper.state())
            unbroken.stepper.advance()
    end = unbroken.stepper.snapshot()
    for step in range(9):
        run = odd_run(tmp_path, replace(ODD, n_steps=9), device)
        run.model.frozen["target"].load_state_dict(unbroken.model.frozen["target"].state_dict())
        run.stepper.restore(load_checkpoint(tmp_path / f"{step}.npz"))
        with run.feeds:
            while not run.stepper.finished:
                run.stepper.advance()
        assert_same(arrays_of(run), end.arrays)
        state = run.stepper.state()
        assert state | {"seconds": 0} == end.state | {"seconds": 0}


def test_a_state_in_memory_stays_what_it_was():
    """The pool of this model changes in place, on either side."""
    run = odd_run("nowhere")
    with run.feeds:
        run.stepper.advance()
        remembered = run.stepper.snapshot()
        before = {name: array.copy() for name, array in remembered.arrays.items()}
        for _ in range(2):
            for _ in range(3):
                run.stepper.advance()
            assert_same(remembered.arrays, before)
            run.stepper.restore(remembered)


def test_another_batch_size_on_resume_leaves_the_order_of_samples_alone(tmp_path):
    config = replace(CONFIG, n_steps=4, checkpoint_interval=100)
    whole, parts = make_run(tmp_path / "whole", replace(config, n_steps=8)), make_run(tmp_path / "parts", config)
    seen, seen_first = watch(whole), watch(parts)
    train(whole)
    train(parts)
    other = make_run(tmp_path / "parts", replace(config, n_steps=20, batch_size=3))
    other.resume(newest(tmp_path / "parts"))
    seen_then = watch(other)
    train(other)
    expected = np.concatenate([batch["real"] for *_, batches in seen for batch in batches])
    found = np.concatenate([batch["real"] for *_, batches in [*seen_first, *seen_then] for batch in batches])
    np.testing.assert_array_equal(found[: len(expected)], expected)


@pytest.mark.parametrize(
    ("decay", "expected"), [("none", [1, 1, 1]), ("linear", [1, 0.5, 1 / 12]), ("cosine", [1, 0.5])]
)
def test_learning_rates_are_the_models_times_the_decay_times_the_factor_of_rollbacks(tmp_path, decay, expected):
    """Of "low" the model says what it is, and "high" has the one that it was made with."""
    run = odd_run(tmp_path / "run", replace(ODD, lr_decay=decay, n_steps=12))
    run.stepper.lr_factor = 0.3
    seen = watch(run)
    train(run)
    for at, factor in zip((0, 6, 11), expected, strict=False):
        low = 0.01 / (1 + at / 12)
        assert seen[at][4] == pytest.approx([0.3 * factor * low, 0.3 * factor * 0.01])


def test_averages_of_several_networks_follow_every_step():
    run = odd_run("nowhere")
    networks, averages = run.model.networks, run.model.averages
    expected = {name: network.parameters().values.copy() for name, network in networks.items()}
    with run.feeds:
        for t in range(15):
            run.stepper.advance()
            for name, mean in expected.items():
                mean += (1 - min(0.9, (1 + t) / (10 + t))) * (networks[name].parameters().values - mean)
    for name, mean in expected.items():
        np.testing.assert_array_equal(averages[name].average.parameters().values, mean)
        assert run.model.drawing(name) is averages[name].average


def test_a_step_that_returns_what_nobody_declared_is_refused_whenever_it_does(tmp_path):
    run = odd_run(tmp_path / "run")
    step = run.model.step
    run.model.step = lambda next_batch, rng, now: step(next_batch, rng, now) | ({"late": 1.0} if now.step == 5 else {})
    with pytest.raises(ValueError, match="it returned 'late', which is no declared measure"):
        train(run)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("measured", {"loss": 1.0}),
        ("measured", [[1, {"loss": "x"}]]),
        ("measured", [[1, 2.0]]),
        ("measured", 3),
        ("notes", [{"check": "x"}]),
        ("notes", 3),
        ("lr_factor", "x"),
        ("rollbacks", None),
        ("doctor", [[]]),
    ],
    ids=str,
)
def test_a_state_that_no_run_has_written_changes_no_array(name, value):
    run = odd_run("nowhere")
    with run.feeds:
        run.stepper.advance()
        checkpoint = run.stepper.snapshot()
        run.stepper.advance()
        before = arrays_of(run)
        checkpoint.state[name] = value
        with pytest.raises(CheckpointError, match="is damaged: its state makes no sense"):
            run.stepper.restore(checkpoint)
    assert_same(arrays_of(run), before)


def test_a_model_whose_own_arrays_are_others_changes_nothing(tmp_path):
    run = odd_run(tmp_path / "run", replace(ODD, n_steps=2))
    train(run)
    checkpoint = newest(tmp_path / "run")
    del checkpoint.arrays["model.pool"]
    other = odd_run(tmp_path / "run")
    before = arrays_of(other)
    with pytest.raises(CheckpointError, match="doesn't fit: the model's own arrays are different"):
        checkpoint.restore(other.model)
    assert_same(arrays_of(other), before)
    other.feeds.close()
    assert odd_resumed(tmp_path / "run").model.pool.shape == (7, 2)


def test_what_a_model_keeps_besides_must_be_numbers():
    run = odd_run("nowhere")
    run.model.state_dict = lambda: {"level": "high"}
    with (
        run.feeds,
        pytest.raises(ValueError, match=r"Odd.state_dict: level holds no numbers: return arrays of numbers"),
    ):
        run.stepper.snapshot()

"""From samples to steps and back, with phases whose batches differ."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import CONFIG

from minigan.model import Phase
from minigan.options import Samples
from minigan.training import TrainingError
from minigan.training import length as lengths
from minigan.training.length import planned, samples_after, steps_for, steps_per_epoch


class Fake:
    """Of a model, what the length of a run depends on."""

    batches_per_step = 1

    def __init__(self, *phases, batches_per_step=1):
        self.phases, self.batches_per_step = phases or (Phase("whole"),), batches_per_step


PHASES = st.lists(st.tuples(st.integers(1, 300), st.sampled_from([None, 1, 3, 16])), max_size=3)


def fake(parts, per_step):
    phases, begins = [Phase("p0", 0, 5)], 0
    for i, (length, batch) in enumerate(parts, 1):
        begins += length
        phases.append(Phase(f"p{i}", begins, batch))
    return Fake(*phases, batches_per_step=per_step)


@given(PHASES, st.integers(1, 3), st.integers(0, 200))
def test_samples_are_those_of_the_steps_one_by_one(parts, per_step, n):
    """As the loop counts them: the phase of a step is that of the samples before it."""
    model, samples = fake(parts, per_step), 0
    for _ in range(n):
        phase = [phase for phase in model.phases if phase.begins <= samples][-1]
        samples += (phase.batch_size or CONFIG.batch_size) * per_step
    assert samples_after(n, CONFIG, model) == samples
    if n:
        assert steps_for(samples, CONFIG, model) == n


@given(PHASES, st.integers(1, 3), st.integers(1, 2000))
def test_so_many_steps_are_just_enough(parts, per_step, samples):
    model = fake(parts, per_step)
    n = steps_for(samples, CONFIG, model)
    assert samples_after(n, CONFIG, model) >= samples > samples_after(n - 1, CONFIG, model)


class Half(Fake):
    """Its second phase begins in the midst of a run, with half a batch."""

    def __init__(self, begins: int | None):
        super().__init__(Phase("first"), Phase("second", begins, 4))

    @classmethod
    def planned(cls, samples, arguments):
        return arguments | {"begins": arguments["begins"] or samples // 2}


@pytest.fixture
def half(monkeypatch):
    monkeypatch.setattr(lengths, "build_model", lambda config, cls, device: cls(**config.model_args))
    monkeypatch.setattr(lengths, "arguments_of", lambda cls: {})
    return replace(CONFIG, model_args={"begins": None})


@pytest.mark.parametrize("n_steps", [2, 10, 99, 1000])
def test_a_boundary_in_the_midst_of_so_many_steps(half, n_steps):
    """As many samples in 4s as in 8s: a third of the steps."""
    config, model = planned(half, Half, lambda *_: n_steps, 8 * n_steps)
    assert config.n_steps == n_steps
    total = samples_after(n_steps, config, model)
    assert abs(config.model_args["begins"] - total / 2) <= 8
    assert config.model_args["begins"] / 8 == pytest.approx(n_steps / 3, abs=2)


def test_a_boundary_in_the_midst_of_so_many_samples(half):
    config, model = planned(half, Half, lambda *run: steps_for(960, *run), 64)
    assert (config.model_args["begins"], config.n_steps) == (480, 60 + 120)
    assert steps_per_epoch(config, model) == pytest.approx(180 * 64 / 960)


def test_a_boundary_that_was_given_stays_and_must_lie_within_the_run(half):
    config, _ = planned(replace(half, model_args={"begins": 80}), Half, lambda *_: 100, 800)
    assert config.model_args["begins"] == 80
    with pytest.raises(
        TrainingError, match="the phase second of dcgan begins after 800 samples, .* after 800: give more"
    ):
        planned(replace(half, model_args={"begins": 800}), Half, lambda *_: 100, 800)


def test_the_sentence_names_the_argument(half, monkeypatch):
    class One:
        option = Samples()

    monkeypatch.setattr(lengths, "arguments_of", lambda cls: {"begins": One})
    with pytest.raises(TrainingError, match="give more `n_steps`, or a smaller `begins`$"):
        planned(replace(half, model_args={"begins": 8000}), Half, lambda *_: 100, 800)


def test_a_boundary_in_steps_of_the_runs_batch_size(half, monkeypatch):
    """`planned` finds the batch size among the arguments; it isn't kept as one."""

    class InSteps(Half):
        @classmethod
        def planned(cls, samples, arguments):
            return arguments | {"begins": 3 * arguments["batch_size"]}

    config, model = planned(half, InSteps, lambda *_: 100, 800)
    assert config.model_args == {"begins": 3 * config.batch_size}
    assert model.phases[1].begins == 3 * config.batch_size

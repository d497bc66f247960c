"""Labels on their way from the data to the step, pictures by class, averages of weights, and modes among points."""

import signal
from dataclasses import replace

import conditional
import numpy as np
import pytest
from tiny import CONFIG, arrays_of, assert_same, interrupt_at, make_run, newest, resume_run, train, weights

from minigan.backend import array_module, to_numpy
from minigan.training import build_model
from minigan.training.settings import EXHIBITED
from minigan.training.summary import summarize

CONFIG = replace(CONFIG, sample_interval=12)
DIGITS = replace(CONFIG, model="tiny", model_args={"n_classes": 10}, classes=tuple("0123456789"))
MODES = tuple(f"mode {k}" for k in range(8))
RING = replace(
    DIGITS, model_args={"n_classes": 8}, classes=MODES, data="ring", shapes={"real": (2,)}, augment=(), limit=None
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    conditional.know(monkeypatch)


def test_every_step_gets_the_labels_of_its_own_batch(tmp_path, device):
    """The label of a point is the nearest center. Also after a resume, which starts in the middle of an epoch."""
    run = make_run(tmp_path / "run", replace(RING, n_steps=11), device)
    seen = watch_batches(run)
    train(run)
    resumed = resume_run(tmp_path / "run", replace(RING, n_steps=20), device)
    seen_again = watch_batches(resumed)
    train(resumed)
    assert (len(seen), len(seen_again)) == (11, 9)
    centers = run.feeds.sources["data"].centers
    for batch in seen + seen_again:
        assert array_module(batch["label"]) is array_module(batch["real"]) is device.xp
        nearest = np.linalg.norm(to_numpy(batch["real"])[:, None] - centers, axis=2).argmin(axis=1)
        np.testing.assert_array_equal(to_numpy(batch["label"]), nearest)
        assert len(set(nearest)) > 1


def test_an_unconditional_step_gets_samples_alone(tmp_path):
    run = make_run(tmp_path / "run", replace(CONFIG, n_steps=1))
    seen = watch_batches(run)
    train(run)
    assert {name: x.shape for name, x in seen[0].items()} == {"real": (8, 16, 16, 1)}


def test_a_resumed_conditional_run_ends_bit_for_bit_like_an_unbroken_one(tmp_path):
    unbroken = make_run(tmp_path / "unbroken", DIGITS)
    train(unbroken)
    broken = make_run(tmp_path / "broken", DIGITS)
    interrupt_at(broken, 7)
    assert train(broken) == signal.SIGINT
    resumed = resume_run(tmp_path / "broken", broken.folder.config())
    train(resumed)
    assert_same(arrays_of(resumed), arrays_of(unbroken))
    last = [run.folder.pictures("samples")[-1].read_bytes() for run in (resumed, unbroken)]
    assert last[0] == last[1]


def latents(run, n):
    """Those that exhibits are drawn from."""
    return run.model.latent(n, run.model.device.rng([run.config.seed, EXHIBITED]))


def test_the_picture_has_a_column_for_every_class(tmp_path):
    run = make_run(tmp_path / "run", DIGITS)
    samples = run.gallery.show()["samples"]
    assert (samples.samples.shape, samples.columns) == ((80, 16, 16, 1), 10)
    expected = run.model.generate(latents(run, 80), np.tile(np.arange(10), 8))
    np.testing.assert_array_equal(samples.samples, expected)


def test_many_classes_share_a_square(tmp_path):
    run = make_run(tmp_path / "run", replace(DIGITS, model_args={"n_classes": 17}))
    samples = run.gallery.show()["samples"]
    assert (len(samples.samples), samples.columns) == (64, None)


def test_a_dry_run_makes_a_step_with_labels():
    text = summarize(build_model(DIGITS), DIGITS, DIGITS.shapes)
    assert "G: 4, label → 16×16×1" in text
    assert "D: 16×16×1, label → 1" in text


def test_a_dry_run_looks_at_a_step_in_the_midst_of_training(monkeypatch):
    """Not at WGAN's first ones, with their hundred critic updates."""
    step, seen = conditional.TinyConditional.step, []
    watched = lambda gan, *args: seen.append(gan.optimizers["G"].t) or step(gan, *args)  # noqa: E731
    monkeypatch.setattr(conditional.TinyConditional, "step", watched)
    summarize(build_model(DIGITS), DIGITS, DIGITS.shapes)
    assert min(seen) > 1000


# Averages


def test_the_average_follows_every_step_and_draws_the_pictures(tmp_path):
    run = make_run(tmp_path / "run", replace(CONFIG, ema=0.999))
    average, G = run.model.averages["G"], run.model.networks["G"]
    followed, step, update = [], run.model.step, average.update
    run.model.step = lambda *args: followed.append("step") or step(*args)
    average.update = lambda: followed.append("update") or update()
    train(run)
    assert followed == ["step", "update"] * 12
    shown, z = run.gallery.show()["samples"].samples, latents(run, 64)
    np.testing.assert_array_equal(shown, average.average.output(z, train=False))
    assert not np.array_equal(shown, G.output(z, train=False))


def test_an_average_changes_no_other_number_of_the_training(tmp_path):
    runs = [make_run(tmp_path / str(ema), replace(CONFIG, ema=ema)) for ema in (None, 0.9)]
    for run in runs:
        train(run)
    np.testing.assert_array_equal(*(weights(run.model) for run in runs))


def test_a_resumed_average_ends_bit_for_bit_like_an_unbroken_one(tmp_path):
    config = replace(CONFIG, ema=0.9)
    unbroken = make_run(tmp_path / "unbroken", config)
    train(unbroken)
    train(make_run(tmp_path / "parts", replace(config, n_steps=7)))
    resumed = resume_run(tmp_path / "parts", config)
    train(resumed)
    mine, other = (run.model.averages["G"].state_dict() for run in (resumed, unbroken))
    assert mine["t"] == 12
    assert_same(mine, other)


def test_an_average_may_begin_and_end_on_the_way(tmp_path):
    averaged = replace(CONFIG, ema=0.9, n_steps=1)
    for ema, name in ((None, "without"), (0.9, "with")):
        run = make_run(tmp_path / name, replace(averaged, ema=ema))
        train(run)
        other = build_model(replace(averaged, ema=None if ema else 0.9))
        newest(run.folder.path).restore(other)
        np.testing.assert_array_equal(weights(other), weights(run.model))
        for average in other.averages.values():
            values = other.networks["G"].parameters().values
            np.testing.assert_array_equal(average.average.parameters().values, values)
            assert average.t == 0


# Points


def test_modes_are_counted_whenever_a_picture_is_drawn(tmp_path):
    """G draws seven modes as good as real points here. It is asked for 10,000, from the same latents every time."""
    run = make_run(tmp_path / "run", replace(RING, sample_interval=6))
    source, counted = run.feeds.sources["data"], []

    def generate(z, labels=None):
        if len(z) == 10_000:
            counted.append(z)
        return source.centers[np.arange(len(z)) % 7] + source.std * z[:, :2]

    run.model.generate = generate
    train(run)
    records = run.folder.records.read()
    assert [r["step"] for r in records if "modes" in r] == [6, 12]
    assert records[-1]["modes"] == 7
    assert records[-1]["quality"] == pytest.approx(1 - np.exp(-4.5), abs=0.005)
    np.testing.assert_array_equal(*counted)


@pytest.mark.slow
def test_counting_modes_does_not_change_training(tmp_path):
    runs = [make_run(tmp_path / str(n), replace(RING, n_steps=4, sample_interval=n)) for n in (1, 4)]
    for run in runs:
        train(run)
    np.testing.assert_array_equal(*(weights(run.model) for run in runs))
    assert len({(run.record["modes"], run.record["quality"]) for run in runs}) == 1


def watch_batches(run):
    """A list that gets what the step of a run is given."""
    step, seen = run.model.step, []

    def watched(next_batch, rng, now):
        return step(lambda: seen.append(next_batch()) or seen[-1], rng, now)

    run.model.step = watched
    return seen

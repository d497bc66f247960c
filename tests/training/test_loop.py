import json
import signal
from dataclasses import replace

import numpy as np
import pytest
from odd import ODD, odd_run
from PIL import Image
from tiny import CONFIG, arrays_of, assert_same, before_step, interrupt_at, make_run, newest, resume_run, train, weights

from minigan.errors import DataError, MiniganError
from minigan.testing import STRICT
from minigan.training import TrainingError
from minigan.training.lock import LockedError


def test_a_run_keeps_everything_in_its_folder(tmp_path):
    run = make_run(tmp_path / "run")
    assert train(run) == 0
    names = sorted(p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob("*") if p.is_file())
    samples = [f"samples/step-{step:06d}.png" for step in (0, 6, 12)]
    checkpoints = [f"checkpoints/step-{step:06d}.npz" for step in (5, 10, 12)]
    others = ["config.json", "declared.json", "losses.png", "metrics.jsonl", "nearest.json", "nearest.png", "real.png"]
    others += ["report.html", "samples.gif"]
    assert names == [*checkpoints, *others, *samples]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model_args"] == CONFIG.model_args
    with Image.open(tmp_path / "run" / "samples.gif") as film:
        assert film.n_frames == 3


def test_every_exhibit_has_a_folder_and_a_film_and_every_judgement_is_recorded(tmp_path):
    run = odd_run(tmp_path / "run")
    train(run)
    assert run.folder.exhibits() == ["other", "points"]
    for exhibit in ("other", "points"):
        assert [int(path.stem[5:]) for path in run.folder.pictures(exhibit)] == [0, 10, 20, 25]
        with Image.open(run.folder.film(exhibit)) as film:
            assert film.n_frames == 4
    assert [record["step"] for record in run.folder.records.read() if "nearness" in record] == [10, 20, 25]
    assert json.loads(run.folder.declared.read_text())["exhibits"] == ["points", "other"]


def test_a_model_that_shows_nothing_trains_and_has_a_page_on_the_way(tmp_path):
    run, written = odd_run(tmp_path / "run"), []
    run.model.show = lambda held_out, rng: {}
    run.report.write = lambda status: written.append((status.step, status.phase))
    train(run)
    assert run.folder.exhibits() == []
    assert [record["step"] for record in run.folder.records.read()] == [5, 10, 20, 25]
    assert written == [(10, "running"), (20, "running"), (25, "finished")]


def test_the_first_pictures_come_early_and_only_regular_ones_are_looked_at_by_the_doctor(tmp_path):
    run = make_run(tmp_path / "run", replace(CONFIG, sample_interval=30, checkpoint_interval=100, n_steps=60))
    doctor, looked_at = run.stepper.doctor, []
    look_at = doctor.inspect
    doctor.inspect = lambda step, shown: looked_at.append(step) or look_at(step, shown)
    train(run)
    assert [int(path.stem[5:]) for path in run.folder.pictures("samples")] == [0, 20, 30, 50, 60]
    assert looked_at == [30, 60]


def test_a_run_on_every_device_can_be_resumed(tmp_path, device):
    train(make_run(tmp_path / "run", device=device))
    resumed = resume_run(tmp_path / "run", replace(CONFIG, n_steps=14), device)
    train(resumed)
    assert resumed.stepper.step == 14


def test_records_are_means_over_the_steps_since_the_last(tmp_path):
    run = make_run(tmp_path / "run", replace(CONFIG, sample_interval=100, checkpoint_interval=100, n_steps=20))
    step, losses = run.model.step, []
    run.model.step = lambda *args: losses.append(step(*args)) or losses[-1]
    train(run)
    records = run.folder.records.read()
    assert [r["step"] for r in records] == [10, 20]
    assert records[1]["d_loss"] == pytest.approx(np.mean([m["d_loss"] for m in losses[10:]]), rel=1e-6)
    measures = {"d_loss", "g_loss", "d_real", "d_fake", "pictures_per_second", "gradients", "weights"}
    assert set(records[0]) == {"step", "epoch", "seconds"} | measures
    assert records[1]["epoch"] == 2.5


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_resumed_run_ends_bit_for_bit_like_an_unbroken_one(tmp_path, n_critic):
    config = replace(CONFIG, model_args=CONFIG.model_args | {"n_critic": n_critic}, lr_decay="linear", ema=0.9)
    unbroken = make_run(tmp_path / "unbroken", config)
    train(unbroken)
    broken = make_run(tmp_path / "broken", config)
    interrupt_at(broken, 7)
    assert train(broken) == signal.SIGINT
    assert broken.stepper.step == 7

    resumed = resume_run(tmp_path / "broken", config)
    train(resumed)
    assert_same(arrays_of(resumed), arrays_of(unbroken))
    last = [run.folder.pictures("samples")[-1].read_bytes() for run in (resumed, unbroken)]
    assert last[0] == last[1]
    times = {"seconds": 0, "pictures_per_second": 0}
    records = [[record | times for record in run.folder.records.read()] for run in (resumed, unbroken)]
    assert records[0] == records[1]
    assert [r["step"] for r in records[0]] == [6, 10, 12]


def test_a_run_on_a_device_goes_on_as_if_it_had_never_stopped(tmp_path):
    """After Ctrl-C too, which makes a checkpoint at a step where an unbroken run makes none."""
    whole, first = make_run(tmp_path / "whole", device=STRICT), make_run(tmp_path / "parts", device=STRICT)
    train(whole)
    interrupt_at(first, 7)
    train(first)
    assert newest(tmp_path / "parts").state["step"] == 7
    second = resume_run(tmp_path / "parts", device=STRICT)
    train(second)
    assert_same(arrays_of(second), arrays_of(whole))


def test_a_run_that_goes_on_on_another_device_has_the_weights_and_takes_the_same_samples(tmp_path):
    """No state of a generator stands in the way."""
    run = make_run(tmp_path / "run", replace(CONFIG, n_steps=5), device=STRICT)
    train(run)
    resumed, unbroken = resume_run(tmp_path / "run"), make_run(tmp_path / "unbroken")
    assert_same(arrays_of(resumed), arrays_of(run))
    with unbroken.feeds:
        for _ in range(5):
            unbroken.feeds.next()
        np.testing.assert_array_equal(resumed.feeds.next()["real"], unbroken.feeds.next()["real"])
    train(resumed)
    assert resumed.stepper.step == 12


@pytest.mark.slow
def test_showing_and_judging_do_not_change_training(tmp_path):
    often, never = (replace(ODD, sample_interval=n, eval_interval=n) for n in (1, 100))
    runs = [odd_run(tmp_path / str(i), config) for i, config in enumerate((often, never))]
    for run in runs:
        train(run)
    assert_same(*(arrays_of(run) for run in runs))


def test_ctrl_c_in_the_last_step_interrupts_nothing(tmp_path):
    run = make_run(tmp_path / "run", replace(CONFIG, n_steps=4))
    interrupt_at(run, 4)
    assert train(run) == 0
    assert newest(tmp_path / "run").state["step"] == 4


def test_ctrl_c_in_the_first_step_leaves_a_run_to_go_on_with(tmp_path):
    run = make_run(tmp_path / "run", replace(CONFIG, n_steps=4))
    interrupt_at(run, 1)
    assert train(run) == signal.SIGINT
    resumed = resume_run(tmp_path / "run", run.config)
    assert resumed.stepper.step == 1
    assert [path.name for path in run.folder.pictures("samples")] == ["step-000000.png"]
    resumed.feeds.close()
    resumed.folder.unlock()


def test_a_run_that_never_began_writes_nothing_into_the_folder_of_another(tmp_path):
    other = make_run(tmp_path / "run").folder
    other.create(CONFIG)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LockedError):
        train(make_run(tmp_path / "run"))
    assert sorted(tmp_path.rglob("*")) == before
    other.unlock()


def test_nan_ends_training_and_the_last_checkpoint_stays(tmp_path):
    run = make_run(tmp_path / "run", replace(CONFIG, n_steps=100))
    before_step(run, 8, lambda: run.model.networks["D"].parameters().values.fill(np.nan))
    with pytest.raises(TrainingError, match=r"d_loss became nan at step 8: .* checkpoint of step 5"):
        train(run)
    assert newest(tmp_path / "run").state["step"] == 5


def test_nan_in_the_first_step_leaves_nothing_and_a_run_without_a_checkpoint_is_replaced(tmp_path):
    run = make_run(tmp_path / "run")
    step = run.model.step
    run.model.step = lambda *args: step(*args) | {"g_loss": np.float32("nan")}
    with pytest.raises(TrainingError, match="g_loss became nan at step 1"):
        train(run)
    assert not (tmp_path / "run").exists()
    run = make_run(tmp_path / "run")
    run.save = lambda best: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space"):
        train(run)
    run = make_run(tmp_path / "run", replace(CONFIG, n_steps=3))
    run.folder.check_unused()
    train(run)
    assert [r["step"] for r in run.folder.records.read()] == [3]
    with pytest.raises(TrainingError, match="holds a run already"):
        run.folder.check_unused()


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    run = make_run(tmp_path / "run")
    train(run)
    before = run.folder.checkpoints()[-1].read_bytes()
    run.model.networks["G"].parameters().values[0] = np.inf
    with pytest.raises(MiniganError, match=r"networks.G.1.W is not finite"):
        run.save()
    assert run.folder.checkpoints()[-1].read_bytes() == before


def test_nothing_is_left_behind_if_the_first_batch_is_broken(tmp_path):
    run = make_run(tmp_path / "run")

    def broken(n=None):
        raise DataError("cat.png is broken")

    run.feeds.next = broken
    with pytest.raises(DataError):
        train(run)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_has_nothing_to_resume(tmp_path):
    train(make_run(tmp_path / "run"))
    with pytest.raises(TrainingError, match="has already made 12 steps: give a larger `n_steps`"):
        resume_run(tmp_path / "run")


def test_the_time_of_training_goes_on_after_a_checkpoint_between_two_records(tmp_path, monkeypatch):
    """By a clock that moves on by a second with each step and stands still otherwise."""
    run = make_run(tmp_path / "run", replace(CONFIG, n_steps=8, sample_interval=100, checkpoint_interval=7))
    monkeypatch.setattr("minigan.training.run.time.perf_counter", lambda: float(run.stepper.step))
    train(run)
    seconds = [np.load(path)["state"] for path in run.folder.checkpoints()]
    assert [json.loads(state.tobytes())["seconds"] for state in seconds] == [7, 8]


def test_points_are_drawn_over_real_ones(tmp_path):
    ring = replace(CONFIG, model="gan", model_args={"latent_dim": 2}, data="ring", shapes={"real": (2,)}, augment=())
    run = make_run(tmp_path / "run", ring)
    train(run)
    with Image.open(run.folder.pictures("samples")[-1]) as image:
        assert image.size == (480, 480)


def test_a_seed_gives_the_same_run_and_another_another(tmp_path):
    runs = [make_run(tmp_path / str(i), replace(CONFIG, seed=seed)) for i, seed in enumerate((0, 0, 1))]
    for run in runs:
        train(run)
    np.testing.assert_array_equal(weights(runs[0].model), weights(runs[1].model))
    assert not np.array_equal(weights(runs[0].model), weights(runs[2].model))

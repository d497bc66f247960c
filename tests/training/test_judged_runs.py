"""A run that is judged while it is trained, by a judge whose verdicts are known beforehand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny import CONFIG, make_trainer, newest, train, weights

from minigan.backend import CPU
from minigan.metrics import open_features
from minigan.training.evaluation import Judge

JUDGED = replace(CONFIG, n_steps=8, eval_interval=2, sample_interval=100, checkpoint_interval=100)


def judged(folder, fids, config=JUDGED, start=0):
    """A trainer whose judge says these FIDs, one after the other."""
    trainer, fids = make_trainer(folder, config, start), iter(fids)
    trainer.judge = lambda gan, seed: {"fid": next(fids), "is": 1.0}
    return trainer


def best_step(trainer):
    with np.load(trainer.folder.best) as arrays:
        return json.loads(arrays["state"].tobytes())["step"]


def test_the_checkpoint_with_the_lowest_fid_is_kept_beside_the_last(tmp_path):
    trainer = judged(tmp_path / "run", [5.0, 3.0, 4.0, 3.0])
    train(trainer)
    assert (best_step(trainer), trainer.best_step, trainer.best_fid) == (4, 4, 3.0)
    assert newest(trainer.folder.path).state["step"] == 8
    assert [r["fid"] for r in trainer.folder.records() if "fid" in r] == [5.0, 3.0, 4.0, 3.0]
    assert trainer.folder.evaluations.is_file()


@pytest.mark.parametrize(("later", "step"), [([3.5, 3.2], 4), ([2.5, 2.7], 10)])
def test_a_resumed_run_compares_with_the_best_before_it_stopped(tmp_path, later, step):
    train(judged(tmp_path / "run", [5.0, 3.0, 4.0, 4.0]))
    checkpoint = newest(tmp_path / "run")
    resumed = judged(tmp_path / "run", later, replace(JUDGED, n_steps=12), checkpoint.state["position"])
    resumed.resume(checkpoint)
    train(resumed)
    assert (best_step(resumed), resumed.best_step) == (step, step)


@pytest.mark.slow
def test_being_judged_does_not_change_training(tmp_path):
    plain = make_trainer(tmp_path / "plain", replace(JUDGED, eval_interval=None))
    train(plain)
    seen = make_trainer(tmp_path / "seen", JUDGED)
    seen.judge = Judge(open_features("digits"), seen.dataset, 20, 0, CPU)
    train(seen)
    np.testing.assert_array_equal(weights(seen.gan), weights(plain.gan))


def test_the_judge_draws_with_the_average_of_the_weights(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(JUDGED, ema=0.5))
    judge = Judge(open_features("digits"), trainer.dataset, 50, 0, CPU)
    train(trainer)
    with_average = judge(trainer.gan, 0)
    assert with_average == judge(trainer.gan, 0)
    trainer.gan.average = None
    assert with_average["fid"] != judge(trainer.gan, 0)["fid"]


@pytest.mark.parametrize("lost", ["missing", "damaged", "unrecorded"])
def test_without_a_best_one_that_can_be_read_the_next_is_the_best(tmp_path, lost):
    first = judged(tmp_path / "run", [3.0, 5.0, 4.0, 4.0])
    train(first)
    if lost == "missing":
        first.folder.best.unlink()
    elif lost == "damaged":
        first.folder.best.write_bytes(b"junk")
    else:
        (tmp_path / "run" / "metrics.jsonl").write_text("")
    checkpoint = newest(first.folder.path)
    resumed = judged(tmp_path / "run", [9.0], replace(JUDGED, n_steps=10), checkpoint.state["position"])
    resumed.resume(checkpoint)
    train(resumed)
    assert (best_step(resumed), resumed.best_step, resumed.best_fid) == (10, 10, 9.0)


def test_the_time_of_the_judge_is_not_that_of_the_pictures(tmp_path, monkeypatch):
    """By a clock that only the judge moves on, an hour each time, and everything else by a millisecond a look."""
    now = [0.0]

    def clock():
        now[0] += 0.001
        return now[0]

    def judge(gan, seed):
        now[0] += 3600
        return {"fid": 1.0, "is": 1.0}

    trainer = make_trainer(tmp_path / "run", JUDGED)
    trainer.judge = judge
    monkeypatch.setattr("minigan.training.trainer.time.perf_counter", clock)
    train(trainer)
    assert all(record["pictures_per_second"] > 100 for record in trainer.folder.records()[1:])


def test_what_a_run_without_a_checkpoint_left_behind_goes(tmp_path):
    trainer = judged(tmp_path / "run", [5.0, 3.0, 4.0, 4.0])
    train(trainer)
    for checkpoint in trainer.folder.checkpoints():
        checkpoint.unlink()
    trainer.folder.create(JUDGED)
    assert not trainer.folder.best.exists()
    assert not trainer.folder.evaluations.exists()

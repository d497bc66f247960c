"""A run that is judged while it is trained, by judges whose verdicts are known beforehand."""

from dataclasses import replace

import numpy as np
import pytest
from odd import ODD, Odd, odd_run
from tiny import CONFIG, make_run, newest, resume_run, train, weights

from minigan.backend import CPU
from minigan.metrics import open_features
from minigan.model import Judgement
from minigan.training import TrainingError, load_checkpoint
from minigan.training.judges import Best, FeatureJudge, OwnJudge

JUDGED = replace(CONFIG, n_steps=8, eval_interval=2, sample_interval=100, checkpoint_interval=100)


class Verdicts:
    """A judge that says these numbers, one after the other."""

    def __init__(self, key, values, better="lower"):
        self.judgements, self.key, self.values = {key: Judgement(key.upper(), better)}, key, iter(values)

    def __call__(self, model):
        return {self.key: next(self.values)}


def judged(folder, values, config=JUDGED, better="lower"):
    return make_run(folder, config, judges=[Verdicts("fid", values, better)])


def best_step(run):
    return load_checkpoint(run.folder.best).state["step"]


@pytest.mark.parametrize(("better", "step", "value"), [("lower", 4, 3.0), ("higher", 6, 7.0)])
def test_the_best_checkpoint_is_kept_beside_the_last(tmp_path, better, step, value):
    """The first of equals."""
    run = judged(tmp_path / "run", [5.0, 3.0, 7.0, {"lower": 3.0, "higher": 7.0}[better]], better=better)
    train(run)
    assert (best_step(run), run.best.step, run.best.value) == (step, step, value)
    assert newest(tmp_path / "run").state["step"] == 8
    assert [r["fid"] for r in run.folder.records.read() if "fid" in r][:3] == [5.0, 3.0, 7.0]
    assert run.folder.evaluations.is_file()


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_negative_numbers_are_compared_as_any(better):
    best = Best({"likelihood": Judgement("log-likelihood", better)})
    found = [best.update({"likelihood": value}, step) for step, value in enumerate([-5.0, -7.0, -3.0, -3.0], 1)]
    assert found == ([True, True, False, False] if better == "lower" else [True, False, True, False])


def test_the_first_judgement_that_has_a_direction_decides(tmp_path):
    """A threshold is only told; and a judgement that is absent this time decides nothing."""
    judgements = {"threshold": Judgement("t", ""), "auc": Judgement("AUC", "higher"), "loss": Judgement("loss")}
    best = Best(judgements)
    assert best.update({"threshold": 1.0, "auc": 0.5, "loss": 3.0}, 1)
    assert not best.update({"threshold": 0.0, "auc": 0.4, "loss": 1.0}, 2)
    assert not best.update({"threshold": 9.0, "loss": 0.0}, 3)
    assert not best.update({"auc": float("nan")}, 4)
    assert (best.value, best.step, best.describe({"auc": 0.5})) == (0.5, 1, "AUC 0.5")


def test_without_a_direction_there_is_no_best(tmp_path):
    class Told(Odd):
        judgements = {"size": Judgement("size", ""), "nearness": Judgement("nearness", "")}

    run = odd_run(tmp_path / "run", cls=Told)
    train(run)
    assert not run.folder.best.exists()
    assert [record["size"] for record in run.folder.records.read() if "size" in record] == [7, 7, 7]


@pytest.mark.parametrize(("later", "step"), [([3.5, 3.2], 4), ([2.5, 2.7], 10)])
def test_a_resumed_run_compares_with_the_best_before_it_stopped(tmp_path, later, step):
    train(judged(tmp_path / "run", [5.0, 3.0, 4.0, 4.0]))
    resumed = resume_run(tmp_path / "run", replace(JUDGED, n_steps=12), judges=[Verdicts("fid", later)])
    train(resumed)
    assert (best_step(resumed), resumed.best.step) == (step, step)


@pytest.mark.slow
def test_being_judged_does_not_change_training(tmp_path):
    plain = make_run(tmp_path / "plain", replace(JUDGED, eval_interval=None))
    train(plain)
    seen = make_run(tmp_path / "seen", JUDGED)
    data = seen.feeds.sources["data"].parts["real"]
    seen.judges = [FeatureJudge(open_features("digits"), data, 20, 0, CPU)]
    train(seen)
    assert "fid" in seen.record
    np.testing.assert_array_equal(weights(seen.model), weights(plain.model))


def test_the_judge_of_features_draws_the_same_every_time_with_the_average_of_the_weights(tmp_path):
    run = make_run(tmp_path / "run", replace(JUDGED, ema=0.5))
    judge = FeatureJudge(open_features("digits"), run.feeds.sources["data"].parts["real"], 50, 0, CPU)
    train(run)
    with_average = judge(run.model)
    assert with_average.keys() == judge.judgements.keys() == {"fid", "is"}
    assert with_average == judge(run.model)
    run.model.averages = {}
    assert with_average["fid"] != judge(run.model)["fid"]


def test_photos_are_judged_by_kid(tmp_path):
    """It may be negative, because its estimate has no bias."""
    run = make_run(tmp_path / "run", JUDGED)
    judge = FeatureJudge(open_features("photos"), run.feeds.sources["data"].parts["real"], 20, 0, CPU)
    assert judge(run.model).keys() == {"kid"}
    assert judge.judgements["kid"].better == "lower" and judge.judgements["kid"].scale == "any"


# The model's own


def test_a_model_is_judged_by_itself_first_and_by_others_besides(tmp_path):
    """On the items that training doesn't see, by the same generator every time."""
    items, seen = [{"one": np.zeros((1, 2))}], []

    class Judged(Odd):
        def judge(self, held_out, rng):
            seen.append((held_out, rng.random()))
            return super().judge(held_out, rng)

    others = [Verdicts("fid", range(5, 0, -1))]
    run = odd_run(tmp_path / "run", replace(ODD, eval_interval=5), cls=Judged, held_out=items, judges=others)
    train(run)
    assert len(seen) == 5 and {drawn for _, drawn in seen} == {seen[0][1]}
    assert all(held_out is items for held_out, _ in seen)
    records = [record for record in run.folder.records.read() if "fid" in record]
    assert all(record.keys() >= {"size", "nearness", "fid"} for record in records)
    assert best_step(run) == 5  # by "nearness", the first with a direction, which is the same every time


@pytest.mark.parametrize(
    ("returned", "told"),
    [({}, "nothing"), ({"size": 1.0}, "size"), ({"size": 1, "nearness": 1, "more": 1}, "size, .*more")],
)
def test_judgements_that_are_not_the_declared_ones_are_a_sentence(tmp_path, returned, told):
    run = odd_run(tmp_path / "run")
    run.model.judge = lambda held_out, rng: returned
    sentence = rf"Odd.judge returned {told}, but its judgements are size, nearness"
    with pytest.raises(TrainingError, match=sentence):
        train(run)


def test_a_judgement_that_is_not_finite_is_left_out_and_the_record_stays(tmp_path):
    """PSNR of equal pictures is infinite, and JSON knows no such number."""
    run = odd_run(tmp_path / "run")
    run.model.judge = lambda held_out, rng: {"size": np.float32(np.inf), "nearness": np.nan}
    train(run)
    records = run.folder.records.read()
    assert [record["step"] for record in records] == [5, 10, 20, 25]
    assert not any(record.keys() & {"size", "nearness"} for record in records)
    assert not run.folder.best.exists()


def test_numbers_of_a_judge_may_be_of_numpy():
    class One:
        judgements, device = {"a": Judgement("a")}, CPU

        def judge(self, held_out, rng):
            return {"a": np.float32(1 / 3)}

    assert OwnJudge(One(), (), 0)(One()) == {"a": 0.333333}


# What becomes of a best one


@pytest.mark.parametrize("lost", ["missing", "damaged", "unrecorded"])
def test_without_a_best_one_that_can_be_read_the_next_is_the_best(tmp_path, lost):
    first = judged(tmp_path / "run", [3.0, 5.0, 4.0, 4.0])
    train(first)
    if lost == "missing":
        first.folder.best.unlink()
    elif lost == "damaged":
        first.folder.best.write_bytes(b"junk")
    else:
        first.folder.records.path.write_text("")
    resumed = resume_run(tmp_path / "run", replace(JUDGED, n_steps=10), judges=[Verdicts("fid", [9.0])])
    train(resumed)
    assert (best_step(resumed), resumed.best.step, resumed.best.value) == (10, 10, 9.0)


def test_the_time_of_the_judge_is_not_that_of_the_pictures(tmp_path, monkeypatch):
    """By a clock that only the judge moves on, an hour each time, and everything else by a millisecond a look."""
    now = [0.0]

    def clock():
        now[0] += 0.001
        return now[0]

    class Slow(Verdicts):
        def __call__(self, model):
            now[0] += 3600
            return super().__call__(model)

    run = make_run(tmp_path / "run", JUDGED, judges=[Slow("fid", [1.0] * 4)])
    monkeypatch.setattr("minigan.training.run.time.perf_counter", clock)
    train(run)
    assert all(record["pictures_per_second"] > 100 for record in run.folder.records.read()[1:])


def test_what_a_run_without_a_checkpoint_left_behind_goes(tmp_path):
    run = judged(tmp_path / "run", [5.0, 3.0, 4.0, 4.0])
    train(run)
    for checkpoint in run.folder.checkpoints():
        checkpoint.unlink()
    run.folder.create(JUDGED)
    run.folder.unlock()
    assert not run.folder.best.exists()
    assert not run.folder.evaluations.exists()

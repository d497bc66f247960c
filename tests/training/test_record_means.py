"""From what steps return to records: means over those steps that returned a measure, and one wait for the device."""

from dataclasses import replace

import numpy as np
import pytest
from odd import ODD, odd_resumed, odd_run
from tiny import CONFIG, interrupt_at, make_run, train

from minigan.testing import STRICT
from minigan.testing.transfers import transfers
from minigan.training.checkpoint import NotFiniteError
from minigan.training.records import Recorder


def test_a_record_has_the_mean_of_a_measure_over_the_steps_that_had_it():
    """A penalty every 16th step, say; and what no step had is absent."""
    recorder = Recorder()
    for step in range(1, 11):
        recorder.add(step, {"loss": np.float32(step)} | ({"penalty": np.float32(step)} if step in (3, 7) else {}))
    assert recorder.close() == {"loss": 5.5, "penalty": 5.0}
    recorder.add(11, {"loss": np.float32(1)})
    assert recorder.close() == {"loss": 1.0}
    assert recorder.close() == {}


@pytest.mark.parametrize("step", range(11))
def test_what_is_not_in_a_record_yet_survives_a_checkpoint(step):
    """To the last bit, though float32 becomes text in between; wherever the steps are cut."""
    values = np.random.default_rng(0).standard_normal(10, dtype=np.float32)
    whole, first, then = Recorder(), Recorder(), Recorder()
    for i, value in enumerate(values):
        if i == step:
            then.load(first.state())
        for recorder in (whole, first if i < step else then):
            recorder.add(i + 1, {"loss": value} | ({"seldom": value / 3} if i % 4 == 0 else {}))
    if step == 10:
        then.load(first.state())
    assert then.close() == whole.close()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_named_with_its_step(bad):
    recorder = Recorder()
    recorder.add(4, {"loss": np.float32(1)})
    recorder.add(5, {"loss": np.float32(1), "seldom": np.float32(bad)})
    recorder.add(6, {"loss": np.float32(np.nan)})
    with pytest.raises(NotFiniteError, match=rf"^seldom became {bad:.0f} at step 5$") as caught:
        recorder.close()
    assert caught.value.step == 5


def test_measures_of_different_types_keep_their_digits():
    recorder = Recorder()
    recorder.add(1, {"single": np.float32(0.1), "double": np.float64(1 / 3), "count": np.int64(2**40)})
    assert recorder.fetch() == [(1, {"single": float(np.float32(0.1)), "double": 1 / 3, "count": float(2**40)})]


def test_measures_stay_on_the_device_until_a_record_is_due(tmp_path):
    """Ten steps are one transfer, and on a device that tells no number without being asked."""
    run = make_run(tmp_path / "run", device=STRICT)
    with run.feeds:
        before = transfers.to_host
        for _ in range(10):
            run.stepper.advance()
        assert transfers.to_host == before
        run.stepper.recorder.close()
        assert transfers.to_host == before + 1


def test_a_run_fetches_measures_at_records_and_checkpoints_alone(tmp_path, monkeypatch):
    fetched, run = [], make_run(tmp_path / "run")
    monkeypatch.setattr(
        "minigan.training.records.to_numpy", lambda x: fetched.append(run.stepper.step) or np.asarray(x)
    )
    train(run)
    assert sorted(set(fetched)) == [1, 5, 6, 10, 12]  # the first step; checkpoints at 5 and 10, records at 6, 10 and 12
    assert CONFIG.checkpoint_interval == 5


def test_a_measure_that_comes_seldom_is_in_a_record_or_absent(tmp_path):
    """This one comes with steps 1, 5 and 9 of the ten, and records are of two steps each, or of one at a boundary."""
    run = odd_run(tmp_path / "run", replace(ODD, sample_interval=2, n_steps=10))
    train(run)
    found = {record["step"]: "seldom" in record for record in run.folder.records.read()}
    assert found == {2: True, 4: False, 5: True, 6: False, 8: False, 10: True}


def test_a_record_that_was_cut_by_an_interruption_is_that_of_an_unbroken_run(tmp_path):
    """Steps 11 to 13 in one process, 14 to 20 in another: the mean is over all ten, the penalty over those it had."""
    unbroken = odd_run(tmp_path / "unbroken")
    train(unbroken)
    first = odd_run(tmp_path / "broken")
    interrupt_at(first, 13)
    train(first)
    assert first.stepper.step == 13
    second = odd_resumed(tmp_path / "broken")
    train(second)
    times = {"seconds": 0, "pictures_per_second": 0}
    records = [[record | times for record in run.folder.records.read()] for run in (second, unbroken)]
    assert records[0] == records[1]

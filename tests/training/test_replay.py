"""`minigan replay`: the step at which a run failed, printed."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from failing import ARGS, SHAPE, N, build, data, layers, now, with_nan
from hypothesis import given
from hypothesis import strategies as st

from minigan.commands.cli import main
from minigan.commands.replay import timetable
from minigan.training import RunConfig
from minigan.training.doctor import Doctor
from minigan.training.failure import first_not_finite
from minigan.training.finding import Event
from minigan.training.npz_files import load_failure, save_failure
from minigan.training.settings import TRAINING


def settings(model="dcgan", **more):
    return RunConfig(model, ARGS[model] | more, "digits", {"real": SHAPE}, {"data": 64}, N, 10)


def save(path, kind="dcgan", spoil=None, batches=None, **more):
    """A failure.npz of a step that `spoil(gan)` has prepared."""
    gan = build(kind)
    if spoil:
        spoil(gan)
    state = {"model": kind, "step": 6, "samples": 6 * N, "phase": "whole", "seconds": 1.5, "measured": [], "notes": []}
    state |= {"config": asdict(settings(kind)), "lr_factor": 1.0, "rollbacks": 0}
    state |= {"doctor": Doctor(gan, settings(kind), None).state_dict()}
    save_failure(path, gan, state | more, [data(gan)()] if batches is None else batches)
    return gan


def too_large(gan):
    for name in ("0", "2"):
        layers(gan)["D", name].W[...] = 1e30


def replay(capsys, line):
    status = main(["replay", *line.split()])
    return status, *capsys.readouterr()


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_step_is_printed_up_to_the_first_number_that_is_not_finite(capsys):
    save("failure.npz", spoil=too_large)
    status, out, err = replay(capsys, "failure.npz")
    lines = out.rstrip().split("\n")
    assert (status, err) == (0, "")
    assert lines[0].startswith("step 7 of dcgan on digits, from the state before it")
    rows = [line.split() for line in lines]
    assert ["G,", "forward", "input"] in [row[:3] for row in rows]
    assert [row[0] for row in rows if row and row[0].startswith("D.")] == ["D.0", "D.1", "D.2"]
    assert lines[-3].endswith("output nan") or lines[-3].endswith("output inf")
    assert lines[-1].startswith("The first number that isn't finite is in the output of Conv2D(2, 4, 4, stride=2")
    assert "(layer D.2) in forward: its input reaches " in lines[-1]
    assert all(line == line.rstrip() and len(line) < 200 for line in lines[:-1])


def test_a_folder_of_a_run_will_do_and_every_number_may_be_finite(capsys):
    save("failure.npz", "cdcgan")
    status, out, _ = replay(capsys, ". --all")
    assert status == 0
    assert out.rstrip().endswith("Every number in this step is finite.")
    assert "the data" in out
    assert out.index("Adam updates D") < out.index("Adam updates G")


def test_the_end_is_shown_and_the_rest_if_it_is_wanted(capsys):
    save("failure.npz", "wgan-gp")
    _, short, _ = replay(capsys, "failure.npz")
    _, whole, _ = replay(capsys, "failure.npz --all")
    hidden = int(next(line for line in short.split("\n") if "--all shows them" in line).split()[0].strip("("))
    assert hidden > 5
    assert short.count(" forward ") < whole.count(" forward ")
    assert short.split("\n")[-20:] == whole.split("\n")[-20:]


@pytest.mark.parametrize("model", ["dcgan", "wgan-gp", "sngan", "cdcgan"])
def test_the_replayed_step_is_the_step_that_the_run_made(model, capsys, monkeypatch):
    """With the weights, the optimizers, the data, the noise, and the learning rate of that step."""
    factor = 0.5 if model == "wgan-gp" else 1.0
    gan = save("failure.npz", model, lr_factor=factor)
    batch = data(gan)()
    for optimizer in gan.optimizers.values():
        optimizer.lr *= factor
    gan.step(lambda: batch, gan.device.rng([0, TRAINING, 6]), now())
    made = []

    def keep(replayed, *others):
        made.append(replayed)
        return first_not_finite(replayed, *others)

    monkeypatch.setattr("minigan.commands.replay.first_not_finite", keep)
    assert replay(capsys, "failure.npz")[0] == 0
    for name, network in made[0].networks.items():
        for key, array in network.state_dict().items():
            assert np.array_equal(array, gan.networks[name].state_dict()[key]), key


def test_the_schedule_of_the_learning_rate_counts(capsys, monkeypatch):
    rates = []

    def look(gan, *_):
        rates.append(gan.optimizers["D"].lr)
        return {}

    monkeypatch.setattr("minigan.commands.replay.first_not_finite", look)
    for decay in ("none", "linear"):
        save(f"{decay}.npz", config=asdict(replace(settings(), lr_decay=decay)))
        replay(capsys, f"{decay}.npz")
    assert rates[1] == pytest.approx(rates[0] * (1 - 6 / 10))


def test_what_is_no_failure_ends_in_a_sentence(capsys, tmp_path):
    batch = data(save("good.npz"))()
    real, labels = batch["real"], np.zeros(N, np.int64)
    config, older = settings(), {"model": "dcgan", "shape": list(SHAPE), "samples": 64}
    cases = {
        "missing.npz": (None, "there is no file missing.npz: give failure.npz, or the folder of a run"),
        ".": (None, "there is no file failure.npz: no step of this run has failed"),
        "text.npz": ("no archive", "text.npz is damaged"),
        "none.npz": ({"batches": []}, "none.npz holds no batches"),
        "name.npz": ({"batches": [{"other": real}]}, "its batches aren't those of one step of dcgan"),
        "shape.npz": ({"batches": [{"real": real[:, :8]}]}, "its batches aren't those of one step of dcgan"),
        "empty.npz": ({"batches": [{"real": real[:0]}]}, "its batches aren't those of one step of dcgan"),
        "kind.npz": ({"batches": [{"real": labels}]}, "its batches aren't those of one step of dcgan"),
        "config.npz": ({"config": {}}, "it has no configuration of a run"),
        "list.npz": ({"config": [1]}, "it has no configuration of a run"),
        "older.npz": ({"config": older}, "was made by an older minigan"),
        "model.npz": ({"config": asdict(replace(config, model="gan"))}, "another model than its configuration"),
        "args.npz": ({"config": asdict(settings(lr=-1.0))}, "lr is -1.0, which dcgan can't take"),
        "other.npz": ({"config": asdict(settings(features=4))}, "of another model or size"),
        "factor.npz": ({"lr_factor": "1x"}, "its state makes no sense"),
        "large.npz": ({"lr_factor": 2.0}, "its state makes no sense"),
        "own.npz": ({"config": asdict(replace(config, model="a.py:B")), "model": "a.py:B"}, "--model a.py:B"),
    }
    for name, (given_, sentence) in cases.items():
        if isinstance(given_, str):
            (tmp_path / name).write_text(given_)
        elif given_ is not None:
            save(name, **given_)
        status, out, err = replay(capsys, name)
        assert (status, out) == (2, ""), name
        assert err.startswith("minigan: error: "), name
        assert sentence in err and err.count("\n") == 1, (name, err)


def test_a_step_that_wants_more_batches_than_there_are(capsys):
    batch = data(build("dcgan"))()
    save("few.npz", config=asdict(settings(n_critic=3)), batches=[batch] * 2)
    assert "its batches aren't those of one step of dcgan" in replay(capsys, "few.npz")[2]


def test_data_that_was_not_finite_itself(capsys):
    save("failure.npz", batches=[{"real": with_nan(data(build("dcgan"))()["real"])}])
    out = replay(capsys, "failure.npz")[1]
    assert out.rstrip().endswith("of the data: it is in the data set (1 NaN of 1,024 numbers).")


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 8))
def test_any_list_of_what_was_seen_can_be_printed(begins, passes):
    events = [Event("D", "" if b else "1", "Dense(1, 2)", "forward", {"output": 1.0}, b) for b in begins]
    table = timetable(events, passes)
    assert table.count("D, forward") == min(passes, sum(begins))
    assert timetable(events, None).count("D.1") == begins.count(False)


def test_a_state_that_is_json_is_all_that_is_needed(tmp_path):
    save("failure.npz")
    checkpoint, batches = load_failure("failure.npz")
    assert json.loads(json.dumps(checkpoint.state)) == checkpoint.state
    assert len(batches) == 1

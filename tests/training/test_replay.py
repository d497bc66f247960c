"""`minigan replay`: the step at which a run failed, printed."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_failure import ARGS, SHAPE, N, build, data, layers, with_nan

from minigan.cli import main
from minigan.commands.replay import timetable
from minigan.training.checkpoint import save_rng
from minigan.training.failure import Seen, first_not_finite, load_failure, save_failure
from minigan.training.run import RunConfig


def save(path, model="dcgan", spoil=None, batches=None, **more):
    """A failure.npz of a step that `spoil(gan)` has prepared."""
    gan = build(model)
    if spoil:
        spoil(gan)
    batch = data(gan)()
    args = RunConfig(model, ARGS[model], "digits", SHAPE, 64, N, 10)
    rng = save_rng(np.random.default_rng(2), [0])
    state = {"model": model, "step": 6, "position": 6, "seconds": 1.5, "rng": rng, "config": asdict(args)}
    pairs = [batch if isinstance(batch, tuple) else (batch, None)]
    save_failure(path, gan, state | more, pairs if batches is None else batches)
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
    """With the weights, the optimisers, the data, the noise, and the learning rate of that step."""
    config_lr = 0.5 if model == "wgan-gp" else 1.0
    gan = save("failure.npz", model, lr_factor=config_lr)
    batch = data(gan)()
    for optimizer in gan.optimizers.values():
        optimizer.lr *= config_lr
    gan.step(lambda: batch, np.random.default_rng(2))
    made = []

    def keep(replayed, next_batch, rng, seen):
        made.append(replayed)
        return first_not_finite(replayed, next_batch, rng, seen)

    monkeypatch.setattr("minigan.commands.replay.first_not_finite", keep)
    assert replay(capsys, "failure.npz")[0] == 0
    for name, network in made[0].networks.items():
        for key, array in network.state_dict().items():
            assert np.array_equal(array, gan.networks[name].state_dict()[key]), key


def test_the_schedule_of_the_learning_rate_counts(capsys, monkeypatch):
    rates = []

    def look(gan, *_):
        rates.append(gan.optimizers["D"].lr)

    monkeypatch.setattr("minigan.commands.replay.first_not_finite", look)
    plain = asdict(RunConfig("dcgan", ARGS["dcgan"], "digits", SHAPE, 64, N, 10))
    for decay in ("none", "linear"):
        save(f"{decay}.npz", config=plain | {"lr_decay": decay})
        replay(capsys, f"{decay}.npz")
    assert rates[1] == pytest.approx(rates[0] * (1 - 6 / 10))


def test_what_is_no_failure_ends_in_a_sentence(capsys, tmp_path):
    gan = save("good.npz")
    batch = data(gan)()
    labels = np.zeros(N, np.int64)
    config = RunConfig("dcgan", ARGS["dcgan"], "digits", SHAPE, 64, N, 10)
    cases = {
        "missing.npz": (None, "there is no file missing.npz: give failure.npz, or the folder of a run"),
        ".": (None, "there is no file failure.npz: no step of this run has failed"),
        "text.npz": ("no archive", "text.npz is damaged"),
        "none.npz": ({"batches": []}, "none.npz holds no batches"),
        "labels.npz": ({"batches": [(batch, labels)]}, "its batches aren't those of one step of dcgan"),
        "shape.npz": ({"batches": [(batch[:, :8], None)]}, "its batches aren't those of one step of dcgan"),
        "empty.npz": ({"batches": [(batch[:0], None)]}, "its batches aren't those of one step of dcgan"),
        "kind.npz": ({"batches": [(labels, None)]}, "its batches aren't those of one step of dcgan"),
        "config.npz": ({"config": {}}, "it has no configuration of a run"),
        "list.npz": ({"config": [1]}, "it has no configuration of a run"),
        "model.npz": ({"config": asdict(replace(config, model="gan"))}, "another model than its configuration"),
        "args.npz": (
            {"config": asdict(replace(config, model_args={"lr": -1.0}))},
            "lr is -1.0, which dcgan can't take",
        ),
        "other.npz": ({"config": asdict(replace(config, model_args={"features": 4}))}, "of another model or size"),
        "factor.npz": ({"lr_factor": "1"}, "its factor on the learning rate is '1'"),
        "rng.npz": ({"rng": {"seed": -1}}, "its random state"),
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
    gan = build("dcgan", n_critic=3)
    args = RunConfig("dcgan", ARGS["dcgan"] | {"n_critic": 3}, "digits", SHAPE, 64, N, 10)
    save("few.npz", config=asdict(args), batches=[(data(gan)(), None)] * 2)
    assert "its batches aren't those of one step of dcgan" in replay(capsys, "few.npz")[2]


def test_data_that_was_not_finite_itself(capsys):
    gan = build("dcgan")
    save("failure.npz", batches=[(with_nan(data(gan)()), None)])
    out = replay(capsys, "failure.npz")[1]
    assert out.rstrip().endswith("in batch 0 of the data: it came so from the data set (1 NaN of 1,024 numbers).")


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 8))
def test_any_list_of_what_was_seen_can_be_printed(begins, passes):
    seen = [Seen("D", "" if b else "1", "Dense(1, 2)", "forward", {"output": 1.0}, b) for b in begins]
    table = timetable(seen, passes)
    assert table.count("D, forward") == min(passes, sum(begins))
    assert timetable(seen, None).count("D.1") == begins.count(False)


def test_a_state_that_is_json_is_all_that_is_needed(tmp_path):
    save("failure.npz")
    checkpoint, batches = load_failure("failure.npz")
    assert json.loads(json.dumps(checkpoint.state)) == checkpoint.state
    assert len(batches) == 1

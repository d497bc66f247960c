import errno
import json
import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd import ODD, odd_run
from tiny import CONFIG, arrays_of, assert_same, make_run, train, weights

from minigan.errors import CheckpointError
from minigan.training import RunFolder, build_model, load_checkpoint
from minigan.training.checkpoint import FORMAT, DamagedCheckpoint, checksum, load_newest, save_checkpoint
from minigan.training.files import replacing

GAN = build_model(CONFIG)
STATE = {"model": "dcgan", "step": 1, "samples": 1, "phase": "whole", "seconds": 0.5}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("trained") / "run", replace(CONFIG, n_steps=2))
    train(run)
    return run.folder.checkpoints()[-1]


@pytest.fixture
def saved(tmp_path, trained):
    """A checkpoint that may be damaged."""
    return Path(shutil.copy(trained, tmp_path))


def test_a_checkpoint_of_other_sizes_changes_nothing(saved):
    larger = build_model(replace(CONFIG, model_args={"latent_dim": 4, "features": 3}))
    before = weights(larger).copy()
    with pytest.raises(CheckpointError, match="another model or size"):
        load_checkpoint(saved, "dcgan").restore(larger)
    np.testing.assert_array_equal(weights(larger), before)


def test_arrays_that_are_missing_or_too_many_are_named(saved):
    checkpoint = load_checkpoint(saved, "dcgan")
    checkpoint.arrays["networks.G.99.W"] = checkpoint.arrays.pop("optimizers.G.m")
    with pytest.raises(CheckpointError, match=r"has networks.G.99.W: it is of another model"):
        checkpoint.restore(build_model(CONFIG))


def test_another_model_is_refused(saved):
    with pytest.raises(CheckpointError, match="is a checkpoint of dcgan, not of gan"):
        load_checkpoint(saved, "gan")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "pickle", "no state"])
def test_damaged_and_foreign_files_are_refused(saved, damage):
    data = saved.read_bytes()
    if damage == "cut":
        saved.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        saved.write_bytes(data[:9000] + bytes([data[9000] ^ 1]) + data[9001:])
    elif damage == "empty":
        saved.write_bytes(b"")
    elif damage == "text":
        saved.write_text("hello")
    elif damage == "pickle":
        np.savez(saved, state=np.array([{}], dtype=object))
    else:
        np.savez(saved, a=np.zeros(3))
    with pytest.raises(DamagedCheckpoint, match="is damaged, or no checkpoint of minigan"):
        load_checkpoint(saved, "dcgan")


@pytest.mark.parametrize(("number", "age"), [(2, "an older"), (4, "a newer")])
def test_another_format_is_not_damage_but_of_another_version(saved, number, age):
    forge(saved, format=number)
    with pytest.raises(
        CheckpointError, match=rf"was made by {age} minigan \(format {number}\): start a new run"
    ) as caught:
        load_checkpoint(saved, "dcgan")
    assert not isinstance(caught.value, DamagedCheckpoint)


def forge(path, arrays=None, **state):
    """Change a checkpoint as somebody would who can make checksums, too."""
    checkpoint = load_checkpoint(path)
    text = json.dumps({"format": FORMAT} | checkpoint.state | state)
    contents = checkpoint.arrays | (arrays or {}) | {"state": np.frombuffer(text.encode(), np.uint8)}
    np.savez(path, **contents, checksum=checksum(contents))


@pytest.mark.parametrize(
    ("name", "value"),
    [("step", -1), ("step", True), ("samples", 1.5), ("samples", -8), ("seconds", float("nan")), ("seconds", 10**400)]
    + [("phase", None), ("phase", 3), ("model", None)],
    ids=str,
)
def test_counts_that_make_no_sense_are_refused(saved, name, value):
    forge(saved, **{name: value})
    with pytest.raises(DamagedCheckpoint, match="is damaged"):
        load_checkpoint(saved, "dcgan")


@pytest.mark.parametrize(("name", "value", "what"), [("G.t", -1, "negative"), ("G.m", np.nan, "not finite")])
def test_arrays_that_make_no_sense_are_refused(saved, name, value, what):
    array = load_checkpoint(saved).arrays[f"optimizers.{name}"]
    forge(saved, {f"optimizers.{name}": np.full_like(array, value)})
    with pytest.raises(DamagedCheckpoint, match=rf"is damaged.*: optimizers.{name} is {what}"):
        load_checkpoint(saved, "dcgan")


@given(st.data())
def test_a_flipped_bit_in_an_array_is_noticed_though_the_zip_archive_fits(data):
    """As a disk or a memory would flip it before the archive's own checksums are made."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.npz")
        save_checkpoint(path, GAN, STATE)
        with np.load(path) as file:
            arrays = dict(file)
        name = data.draw(st.sampled_from(sorted(arrays)))
        flat = arrays[name].reshape(-1).view(np.uint8)
        flat[data.draw(st.integers(0, len(flat) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        np.savez(path, **arrays)
        with pytest.raises(CheckpointError):
            load_checkpoint(path, "dcgan")


def test_numpy_alone_reads_it_and_the_configuration_is_inside(saved):
    with np.load(saved, allow_pickle=False) as file:
        assert file["networks.G.1.W"].shape == (4, 4, 4, 4)
        state = json.loads(file["state"].tobytes())
    assert state["config"]["model_args"] == CONFIG.model_args


def test_of_several_the_newest_that_is_whole_is_used(tmp_path):
    train(make_run(tmp_path / "run"))
    paths, told = RunFolder(tmp_path / "run").checkpoints(), []
    for path in paths[1:]:
        path.write_bytes(path.read_bytes()[:-100])
    assert load_newest(paths, "dcgan", told.append).state["step"] == 5
    assert [sentence.split()[0] for sentence in told] == [str(path) for path in reversed(paths[1:])]
    paths[0].write_bytes(b"")
    with pytest.raises(DamagedCheckpoint, match="step-000012.npz is damaged"):
        load_newest(paths, "dcgan", told.append)


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space") as caught, replacing(tmp_path / "file") as file:
        file.write(b"new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "no" / "file"):
        pass
    assert caught.value.filename == str(tmp_path / "no" / "file")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint .*nothing has been saved"):
        load_checkpoint(tmp_path / "checkpoint.npz", "dcgan")


def test_nothing_in_a_checkpoint_is_pickled(saved):
    with zipfile.ZipFile(saved) as archive:
        assert all(b"'|O'" not in archive.read(name)[:200] for name in archive.namelist())


def test_a_crash_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# Arrays of every kind


def test_networks_optimizers_averages_and_the_models_own_arrays_are_kept_and_frozen_ones_are_not(tmp_path):
    run = odd_run(tmp_path / "run", replace(ODD, n_steps=3))
    train(run)
    names = set(load_checkpoint(run.folder.checkpoints()[-1]).arrays)
    expected = {f"{kind}.high.{name}" for kind in ("networks", "averages") for name in ("W", "b")}
    expected |= {f"{kind}.low.0.{name}" for kind in ("networks", "averages") for name in ("W", "b")}
    expected |= {"averages.low.t", "averages.high.t", "optimizers.high.velocity", "optimizers.high.t"}
    expected |= {f"optimizers.low.{name}" for name in ("m", "v", "t")}
    assert names == expected | {"model.pool", "model.full"}


def test_of_weights_alone_the_optimizers_and_the_models_own_arrays_stay_new(tmp_path):
    """As --init-from wants it."""
    run = odd_run(tmp_path / "run", replace(ODD, n_steps=3))
    train(run)
    other = odd_run(tmp_path / "other")
    load_checkpoint(run.folder.checkpoints()[-1]).restore(other.model, weights_only=True)
    other.feeds.close()
    np.testing.assert_array_equal(weights(other.model), weights(run.model))
    assert (other.model.optimizers["low"].t, len(other.model.pool)) == (0, 0)
    assert not other.model.optimizers["low"].m.any()


@pytest.mark.parametrize(("had", "has"), [(None, 0.9), (0.9, None)])
def test_averages_may_begin_and_end_on_the_way(tmp_path, had, has):
    """Those of several networks; one that begins starts from the weights."""
    run = odd_run(tmp_path / "run", replace(ODD, n_steps=3, ema=had))
    train(run)
    other = odd_run(tmp_path / "other", replace(ODD, ema=has))
    load_checkpoint(run.folder.checkpoints()[-1]).restore(other.model)
    other.feeds.close()
    np.testing.assert_array_equal(weights(other.model), weights(run.model))
    assert other.model.averages.keys() == ({"low", "high"} if has else set())
    for name, average in other.model.averages.items():
        assert average.t == 0
        network = other.model.networks[name].parameters().values
        np.testing.assert_array_equal(average.average.parameters().values, network)


def test_a_models_own_arrays_may_be_of_any_length_and_hold_truth_values(tmp_path):
    """A pool fills, a decision is yes or no. Networks hold no truth values."""
    run = odd_run(tmp_path / "run")
    with run.feeds:
        for length in (0, 7):
            save_checkpoint(tmp_path / "x.npz", run.model, run.stepper.state())
            before = arrays_of(run)
            assert before["model.pool"].shape == (length, 2)
            assert (before["model.full"].dtype, bool(before["model.full"])) == (bool, length == 7)
            run.stepper.advance()
            load_checkpoint(tmp_path / "x.npz").restore(run.model)
            assert_same(arrays_of(run), before)
            run.stepper.advance()


def test_a_network_that_the_file_has_and_the_model_has_not_is_named(tmp_path):
    run = odd_run(tmp_path / "run", replace(ODD, n_steps=1))
    train(run)
    checkpoint = load_checkpoint(run.folder.checkpoints()[-1])
    del run.model.networks["high"], run.model.optimizers["high"], run.model.averages["high"]
    with pytest.raises(CheckpointError, match=r"has averages.high.W: it is of another model"):
        checkpoint.restore(run.model)

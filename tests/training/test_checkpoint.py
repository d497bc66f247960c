import errno
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from tiny import CONFIG, make_trainer, train, weights

from minigan.backend import CPU
from minigan.errors import CheckpointError
from minigan.training import load_checkpoint
from minigan.training.checkpoint import load_rng, save_rng
from minigan.training.files import replacing


@pytest.fixture
def saved(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, n_steps=2))
    train(trainer)
    return trainer.folder.checkpoint


def test_a_checkpoint_of_other_sizes_changes_nothing(saved):
    larger = replace(CONFIG, model_args={"latent_dim": 4, "features": 3}).build_gan()
    before = weights(larger).copy()
    with pytest.raises(CheckpointError, match="another model or size"):
        load_checkpoint(saved, "dcgan").restore(larger)
    np.testing.assert_array_equal(weights(larger), before)


def test_arrays_that_are_missing_or_too_many_are_named(saved):
    checkpoint = load_checkpoint(saved, "dcgan")
    checkpoint.arrays["networks.G.99.W"] = checkpoint.arrays.pop("optimizers.G.m")
    with pytest.raises(CheckpointError, match=r"has networks.G.99.W: it is of another model"):
        checkpoint.restore(CONFIG.build_gan())


def test_another_model_is_refused(saved):
    with pytest.raises(CheckpointError, match="is a checkpoint of dcgan, not of gan"):
        load_checkpoint(saved, "gan")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "pickle", "no state", "old state"])
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
    elif damage == "no state":
        np.savez(saved, a=np.zeros(3))
    else:
        np.savez(saved, state=np.frombuffer(json.dumps({"format": 0}).encode(), np.uint8))
    with pytest.raises(CheckpointError, match="is damaged, or no checkpoint of minigan"):
        load_checkpoint(saved, "dcgan")


@pytest.mark.parametrize(
    ("name", "value"),
    [("step", -1), ("step", True), ("position", 1.5), ("seconds", float("nan")), ("seconds", 10**400)],
)
def test_counts_that_make_no_sense_are_refused(saved, name, value):
    checkpoint = load_checkpoint(saved, "dcgan")
    state = np.frombuffer(json.dumps({"format": 1} | checkpoint.state | {name: value}).encode(), np.uint8)
    np.savez(saved, state=state, **checkpoint.arrays)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(saved, "dcgan")


@pytest.mark.parametrize(("name", "value", "what"), [("G.t", -1, "negative"), ("G.m", np.nan, "not finite")])
def test_arrays_that_make_no_sense_are_refused(saved, name, value, what):
    with np.load(saved) as file:
        arrays = dict(file)
    np.savez(saved, **arrays | {f"optimizers.{name}": np.full_like(arrays[f"optimizers.{name}"], value)})
    with pytest.raises(CheckpointError, match=rf"is damaged: optimizers.{name} is {what}"):
        load_checkpoint(saved, "dcgan")


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


def test_random_state_survives_json():
    rng = np.random.default_rng([0, 1])
    rng.standard_normal(5)
    same, state = save_rng(rng, CPU, [0, 1, 5])
    assert same is rng
    again = load_rng(json.loads(json.dumps(state)), CPU)
    np.testing.assert_array_equal(again.standard_normal(5), rng.standard_normal(5))


@pytest.mark.parametrize("saved_state", [{}, {"seed": "x"}, {"seed": [0], "state": {"bit_generator": "PCG64"}}])
def test_damaged_random_state_is_refused(saved_state):
    with pytest.raises(CheckpointError, match="random state is damaged"):
        load_rng(saved_state, CPU)


def test_a_generator_whose_state_cannot_be_read_starts_anew_from_a_seed():
    class Hidden:
        """Like CuPy's generator."""

    rng, state = save_rng(Hidden(), CPU, [0, 1, 5])
    assert state == {"seed": [0, 1, 5]}
    np.testing.assert_array_equal(rng.random(3), load_rng(state, CPU).random(3))

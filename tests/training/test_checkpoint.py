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
from tiny import CONFIG, make_trainer, train, weights

from minigan.backend import CPU, to_numpy
from minigan.errors import CheckpointError
from minigan.testing import STRICT
from minigan.training import RunFolder, load_checkpoint
from minigan.training.checkpoint import DamagedCheckpoint, checksum, load_newest, load_rng, save_checkpoint, save_rng
from minigan.training.files import replacing

GAN = CONFIG.build_gan()
STATE = {"model": "dcgan", "step": 1, "position": 1, "seconds": 0.5, "rng": {}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    trainer = make_trainer(tmp_path_factory.mktemp("trained") / "run", replace(CONFIG, n_steps=2))
    train(trainer)
    return trainer.folder.checkpoints()[-1]


@pytest.fixture
def saved(tmp_path, trained):
    """A checkpoint that may be damaged."""
    return Path(shutil.copy(trained, tmp_path))


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


@pytest.mark.parametrize(("number", "age"), [(1, "older"), (3, "newer")])
def test_another_format_is_not_damage_but_of_another_version(saved, number, age):
    forge(saved, format=number)
    with pytest.raises(CheckpointError, match=f"is of format {number}, this is 2: use the {age} minigan") as caught:
        load_checkpoint(saved, "dcgan")
    assert not isinstance(caught.value, DamagedCheckpoint)


def forge(path, arrays=None, **state):
    """Change a checkpoint as somebody would who can make checksums, too."""
    checkpoint = load_checkpoint(path)
    text = json.dumps({"format": 2} | checkpoint.state | state)
    contents = checkpoint.arrays | (arrays or {}) | {"state": np.frombuffer(text.encode(), np.uint8)}
    np.savez(path, **contents, checksum=checksum(contents))


@pytest.mark.parametrize(
    ("name", "value"),
    [("step", -1), ("step", True), ("position", 1.5), ("seconds", float("nan")), ("seconds", 10**400)],
    ids=str,
)
def test_counts_that_make_no_sense_are_refused(saved, name, value):
    forge(saved, **{name: value})
    with pytest.raises(DamagedCheckpoint, match="is damaged"):
        load_checkpoint(saved, "dcgan")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("measured", {}),
        ("measured", {"names": ["d_loss"], "values": [[1.0, 2.0]], "dtype": "<f4"}),
        ("measured", {"names": ["d_loss"], "values": [["x"]], "dtype": "<f4"}),
        ("notes", [{"check": "x"}]),
        ("notes", 3),
        ("lr_factor", "x"),
        ("rollbacks", None),
        ("doctor", [[]]),
        ("rng", {}),
    ],
    ids=str,
)
def test_a_forged_state_changes_nothing(tmp_path, saved, name, value):
    forge(saved, **{name: value})
    trainer = make_trainer(tmp_path / "other")
    before = weights(trainer.gan).copy()
    with trainer.batches, pytest.raises(CheckpointError, match=r"step-000002.npz is damaged|random state"):
        trainer.restore(load_checkpoint(saved, "dcgan"))
    np.testing.assert_array_equal(weights(trainer.gan), before)


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
    train(make_trainer(tmp_path / "run"))
    paths, told = RunFolder(tmp_path / "run").checkpoints(), []
    for path in paths[1:]:
        path.write_bytes(path.read_bytes()[:-100])
    assert load_newest(paths, "dcgan", told.append).state["step"] == 5
    assert [str(problem).split()[0] for problem in told] == [str(path) for path in reversed(paths[1:])]
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


def test_random_state_survives_json():
    rng = np.random.default_rng([0, 1])
    rng.standard_normal(5)
    again = load_rng(json.loads(json.dumps(save_rng(rng, [0, 1, 5]))), CPU)
    np.testing.assert_array_equal(again.standard_normal(5), rng.standard_normal(5))


@pytest.mark.parametrize("saved_state", [{}, {"seed": "x"}, {"seed": [0], "state": {"bit_generator": "PCG64"}}])
def test_damaged_random_state_is_refused(saved_state):
    with pytest.raises(CheckpointError, match="random state is damaged"):
        load_rng(saved_state, CPU)


def test_a_generator_of_a_device_goes_on_from_its_bytes_elsewhere_it_begins_from_the_seed():
    rng = STRICT.rng(0)
    rng.random(3)
    state = save_rng(rng, [0, 1, 5])
    assert (state["state"].dtype, state["state"].ndim) == (np.uint8, 1)
    np.testing.assert_array_equal(load_rng(state, STRICT).random(3).get(), rng.random(3).get())
    other = {"seed": [0, 1, 5], "state": state["state"][:-1]}
    for saved, device in ((state, CPU), (other, STRICT), (save_rng(np.random.default_rng(0), [0, 1, 5]), STRICT)):
        expected = np.random.default_rng([0, 1, 5]).random(3)
        np.testing.assert_array_equal(to_numpy(load_rng(saved, device).random(3)), expected)

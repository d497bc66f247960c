"""Networks that nothing trains: in a file of their own, written once."""

from dataclasses import replace

import numpy as np
import pytest
from odd import ODD, Odd, odd_resumed, odd_run
from tiny import interrupt_at, make_run, newest, train

from minigan.errors import CheckpointError
from minigan.layers import Dense
from minigan.training import open_model
from minigan.training.npz_files import load_frozen


@pytest.fixture
def run(tmp_path):
    run = odd_run(tmp_path / "run", replace(ODD, n_steps=9))
    run.model.frozen["target"].W[...] = 7  # as it came from a file that need not be there later
    return run


def test_they_are_written_once_and_not_into_checkpoints(run):
    interrupt_at(run, 3)
    train(run)
    written = run.folder.frozen.stat()
    second = odd_resumed(run.folder.path, run.config)
    assert (second.model.frozen["target"].W == 7).all()
    train(second)
    assert run.folder.frozen.stat().st_mtime_ns == written.st_mtime_ns
    assert not any("target" in name for name in newest(run.folder.path).arrays)
    with np.load(run.folder.frozen) as file:
        assert sorted(file.files) == ["checksum", "target.W", "target.b"]


def test_they_are_there_when_a_run_is_opened(run):
    train(run)
    model, checkpoint = open_model(run.folder, run.config, cls=Odd)
    assert (model.frozen["target"].W == 7).all()
    assert checkpoint.state["step"] == 9
    np.testing.assert_array_equal(model.networks["low"].layers[0].W, run.model.networks["low"].layers[0].W)


def test_a_model_without_any_has_no_file(tmp_path):
    run = make_run(tmp_path / "run")
    train(run)
    assert not run.folder.frozen.exists()
    load_frozen(run.folder, run.model)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("missing", "frozen.npz is missing: without it the run's frozen networks are unknown"),
        ("cut", "frozen.npz is damaged: copy it again from where the run was trained"),
        ("empty", "frozen.npz is damaged"),
        ("flipped", "frozen.npz is damaged: its contents don't match its checksum"),
        ("no checksum", "frozen.npz is damaged"),
        ("a folder", "frozen.npz"),
        ("other", "frozen.npz is of another model: its arrays have other names, shapes or types"),
    ],
)
def test_a_file_that_is_gone_or_damaged_is_a_sentence(run, damage, sentence):
    train(run)
    path, data = run.folder.frozen, run.folder.frozen.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "a folder":
        path.mkdir()
    elif damage in ("flipped", "no checksum"):
        path.write_bytes(data)
        with np.load(path) as file:
            arrays = dict(file)
        arrays["target.W"][0, 0] = 8
        if damage == "no checksum":
            del arrays["checksum"]
        np.savez(path, **arrays)
    elif damage == "other":
        path.write_bytes(data)
        run.model.frozen = {"aim": Dense(2, 2)}
    with pytest.raises(CheckpointError, match=sentence):
        load_frozen(run.folder, run.model)


def test_a_run_that_never_began_wrote_none(run):
    run.model.step = lambda *_: (_ for _ in ()).throw(MemoryError())
    with pytest.raises(MemoryError):
        train(run)
    assert not run.folder.path.exists()

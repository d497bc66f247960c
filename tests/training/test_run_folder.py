import json
import os
import stat

import pytest
from PIL import Image
from tiny import CONFIG

from minigan.errors import CheckpointError
from minigan.training import RunFolder, TrainingError
from minigan.training.curves import draw_run
from minigan.training.declared import Declared
from minigan.training.files import write_text


@pytest.fixture
def folder(tmp_path):
    """That of a run which has just begun."""
    folder = RunFolder(tmp_path)
    folder.create(CONFIG)
    return folder


def picture(color=0):
    return Image.new("RGB", (8, 8), color)


def test_settings_survive_the_file(folder):
    assert folder.config() == CONFIG


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("{}", "is damaged"),
        ("[" * 100_000, "is damaged"),
        (None, "is not the folder of a run"),
        ('{"shape": [16, 16, 1]}', "was made by an older minigan, and this one can't resume it: start a new run"),
    ],
)
def test_settings_that_cannot_be_read(tmp_path, text, what):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=what) as caught:
        RunFolder(tmp_path).config()
    assert str(tmp_path) in str(caught.value)


def test_the_next_free_folder(tmp_path):
    wish = tmp_path / "dcgan-digits"
    wish.mkdir()
    folder = RunFolder.lock_free(wish)
    assert folder.path == wish  # an empty folder is free
    second = RunFolder.lock_free(wish)  # … unless somebody is about to train there
    assert second.path == tmp_path / "dcgan-digits-2"
    second.create(CONFIG)
    folder.unlock()
    folder.create(CONFIG)
    assert RunFolder.lock_free(wish).path == tmp_path / "dcgan-digits-3"


def test_what_came_after_the_checkpoint_is_dropped_from_every_exhibit(folder):
    for step in (10, 20, 30):
        folder.records.add({"step": step})
        for exhibit in ("samples", "reconstructions"):
            folder.add_picture(exhibit, step, picture())
        folder.checkpoint(step).touch()
    with folder.records.path.open("a") as file:
        file.write('{"step": 4')  # the crash
    folder.forget_after(20)
    assert [r["step"] for r in folder.records.read()] == [10, 20]
    for exhibit in ("samples", "reconstructions"):
        assert [path.name for path in folder.pictures(exhibit)] == ["step-000010.png", "step-000020.png"]
    assert [path.name for path in folder.checkpoints()] == ["step-000010.npz", "step-000020.npz"]
    assert (folder.path / "checkpoints" / "step-000030.npz.damaged").exists()


def test_exhibits_are_told_by_their_pictures_and_each_has_a_film(folder):
    folder.add_picture("b", 1000000, picture())  # in the order of steps, not of names
    folder.add_picture("b", 20, picture("red"))
    folder.add_picture("a-2", 0, picture())
    (folder.path / "notes").mkdir()
    for name in ("b/step-foo.png", "b/step-.png", "notes/step-x.png", "step-000001.png"):
        (folder.path / name).write_text("no picture")
    assert folder.exhibits() == ["a-2", "b"]
    assert [path.name for path in folder.pictures("b")] == ["step-000020.png", "step-1000000.png"]
    assert folder.pictures("nowhere") == []
    draw_run(folder, Declared(), "a run", "")
    for exhibit, frames in (("a-2", 1), ("b", 2)):
        with Image.open(folder.film(exhibit)) as film:
            assert film.n_frames == frames
    assert sorted(path.name for path in folder.path.glob("*.gif")) == ["a-2.gif", "b.gif"]


def test_the_oldest_checkpoints_are_deleted_and_those_with_other_names_are_not_ours(folder):
    for step in (5, 10, 1000000, 20):
        folder.checkpoint(step).touch()
    (folder.path / "checkpoints" / "step-best.npz").touch()
    folder.phase("first").touch()
    folder.keep_newest(2)
    assert [path.name for path in folder.checkpoints()] == ["step-000020.npz", "step-1000000.npz"]
    assert folder.phase("first") == folder.path / "phase-first.npz"
    assert folder.phase("first").exists()


def test_a_copy_is_whole_or_not_there(folder, monkeypatch):
    one = folder.checkpoint(1)
    one.write_bytes(b"contents")
    folder.copy(one, folder.best)
    assert folder.best.read_bytes() == b"contents"

    def broken(source, file):
        file.write(b"con")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minigan.training.folder.shutil.copyfileobj", broken)
    one.write_bytes(b"newer ones")
    with pytest.raises(OSError, match="No space") as caught:
        folder.copy(one, folder.best)
    assert caught.value.filename == str(folder.best)
    assert folder.best.read_bytes() == b"contents"


def test_a_file_is_not_the_folder_of_a_run(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file is a file: give the folder of the run"):
        RunFolder(tmp_path / "file").config()


def test_only_a_run_of_ours_without_a_checkpoint_is_replaced(tmp_path):
    """By one of another model: nothing of the first is left."""
    folder = RunFolder(tmp_path)
    (tmp_path / "config.json").write_text('{"theme": "dark"}')
    with pytest.raises(TrainingError, match="give another"):
        folder.check_unused()
    folder.create(CONFIG)
    folder.records.add({"step": 1})
    folder.add_picture("samples", 0, picture())
    for path in (folder.film("samples"), folder.frozen, folder.declared, folder.best, folder.phase("first")):
        path.touch()
    (tmp_path / ".checkpoint.npz.77.tmp").touch()  # killed while it was written
    (tmp_path / "samples" / ".step-000010.png.77.tmp").touch()
    folder.unlock()
    folder.check_unused()
    folder.create(CONFIG)
    folder.unlock()
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["config.json"]


@pytest.mark.parametrize("function", ["minigan.training.folder.write_text", "pathlib.Path.mkdir"])
def test_a_run_killed_while_its_first_files_are_made_is_replaced(tmp_path, monkeypatch, function):
    killed = RunFolder(tmp_path)
    killed.lock()
    (tmp_path / ".config.json.123.tmp").write_text("{")
    monkeypatch.setattr(killed, "lock", lambda: None)
    monkeypatch.setattr(function, lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        killed.create(CONFIG)
    monkeypatch.undo()
    os.close(killed._lock._file)  # as the operating system does; the file .lock stays
    again = RunFolder(tmp_path)
    again.check_unused()
    again.create(CONFIG)
    assert again.config() == CONFIG
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_run_with_a_checkpoint_is_not_replaced_and_the_way_to_go_on_is_named(folder):
    folder.checkpoint(5).touch()
    folder.unlock()
    with pytest.raises(TrainingError, match="holds a run already: .*resume"):
        folder.check_unused()
    folder.records.add({"step": 1})
    folder.create(CONFIG)  # as a run does that goes on
    folder.unlock()
    assert folder.records.read() == [{"step": 1}]
    assert json.loads((folder.path / "config.json").read_text())["model"] == "dcgan"


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX systems only")
def test_a_file_is_flushed_before_its_name_is_and_the_name_too(tmp_path, monkeypatch):
    """Otherwise a power failure could leave the name of a file without its contents."""
    flushed = []

    def record(number):
        flushed.append((stat.S_ISDIR(os.fstat(number).st_mode), (tmp_path / "a.txt").exists()))

    monkeypatch.setattr(os, "fsync", record)
    write_text(tmp_path / "a.txt", "A")
    assert flushed == [(False, False), (True, True)]

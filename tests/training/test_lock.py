"""One training in a folder at a time, and a lock that no crash leaves behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minigan
from minigan.training.lock import FolderLock, LockedError

HOLD = """
import sys
from pathlib import Path
from minigan.training.lock import FolderLock
FolderLock(Path(".")).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which has the lock on the folder."""
    environment = os.environ | {"PYTHONPATH": str(Path(minigan.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_process_is_refused_and_told_who_the_first_is(tmp_path, holder):
    with pytest.raises(LockedError, match=f"is in use by process {holder.pid}"):
        FolderLock(tmp_path).acquire()
    assert FolderLock(tmp_path).taken()


def test_a_crash_leaves_no_lock_behind(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / ".lock").exists()  # the file, but not the lock
    assert not FolderLock(tmp_path).taken()
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.acquire()  # it has it already
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_another_lock_object_of_this_process_is_refused_too(tmp_path):
    lock, other = FolderLock(tmp_path), FolderLock(tmp_path)
    lock.acquire()
    with pytest.raises(LockedError, match=f"process {os.getpid()}"):
        other.acquire()
    lock.release()
    other.acquire()
    other.release()
    other.release()  # does nothing


def test_a_lock_whose_file_was_removed_meanwhile_is_made_anew(tmp_path, monkeypatch):
    """The holder removes the file between our opening it and our locking it: what we hold is then nobody's lock."""
    import minigan.training.lock as module

    lock_file, calls = module._lock, []

    def removed_first(number):
        calls.append(number)
        if len(calls) == 1:
            (tmp_path / ".lock").unlink()
        return lock_file(number)

    monkeypatch.setattr(module, "_lock", removed_first)
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert len(calls) == 2
    assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
    lock.release()

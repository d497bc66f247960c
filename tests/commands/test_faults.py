"""What the world does to a run: full disks, folders that can't be written or vanish, lost pictures, threads and twins.

Each ends in one sentence; and when the fault is gone, the run goes on to the very end that it would have had.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, in_an_empty_folder, newest, run  # noqa: F401
from PIL import Image

import minigan
from minigan.data import Feeds
from minigan.gans import DCGAN
from minigan.training import Run
from minigan.training.progress import Interrupts

LONG = TINY.replace("--n-steps 4", "--n-steps 100") + " --checkpoint-interval 20"


def begin(line, **options):
    """Start a command as a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(minigan.__file__).parents[1])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "minigan", *line.split()], env=environment, **pipes, **options)


def wait_for(found, process):
    """Wait until `found()` is true while the process is at work."""
    deadline = time.monotonic() + 60
    while not found():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def one_sentence(process):
    """The error message of a process that has to end with exit status 2."""
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert re.fullmatch(r"minigan: error: .+\n", err), err
    return err


def assert_same_end(run_folder, unbroken):
    with np.load(newest(run_folder)) as one, np.load(newest(unbroken)) as other:
        for name in set(other.files) - {"state", "checksum"}:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, of which the options may be changed."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True)
        if done.returncode:
            pytest.skip("this user may not mount a disk")
        return place

    yield mount
    subprocess.run(["umount", "-l", str(place)], capture_output=True)


@pytest.mark.slow
def test_a_disk_that_fills_up(disk):
    """The last checkpoint that found room is whole, and with room again the run goes on to the same end."""
    place = disk("size=1200k")
    ballast = place / "ballast"
    ballast.write_bytes(bytes(600_000))
    process = begin(f"{LONG} --out disk/run --quiet --keep-checkpoints 2")
    wait_for(lambda: Path("disk/run/checkpoints/step-000040.npz").exists(), process)
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1000)):
            pass
    message = one_sentence(process)
    assert re.search(r"disk/run/\S+: No space left on device; the checkpoint of step \d+ is kept", message)
    assert not list(place.rglob(".*.tmp"))
    ballast.unlink()
    assert run("train --resume disk/run --quiet") == 0
    assert run(f"{LONG} --out unbroken --quiet") == 0
    assert_same_end("disk/run", "unbroken")


@pytest.mark.slow
def test_a_disk_that_is_made_read_only(disk):
    place = disk("size=2m")
    process = begin(f"{LONG} --out disk/run --quiet")
    wait_for(lambda: Path("disk/run/checkpoints/step-000040.npz").exists(), process)
    os.kill(process.pid, signal.SIGSTOP)
    subprocess.run(["mount", "--bind", str(place), str(place)], check=True)  # files that are open stay so
    subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
    os.kill(process.pid, signal.SIGCONT)
    assert re.search(r"Read-only file system; the checkpoint of step \d+ is kept", one_sentence(process))
    assert "nothing may be written" in one_sentence(begin("train --resume disk/run"))
    assert "nothing may be written" in one_sentence(begin(f"{TINY} --out disk/new"))
    subprocess.run(["umount", str(place)], check=True)
    assert run("train --resume disk/run --quiet") == 0


def test_a_folder_that_vanishes():
    """Nothing is said of a checkpoint that is kept."""
    process = begin(f"{LONG} --out run --quiet")
    wait_for(lambda: Path("run/checkpoints/step-000040.npz").exists(), process)
    while Path("run").exists():
        shutil.rmtree("run", ignore_errors=True)
    message = one_sentence(process)
    assert "run/" in message
    assert "is kept" not in message


def test_a_picture_that_disappears_between_listing_and_reading(monkeypatch, capsys):
    for i in range(16):
        Path("photos").mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 16), 10 * i, np.uint8)).save(f"photos/{i:02}.png")
    step = DCGAN.step

    def without_it(gan, *given):
        for path in Path("photos").glob("*.png"):
            path.unlink()
        return step(gan, *given)

    monkeypatch.setattr(DCGAN, "step", without_it)
    monkeypatch.setattr("minigan.data.feeds.PREFETCHED", 1)
    monkeypatch.setattr("minigan.data.folder.CACHE_BUDGET", 0)
    options = "--features 2 --latent-dim 4 --batch-size 8 --n-steps 9 --img-size 16"
    assert run(f"train dcgan --data photos {options} --out run --quiet") == 2
    message = capsys.readouterr().err
    assert re.fullmatch(r"minigan: error: .*photos/\d\d\.png.*\n", message)


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), MemoryError(), OSError(5, "Input/output error")]
)
def test_a_thread_that_dies_or_cannot_be_had(monkeypatch, capsys, error):
    """It reads the batches. Training ends, and does not wait for a batch that never comes."""
    read = Feeds._read

    def dying(self, start, n):
        if start <= 48 < start + n:
            raise error
        return read(self, start, n)

    monkeypatch.setattr(Feeds, "_read", dying)
    assert run(f"{LONG} --out run --quiet --checkpoint-interval 2") == 2
    assert re.fullmatch(r"minigan: error: .+\n", capsys.readouterr().err)
    monkeypatch.setattr(Feeds, "_read", read)
    assert run("train --resume run --quiet") == 0
    assert run(f"{LONG} --out unbroken --quiet") == 0
    assert_same_end("run", "unbroken")


@pytest.mark.slow
def test_of_two_trainings_in_a_folder_the_second_is_refused_until_the_first_is_gone():
    first = begin(f"{LONG} --n-steps 90000 --out run --quiet")
    wait_for(lambda: Path("run/checkpoints/step-000020.npz").exists(), first)
    assert f"run is in use by process {first.pid}" in one_sentence(begin("train --resume run"))
    assert "run holds a run already" in one_sentence(begin(f"{TINY} --out run"))
    first.kill()
    first.communicate()
    assert run(f"train --resume run --quiet --n-steps {int(newest('run').stem[5:]) + 1}") == 0


@pytest.mark.slow
def test_two_that_start_together_without_a_folder_get_one_each():
    processes = [begin(f"{TINY} --n-steps 30 --quiet") for _ in range(2)]
    assert [process.communicate()[1] for process in processes] == ["", ""]
    assert sorted(os.listdir("runs")) == ["dcgan-digits", "dcgan-digits-2"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_says_how_to_go_on(number):
    process = begin(f"{LONG} --out run --quiet")
    wait_for(lambda: Path("run/config.json").exists(), process)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 128 + number
    assert re.fullmatch(r"interrupted after step \d+, checkpoint saved: minigan train --resume run\n", err)
    assert run("train --resume run --quiet") == 0
    assert run(f"{LONG} --out unbroken --quiet") == 0
    assert_same_end("run", "unbroken")


@pytest.mark.slow
def test_a_terminal_that_is_closed_saves_though_nobody_reads_what_is_said():
    master, terminal = os.openpty()
    command = [sys.executable, "-m", "minigan", *f"{LONG} --n-steps 90000 --out run".split()]
    environment = os.environ | {"PYTHONPATH": str(Path(minigan.__file__).parents[1])}
    process = subprocess.Popen(
        command, env=environment, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    wait_for(lambda: Path("run/config.json").exists(), process)
    os.close(master)  # what is written from here on fails with EIO
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 128 + signal.SIGHUP
    assert newest("run").is_file()


def test_a_hang_up_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
        assert not interrupts.signal
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_stops_at_once_and_damages_nothing(monkeypatch, capsys):
    """It comes while the checkpoint that the first one asked for is being written."""
    step = DCGAN.step

    def pressed(*args):
        if Path("run/checkpoints/step-000020.npz").exists():
            signal.raise_signal(signal.SIGINT)
        return step(*args)

    def pressed_again(file, **arrays):
        file.write(b"the beginning of a file")
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(DCGAN, "step", pressed)
    with monkeypatch.context() as patch:
        patch.setattr("minigan.training.run.Run.save", saving_with(patch, pressed_again))
        assert run(f"{LONG} --out run --quiet") == 130
    assert capsys.readouterr().err == "minigan: interrupted\n"
    assert sorted(os.listdir("run/checkpoints")) == ["step-000020.npz"]
    monkeypatch.setattr(DCGAN, "step", step)
    assert run("train --resume run --quiet") == 0


def saving_with(patch, savez):
    """`Run.save`, which from step 21 on writes with another `np.savez`."""
    save = Run.save

    def saving(run, best):
        if run.stepper.step > 20:
            patch.setattr("minigan.training.checkpoint.np.savez", savez)
        save(run, best)

    return saving

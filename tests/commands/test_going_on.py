"""A run goes on with other settings, from another place, on another machine: it says so, and its page keeps it.

And a new run begins with the weights of another.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, in_an_empty_folder, newest, refused, run  # noqa: F401
from PIL import Image

from minigan.threads import blas
from minigan.threads.blas import Description
from minigan.training.progress import Progress, duration, forecast

FOLDER_RUN = "train dcgan --features 2 --latent-dim 4 --batch-size 4 --img-size 16 --data photos --n-steps 4 --quiet"


def weights(folder):
    with np.load(newest(folder)) as arrays:
        return {name: arrays[name] for name in arrays.files if name not in ("state", "checksum")}


def matrices(arrays):
    names = [name for name in arrays if name.startswith("networks.") and name.endswith(".W")]
    assert len(names) > 4
    return names


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def changes(folder):
    return json.loads(Path(folder, "config.json").read_text())["changes"]


def photos(folder, n=12):
    Path(folder).mkdir()
    rng = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(f"{folder}/{i:02d}.png")


def test_what_is_changed_is_said_and_is_on_the_page(capsys):
    run(TINY + " --out run --quiet")
    capsys.readouterr()
    assert run("train --resume run --n-steps 8 --lr 0.001 --batch-size 16 --augment flip --ema 0.9 --quiet") == 0
    lines = [
        "batch_size 16, before 8",
        "augment flip, before none",
        "ema 0.9, before none",
        "lr 0.001, before 0.0002",
    ]
    assert capsys.readouterr().err == "".join(f"minigan: warning: {line}\n" for line in lines)
    assert changes("run") == [f"step 4: {line}" for line in lines]
    page = Path("run/report.html").read_text()
    assert all(f"<li>step 4: {line}</li>" in page for line in lines)
    assert any(name.startswith("averages.") for name in weights("run"))
    assert run("train --resume run --n-steps 9 --augment none --quiet") == 0
    assert changes("run")[-1] == "step 8: augment none, before flip"


def test_another_batch_size_goes_on_at_the_same_place_of_the_epoch():
    run(TINY + " --out run --quiet")  # 4 batches of 8, of 64 samples: half an epoch
    run("train --resume run --n-steps 6 --batch-size 16 --quiet")
    last = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1])
    assert last["epoch"] == 1  # two batches of 16 later


def test_a_changed_setting_takes_part():
    """A learning rate of next to nothing moves no weight any more."""
    run(TINY + " --out run --quiet")
    before = weights("run")
    run("train --resume run --n-steps 6 --lr 1e-30 --quiet")
    after = weights("run")
    for name in matrices(before):
        np.testing.assert_array_equal(before[name], after[name])


def test_moved_data_goes_on_to_the_same_bytes(capsys):
    photos("photos")
    run(f"{FOLDER_RUN} --out whole --n-steps 8")
    run(f"{FOLDER_RUN} --out run")
    shutil.move("photos", "elsewhere")
    capsys.readouterr()
    assert "photos" in refused(capsys, "train --resume run --n-steps 8")
    assert run("train --resume run --n-steps 8 --data elsewhere --quiet") == 0
    assert_equal(weights("run"), weights("whole"))
    (change,) = changes("run")
    assert change.startswith("step 4: data ") and "elsewhere, before " in change


@pytest.mark.parametrize("how", ["missing", "another"])
def test_data_that_is_no_longer_the_same_is_said(capsys, how):
    photos("photos")
    run(f"{FOLDER_RUN} --out run")
    if how == "missing":
        Path("photos/00.png").unlink()
    else:
        Image.new("RGB", (16, 16)).save("photos/00.png")
    capsys.readouterr()
    assert run("train --resume run --n-steps 8 --quiet") == 0
    assert "minigan: warning: the data has changed" in capsys.readouterr().err
    assert ("12 before, 11 now" in changes("run")[0]) == (how == "missing")
    assert run("train --resume run --n-steps 9 --quiet") == 0
    assert len(changes("run")) == 1  # it is the run's data now


def test_data_of_another_shape_is_refused(capsys):
    photos("photos")
    run(f"{FOLDER_RUN} --out run")
    capsys.readouterr()
    sentence = refused(capsys, "train --resume run --n-steps 8 --data digits")
    assert "holds samples of shape (16, 16, 1), but this run began with (16, 16, 3)" in sentence


def test_other_kernels_and_threads_are_said(capsys, monkeypatch):
    run(TINY + " --out run --quiet")
    assert json.loads(Path("run/config.json").read_text())["versions"]["blas"] == str(blas.describe())
    assert str(blas.describe()) in Path("run/report.html").read_text()
    other = Description("OpenBLAS", "0.3", "Prescott", 7)
    monkeypatch.setattr(blas, "describe", lambda: other)
    capsys.readouterr()
    assert run("train --resume run --n-steps 8 --quiet") == 0
    assert "(Prescott kernels, 7 threads), before with" in capsys.readouterr().err
    assert changes("run")[0].endswith("results may differ in the last bits")


def test_a_run_begins_with_the_weights_of_another(capsys):
    run(TINY + " --out first --quiet")
    assert run(TINY + " --out second --quiet --init-from first --lr 1e-30") == 0
    first, second = weights("first"), weights("second")
    for name in matrices(first):
        np.testing.assert_array_equal(first[name], second[name])
    assert second["optimizers.G.t"] == 4  # it has made its own four steps, from a new optimizer
    began = json.loads(Path("second/config.json").read_text())["init_from"]
    assert began.endswith("first/checkpoints/step-000004.npz, of step 4")
    assert began in Path("second/report.html").read_text()
    assert run(f"{TINY} --out third --quiet --init-from first/checkpoints/step-000004.npz --ema") == 0
    assert run("train --resume second --n-steps 5 --quiet") == 0


def test_weights_of_another_model_or_size_are_refused(capsys):
    run(TINY + " --out first --quiet")
    capsys.readouterr()
    assert "is a checkpoint of dcgan, not of lsgan" in refused(
        capsys, "train lsgan --limit 64 --batch-size 8 --n-steps 2 --init-from first --out other --quiet"
    )
    wider = TINY.replace("--features 2", "--features 3")
    assert "of another model or size" in refused(capsys, f"{wider} --init-from first --out other --quiet")
    assert "nowhere" in refused(capsys, f"{TINY} --init-from nowhere --out other --quiet")


def test_how_long_it_will_take(capsys, monkeypatch):
    monkeypatch.setattr("minigan.commands.train.TIMED_S", 0.1)
    assert [duration(s) for s in (0.4, 40, 200, 3 * 3600 + 1234, 2e5)] == [
        "0 s",
        "40 s",
        "3 min",
        "3 h 21 min",
        "2 d 7 h",
    ]
    assert forecast(2000, 0.31, 200.0) == (
        "0.31 s a step, measured on this machine: 2,000 steps (10 epochs) will take about 10 min"
    )
    assert "(0.36 epochs)" in forecast(72, 1.0, 200.0)
    assert "4,000 steps (1,333 epochs) will take about 2 h 0 min" in forecast(4000, 1.8, 3.0)
    assert run("train gan --data ring --n-steps 3000 --dry-run") == 0
    assert "ms a step, measured on this machine: 3,000 steps (" in capsys.readouterr().out


def test_progress_tells_the_time_once_and_in_every_line(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("minigan.training.progress.time.perf_counter", lambda: now[0])
    progress = Progress(1000, steps_per_epoch=10)
    record = dict.fromkeys(("epoch", "d_loss", "g_loss", "d_real", "d_fake", "pictures_per_second"), 1.0)
    for _ in range(11):
        progress.advance()
        now[0] += 1
    progress.line(record | {"step": 10})
    out = capsys.readouterr().out
    assert out.count("1 s a step, measured on this machine: 99") == 1
    assert out.splitlines()[-1].endswith("  18 min left")

"""What it costs to be careful: the doctor, the state in memory, a checkpoint and the page, beside a training step.

    python tests/training/costs.py 16 64

For DCGAN with its defaults on pictures of so many pixels (16: digits, 64: shapes). Medians, in milliseconds.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from pages import make_run, picture
from saying import GAN
from tiny import CONFIG

from minigan.backend import keep_freed_memory
from minigan.training import RunFolder, load_checkpoint
from minigan.training.plan import new_plan
from minigan.training.records import fetch_norms
from minigan.training.report import Report, Status
from minigan.training.rollback import SHARE
from minigan.training.run import RECORD_INTERVAL
from minigan.training.session import opened

STEPS, TIMES = 15, 7


def milliseconds(work, times=TIMES):
    """The median time of `work`."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return 1e3 * median(taken)


def measure(size: int, folder: Path) -> str:
    """A sentence about DCGAN for pictures of this size."""
    data = "digits" if size == 16 else "shapes"
    plan = new_plan({"model": "dcgan", "data": data, "img_size": size, "n_steps": 10**6})
    config = plan.config
    run_folder = RunFolder(folder / str(size))
    with opened(plan, run_folder) as run:
        run_folder.create(config)
        stepper, doctor = run.stepper, run.stepper.doctor
        step = milliseconds(stepper.advance, STEPS)

        def norms():
            return fetch_norms(doctor.measure(), run.model, stepper.step)

        record, shown = {"step": 10, **stepper.recorder.close(), **norms()}, run.gallery.show()
        looked = milliseconds(norms) + milliseconds(lambda: doctor.check(record))
        looked_at = milliseconds(lambda: doctor.inspect(stepper.step, shown))
        share = (looked / RECORD_INTERVAL + looked_at / config.sample_interval) / step
        kept = milliseconds(run.snapshots.take)
        saved = milliseconds(run.save)
        path = run_folder.checkpoints()[-1]
        loaded = milliseconds(lambda: load_checkpoint(path))
        run_folder.unlock()
    return (
        f"{size}x{size}: a step {step:.0f} ms; the doctor {100 * share:.2f} % of it; a state kept in memory "
        f"{kept:.0f} ms, {100 * SHARE:.1f} % of the time at most; a checkpoint of {path.stat().st_size >> 20} MiB "
        f"written in {saved:.0f} ms, read in {loaded:.0f} ms"
    )


def measure_page(folder: Path) -> str:
    """A sentence about the page of a run of 50,000 steps, with 5,000 records and 51 pictures."""
    config = replace(CONFIG, n_steps=50_000)
    run = make_run(folder / "long", 5000, 0, config)
    for i in range(51):
        run.add_picture("samples", 1000 * i, picture(i, size=64, channels=3))  # noise, which takes longest
    report, status = Report(run, config, GAN), Status("running", 50_000, 500.0)
    first, again = milliseconds(lambda: report.write(status), 1), milliseconds(lambda: report.write(status))
    size = report.path.stat().st_size / 2**20
    return f"the page of 50,000 steps: {first:.0f} ms the first time, then {again:.0f} ms; {size:.1f} MiB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=[16, 64])
    args = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        for size in args.sizes:
            print(measure(size, Path(name)), flush=True)
        print(measure_page(Path(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

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

import pages
from saying import GAN, RUN
from tiny import make_run

from minigan.backend import keep_freed_memory
from minigan.data import open_dataset
from minigan.training import RunConfig
from minigan.training.checkpoint import load_checkpoint
from minigan.training.recorder import fetch_norms
from minigan.training.recovery import SHARE
from minigan.training.report import Report, Status
from minigan.training.schedule import RECORD_INTERVAL

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
    name = "digits" if size == 16 else "shapes"
    dataset = open_dataset(name, size)
    shapes, samples = {"real": dataset.shape}, {"data": len(dataset)}
    config = RunConfig("dcgan", {}, name, shapes, samples, 64, 10**6, img_size=(size, size))
    run = make_run(folder / str(size), config, data=dataset)
    stepper = run.stepper
    with run.feeds:
        run.folder.create(config)
        stepper.advance()
        step = milliseconds(stepper.advance, STEPS)
        record = {"step": 10} | stepper.recorder.close() | measured(run)
        shown = run.gallery.show()
        looked = milliseconds(lambda: measured(run)) + milliseconds(lambda: stepper.doctor.check(record))
        looked_at = milliseconds(lambda: stepper.doctor.look_at(stepper.step, shown))
        doctor = looked / RECORD_INTERVAL + looked_at / config.sample_interval
        generators = milliseconds(lambda: (stepper.rng(), stepper.now()), 1000)
        kept = milliseconds(run.memory.keep)
        saved = milliseconds(run.save)
        path = run.folder.checkpoints()[-1]
        loaded = milliseconds(lambda: load_checkpoint(path))
        run.folder.unlock()
    return (
        f"{size}x{size}: a step {step:.0f} ms; its generators {1e3 * generators:.0f} µs; the doctor "
        f"{100 * doctor / step:.2f} % of it; a state kept in memory {kept:.0f} ms, {100 * SHARE:.1f} % of the time at "
        f"most; a checkpoint of {path.stat().st_size >> 20} MiB written in {saved:.0f} ms, read in {loaded:.0f} ms"
    )


def measured(run):
    """What the doctor measures every ten steps, fetched."""
    return fetch_norms(run.stepper.doctor.measure(), run.model, run.stepper.step)


def measure_page(folder: Path) -> str:
    """A sentence about the page of a run of 50,000 steps, with 5,000 records and 51 pictures."""
    config = replace(RUN, n_steps=50_000)
    run = pages.make_run(folder / "long", 5000, 0, config)
    for i in range(51):
        run.add_picture("samples", 1000 * i, pages.picture(i, size=64, channels=3))  # noise, which takes longest
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

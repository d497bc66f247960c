"""Trains and measures everything about growing and style in docs/results.md, and can be interrupted.

Shows what `progan`, `stylegan2`, `dcgan` and `wgan-gp` reach on MNIST at 32 pixels in the same time, and `stylegan2`
and `dcgan` on a few hundred faces at 64 pixels, with eight persons held out; `lapgan`, `stylegan` and `biggan` for a
short time; how precision and recall follow truncation; and the w of pictures. Each arm is a `minigan train` command.
How many steps its time allows is measured by a trial. An interrupted arm is resumed, a finished one isn't repeated.

    python examples/growing_results.py --mnist FOLDER --faces FOLDER --out results     all arms, about four hours
    python examples/growing_results.py … --only mnist-stylegan2                        arms whose names begin so
    python examples/growing_results.py … --share 0.1                                   a tenth of the time
    python examples/growing_results.py --list                                          only print the commands
    python examples/growing_results.py --rehearse                                    20 steps of each: about ten minutes

--mnist is the folder of MNIST's four IDX files, --faces that of the AT&T faces, s1 to s40 with ten pictures each.
--rehearse draws digits and noise in their place, to see that everything works.

What you should see: a line for each finished arm. In --out are results.md and results.json, which are written after
each arm, and the folder of each run with its evaluation, its page, and its samples.
"""

import argparse
import gzip
import json
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from minigan.data import open_dataset
from minigan.training.pictures import save_image, to_bytes, to_image

TRIAL = 64  # steps, of which the time is measured
HELD_OUT = 8  # persons: the last ones
TRUNCATIONS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MEASURED, REHEARSED = 10_000, 200  # samples of an evaluation


@dataclass(frozen=True)
class Arm:
    """A run: its data, mnist or faces, its `minigan train` command without data and steps, and its minutes."""

    data: str
    words: str
    minutes: float


ARMS = {
    "mnist-progan": Arm("mnist", "progan", 25),
    "mnist-stylegan2": Arm("mnist", "stylegan2 --gamma 10", 25),  # with the default, all samples are one digit at first
    **{f"mnist-dcgan-{seed}": Arm("mnist", f"dcgan --seed {seed}", 25) for seed in range(3)},
    "mnist-wgan-gp": Arm("mnist", "wgan-gp", 25),
    "faces-stylegan2": Arm("faces", "stylegan2 --augment flip", 32),
    "faces-dcgan": Arm("faces", "dcgan --augment flip", 32),
    "mnist-lapgan": Arm("mnist", "lapgan", 8),
    "mnist-stylegan": Arm("mnist", "stylegan", 8),
    "mnist-biggan": Arm("mnist", "biggan --features 16", 8),
}
SIZE = {"mnist": 32, "faces": 64}
METRICS = {"mnist": "digits --metrics fid,is,pr", "faces": "photos --metrics kid,pr"}
STYLED = "mnist-stylegan2"  # the run of which w is examined


def minigan(*words: str, quiet: bool = True) -> None:
    """Run a command. Ends this program if it fails or is interrupted."""
    done = subprocess.run([sys.executable, "-m", "minigan", *words], stdout=subprocess.DEVNULL if quiet else None)
    if done.returncode:
        sys.exit(f"minigan {' '.join(words)}: exit status {done.returncode}; the same command goes on")


def records(run: Path) -> list[dict]:
    """Return the records of a run."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def steps_for(minutes: float, run: Path, words: list[str]) -> int:
    """Measure how many steps take so many minutes, by a run of TRIAL steps: its phases have the same shares of it."""
    trial = run.with_name(f"{run.name}-trial")
    shutil.rmtree(trial, ignore_errors=True)
    minigan("train", *words, "--n-steps", str(TRIAL), "--out", str(trial), "--sample-interval", str(TRIAL), "--quiet")
    seconds = records(trial)[-1]["seconds"] / TRIAL
    shutil.rmtree(trial)
    return max(100, round(60 * minutes / seconds / 100) * 100)


def train(run: Path, words: list[str], steps: int) -> None:
    """Begin or resume a run."""
    if any((run / "checkpoints").glob("step-*.npz")):
        minigan("train", "--resume", str(run), "--n-steps", str(steps), quiet=False)
    else:
        shutil.rmtree(run, ignore_errors=True)
        minigan("train", *words, "--n-steps", str(steps), "--out", str(run), quiet=False)


def evaluated(out: Path, words: list[str]) -> dict:
    """Evaluate, unless that is done; return what is in evaluation.json."""
    if not (out / "evaluation.json").exists():
        minigan("evaluate", *words, "--out", str(out))
    return json.loads((out / "evaluation.json").read_text())["values"]


def run_arm(name: str, out: Path, data: Path, given: argparse.Namespace) -> dict:
    """Train and evaluate an arm as far as that isn't done. Returns its results."""
    arm, run, plan = ARMS[name], out / name, out / f"{name}.json"
    words = [*arm.words.split(), "--data", str(data), "--img-size", str(SIZE[arm.data])]
    words += ["--features", "8", "--batch-size", "8"] if given.rehearse else []
    if not plan.exists():
        steps = given.steps or steps_for(arm.minutes * given.share, run, words)
        plan.write_text(json.dumps({"steps": steps}))
    steps = json.loads(plan.read_text())["steps"]
    if not (run / "checkpoints" / f"step-{steps:06d}.npz").exists():
        shutil.rmtree(run / "evaluation", ignore_errors=True)
        train(run, words, steps)
    n = REHEARSED if given.rehearse else MEASURED
    if arm.data == "mnist":
        against = ["--n-against", str(n)]
    else:
        n, against = min(n, 1000), ["--against", str(data.with_name("held-out"))]
    found = evaluated(
        run / "evaluation", [str(run), "--n", str(n), *against, *f"--features {METRICS[arm.data]}".split()]
    )
    last = records(run)[-1]
    seen = last["epoch"] * json.loads((run / "config.json").read_text())["samples"]["data"] / 1000
    shown = f"minigan train {arm.words} --data {arm.data.upper()} --img-size {SIZE[arm.data]} --n-steps {steps}"
    return {"command": shown, "steps": steps, "seconds": last["seconds"], "thousand_pictures": seen, "values": found}


def real_scores(out: Path, sets: dict[str, Path], n: int) -> dict:
    """Return the scores of real pictures that aren't in training."""
    held_out = {"mnist": next(sets["mnist"].glob("t10k-images*")), "faces": sets["faces"].with_name("held-out")}
    found = {}
    for name, data in sets.items():
        words = [str(held_out[name]), str(data), "--img-size", str(SIZE[name]), "--n", str(n), "--n-against", str(n)]
        found[name] = evaluated(out / f"real-{name}", [*words, *f"--features {METRICS[name]}".split()])
    return found


def truncation(run: Path, n: int) -> list[dict]:
    """Return precision and recall by ψ."""
    found = []
    for psi in TRUNCATIONS:
        words = [str(run), "--truncation", f"{psi:g}", "--n", str(n), "--n-against", str(n)]
        words += ["--features", "digits", "--metrics", "fid,pr"]
        found.append({"psi": psi} | evaluated(run / f"truncation-{psi:g}", words))
    minigan("sample", str(run), "--seed", "0-5", "--mix", "10-15")
    minigan("sample", str(run), "--seed", "0,1,2,0", "--interpolate")
    return found


def projections(run: Path, mnist: Path, more: list[str]) -> dict:
    """Return the measures of ten own samples and of ten held-out digits, projected."""
    found = {}
    for name in ("own", "held-out"):
        pictures, out = run / f"{name}-pictures", run / f"projected-{name}"
        if name == "own":
            minigan("sample", str(run), "--seed", "1000-1009", "--separate", "--out", str(pictures))
        else:
            pictures.mkdir(exist_ok=True)
            for i, digit in enumerate(open_dataset(str(mnist), 32, split="test").batch(np.arange(10))):
                save_image(to_image(to_bytes(digit)), pictures / f"{i}.png")
        if not (out / "projection.json").exists():
            minigan("project", str(run), str(pictures), "--features", "digits", "-o", str(out), *more)
        found[name] = json.loads((out / "projection.json").read_text())["pictures"]
    return found


def lines_of(results: dict) -> list[str]:
    """Return the results as tables in Markdown."""
    lines = ["# Results", "", "| run | steps | minutes | thousand pictures | scores |", "|---|---|---|---|---|"]
    for name, values in results.get("real", {}).items():
        lines.append(f"| real {name}, held out | | | | {scores(values)} |")
    for name, one in results.items():
        if name in ARMS:
            time = f"{one['seconds'] / 60:.1f} | {one['thousand_pictures']:.0f}"
            lines.append(f"| {name} | {one['steps']:,} | {time} | {scores(one['values'])} |")
    if "truncation" in results:
        lines += ["", "| ψ | FID | precision | recall |", "|---|---|---|---|"]
        for one in results["truncation"]:
            lines.append(f"| {one['psi']:g} | {one['fid']:.2f} | {one['precision']:.3f} | {one['recall']:.3f} |")
    for name, pictures in results.get("projections", {}).items():
        errors = [one["found"] / one["mean"] for one in pictures.values()]
        nearer = sum(one["features_found"] < one["features_nearest"] for one in pictures.values())
        worst = f"error at most {max(errors):.3f} times that of w̄"
        lines += [
            "",
            f"Projections, {name}: {worst}; in features nearer than 1,000 samples: {nearer} of {len(errors)}.",
        ]
    return lines


def scores(values: dict) -> str:
    """Return scores in words."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items() if isinstance(value, (int, float)))


def prepare_faces(faces: Path, out: Path) -> Path:
    """Copy the faces into training and held-out persons; return the folder of training."""
    persons = sorted((path for path in faces.glob("s*") if path.is_dir()), key=lambda path: int(path.name[1:]))
    for part, some in (("train", persons[:-HELD_OUT]), ("held-out", persons[-HELD_OUT:])):
        (out / part).mkdir(parents=True, exist_ok=True)
        for person in some:
            for file in sorted(person.glob("*.png")):
                shutil.copy(file, out / part / f"{person.name}-{file.name}")
    return out / "train"


def draw_sets(out: Path) -> tuple[Path, Path]:
    """Draw digits in place of MNIST, as IDX files, and noise in place of faces."""
    mnist, faces = out / "mnist", out / "faces-drawn"
    mnist.mkdir(parents=True, exist_ok=True)
    digits = to_bytes(open_dataset("digits", 28).batch(np.arange(700)))[..., 0]
    for part, some in (("train", digits[:450]), ("t10k", digits[450:])):
        head = struct.pack(">4I", 0x803, len(some), 28, 28)
        (mnist / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + some.tobytes()))
        labels = struct.pack(">2I", 0x801, len(some)) + bytes(i % 10 for i in range(len(some)))
        (mnist / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    rng = np.random.default_rng(0)
    for person in range(1, 41):
        (faces / f"s{person}").mkdir(parents=True, exist_ok=True)
        for i in range(5):
            Image.fromarray(rng.integers(0, 256, (112, 92), np.uint8)).save(faces / f"s{person}" / f"{i}.png")
    return mnist, faces


def main() -> None:
    """Run the arms in their order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mnist", type=Path, help="the folder of MNIST's IDX files")
    parser.add_argument("--faces", type=Path, help="the folder of the AT&T faces")
    parser.add_argument("--out", type=Path, default=Path("runs/growing-results"))
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="arms whose names begin so (all)")
    parser.add_argument("--share", type=float, default=1.0, help="of the time of each arm (default: 1)")
    parser.add_argument("--steps", type=int, help="steps of each arm (default: as many as its time allows)")
    parser.add_argument("--list", action="store_true", help="print the commands, and do nothing")
    parser.add_argument("--rehearse", action="store_true", help="20 steps of each arm on drawn pictures")
    args = parser.parse_args()
    names = [name for name in ARMS if name.startswith(tuple(args.only))]
    if args.list:
        for name in names:
            arm = ARMS[name]
            size = SIZE[arm.data]
            print(f"{name}, {arm.minutes * args.share:g} minutes: minigan train {arm.words} --img-size {size}")
        print(f"{sum(ARMS[name].minutes for name in names) * args.share / 60:.1f} hours")
        return
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if args.rehearse:
        args.mnist, args.faces = draw_sets(out)
        args.steps = args.steps or 20
    if args.mnist is None or args.faces is None:
        parser.error("give the folders of both sets: --mnist FOLDER --faces FOLDER")
    sets = {"mnist": args.mnist.resolve(), "faces": prepare_faces(args.faces.resolve(), out / "faces")}
    file, n = out / "results.json", REHEARSED if args.rehearse else MEASURED
    results = json.loads(file.read_text()) if file.exists() else {}

    def keep(name: str, found: object) -> None:
        results[name] = found
        file.write_text(json.dumps(results, indent=1) + "\n")
        (out / "results.md").write_text("\n".join(lines_of(results)) + "\n")
        print(f"{name} is done", flush=True)

    keep("real", real_scores(out, sets, n))
    for name in names:
        keep(name, run_arm(name, out, sets[ARMS[name].data], args))
        if name == STYLED:
            keep("truncation", truncation(out / name, n))
            keep("projections", projections(out / name, sets["mnist"], ["--steps", "3"] if args.rehearse else []))
    print(f"the results are in {out}")


if __name__ == "__main__":
    main()

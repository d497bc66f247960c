"""Trains and measures everything about translation and restoration in docs/results.md, and can be interrupted.

Shows what the models reach on published sets, in two and a half hours on two cores. Each arm is a `minigan train`
command; the steps are as many as two idle cores make in its time. An interrupted arm is resumed, a finished one isn't
repeated.

    python examples/translation_results.py --sets FOLDER --out results         all arms
    python examples/translation_results.py --sets FOLDER --out results --only facades camvid    whose names begin so
    python examples/translation_results.py --list                              only print the commands
    python examples/translation_results.py --rehearse                          20 steps of each: about three minutes

FOLDER holds the sets as they are published: t91, super-resolution/Set14, facades (photo left, labels right), camvid
(train and trainannot, labels 0 to 11), horse2zebra (trainA, trainB, testA, testB) and polyu-noisy. --rehearse draws
pictures in their place, to see that everything works.

What you should see: a line for each finished arm. In --out are results.md and results.json, which are written after
each arm, the folder of each run, and in `pictures` a table input | output | target of each.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

FACADES, CAMVID, HORSES = "{sets}/facades", "{sets}/camvid", "{sets}/horse2zebra"
LABELS = "--labels target --img-size 96x128 --ignore 11 --held-out 0001TP* --features 32"


@dataclass(frozen=True)
class Arm:
    """A run: what it shows, its `minigan train` command without steps, its time on two cores, and its steps."""

    shows: str
    words: str
    minutes: float
    steps: int
    against: dict[str, str] = field(default_factory=dict)  # other pictures to evaluate it on, by name


ARMS = {
    "denoise": Arm(
        "restore, noise of σ = 25, gray",
        "restore --data {sets}/t91 --channels 1 --img-size 40 --augment flip",
        *(30, 7200),
        {"Set14": "{out}/set14", "horses": HORSES + "/testA", "zebras": HORSES + "/testB"},
    ),
    "fill": Arm(
        "restore, holes of 20–30 %",
        "restore --data {sets}/t91 --damage hole:blobs --img-size 64 --augment flip",
        *(5, 4000),
    ),
    "camera-noise": Arm(
        "restore, noise of cameras, from pairs",
        "restore --data {sets}/polyu-noisy/CroppedImages --swap --damage pairs --img-size 40 --augment flip "
        "--held-out *toy*,*chair*",
        *(5, 2400),
    ),
}
for side, words in (("photo", "--labels input --swap"), ("labels", "--labels target")):
    for name, more, steps in (("pix2pix", "", 1900), ("unet", " --no-gan", 2900)):
        line = f"pix2pix --data {FACADES} --img-size 64 {words} --augment jitter,flip{more}"
        ARMS[f"facades-{side}-{name}"] = Arm(f"{name}, facades to {side}", line, 8, steps)
for name, more, steps in (("pix2pix", "", 1700), ("l1", " --no-gan", 3500), ("entropy", " --no-gan", 3500)):
    line = f"pix2pix --data {CAMVID} {LABELS} --augment flip{more}" + " --loss cross-entropy" * (name == "entropy")
    ARMS[f"camvid-{name}"] = Arm(f"photo to 11 classes, {name}", line, 5, steps)
for name, more in (("identity", ""), ("no-identity", " --identity 0")):
    line = f"cyclegan --data {HORSES} --img-size 64 --augment flip{more}"
    ARMS[f"horse2zebra-{name}"] = Arm(f"cyclegan, {name.replace('-', ' ')}", line, 30, 14000)


def minigan(*words: str, quiet: bool = True) -> None:
    """Run a command. Ends this program if it fails or is interrupted."""
    done = subprocess.run([sys.executable, "-m", "minigan", *words], stdout=subprocess.DEVNULL if quiet else None)
    if done.returncode:
        sys.exit(f"minigan {' '.join(words)}: exit status {done.returncode}; the same command goes on")


def train(run: Path, words: list[str], steps: int) -> None:
    """Begin or resume a run, and add the time that it takes to RUN/time.json."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = any((run / "checkpoints").glob("step-*.npz"))
    try:
        if begun:
            minigan("train", "--resume", str(run), "--n-steps", str(steps), quiet=False)
        else:
            shutil.rmtree(run, ignore_errors=True)
            minigan("train", *words, "--n-steps", str(steps), "--out", str(run), quiet=False)
    finally:
        after, file = resource.getrusage(resource.RUSAGE_CHILDREN), run / "time.json"
        spent = json.loads(file.read_text()) if file.exists() else {"seconds": 0.0, "cpu_seconds": 0.0}
        spent["seconds"] += time.monotonic() - started
        spent["cpu_seconds"] += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if run.exists():
            file.write_text(json.dumps(spent))


def evaluated(run: Path, out: Path, *words: str) -> dict:
    """Evaluate a run, unless that is done; return what is in evaluation.json."""
    if not (out / "evaluation.json").exists():
        minigan("evaluate", str(run), "--out", str(out), *words)
    return json.loads((out / "evaluation.json").read_text())


def folder_of(run: Path, title: str) -> Path:
    """Return the folder of an evaluation."""
    return run / f"evaluation-{title}".replace(" ", "-")


def numbers(found: dict) -> list[str]:
    """Return the scores of an evaluation in words, one line for each translation."""
    lines = []
    for name, one in found["translations"].items():
        if "scores" in one:  # of pairs
            scores = []
            for score, row in one["scores"].items():
                more = [f"{key} {row[key]:.4f}" for key in ("source", "constant") if key in row]
                between = "{:.4f} to {:.4f}".format(*row["interval"]) if "interval" in row else ""
                scores.append(f"{score} {row['value']:.4f} ({'; '.join(filter(None, (between, *more)))})")
        else:  # of sets
            scores = [
                f"KID {row} {values['kid']:.4f} ± {values.get('kid_error', values.get('kid_std', 0)):.4f}"
                for row, values in one["rows"].items()
            ]
        lines.append(f"{name}, {found['pictures']}: " + ", ".join(scores))
    return lines + [f"{name} {value:.4f}" for name, value in found.get("judgements", {}).items()]


def write(out: Path, results: dict) -> None:
    """Write results.json and results.md."""
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = ["# Results", "", "In brackets: 95 % interval over pictures; the source itself; a constant answer.", ""]
    for name, result in results.items():
        arm, spent = ARMS[name], result["time"]
        minutes = f"{spent['seconds'] / 60:.1f} min, {spent['cpu_seconds'] / 60:.1f} min of processor time"
        lines += [
            f"## {name}: {arm.shows}",
            "",
            f"    {result['command']}",
            "",
            f"{result['steps']:,} steps, {minutes}.",
        ]
        lines += ["", *(f"* {line}" for found in result["evaluations"].values() for line in numbers(found)), ""]
    (out / "results.md").write_text("\n".join(lines))


def run_arm(name: str, out: Path, sets: Path, steps: int) -> dict:
    """Train and evaluate an arm as far as that isn't done. Returns its results."""
    arm, run = ARMS[name], out / name
    places = {"sets": sets, "out": out}
    words = [word.format(**places) for word in arm.words.split()]
    if not (run / "checkpoints" / f"step-{steps:06d}.npz").exists():
        for title in ("held out", *arm.against):
            shutil.rmtree(folder_of(run, title), ignore_errors=True)
        train(run, words, steps)
    found = {"held out": evaluated(run, folder_of(run, "held out"))}
    for title, data in arm.against.items():
        found[title] = evaluated(run, folder_of(run, title), "--against", data.format(**places))
    for title, one in found.items():
        folder = folder_of(run, title)
        for translation in one["translations"]:
            picture = f"{name}-{title}-{translation}.png".replace(" ", "-")
            shutil.copy(folder / f"{translation}.png", out / "pictures" / picture)
    command = f"minigan train {arm.words.format(sets='SETS', out='OUT')} --n-steps {steps}"
    return {
        "command": command,
        "steps": steps,
        "time": json.loads((run / "time.json").read_text()),
        "evaluations": found,
    }


def link_set14(sets: Path, out: Path) -> None:
    """Make a folder of Set14's pictures in full size, which are beside the small ones."""
    folder = out / "set14"
    folder.mkdir(exist_ok=True)
    for path in sorted((sets / "super-resolution" / "Set14").rglob("*_HR.png")):
        if not (folder / path.name).exists():
            os.symlink(path.resolve(), folder / path.name)


def draw_sets(sets: Path) -> None:
    """Draw a few pictures in place of each set: colored blocks, and the classes of these blocks."""
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (12, 3)).astype(np.uint8)

    def blocks(height: int, width: int) -> np.ndarray:
        return rng.integers(0, 12, (height // 16, width // 16)).repeat(16, 0).repeat(16, 1)

    def save(name: str, pixels: np.ndarray) -> None:
        path = sets / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)

    for i in range(12):
        classes = blocks(96, 128)
        noisy = palette[classes] * 0.7 + rng.integers(0, 70, (96, 128, 3))
        save(f"t91/{i}.png", noisy)
        save(f"super-resolution/Set14/{i}_HR.png", noisy)
        part = "val" if i > 9 else "train"
        save(f"facades/{part}/{i}.png", np.hstack([noisy[:64, :64], palette[classes[:64, :64]]]))
        film = "0001TP_" if i > 9 else "0006R0_"
        save(f"camvid/train/{film}{i}.png", noisy)
        save(f"camvid/trainannot/{film}{i}.png", classes)
        for side in "AB":
            part = "test" if i > 7 else "train"
            save(f"horse2zebra/{part}{side}/{i}.png", noisy[:64, :64] if side == "A" else palette[classes[:64, :64]])
        scene = ("toy", "chair", "wall")[i % 3]
        save(f"polyu-noisy/CroppedImages/{scene}_{i}_real.JPG", noisy)
        save(f"polyu-noisy/CroppedImages/{scene}_{i}_mean.JPG", palette[classes] * 0.7 + 35)


def main() -> None:
    """Run the arms in their order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=Path, help="the folder of the published sets")
    parser.add_argument("--out", type=Path, default=Path("runs/translation-results"))
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="NAME", help="arms whose names begin so (default: all)"
    )
    parser.add_argument("--steps", type=int, help="steps of each arm (default: as many as its time allows)")
    parser.add_argument("--list", action="store_true", help="print the commands, and do nothing")
    parser.add_argument("--rehearse", action="store_true", help="20 steps of each arm on drawn pictures")
    args = parser.parse_args()
    names = [name for name in ARMS if name.startswith(tuple(args.only))]
    if args.list:
        for name in names:
            arm = ARMS[name]
            print(f"{name}, {arm.minutes:g} minutes: minigan train {arm.words} --n-steps {args.steps or arm.steps}")
        print(f"{sum(ARMS[name].minutes for name in names) / 60:.1f} hours")
        return
    out = args.out.resolve()
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    if args.rehearse:
        args.sets = args.sets or out / "sets"
        args.steps = args.steps or 20
        draw_sets(args.sets)
    if args.sets is None:
        parser.error("give the folder of the published sets: --sets FOLDER")
    sets = args.sets.resolve()
    link_set14(sets, out)
    file = out / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in names:
        results[name] = run_arm(name, out, sets, args.steps or ARMS[name].steps)
        write(out, {name: results[name] for name in ARMS if name in results})
        print(
            f"{name}: {'; '.join(line for found in results[name]['evaluations'].values() for line in numbers(found))}"
        )
    print(f"the results are in {out}")


if __name__ == "__main__":
    main()

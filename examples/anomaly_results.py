"""Trains `ganomaly` on MNIST with each digit abnormal in turn, beside simple scores, and can be interrupted.

Shows which scores tell an abnormal digit from the nine others, which are normal. `ganomaly` and a plain autoencoder
learn from 5,000 normal pictures at 32 pixels; 1,250 others are held out, of which half choose the checkpoint and half
give the threshold. The whole test part of MNIST is scored, also by the nearest training picture and by principal
components. Two seeds draw the pictures and the weights. The digits 1, 5 and 8 are trained once more, for 5,000 steps.

    python examples/anomaly_results.py --mnist FOLDER --out results       all arms
    python examples/anomaly_results.py … --only digit-8                   arms whose names begin so
    python examples/anomaly_results.py … --epochs 2 --features 16         a shorter time
    python examples/anomaly_results.py --list                             only print the arms
    python examples/anomaly_results.py --rehearse                         20 steps of each: about five minutes

--mnist is the folder of MNIST's four IDX files. --rehearse takes the digits of the package in their place, to see that
everything works. An interrupted arm is resumed, a finished one isn't repeated.

What you should see: a line for each finished arm. In --out are results.md and results.json, which are written after
each arm, the folder of each run with its pages, and blot/, normal digits with a white spot, which are scored by the
first arm: in blot/scored/scores.html, the heat maps are red at the spots.
"""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigan.data import open_dataset
from minigan.training.pictures import save_image, to_bytes, to_image

TRAINED, HELD_OUT = 5000, 1250  # normal pictures: a fifth is held out
BATCH, EPOCHS, LONG = 64, 15, 5000
ALPHA = 0.05
MODELS = {"ganomaly": [], "autoencoder": ["--adversarial", "0", "--code-weight", "0"]}
BLOTS, SPOT = 16, 6  # pictures with a spot; its pixels each way


@dataclass(frozen=True)
class Arm:
    """A run: the digit that is abnormal, the seed, the model, and the steps (None: so many epochs)."""

    digit: int
    seed: int
    model: str
    steps: int | None = None


ARMS = {
    f"digit-{digit}-seed-{seed}-{model}": Arm(digit, seed, model)
    for seed in range(2)
    for digit in range(10)
    for model in MODELS
} | {f"long-{digit}-{model}": Arm(digit, 0, model, LONG) for digit in (1, 5, 8) for model in MODELS}


def minigan(*words: str, quiet: bool = True) -> None:
    """Run a command. Ends this program if it fails or is interrupted."""
    done = subprocess.run([sys.executable, "-m", "minigan", *words], stdout=subprocess.DEVNULL if quiet else None)
    if done.returncode:
        sys.exit(f"minigan {' '.join(words)}: exit status {done.returncode}; the same command goes on")


def draw_data(arm: Arm, file: Path, given: argparse.Namespace) -> Path:
    """Write the normal training pictures and all test pictures of an arm into a .npz file, if it isn't there."""
    if file.exists():
        return file
    rng = np.random.default_rng([arm.seed, arm.digit])
    if given.rehearse:
        data = open_dataset("digits")
        order = rng.permutation(len(data))
        train, test, n = order[:1000], order[1000:1200], 200
        sets = [(data, train), (data, test)]
    else:
        sets = [
            (data, np.arange(len(data))) for data in (open_dataset(given.mnist, split=s) for s in ("train", "test"))
        ]
        n = TRAINED + HELD_OUT
    arrays = {}
    for name, (data, which) in zip(("train", "test"), sets, strict=True):
        labels = data.labels[which]
        if name == "train":
            keep = rng.permutation(np.flatnonzero(labels != arm.digit))[:n]
            which, labels = which[keep], labels[keep]
        arrays |= {f"x_{name}": to_bytes(data.batch(which)), f"y_{name}": labels}
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **arrays)
    return file


def run_arm(name: str, out: Path, given: argparse.Namespace) -> dict:
    """Train and score an arm as far as that isn't done. Returns its results."""
    arm, run = ARMS[name], out / name
    data = draw_data(arm, out / "data" / f"digit-{arm.digit}-seed-{arm.seed}.npz", given)
    steps = arm.steps or given.epochs * TRAINED // BATCH
    steps = 20 if given.rehearse else steps
    if not (run / "checkpoints" / f"step-{steps:06d}.npz").exists():
        if any((run / "checkpoints").glob("step-*.npz")):
            minigan("train", "--resume", str(run), "--n-steps", str(steps), quiet=False)
        else:
            shutil.rmtree(run, ignore_errors=True)
            words = ["ganomaly", *MODELS[arm.model], "--data", str(data), "--img-size", str(given.size)]
            words += ["--batch-size", str(BATCH), "--seed", str(arm.seed), "--features", str(given.features)]
            minigan("train", *words, "--n-steps", str(steps), "--out", str(run), quiet=False)
    if not (run / "scored" / "scores.json").exists():
        good = ",".join(str(d) for d in range(10) if d != arm.digit)
        more = ["--baselines"] if arm.model == "ganomaly" and arm.steps is None else []
        minigan("score", str(run), str(data), "--good", good, "--alpha", str(ALPHA), *more)
    found = json.loads((run / "scored" / "scores.json").read_text())
    seconds = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
    methods = {title.replace("ganomaly", arm.model): one for title, one in found["methods"].items()}
    return {"steps": steps, "seconds": seconds, "best_step": found["step"], "methods": methods, "of": found["labels"]}


def score_blots(run: Path, data: Path, out: Path, digit: int) -> None:
    """Score normal test digits with a white spot in a corner where they are black."""
    if (out / "scored" / "scores.html").exists():
        return
    with np.load(data) as file:
        x, labels = file["x_test"], file["y_test"]
    out.mkdir(parents=True, exist_ok=True)
    for i, number in enumerate(np.flatnonzero(labels != digit)[:BLOTS]):
        picture = x[number].copy()
        side = len(picture)
        at = side // 8
        picture[at : at + SPOT * side // 32, at : at + SPOT * side // 32] = 255
        save_image(to_image(picture), out / f"{i:02}.png")
    minigan("score", str(run), str(out), "-o", str(out / "scored"))


def lines_of(results: dict) -> list[str]:
    """Return the results as tables in Markdown: AUROC, the mean of the seeds and half of their range."""
    titles = list(dict.fromkeys(title for one in results.values() for title in one["methods"]))
    head = ["", "| abnormal |" + "".join(f" {title} |" for title in titles), "|---|" + "---|" * len(titles)]
    lines, inside, counted = ["# Anomalies: AUROC"], 0, 0
    for kind in ("digit", "long"):
        lines += [*head] if any(name.startswith(kind) for name in results) else []
        for digit in range(10):
            runs = [one for name, one in results.items() if name.startswith(f"{kind}-{digit}-")]
            cells = []
            for title in titles:
                areas = [one["methods"][title]["auroc"] for one in runs if title in one["methods"]]
                spread = f" ± {(max(areas) - min(areas)) / 2:.3f}" if len(areas) > 1 else ""
                cells.append(f"{np.mean(areas):.3f}{spread}" if areas else "")
            lines += [f"| {digit} | " + " | ".join(cells) + " |"] if runs else []
    for one in results.values():
        low, high = one["of"]["false_alarms"]
        for method in one["methods"].values():
            counted += 1
            inside += low <= method["false_alarms"] <= high
    lines += ["", f"False alarms at α = {ALPHA:g} are in the 95 % range in {inside} of {counted} cases."]
    return [*lines, f"Training took {sum(one['seconds'] for one in results.values()) / 60:.0f} minutes."]


def main() -> None:
    """Run all arms that aren't done, and write the results after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", help="folder of MNIST's IDX files")
    parser.add_argument("--out", type=Path, default=Path("runs/anomaly-results"))
    parser.add_argument("--only", default="", help="arms whose names begin so")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--rehearse", action="store_true")
    given = parser.parse_args()
    arms = [name for name in ARMS if name.startswith(given.only)]
    if given.list:
        print("\n".join(arms))
        return
    if not given.rehearse and not given.mnist:
        parser.error("give the folder of MNIST with --mnist, or --rehearse")
    given.size = 8 if given.rehearse else 32
    given.features = 4 if given.rehearse else given.features
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in arms:
        results[name] = run_arm(name, given.out, given)
        file.write_text(json.dumps(results, indent=1))
        (given.out / "results.md").write_text("\n".join(lines_of(results)) + "\n")
        areas = ", ".join(f"{title} {one['auroc']:.3f}" for title, one in results[name]["methods"].items())
        print(f"{name}: {areas}", flush=True)
    first = ARMS[arms[0]]
    data = given.out / "data" / f"digit-{first.digit}-seed-{first.seed}.npz"
    score_blots(given.out / arms[0], data, given.out / "blot", first.digit)
    print(f"see {given.out / 'results.md'}")


if __name__ == "__main__":
    main()

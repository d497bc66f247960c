"""Trains and measures everything about enlargement in docs/results.md, and can be interrupted.

Shows what `srresnet` and `srgan` reach if they are trained on t91 alone, by the protocol of published tables, beside
bicubic enlargement. Each arm is a `minigan train` command; the steps are as many as two idle cores make in its time. An
interrupted arm is resumed, a finished one isn't repeated.

    python examples/super_resolution_results.py --sets FOLDER --out results         all arms, about three hours
    python examples/super_resolution_results.py --sets FOLDER --out results --only small    whose names begin so
    python examples/super_resolution_results.py --list                              only print the commands
    python examples/super_resolution_results.py --rehearse                          20 steps of each: about ten minutes

FOLDER holds the sets as they are published: t91, and super-resolution/Set5/image_SRF_2, …_3, …_4 and
super-resolution/Set14/image_SRF_4 with files …_HR.png and …_LR.png. ×2 and ×3 of Set14 are made of the originals in
image_SRF_4. --rehearse draws pictures in their place, to see that everything works.

The arms of srgan begin with the network of default-x4: with critic and content loss, without critic, and with a content
loss in pixels instead of features. A critic is judged by `detail`, the power between ¼ and ½ cycle per pixel beside the
original's, and by looking: `pictures` has crops of bicubic, both stages and original.

What you should see: a line for each finished arm. In --out are results.md and results.json, which are written after
each arm, the folder of each run, and `pictures`.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

STRENGTHS = (0.0, 0.25, 0.5, 0.75)  # besides 1, the default
SETS = {"Set5": "super-resolution/Set5/image_SRF_{scale}", "Set14": "super-resolution/Set14/image_SRF_{at}"}
CROP = 96  # pixels of a crop's side, of the enlarged pictures


@dataclass(frozen=True)
class Arm:
    """A run: what it shows, its scale, its `minigan train` command without steps, its time on two cores, its steps.

    begins: the arm whose network it begins with, if it is a second stage
    """

    shows: str
    scale: int
    words: str
    minutes: float
    steps: int
    begins: str = ""


FAITHFUL = "srresnet --data {sets}/t91 --augment flip,turn --batch-size 8"
TEXTURED = "srgan --data {sets}/t91 --augment flip,turn --scale 4 --img-size 64 --pretrain-steps 0"
PIXELS = " --content none --pixel-loss l2"
ARMS = {
    "small-x2": Arm("small network", 2, FAITHFUL + " --scale 2 --img-size 48 --preset small --lr 0.002", 10, 30000),
    "small-x4": Arm("small network", 4, FAITHFUL + " --scale 4 --img-size 96 --preset small --lr 0.002", 10, 30000),
    "default-x2": Arm("default network", 2, FAITHFUL + " --scale 2 --img-size 48", 40, 40000),
    "default-x4": Arm("default network", 4, FAITHFUL + " --scale 4 --img-size 96", 40, 40000),
    "srgan-x4": Arm("critic and content loss", 4, TEXTURED, 45, 8000, "default-x4"),
    "no-critic-x4": Arm("content loss without critic", 4, TEXTURED + " --adversarial 0", 11, 2000, "default-x4"),
    "pixels-x4": Arm("critic and squared error", 4, TEXTURED + PIXELS, 11, 2000, "default-x4"),
}


def minigan(*words: str, quiet: bool = True) -> None:
    """Run a command. Ends this program if it fails or is interrupted."""
    done = subprocess.run([sys.executable, "-m", "minigan", *words], stdout=subprocess.DEVNULL if quiet else None)
    if done.returncode:
        sys.exit(f"minigan {' '.join(words)}: exit status {done.returncode}; the same command goes on")


def train(run: Path, words: list[str], steps: int) -> None:
    """Begin or resume a run, and add the time that it takes to RUN/time.json."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        if any((run / "checkpoints").glob("step-*.npz")):
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


def folder_of(sets: Path, name: str, scale: int) -> Path:
    """Return the folder of a test set; of Set14 there are originals for ×4 only."""
    return sets / SETS[name].format(scale=scale, at=4)


def evaluated(run: Path, pictures: Path, title: str, *words: str) -> dict:
    """Evaluate a run by the protocol, unless that is done; return what is in evaluation.json."""
    out = run / f"evaluation-{title}"
    if not (out / "evaluation.json").exists():
        minigan("evaluate", str(run), str(pictures), "--protocol", "sr", "--out", str(out), *words)
    return json.loads((out / "evaluation.json").read_text())


def run_arm(name: str, out: Path, sets: Path, steps: int) -> dict:
    """Train and evaluate an arm as far as that isn't done. Returns its results."""
    arm, run = ARMS[name], out / name
    words = [word.format(sets=sets) for word in arm.words.split()]
    if arm.begins:
        words += ["--init-from", str(out / arm.begins)]
    if not (run / "checkpoints" / f"step-{steps:06d}.npz").exists():
        for folder in run.glob("evaluation-*"):
            shutil.rmtree(folder)
        train(run, words, steps)
    found = {}
    for title in SETS:
        pictures = folder_of(sets, title, arm.scale)
        found[title] = evaluated(run, pictures, title)
        for strength in STRENGTHS if arm.begins else ():
            title_, word = f"{title}-strength-{strength:g}", f"{strength:g}"
            found[title_] = evaluated(run, pictures, title_, "--strength", word)
        shutil.copy(run / f"evaluation-{title}" / "enlarged.png", out / "pictures" / f"{name}-{title}.png")
    if arm.begins:
        draw_crops(run, folder_of(sets, "Set14", arm.scale), out / "pictures" / f"{name}-crops.png")
    begins = f" --init-from OUT/{arm.begins}" if arm.begins else ""
    command = f"minigan train {arm.words.format(sets='SETS')}{begins} --n-steps {steps}"
    spent = json.loads((run / "time.json").read_text())
    return {"command": command, "steps": steps, "time": spent, "evaluations": found}


def draw_crops(run: Path, pictures: Path, file: Path) -> None:
    """Draw the crop with the finest original of each picture: bicubic, stage one, stage two, original, side by side."""
    folder = run / "applied"
    for strength in (0, 1):
        low, to = run / "low", folder / str(strength)
        low.mkdir(exist_ok=True)
        for path in pictures.glob("*_LR.png"):
            shutil.copy(path, low / path.name)
        if not to.exists():
            minigan("apply", str(run), str(low), "-o", str(to), "--strength", str(strength))
    rows = []
    for path in sorted((run / "low").iterdir()):
        with Image.open(path) as image, Image.open(pictures / path.name.replace("_LR", "_HR")) as original:
            high = original.convert("RGB")
            bicubic = image.convert("RGB").resize(high.size, Image.Resampling.BICUBIC)
        stages = [Image.open(folder / str(strength) / path.name).convert("RGB") for strength in (0, 1)]
        left, top = finest(np.asarray(high.convert("L"), float))
        box = (left, top, min(left + CROP, high.width), min(top + CROP, high.height))
        rows.append([one.crop(box) for one in (bicubic, *stages, high)])
    sheet = Image.new("RGB", (4 * (2 * CROP + 4), 20 + len(rows) * (2 * CROP + 4)), "white")
    for k, words in enumerate(("bicubic", "stage one", "stage two", "original")):
        ImageDraw.Draw(sheet).text((k * (2 * CROP + 4) + 4, 4), words, fill=(60, 60, 60))
        for i, row in enumerate(rows):
            twice = row[k].resize((2 * row[k].width, 2 * row[k].height), Image.Resampling.NEAREST)
            sheet.paste(twice, (k * (2 * CROP + 4), 20 + i * (2 * CROP + 4)))
    sheet.save(file)


def finest(y: np.ndarray) -> tuple[int, int]:
    """Return (left, top) of the window with the largest differences between neighbors, on a grid of half windows."""
    change = np.abs(np.diff(y, axis=0))[:, :-1] + np.abs(np.diff(y, axis=1))[:-1]
    places = [
        (left, top)
        for top in range(0, max(1, y.shape[0] - CROP + 1), CROP // 2)
        for left in range(0, max(1, y.shape[1] - CROP + 1), CROP // 2)
    ]
    return max(places, key=lambda place: change[place[1] : place[1] + CROP, place[0] : place[0] + CROP].sum())


def lines_of(name: str, result: dict) -> list[str]:
    """Return the scores of an arm as rows of a table in Markdown."""
    lines = [
        "| pictures | bicubic PSNR | SSIM | detail | result PSNR | SSIM | detail | gain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, found in result["evaluations"].items():
        bicubic, mean = found["mean"]["bicubic"], found["mean"]["result"]
        cells = [f"{one['psnr']:.2f} | {one['ssim']:.4f} | {one['detail']:.2f}" for one in (bicubic, mean)]
        lines.append(f"| {title} ×{found['scale']} | {' | '.join(cells)} | {mean['psnr'] - bicubic['psnr']:+.2f} |")
    if ARMS[name].begins:
        one, two = (result["evaluations"][title]["rows"] for title in ("Set14-strength-0", "Set14"))
        nearer = sum(abs(b["detail"]) < abs(a["detail"]) for a, b in zip(one, two, strict=True))
        lines += ["", f"Detail is nearer to the original's than that of stage one in {nearer} of {len(one)} pictures."]
    return lines


def write(out: Path, results: dict) -> None:
    """Write results.json and results.md."""
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = ["# Results", "", "PSNR and detail in dB; `strength` blends the weights of both stages.", ""]
    for name, result in results.items():
        spent = result["time"]
        minutes = f"{spent['seconds'] / 60:.1f} min, {spent['cpu_seconds'] / 60:.1f} min of processor time"
        lines += [f"## {name}: {ARMS[name].shows}", "", f"    {result['command']}", ""]
        lines += [f"{result['steps']:,} steps, {minutes}.", "", *lines_of(name, result), ""]
    (out / "results.md").write_text("\n".join(lines))


def draw_sets(sets: Path) -> None:
    """Draw a few pictures in place of each set: waves and blocks, and low pictures beside those of the tests."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :120] / 5

    def save(name: str, pixels: np.ndarray) -> None:
        path = sets / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)

    for i in range(12):
        blocks = rng.integers(0, 90, (12, 15, 3)).repeat(8, 0).repeat(8, 1)
        picture = 80 + blocks + 60 * np.sin(x * rng.uniform(0.2, 1) + y * rng.uniform(0.2, 1))[..., None]
        save(f"t91/{i}.png", picture)
        for title, scale in (("Set5", 2), ("Set5", 4), ("Set14", 4)) if i < 2 else ():
            folder = "super-resolution/" + title + f"/image_SRF_{scale}"
            save(f"{folder}/img_{i:03}_SRF_{scale}_HR.png", picture)
            save(f"{folder}/img_{i:03}_SRF_{scale}_LR.png", picture[::scale, ::scale])


def main() -> None:
    """Run the arms in their order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=Path, help="the folder of the published sets")
    parser.add_argument("--out", type=Path, default=Path("runs/super-resolution-results"))
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
    file = out / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in names:
        if ARMS[name].begins and not (out / ARMS[name].begins).exists():
            parser.error(f"{name} begins with {ARMS[name].begins}: run that first")
        results[name] = run_arm(name, out, args.sets.resolve(), args.steps or ARMS[name].steps)
        write(out, {name: results[name] for name in ARMS if name in results})
        print(f"{name}:", *lines_of(name, results[name])[2:], sep="\n")
    print(f"the results are in {out}")


if __name__ == "__main__":
    main()

"""Trains and measures `vae` beside `vaegan`, with the same encoder and decoder, and can be interrupted.

Shows, for digits at 28 pixels and pictures of a folder at 64, how reconstructions trained by pixels differ from those
trained by the features of a discriminator: in pixels, which `vae` minimizes; in the features of a third network, which
neither minimizes; and in the KID of samples. All are of pictures that training doesn't see. Each arm is a `minigan
train` command. An interrupted arm is resumed, a finished one isn't repeated.

    python examples/codes_results.py --mnist FOLDER --photos FOLDER --out results     all arms
    python examples/codes_results.py … --only digits                                  arms whose names begin so
    python examples/codes_results.py --rehearse          20 steps on drawn digits: about ten minutes if others compute

--mnist is the folder of MNIST's four IDX files, --photos a folder with the folders train and test of pictures.

What you should see: a line for each finished arm. In --out are results.md and results.json, which are written after
each arm, and the folder of each run with its page, its samples and its reconstructions.
"""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigan.backend import to_numpy
from minigan.data import open_dataset
from minigan.metrics import open_features
from minigan.training.build import open_model
from minigan.training.folder import RunFolder
from minigan.training.pictures import save_image, to_bytes, to_image


@dataclass(frozen=True)
class Arm:
    """A run: its data, digits or photos, its `minigan train` command without data, and its steps."""

    data: str
    words: str
    steps: int


ARMS = {
    "digits-vae": Arm("digits", "vae --features 32 --latent-dim 32", 4000),
    "digits-vaegan": Arm("digits", "vaegan --features 32 --latent-dim 32", 4000),
    "photos-vae": Arm("photos", "vae --features 32 --augment flip", 1500),
    "photos-vaegan": Arm("photos", "vaegan --features 32 --augment flip", 1500),
}
SIZE = {"digits": 28, "photos": 64}
COMPARED = 1000  # held-out pictures, at most
AT_ONCE = 100


def minigan(*words: str) -> None:
    """Run a command. Ends this program if it fails or is interrupted."""
    done = subprocess.run([sys.executable, "-m", "minigan", *words], stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"minigan {' '.join(words)}: exit status {done.returncode}; the same command goes on")


def train(run: Path, words: list[str], steps: int) -> None:
    """Begin or resume a run, unless it is finished."""
    if (run / "checkpoints" / f"step-{steps:06d}.npz").exists():
        return
    if any((run / "checkpoints").glob("step-*.npz")):
        minigan("train", "--resume", str(run), "--n-steps", str(steps))
    else:
        shutil.rmtree(run, ignore_errors=True)
        minigan("train", *words, "--n-steps", str(steps), "--out", str(run))


def reconstructed(run: Path, x: np.ndarray) -> np.ndarray:
    """Return the reconstructions of pictures x (n, H, W, C) by the newest weights of a run."""
    folder = RunFolder(run)
    model, _ = open_model(folder, folder.config(), None, "cpu", None, print)
    parts = [model.reconstruct(model.device.array(x[i : i + AT_ONCE])) for i in range(0, len(x), AT_ONCE)]
    return np.concatenate([to_numpy(part) for part in parts])


def features(name: str, x: np.ndarray) -> np.ndarray:
    """Return the features (n, F) of pictures, of the network that ships under this name."""
    network = open_features(name)
    return np.concatenate([to_numpy(network(x[i : i + AT_ONCE])[0]) for i in range(0, len(x), AT_ONCE)])


def run_arm(name: str, out: Path, sets: dict[str, Path], rehearse: bool) -> dict:
    """Train and measure an arm. Returns its results."""
    arm, run, network = ARMS[name], out / name, ARMS[name].data  # the network that ships under the same name
    size = 16 if rehearse else SIZE[arm.data]
    words = [*arm.words.split(), "--data", str(sets[arm.data]), "--img-size", str(size)]
    words += ["--features", "2", "--latent-dim", "4", "--batch-size", "8"] if rehearse else []
    train(run, words, 20 if rehearse else arm.steps)

    data = open_dataset(str(sets[arm.data]), size, split="test")
    x = data.batch(np.arange(min(20 if rehearse else COMPARED, len(data))))
    y = reconstructed(run, x)
    f_x, f_y = features(network, x), features(network, y)
    spread = np.square(f_x - f_x.mean(axis=0)).sum(axis=1).mean()  # the distance of the mean features
    held_out = out / f"{name}-held-out"
    held_out.mkdir(exist_ok=True)
    for i, picture in enumerate(x):
        save_image(to_image(to_bytes(picture)), held_out / f"{i:04}.png")
    minigan("reconstruct", str(run), *(str(held_out / f"{i:04}.png") for i in range(16)))
    n = str(len(x))
    minigan("evaluate", str(run), "--n", n, "--against", str(held_out), "--features", network, "--metrics", "kid")
    evaluation = json.loads((run / "evaluation" / "evaluation.json").read_text())
    return {
        "command": f"minigan train {arm.words} --img-size {size} --n-steps {arm.steps}",
        "pictures": len(x),
        "pixels": float(np.square(y - x).mean()),
        "features": float(np.square(f_y - f_x).sum(axis=1).mean() / spread),
        "kid": evaluation["values"],
    }


def lines_of(results: dict) -> list[str]:
    """Return the results as a table in Markdown."""
    lines = [
        "| run | held-out pictures | mean (x̃ − x)² | in features, of their spread | samples |",
        "|---|---|---|---|---|",
    ]
    for name, one in results.items():
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in one["kid"].items() if isinstance(value, float))
        lines.append(f"| {name} | {one['pictures']:,} | {one['pixels']:.4f} | {one['features']:.3f} | {numbers} |")
    return lines


def draw_set(out: Path) -> Path:
    """Write drawn digits into the folders train and test, in place of both sets."""
    data = open_dataset("digits", 16)
    for part, some in (("train", range(60)), ("test", range(60, 84))):
        (out / part).mkdir(parents=True, exist_ok=True)
        for i, picture in zip(some, data.batch(np.array(some)), strict=True):
            save_image(to_image(to_bytes(picture)), out / part / f"{i}.png")
    return out


def main() -> None:
    """Run the arms in their order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mnist", type=Path, help="the folder of MNIST's IDX files")
    parser.add_argument("--photos", type=Path, help="a folder with the folders train and test")
    parser.add_argument("--out", type=Path, default=Path("runs/codes-results"))
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="arms whose names begin so (all)")
    parser.add_argument("--rehearse", action="store_true", help="20 steps of each arm on drawn digits")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if args.rehearse:
        args.mnist = args.photos = draw_set(out / "drawn")
    if args.mnist is None or args.photos is None:
        parser.error("give the folders of both sets: --mnist FOLDER --photos FOLDER")
    sets, file = {"digits": args.mnist.resolve(), "photos": args.photos.resolve()}, out / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in ARMS:
        if name.startswith(tuple(args.only)) and name not in results:
            results[name] = run_arm(name, out, sets, args.rehearse)
            file.write_text(json.dumps(results, indent=1) + "\n")
            (out / "results.md").write_text("\n".join(lines_of(results)) + "\n")
            print(f"{name} is done", flush=True)
    print(f"the results are in {out}")


if __name__ == "__main__":
    main()

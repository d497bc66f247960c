"""Train the network that ships with minigan for `minigan apply enlarge`, and write its weights and photographers.

Shows that a network with 26 thousand weights, trained on a hundred photos of one kind of flower, enlarges other photos
as well: it learns how edges look, which is much the same in all photos. Training is a run of `minigan train srresnet`.

    python examples/train_enlarger.py --data FOLDER                   about 90 seconds of processor time
    python examples/train_enlarger.py --data FOLDER --test ORIGINALS      and measure it on other photos

FOLDER has the folders train and test of photos, at least 48 pixels wide, and a file ATTRIBUTION.txt with a line for
each of them: its path, `CC-BY by`, its photographer and its address. ORIGINALS is a folder of photos; files whose names
end in LR are passed over.

What you should see, with seed 0 and the sunflowers of TensorFlow's flower_photos, cut to 256 pixels: 36.33 dB on Set5,
where bicubic enlargement has 33.64. --out has the run, and beside it enlarge.npz and enlarge_attribution.txt, which are
in the package, too.
"""

import argparse
from pathlib import Path

import numpy as np

from minigan.apply import Applier, Picture, read_picture
from minigan.apply.ready import OPTIONS, SIDE, enlarger
from minigan.backend import keep_freed_memory
from minigan.errors import DataError, MiniganError
from minigan.layers.bicubic import enlarged, shrunk
from minigan.metrics import cut_to_multiple, protocol_scores
from minigan.metrics.classifier import write_weights
from minigan.training import train
from minigan.training.files import replacing

HEAD = """\
The photographs that enlarge.npz was trained on, from TensorFlow's flower_photos. Their license is Creative Commons
Attribution 2.0, https://creativecommons.org/licenses/by/2.0/; they were cut to squares and made smaller. Thanks to all
photographers. Each line has a name and the address of a photo.

"""


def attribution(folder):
    """Return the text that names the photographer and the address of each photo of training."""
    known = {}
    for line in (folder / "ATTRIBUTION.txt").read_text(encoding="utf-8").splitlines():
        path, found, rest = line.partition("CC-BY by ")
        if found:
            known[path.strip()] = rest
    used = [f"train/{path.name}" for path in (folder / "train").iterdir()]
    if missing := sorted(set(used) - set(known)):
        raise DataError(f"{folder}/ATTRIBUTION.txt has no line for {missing[0]} ({len(missing)} in all)")
    return HEAD + "\n".join(sorted((known[name] for name in used), key=str.lower)) + "\n"


def scores(model, folder):
    """Return the mean PSNR of bicubic enlargement and of the model's, by the protocol of published tables."""
    applier, found, scale = Applier(model), [], OPTIONS["scale"]
    for path in sorted(folder.iterdir()):
        if path.stem.endswith("LR"):
            continue
        high = cut_to_multiple(read_picture(path).pixels, scale)
        low = shrunk(high, scale)
        y = applier(Picture(low).with_channels(applier.channels).pixels, gray=high.shape[2] == 1)
        found.append([protocol_scores(one, high, scale)["psnr"] for one in (enlarged(low, scale), y)])
    return np.mean(found, axis=0)


def main():
    parser = argparse.ArgumentParser(description="Train the network that enlarges photos and ships with minigan.")
    parser.add_argument("--data", type=Path, required=True, help="folder with train, test and ATTRIBUTION.txt")
    parser.add_argument("--test", type=Path, help="folder of originals on which it is measured")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-train-enlarger"))
    args = parser.parse_args()
    keep_freed_memory()
    try:
        people = attribution(args.data)
        settings = {"img_size": SIDE, "batch_size": 8, "augment": ("flip", "turn"), "eval_interval": 1000}
        run = train("srresnet", args.data, args.out / "run", n_steps=args.steps, seed=args.seed, **settings, **OPTIONS)
    except (MiniganError, OSError) as error:
        parser.error(str(error))
    path = args.out / "enlarge.npz"
    with replacing(path) as file:
        write_weights(run.model.networks["G"], file)
    (args.out / "enlarge_attribution.txt").write_text(people, encoding="utf-8")
    print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB")
    if args.test:
        bicubic, result = scores(enlarger(weights=path), args.test)  # reads the file back, to test what was written
        print(f"PSNR of {args.test}: bicubic {bicubic:.2f} dB, the network {result:.2f} dB, {result - bicubic:+.2f} dB")


if __name__ == "__main__":
    main()

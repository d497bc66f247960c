"""DCGAN on a folder of your own pictures.

Shows all steps from files to samples: a folder is opened, every file is checked, pictures are cropped to squares, and a
DCGAN is trained on them.

    python examples/your_own_pictures.py                   with pictures of balloons; about a minute on one core
    python examples/your_own_pictures.py --data FOLDER     with your pictures

FOLDER contains PNG, JPEG, WebP or BMP files of at least 16×16 pixels, also in subfolders. A few hundred pictures of one
kind of object, centered, work well; a mixed photo album doesn't. An error names any damaged or too small file.

What you should see with the balloons: colored spots on a noisy sky after 200 steps, balloons with strings after 800, in
all colors, a few of them smudged. Larger pictures need more time: with --img-size 32 a step takes more than ten times
as long, and other pictures may need 10,000 steps. Use the command line for them, which saves checkpoints: minigan train
dcgan --data FOLDER --img-size 32.

In --out, samples-00100.png and so on show samples of the same 36 latent vectors, real.png shows pictures of the folder,
and walk.png interpolates between generated pictures in eight steps.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from minigan.data import Feeds, open_feeds, random_flip
from minigan.gans import DCGAN
from minigan.model import Now
from minigan.optim import WeightAverage
from minigan.training.pictures import grid, walk


def make_balloons(folder, n, rng):
    """Save `n` PNG files of 48×48 pixels: a balloon of a random color, with a string, on a blue sky."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        sky = int(rng.integers(200, 245))
        image = Image.new("RGB", (192, 192), (sky - 60, sky - 20, 250))  # drawn at four times the size
        pen = ImageDraw.Draw(image)
        x, y, r = rng.uniform(76, 116), rng.uniform(66, 86), rng.uniform(38, 52)
        hue = np.clip(np.abs((rng.uniform() + np.array([0, 1 / 3, 2 / 3])) % 1 * 6 - 3) - 1, 0, 1)
        color = tuple(int(c) for c in 60 + 180 * hue)
        pen.line([(x, y + r), (x + rng.uniform(-12, 12), 192)], (70, 70, 80), 6)
        pen.ellipse((x - r, y - 1.15 * r, x + r, y + 1.15 * r), color)
        pen.ellipse((x - 0.55 * r, y - 0.75 * r, x - 0.15 * r, y - 0.3 * r), (255, 255, 255))  # a highlight
        image.resize((48, 48), Image.Resampling.LANCZOS).save(folder / f"balloon-{i:04d}.png")


def main():
    parser = argparse.ArgumentParser(description="DCGAN on a folder of your own pictures.")
    parser.add_argument("--data", type=Path, help="a folder of pictures (default: draw pictures of balloons)")
    parser.add_argument("--img-size", type=int, default=16, choices=(16, 28, 32, 64, 128))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument(
        "--features", type=int, default=32, help="channels of the layer next to the picture; 128 in the paper"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-your-own-pictures"))
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    folder = args.data
    if folder is None:
        folder = args.out / "balloons"
        make_balloons(folder, 400, rng)
        print(f"drew 400 balloons into {folder}")

    sources = open_feeds(folder, DCGAN.arrays, img_size=args.img_size, channels=3)
    pictures = sources["data"]
    args.out.mkdir(parents=True, exist_ok=True)
    print(pictures.describe())
    grid(pictures.read(np.arange(min(36, len(pictures))))["real"]).save(args.out / "real.png")

    gan = DCGAN(pictures.shapes["real"], features=args.features, lr=5e-4, label_smoothing=0.1, rng=rng)
    average = WeightAverage(gan.networks["G"], decay=0.98)
    fixed_z = gan.latent(36, rng)
    # Mirroring doubles a small data set. It is wrong for pictures with text
    with Feeds(sources, DCGAN.arrays, args.batch_size, seed=args.seed, augment=[random_flip]) as feeds:
        for step in range(1, args.steps + 1):
            now = Now(step - 1, feeds.position, rng)
            measured = gan.step(feeds.next, rng, now)  # updates D, then G
            average.update()
            if step % 20 == 0 or step == args.steps:
                numbers = "  ".join(f"{name} {float(value):.3f}" for name, value in measured.items())
                print(f"step {step:4d}  {numbers}")
            if step % 100 == 0 or step == args.steps:
                samples = average.average.output(fixed_z, train=False)
                grid(samples).save(args.out / f"samples-{step:05d}.png")

    z = walk(fixed_z[:4], fixed_z[4:8], steps=8)  # (4, 8, latent_dim)
    interpolated = average.average.output(z.reshape(32, -1), train=False)
    grid(interpolated, columns=8).save(args.out / "walk.png")
    print(f"pictures are in {args.out}")


if __name__ == "__main__":
    main()

"""The Fréchet distance between real digits and digits that are distorted by increasing amounts.

Shows how a distance between sets of features is computed, and that it increases with noise, blur and swirl. It doesn't
start at 0: two different sets of real digits have a positive distance, too.

    python examples/what_fid_sees.py                      the digits of the package; about ten seconds
    python examples/what_fid_sees.py --data mnist         10,000 test digits against 60,000 others; about a minute
    python examples/what_fid_sees.py --data FOLDER        the same with MNIST's files from a folder

What you should see: each row of the table increases from left to right by a factor of more than a hundred, on MNIST
from 0.03 to 36, 19 and 19. Weak noise changes the distance little: the classifier that computes the features was
trained with some noise. In --out is a picture of two digits at each distortion, with the distances below.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.data import open_dataset
from minigan.errors import DataError, MiniganError
from minigan.metrics import DigitClassifier, frechet_distance, observe
from minigan.training.pictures import save_image, to_bytes, to_image

BATCH, CELL, MARGIN = 250, 72, 110  # pictures per batch; sizes in pixels


def noise(x, strength, rng):
    """Add Gaussian noise of standard deviation `strength` to pixels in [−1, 1]."""
    return np.clip(x + strength * rng.standard_normal(x.shape, np.float32), -1, 1)


def blur(x, strength, rng):
    """Apply a Gaussian blur of standard deviation `strength` in pixels; edge pixels are repeated."""
    side = x.shape[1]
    pixels = np.arange(-9, side + 9)
    weights = np.exp(-(((np.arange(side)[:, None] - pixels) / max(strength, 0.01)) ** 2) / 2)  # (side, side + 18)
    weights = weights @ np.eye(side)[np.clip(pixels, 0, side - 1)]  # (side, side)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(x.dtype)
    return np.einsum("ih,nhwc,jw->nijc", weights, x, weights, optimize=True)


def swirl(x, strength, rng):
    """Rotate the center by `strength` radians, decreasing with the distance from it; nearest-neighbor sampling."""
    side = x.shape[1]
    v, u = np.indices((side, side)) - (side - 1) / 2
    angle = strength * np.exp(-np.hypot(u, v) / (side / 4))
    rows, columns = np.cos(angle) * v - np.sin(angle) * u, np.sin(angle) * v + np.cos(angle) * u
    rows, columns = (np.clip(np.rint(a + (side - 1) / 2), 0, side - 1).astype(int) for a in (rows, columns))
    return x[:, rows, columns]


DISTORTIONS = {
    "noise, std": (noise, (0, 0.1, 0.2, 0.3, 0.5, 0.8)),
    "blur, pixels": (blur, (0, 0.5, 1, 1.5, 2, 3)),
    "swirl, radians": (swirl, (0, 0.5, 1, 1.5, 2, 4)),
}


def open_two(spec, seed, limit=None):
    """Return two disjoint sets of digits: the train and test splits, or two halves of a set without splits."""
    data = open_dataset(spec, seed=seed, limit=limit)
    try:
        return data, open_dataset(spec, seed=seed, split="test", limit=limit)
    except DataError:
        order = np.random.default_rng(seed).permutation(len(data))
        return tuple(data.select(half) for half in np.array_split(order, 2))


def statistics(network, data, distort=None):
    """Return the mean and covariance of the features of the pictures, distorted by `distort` if given."""
    batches = (data.batch(np.arange(i, min(i + BATCH, len(data)))) for i in range(0, len(data), BATCH))
    return observe(((x if distort is None else distort(x), None) for x in batches), network, data.describe())


def distances(network, real, other):
    """Return {distortion: [(strength, distance between `real` and the distorted `other`), …]}."""
    reference, found = statistics(network, real), {}
    for what, (distort, strengths) in DISTORTIONS.items():
        found[what] = []
        for strength in strengths:
            rng = np.random.default_rng(1)
            s = statistics(network, other, lambda x, do=distort, by=strength, rng=rng: do(x, by, rng) if by else x)
            distance = frechet_distance(reference.mean, reference.covariance, s.mean, s.covariance)
            found[what].append((strength, distance))
    return found


def draw(found, digits):
    """Draw one row per distortion of the digits, with the strength and the distance below each column."""
    height = 2 * CELL + 40
    canvas = Image.new("RGB", (MARGIN + 6 * (CELL + 12), height * len(found)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for row, (what, results) in enumerate(found.items()):
        pen.text((8, row * height + CELL), what, "black", font, "lm")
        for column, (strength, distance) in enumerate(results):
            x = MARGIN + column * (CELL + 12)
            shown = DISTORTIONS[what][0](digits, strength, np.random.default_rng(1)) if strength else digits
            for i, picture in enumerate(to_bytes(shown)):
                cell = to_image(picture).resize((CELL, CELL), Image.Resampling.NEAREST)
                canvas.paste(cell, (x, row * height + i * CELL))
            pen.text((x + CELL / 2, row * height + 2 * CELL + 10), f"{strength:g}", "gray", font, "mm")
            pen.text((x + CELL / 2, row * height + 2 * CELL + 26), f"{distance:.3g}", "black", font, "mm")
    return canvas


def main():
    parser = argparse.ArgumentParser(description="What the Fréchet distance sees")
    parser.add_argument("--data", default="digits", help="digits, mnist, or a folder with MNIST's files")
    parser.add_argument("--limit", type=int, help="use only so many pictures of a set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-what-fid-sees"))
    args = parser.parse_args()
    try:
        real, other = open_two(args.data, args.seed, args.limit)
        print(f"{other.describe()}, against {len(real):,} others")
        found = distances(DigitClassifier(), real, other)
    except MiniganError as error:
        parser.error(str(error))
    for what, results in found.items():
        print(f"{what:15}" + "".join(f"{strength:8g}" for strength, _ in results))
        print(f"{'  distance':15}" + "".join(f"{distance:8.3g}" for _, distance in results))
    args.out.mkdir(parents=True, exist_ok=True)
    save_image(draw(found, other.batch(np.arange(2))), args.out / "distorted.png")
    print(f"the picture is {args.out / 'distorted.png'}")


if __name__ == "__main__":
    main()

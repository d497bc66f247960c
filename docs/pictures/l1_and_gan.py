"""Train pix2pix on disks whose color the input doesn't tell, and draw what L1 and the adversarial loss make of them.

    python docs/pictures/l1_and_gan.py

Writes l1-and-gan.png next to this file: inputs, targets, and the results of the U-Net with L1 alone and of pix2pix with
two weights of L1. Prints the mean color and the L1 error of the results. Takes three minutes on two cores.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.model import Now
from minigan.translators import MODELS

HERE = Path(__file__).parent
SIZE, BATCH, STEPS, SHOWN = 16, 16, 2000, 8
COLORS = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)  # red, green, blue
ARMS = {"L1 alone": {"gan": False}, "GAN + 100 L1": {"weight": 100.0}, "GAN + L1": {"weight": 1.0}}
SCALE, GAP, MARGIN = 3, 6, 110  # pixels
INK, PAPER = (40, 40, 45), (255, 255, 255)


def disks(rng, n):
    """Return a batch: white disks on black, and the same disks in red, green or blue."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    top, left = rng.uniform(5, 11, (2, n, 1, 1))
    radius = rng.uniform(3, 5, (n, 1, 1))
    inside = ((rows - top) ** 2 + (columns - left) ** 2 < radius**2)[..., None]  # (N, H, W, 1)
    color = COLORS[rng.integers(3, size=n)][:, None, None]  # (N, 1, 1, 3)
    return {name: np.where(inside, value, -1).astype(np.float32) for name, value in (("input", 1), ("target", color))}


def train(options):
    """Return a model after STEPS steps, each on new disks."""
    model = MODELS["pix2pix"]((SIZE, SIZE, 3), (SIZE, SIZE, 1), features=8, **options, rng=np.random.default_rng(0))
    for step in range(STEPS):
        batch = disks(np.random.default_rng([1, step]), BATCH)
        model.step(lambda batch=batch: batch, np.random.default_rng([2, step]), Now(step, 0, np.random.default_rng()))
    return model


def draw(rows):
    """Save rows of pictures {title: (SHOWN, H, W, 1 or 3)}."""
    side = SIZE * SCALE
    canvas = Image.new("RGB", (MARGIN + SHOWN * (side + GAP), len(rows) * (side + GAP) + GAP), PAPER)
    for i, (title, pictures) in enumerate(rows.items()):
        top = GAP + i * (side + GAP)
        ImageDraw.Draw(canvas).text((MARGIN - 10, top + side / 2), title, INK, ImageFont.load_default(13), "rm")
        for j, picture in enumerate(np.broadcast_to(pictures, (SHOWN, SIZE, SIZE, 3))):
            levels = np.rint(127.5 * (picture + 1)).astype(np.uint8)
            canvas.paste(Image.fromarray(levels).resize((side, side), 0), (MARGIN + j * (side + GAP), top))
    canvas.save(HERE / "l1-and-gan.png", optimize=True)


def main():
    """Train, print and draw."""
    shown = disks(np.random.default_rng(3), SHOWN)
    rows, inside = {"input": shown["input"], "target": shown["target"]}, shown["input"][..., 0] > 0
    for title, options in ARMS.items():
        y = train(options).apply(shown["input"])
        error = abs(y - shown["target"])[inside].mean()
        print(f"{title:14} L1 in the disks {error:.2f}, mean color {y[inside].mean(axis=0).round(2)}")
        rows[title] = y
    draw(rows)


if __name__ == "__main__":
    main()

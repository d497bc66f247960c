"""CycleGAN and pix2pix, and what happens without one of their parts, on pictures whose translation is known.

Shows the purpose of each part. A picture has a disc on a plain background, one light and one dark. In set a both are
tinted red and the disc is on the left; in set b they are tinted blue and the disc is on the right. The right
translation of a picture of a is the same picture in blue, with the disc where it was. CycleGAN isn't told: it gets
pictures of a and of b, none of which belong together. pix2pix gets pairs, one at a time.

    cyclegan                     as it is: the critics see windows of 16 pixels
    … no identity loss           a picture may become a negative, which the other generator turns back
    … no cycle loss              nothing says that the result has to do with the picture
    … field 34                   the critics see the whole picture, and so where the disc is
    pix2pix                      as it is: instance norm
    … batch norm                 trained with the statistics of each picture, used with running ones

    python examples/translation_broken.py               about 2 minutes on one core
    python examples/translation_broken.py --steps 50    only the beginning

What you should see, with seed 0: cyclegan recolors and leaves the discs in place, with an error of 0.108. Without the
identity loss dark discs become light areas, and the cycle error is as small as before: 0.08. Without the cycle loss all
results are the same picture. With a field of 34 the discs move to the right, where those of b are. pix2pix, which has
pairs, has an error of 0.041. With batch norm it is 0.046, and 0.040 in training mode: two different functions.

`error` is the mean absolute difference from the right translation, in a range of 2, for pictures that training didn't
see; `own norm` is the same if each picture is normalized by its own statistics, as in training with one picture a
batch; `light` is the correlation of luminance before and after (the doctor of `minigan train` watches it); `there and
back` is the cycle error.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from minigan.losses import l1
from minigan.model import Now
from minigan.optim import constant, linear_decay
from minigan.translators import CycleGAN, Pix2Pix
from minigan.translators.luminance import luminance_correlation

SIZE, TRAINED_ON, JUDGED = 32, 200, 50
SHAPE = (SIZE, SIZE, 3)
RED, BLUE = np.array([1, 0.3, 0.3], np.float32), np.array([0.3, 0.3, 1], np.float32)
STEADY = constant()  # a learning rate that doesn't decay
SMALL = {"features": 8, "blocks": 2, "lr": 1e-3}
CYCLEGANS = {
    "cyclegan": {},
    "… no identity loss": {"identity": 0.0},
    "… no cycle loss": {"cycle": 0.0},
    "… field 34": {"field": 34},
}
PIX2PIXES = {"pix2pix": {}, "… batch norm": {"norm": "batch"}}


def discs(n, side, rng):
    """Return gray pictures (n, SIZE, SIZE, 1) in [−1, 1] of a disc, at the left or at the right."""
    radius, row, column = rng.uniform(4, 7, n), rng.uniform(8, SIZE - 8, n), rng.uniform(8, 11, n)
    column = column if side == "left" else SIZE - column
    v, u = np.mgrid[:SIZE, :SIZE] + 0.5
    distance = np.hypot(v - row[:, None, None], u - column[:, None, None]) - radius[:, None, None]
    outside = 2 * np.clip(distance + 0.5, 0, 1) - 1  # −1 in the disc, 1 outside
    contrast = rng.choice([-1, 1], n) * rng.uniform(0.5, 0.9, n)
    return (contrast[:, None, None] * outside)[..., None].astype(np.float32)


def train(model, batches, steps, seed, decay=STEADY):
    """Make `steps` steps on what `batches(rng)` returns, with the learning rate times decay(step)."""
    for s in range(steps):
        rng = np.random.default_rng([seed, s])
        now = Now(s, s, rng, progress=s / steps)
        for optimizer in model.optimizers.values():
            optimizer.lr = SMALL["lr"] * decay(s)
        batch = batches(rng)
        model.step(lambda: batch, rng, now)  # noqa: B023


def train_cyclegan(steps, seed, **options):
    """Return a CycleGAN, trained on red and blue pictures that don't belong together."""
    rng = np.random.default_rng([seed, 1])
    a, b = discs(TRAINED_ON, "left", rng) * RED, discs(TRAINED_ON, "right", rng) * BLUE
    model = CycleGAN(SHAPE, SHAPE, **SMALL, **options, rng=np.random.default_rng(seed))
    half = linear_decay(steps / 2, steps / 2)  # constant for half of the steps, then linear
    train(model, lambda rng: {"a": draw(a, 4, rng), "b": draw(b, 4, rng)}, steps, seed, half)
    return model


def train_pix2pix(steps, seed, **options):
    """Return a pix2pix, trained on pairs."""
    gray = discs(TRAINED_ON, "left", np.random.default_rng([seed, 1]))

    def pair(rng):
        one = draw(gray, 1, rng)
        return {"input": one * RED, "target": one * BLUE}

    model = Pix2Pix(SHAPE, features=8, lr=1e-3, dropout=0.0, **options, rng=np.random.default_rng(seed))
    train(model, pair, steps, seed)
    return model


def by_own_statistics(model, x):
    """Return what a pix2pix makes of pictures x (N, H, W, 3) in training mode, one at a time."""
    G = model.networks["G"]
    return np.tanh(np.concatenate([G.output(one[None], train=True) for one in x]))


def draw(pictures, n, rng):
    return pictures[rng.integers(len(pictures), size=n)]


def main():
    parser = argparse.ArgumentParser(description="CycleGAN and pix2pix without one of their parts.")
    parser.add_argument("--steps", type=int, default=200, help="steps of each run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-translation-broken"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    gray = discs(JUDGED, "left", np.random.default_rng([args.seed, 2]))
    a, right = gray * RED, gray * BLUE
    rows = [a, right]
    print(f"{'':20} {'error':>6} {'own norm':>9} {'light':>6} {'there and back':>15}")
    for name, options in {**CYCLEGANS, **PIX2PIXES}.items():
        of_pairs = name in PIX2PIXES
        model = (train_pix2pix if of_pairs else train_cyclegan)(args.steps, args.seed, **options)
        y = model.apply(a)
        back = "" if of_pairs else f"{l1(model.apply(y, to='a'), a)[0]:.3f}"
        own = l1(by_own_statistics(model, a), right)[0] if of_pairs else l1(y, right)[0]
        scores = f"{l1(y, right)[0]:6.3f} {own:9.3f} {luminance_correlation(a, y):6.2f} {back:>15}"
        print(f"{name:20} {scores}", flush=True)
        rows.append(y)
        save(rows, args.out / "broken.png")
    print(f"the picture is {args.out / 'broken.png'}: pictures of a, their right translations, and those of each run")


def save(rows, path, columns=12):
    """Save a row of pictures for each entry of `rows`, enlarged twice."""
    sheet = np.concatenate([np.concatenate(list(row[:columns]), axis=1) for row in rows], axis=0)
    levels = np.uint8(127.5 * (np.clip(sheet, -1, 1) + 1))
    Image.fromarray(levels).resize((2 * sheet.shape[1], 2 * sheet.shape[0]), Image.NEAREST).save(path)


if __name__ == "__main__":
    main()

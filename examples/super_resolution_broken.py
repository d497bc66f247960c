"""SRResNet and SRGAN, and what happens without one of their parts, on drawn pictures.

Shows the purpose of each part. A picture has smooth shapes with sharp edges, and stripes so fine that shrinking by 2
nearly removes them. All networks enlarge the same low pictures: originals that were shrunk by the antialiased scaler.

    srresnet                      as it is
    … low without antialiasing    trained on low pictures in which stripes have become false, wider ones
    … unequal neighbors           the last convolution starts with large weights, different for the four pixels that
                                  come from one: a checkerboard
    srgan                         a third of the steps for a small error, then with the critic
    … no stage one                the critic from the beginning

    python examples/super_resolution_broken.py               about 2 minutes on one core
    python examples/super_resolution_broken.py --steps 50    only the beginning

What you should see, with seed 0: srresnet is 1.32 dB better than bicubic enlargement, and has more of the stripes
(−4.3 dB of detail; bicubic −12.4). Trained on low pictures without antialiasing, 0.19 dB are left. Unequal neighbors
start with a checkerboard of 95 steps, of which training leaves 0.42. srgan has stripes almost as strong as the
originals (−1.7 dB) at 0.47 dB, and without stage one no more detail at −0.08 dB.

`gain` is the PSNR in dB beside bicubic enlargement, for pictures that training didn't see. `detail` is the power
between ¼ and ½ cycle per pixel beside that of the original, in dB. `board` is the checkerboard in the enlargement of a
flat gray picture: the standard deviation over the four pixels that come from one, in steps of a byte; `at start` is the
same before training.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from minigan.layers.bicubic import enlarged, shrunk
from minigan.metrics import protocol_scores
from minigan.model import Now, phase_at
from minigan.translators import MODELS

SIZE, SCALE, JUDGED, BATCH = 48, 2, 12, 8
SMALL = {"scale": SCALE, "features": 8, "blocks": 3, "lr": 2e-3}
GAN = {"content": "none", "critic_features": 8, "adversarial": 1e-2, "lr2": 5e-4}
ARMS = {
    "srresnet": ("srresnet", {}),
    "… low without antialiasing": ("srresnet", {}),
    "… unequal neighbors": ("srresnet", {}),
    "srgan": ("srgan", GAN),
    "… no stage one": ("srgan", GAN),
}


def drawn(n, rng):
    """Return gray pictures (n, SIZE, SIZE, 1) as bytes: an ellipse on a slope, with fine stripes in one of the two."""
    v, u = np.mgrid[:SIZE, :SIZE] + 0.5
    pictures = []
    for _ in range(n):
        a, b, row, column = rng.uniform(8, 20, 2).tolist() + rng.uniform(12, SIZE - 12, 2).tolist()
        inside = ((v - row) / a) ** 2 + ((u - column) / b) ** 2 < 1
        slope = 110 + rng.uniform(-1, 1) * (v - SIZE / 2) + rng.uniform(-1, 1) * (u - SIZE / 2)
        angle, wave = rng.uniform(0, np.pi), rng.uniform(2.6, 5)
        stripes = np.sign(np.sin(2 * np.pi * (u * np.cos(angle) + v * np.sin(angle)) / wave + rng.uniform(0, 6)))
        light = np.where(inside, slope + rng.choice([-60, 60]), slope)
        pictures.append(light + 25 * stripes * (inside if rng.random() < 0.5 else ~inside))
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)[..., None]


def in_range(pixels):
    """Convert bytes to floats in [−1, 1]."""
    return pixels.astype(np.float32) / 127.5 - 1


def batch_of(rng, antialias):
    """Return a batch of originals and their low pictures."""
    high = drawn(BATCH, rng)
    return {"high": in_range(high), "low": in_range(shrunk(high, SCALE, antialias=antialias))}


def untrained(name, steps, seed):
    """Return the model of an arm, with its broken part if it is in the model."""
    model, options = ARMS[name]
    if model == "srgan":
        options = options | {"pretrain_samples": 0 if "stage one" in name else steps // 3 * BATCH}
    made = MODELS[model]((SIZE, SIZE, 1), **SMALL, **options, rng=np.random.default_rng(seed))
    if "neighbors" in name:
        last = made.networks["G"].body.layers[-2]  # the convolution before the pixel shuffle
        last.W[...] = np.random.default_rng(seed).normal(0, 1 / np.sqrt(last.W[..., 0].size), last.W.shape)
    return made


def train(model, steps, seed, antialias):
    """Make `steps` steps on newly drawn pictures; learning rates as the model has them, without a final decay."""
    phase = model.phases[0]
    for step in range(steps):
        rng = np.random.default_rng([seed, step])
        now = Now(step, step * BATCH, rng, step / steps, phase_at(model.phases, step * BATCH))
        if now.phase != phase:
            model.begin(now.phase, now)
            phase = now.phase
        for optimizer, lr in model.rates(now).items():
            model.optimizers[optimizer].lr = lr
        batch = batch_of(rng, antialias)
        model.step(lambda batch=batch: batch, rng, now)


def to_bytes(y):
    """Convert floats in [−1, 1] to bytes."""
    return np.clip(np.rint((y + 1) * 127.5), 0, 255).astype(np.uint8)


def board(model):
    """Return the checkerboard in the enlargement of flat gray, in steps of a byte."""
    y = model.apply(np.full((1, 16, 16, 1), 0.5, np.float32))[0, 8:-8, 8:-8, 0] * 127.5
    places = y.reshape(len(y) // SCALE, SCALE, -1, SCALE).mean(axis=(0, 2))  # one value for each of the four pixels
    return float(places.std())


def main():
    parser = argparse.ArgumentParser(description="SRResNet and SRGAN without one of their parts.")
    parser.add_argument("--steps", type=int, default=600, help="steps of each run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-super-resolution-broken"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    high = drawn(JUDGED, np.random.default_rng([args.seed, 10**6]))
    low = shrunk(high, SCALE)
    plain = enlarged(low, SCALE)
    bicubic = [protocol_scores(y, t, SCALE) for y, t in zip(plain, high, strict=True)]
    rows = [high, plain]
    print(f"{'':28} {'gain':>6} {'detail':>7} {'board':>7} {'at start':>9}")
    print(f"{'bicubic':28} {0:6.2f} {np.mean([one['detail'] for one in bicubic]):7.2f}")
    for name in ARMS:
        model = untrained(name, args.steps, args.seed)
        start = board(model)
        train(model, args.steps, args.seed, antialias="antialiasing" not in name)
        y = to_bytes(model.apply(in_range(low)))
        scores = [protocol_scores(one, t, SCALE) for one, t in zip(y, high, strict=True)]
        gain = np.mean([one["psnr"] - other["psnr"] for one, other in zip(scores, bicubic, strict=True)])
        detail = np.mean([one["detail"] for one in scores])
        print(f"{name:28} {gain:6.2f} {detail:7.2f} {board(model):7.2f} {start:9.2f}", flush=True)
        rows.append(y)
        save(rows, args.out / "broken.png")
    print(f"the picture is {args.out / 'broken.png'}: originals, bicubic, and the results of each run, row by row")


def save(rows, path, columns=8):
    """Save a row of pictures for each entry of `rows`, enlarged twice."""
    sheet = np.concatenate([np.concatenate(list(row[:columns]), axis=1) for row in rows], axis=0)[..., 0]
    Image.fromarray(sheet).resize((2 * sheet.shape[1], 2 * sheet.shape[0]), Image.NEAREST).save(path)


if __name__ == "__main__":
    main()

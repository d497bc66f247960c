"""Progressive growing and StyleGAN2, and what happens without one of their parts, on digits of 16 pixels.

Shows the purpose of each part by leaving it out.

    progan                 as it is: grows from 4 to 16 pixels
    … no equalized rate    weights are stored as large as they are used, so Adam moves small ones relatively faster
    … no minibatch std     D doesn't see how much the pictures of a batch differ
    stylegan2              as it is
    … no demodulation      styles scale the features, and nothing brings them back to a common size
    … no R1                D's slope at real pictures is not penalized

Runs of stylegan2 make two fifths of the steps, because each of them takes longer.

    python examples/growing_broken.py               about 3 minutes on one core
    python examples/growing_broken.py --steps 50    only the beginning

What you should see, with seed 0: without demodulation the samples of stylegan2 are covered by a fine texture, and
without R1 the slope of D is 4.3 instead of 1.5. In so few steps stylegan2 learns outlines at best, and its FID
is 13 to 17 in all three runs. This example is too small to show what the parts of progan do; one run of each differs no
more than chance may make it: the FID is 3.5, without equalized rate 3.7, without minibatch standard deviation 3.8, with
a spread of 0.92 instead of 1.00.

`FID` compares 500 samples with 500 digits, by the features of a classifier. `spread` is the standard deviation of a
pixel over the samples, beside that of digits: 1 if they vary as much, 0 if all are alike. `slope` is the root mean
square of ‖∇D(x)‖ at real digits, and `largest` the largest number in a sample, in which digits are within ±1.
"""

import argparse
from math import sqrt
from pathlib import Path

import numpy as np

from minigan.data import open_dataset
from minigan.gans import ProGAN, StyleGAN2
from minigan.gans.growing import GrowingCritic, GrowingGenerator, reduced
from minigan.layers import ModulatedConv2D
from minigan.metrics import frechet_distance, open_features
from minigan.model import Now, phase_at
from minigan.optim import Adam
from minigan.training.pictures import grid, save_image

SIZE, BATCH, JUDGED = 16, 16, 500
FEATURES, LATENT = 16, 32
ARMS = ("progan", "… no equalized rate", "… no minibatch std", "stylegan2", "… no demodulation", "… no R1")


def untrained(name, steps, seed):
    """Return the model of an arm, without its part."""
    rng, shape = np.random.default_rng(seed), (SIZE, SIZE, 1)
    if name == "stylegan2" or name.endswith(("demodulation", "R1")):
        gamma = 0.0 if name.endswith("R1") else 0.0002 * SIZE**2 / BATCH
        narrow = {"features": FEATURES, "max_features": 2 * FEATURES, "lr": 2e-3 * sqrt(512 / FEATURES)}
        model = StyleGAN2(shape, LATENT, **narrow, gamma=gamma, rng=rng)
        for _, layer in model.networks["synthesis"].walk() if name.endswith("demodulation") else ():
            if isinstance(layer, ModulatedConv2D) and layer.demodulate:
                layer.demodulate, layer.gain = False, 1 / sqrt(np.prod(layer.W.shape[:3]))
        return model
    group = 0 if name.endswith("std") else 4
    model = ProGAN(shape, LATENT, features=FEATURES, group=group, growth_samples=2 * steps * BATCH // 3, rng=rng)
    if name.endswith("rate"):
        G = GrowingGenerator(model.top, LATENT, 1, FEATURES, False, rng)
        model.networks = {"G": G, "D": GrowingCritic(model.top, 1, FEATURES, group, False, rng)}
        model.optimizers = {key: Adam(net.parameters(), 1e-3, (0.0, 0.99)) for key, net in model.networks.items()}
    model.average_weights(model.ema)
    return model


def train(model, digits, steps, seed):
    """Make `steps` steps, with the phases of the model."""
    phase = model.phases[0]
    for step in range(steps):
        rng = np.random.default_rng([seed, step])
        now = Now(step, step * BATCH, rng, step / steps, phase_at(model.phases, step * BATCH))
        if now.phase != phase:
            model.begin(now.phase, now)
            phase = now.phase
        batch = {"real": digits[rng.integers(len(digits), size=BATCH)]}
        model.step(lambda batch=batch: batch, rng, now)
        for average in model.averages.values():
            average.update()


def judged(model, digits, network, z):
    """Return FID, spread, slope and the largest feature, and the samples."""
    samples = model.generate(z)
    clipped = samples.clip(-1, 1)
    moments = [(f.mean(axis=0), np.cov(f.T)) for f in (network(x)[0].astype(float) for x in (clipped, digits))]
    spread = samples.std(axis=0).mean() / digits.std(axis=0).mean()
    D, real = model.networks["D"], digits[:64]
    x = (reduced(real, model.top, model.level), model.level) if isinstance(model, ProGAN) else real
    logits, cache = D.forward(x, train=False)
    dx = D.backward(np.ones_like(logits), cache, wrt="input")
    dx = dx[0] if isinstance(dx, tuple) else dx
    slope = np.sqrt((dx**2).sum(axis=(1, 2, 3)).mean())
    return (frechet_distance(*moments[0], *moments[1]), spread, slope, np.abs(samples).max()), samples


def main():
    parser = argparse.ArgumentParser(description="Progressive growing and StyleGAN2 without one of their parts.")
    parser.add_argument("--steps", type=int, default=1000, help="steps of progan's runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-growing-broken"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    digits = open_dataset("digits", SIZE).batch(np.arange(1500))
    z = np.random.default_rng([args.seed, 10**6]).standard_normal((JUDGED, LATENT), dtype=np.float32)
    network, rows = open_features("digits"), [digits[:12]]
    print(f"{'':22} {'FID':>7} {'spread':>7} {'slope':>7} {'largest':>8}")
    for name in ARMS:
        model = untrained(name, args.steps, args.seed)
        train(model, digits, args.steps if isinstance(model, ProGAN) else max(1, 2 * args.steps // 5), args.seed)
        (fid, spread, slope, most), samples = judged(model, digits[:JUDGED], network, z)
        print(f"{name:22} {fid:7.2f} {spread:7.2f} {slope:7.2f} {most:8.2f}", flush=True)
        rows.append(samples[:12])
        save_image(grid(np.concatenate(rows), columns=12), args.out / "broken.png")
    print(f"the picture is {args.out / 'broken.png'}: digits, and the samples of each run, row by row")


if __name__ == "__main__":
    main()

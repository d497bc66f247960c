"""DCGAN on handwritten digits: the training loop of `minigan train dcgan` without checkpoints and reports.

Shows how the parts fit together: a data set, minibatches, two networks, and the update steps of D and G. The digits
(1,797 pictures of 16×16) are part of the package.

    python examples/dcgan_digits.py                    about a minute on one core
    python examples/dcgan_digits.py --steps 100        only the beginning

What you should see: blurred strokes after 100 steps, digit-like shapes after 600, legible digits at the end, a few of
them deformed. d_real and d_fake are the mean probabilities D(x) for real and for generated pictures. If d_fake stays at
0, D rejects every fake with certainty and G learns slowly; here it fluctuates.

In --out, digits-00100.png and so on show samples of the same 64 latent vectors; real.png shows real digits.
"""

import argparse
from pathlib import Path

import numpy as np

from minigan.data import Feeds, open_feeds
from minigan.gans import DCGAN
from minigan.optim import WeightAverage
from minigan.training.pictures import grid


def main():
    parser = argparse.ArgumentParser(description="DCGAN on handwritten digits, as a plain loop.")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-dcgan-digits"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    sources = open_feeds("digits", DCGAN.arrays, img_size=16)  # one feed; its array is named "real"
    digits = sources["data"]
    print(digits.describe())
    grid(digits.read(np.arange(64))["real"]).save(args.out / "real.png")

    rng = np.random.default_rng(args.seed)
    gan = DCGAN(digits.shapes["real"], features=32, lr=5e-4, rng=rng)  # half the paper's channels; lr for a short run
    G, D = gan.networks["G"], gan.networks["D"]
    print(f"G has {len(G.parameters()):,} parameters, D has {len(D.parameters()):,}")

    average = WeightAverage(G, decay=0.98)  # samples come from a moving average of G's weights over about 50 steps
    fixed_z = gan.latent(64, rng)  # (64, 100), the latent vectors of all saved pictures
    with Feeds(sources, DCGAN.arrays, args.batch_size, seed=args.seed) as feeds:
        for step in range(1, args.steps + 1):
            real = feeds.next()["real"]  # (N, 16, 16, 1) in [-1, 1]
            z = gan.latent(len(real), rng)  # (N, 100)
            fake, G_cache = G.forward(z)  # (N, 100) → (N, 16, 16, 1); the cache is for G's backward

            measured = gan.discriminator_step(real, fake)  # D minimizes −log D(x) − log(1 − D(G(z)))
            measured |= gan.generator_step(fake, G_cache)  # G minimizes −log D(G(z)), with the updated D
            average.update()

            if step % 20 == 0 or step == args.steps:
                numbers = "  ".join(f"{name} {float(value):.3f}" for name, value in measured.items())
                print(f"step {step:4d}  {numbers}")
            if step % 100 == 0 or step == args.steps:
                pictures = average.average.output(fixed_z, train=False)
                grid(pictures).save(args.out / f"digits-{step:05d}.png")
    print(f"pictures are in {args.out}")


if __name__ == "__main__":
    main()

"""DCGAN on handwritten digits, as a plain loop: what `minigan train dcgan` does, without the comfort.

Shows how the pieces fit together: a data set, minibatches, two networks, and the two steps of a GAN, of which this file
calls one after the other. The digits come with the package (1,797 pictures of 16×16), so nothing is downloaded.

    python examples/dcgan_digits.py                    about a minute on one core
    python examples/dcgan_digits.py --steps 100        a look at the beginning

What you should see: after 100 steps blurred strokes, after 600 shapes like digits, in the end digits that you can read,
a few of them crippled. d_real and d_fake are D's mean belief that real and generated pictures are real. If the second
goes to 0 and stays there, D has won, and G learns slowly; here it comes and goes.

The pictures in --out: digits-00100.png and so on show the same 64 latent vectors every time; real.png shows real
digits.
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

    sources = open_feeds("digits", DCGAN.arrays, img_size=16)  # one feed, whose samples a batch calls "real"
    digits = sources["data"]
    print(digits.describe())
    grid(digits.read(np.arange(64))["real"]).save(args.out / "real.png")

    rng = np.random.default_rng(args.seed)
    gan = DCGAN(digits.shapes["real"], features=32, lr=5e-4, rng=rng)  # half the paper's channels; lr for a short run
    G, D = gan.networks["G"], gan.networks["D"]
    print(f"G has {len(G.parameters()):,} parameters, D has {len(D.parameters()):,}")

    average = WeightAverage(G, decay=0.98)  # samples are drawn from an average of the last ~50 generators
    watched = gan.latent(64, rng)  # the latent vectors of the pictures that we watch
    with Feeds(sources, DCGAN.arrays, args.batch_size, seed=args.seed) as feeds:
        for step in range(1, args.steps + 1):
            real = feeds.next()["real"]  # (N, 16, 16, 1) in [-1, 1]
            z = gan.latent(len(real), rng)  # (N, 100)
            fake, G_cache = G.forward(z)  # (N, 16, 16, 1); the cache is for G's backward

            measured = gan.discriminator_step(real, fake)  # D: real up, fake down
            measured |= gan.generator_step(fake, G_cache)  # G: fake up, with the gradient through the new D
            average.update()

            if step % 20 == 0 or step == args.steps:
                numbers = "  ".join(f"{name} {float(value):.3f}" for name, value in measured.items())
                print(f"step {step:4d}  {numbers}")
            if step % 100 == 0 or step == args.steps:
                pictures = average.average.output(watched, train=False)
                grid(pictures).save(args.out / f"digits-{step:05d}.png")
    print(f"pictures are in {args.out}")


if __name__ == "__main__":
    main()

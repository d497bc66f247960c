"""WGAN-GP on 25 Gaussians: a correct run and four with one mistake each, side by side.

Shows the purpose of each part of WGAN-GP, and which mistakes training doesn't reveal. All runs start from the same
weights and draw the same random numbers:

    whole               correct, as in the paper
    no penalty          λ = 0: the critic's gradient isn't bounded
    clipped as well     with the penalty, and weights clipped to ±0.01 as in WGAN
    no f''              the activation's double_backward omits dx2, the term with the second derivative
    one epsilon         one ε per batch instead of one per pair of points

    python examples/wgan_gp_broken.py                   about 3 minutes on one core
    python examples/wgan_gp_broken.py --steps 300       only the beginning

It uses minigan's layers, penalty and optimizer in a plain loop; wgan_gp_by_hand.py computes the same gradients without
them.

What you should see, with seed 0: the correct run finds 25 of 25 Gaussians, with 85 % of the points on target (it has
half the steps of wgan_gp_by_hand.py). Without the penalty, the norm of the critic's gradient reaches several hundred,
and the generated points jump around. With the penalty and clipped weights, the critic is almost constant: weights of
0.01 can't produce a gradient of norm 1, so the penalty has no effect and the points miss the grid. These two failures
are obvious.

The other two runs look almost correct: 24 modes and 77 % without f'', 23 modes and 75 % with one epsilon; with seed 1,
all three have 25 modes and 82 or 83 %. A gradient check finds the missing f'': the cosine between the computed gradient
and central differences is 0.34 (0.55 with seed 1), so it is 70 degrees off. It doesn't find the shared epsilon, where
the gradient is correct and only the points at which the penalty is computed differ.

The column `slope` is the mean ‖∇D‖ between real and generated points; the penalty pulls it to 1. `cosine` compares the
computed gradient of the penalty with central differences, in 100 weights of the trained critic: 1 is correct.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.data.points import grid
from minigan.layers import Dense, Layer, ReLU, Sequential, he_normal
from minigan.losses import Wasserstein
from minigan.metrics.mixture import modes_and_quality
from minigan.optim import Adam, clip_weights
from minigan.penalties import GradientPenalty

BATCH, LATENT, LAMBDA, CRITIC_STEPS, G_LR, D_LR = 128, 2, 0.2, 3, 6e-3, 3e-3


class Swish(Layer):
    """y = x · s with s = sigmoid(βx), β = 2. With s′ = β s(1 − s): f′ = s + x s′, f″ = s′ (2 + βx (1 − 2s))."""

    BETA = 2.0

    def forward(self, x, train=True, rng=None):
        """Map x to y, of any shape."""
        self.check_input(x, None, None)
        s = (1 + np.tanh(self.BETA / 2 * x)) / 2
        return x * s, (x, s)

    def backward_input(self, dy, cache):
        """Return dx = dy · f′(x)."""
        x, s = cache
        return dy * (s + x * self.BETA * s * (1 - s))

    def double_backward(self, ddx, dy, cache):
        """Return ddy = ddx · f′(x) and dx2 = ddx · dy · f″(x)."""
        self.check_second(ddx, dy, cache)
        x, s = cache
        f2 = self.BETA * s * (1 - s) * (2 + self.BETA * x * (1 - 2 * s))
        return self.backward_input(ddx, cache), ddx * dy * f2

    def shapes(self, cache):
        """Return the shapes of x and y, which are equal."""
        x, _ = cache
        return x.shape, x.shape


class WithoutSecondDerivative(Swish):
    """Swish that returns dx2 = None, which is correct only for piecewise linear activations."""

    def double_backward(self, ddx, dy, cache):
        """Return the correct ddy, but None for dx2."""
        return super().double_backward(ddx, dy, cache)[0], None


class OneEpsilon(GradientPenalty):
    """GradientPenalty with the same ε for all samples of a batch."""

    def points(self, real, fake, rng):
        """Return x̂ (N, 2), with a single ε."""
        epsilon = rng.random((len(real), 1), dtype=real.dtype)[0]  # draws N numbers, as the correct version does
        return epsilon * real + (1 - epsilon) * fake


RUNS = {
    "whole": {},
    "no penalty": {"penalty": GradientPenalty(0.0)},
    "clipped as well": {"clip": 0.01},
    "no f''": {"activation": WithoutSecondDerivative},
    "one epsilon": {"penalty": OneEpsilon(LAMBDA)},
}


def dense_network(sizes, activation, rng):
    """Return dense layers of these sizes, with an activation between them."""
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        layers += [Dense(n_in, n_out, init=he_normal(), rng=rng), activation()]
    return Sequential(*layers[:-1])


def train(data, steps, seed, penalty=GradientPenalty(LAMBDA), clip=None, activation=Swish):  # noqa: B008
    """Train a generator and a critic, and return them."""
    rng = np.random.default_rng(seed)
    G = dense_network([LATENT, 128, 128, 128, 128, 2], ReLU, rng)
    D = dense_network([2, 128, 128, 128, 1], activation, rng)
    G_optimizer, D_optimizer = (Adam(network.parameters(), betas=(0.5, 0.9)) for network in (G, D))
    loss = Wasserstein()

    for t in range(steps):
        G_optimizer.lr, D_optimizer.lr = (lr * (1 - t / steps) for lr in (G_LR, D_LR))
        for _ in range(CRITIC_STEPS):
            real, (fake, _) = draw_real(data, BATCH, rng), generate(G, BATCH, rng)
            D_optimizer.zero_grad()
            for points, loss_of in ((real, loss.real), (fake, loss.fake)):  # −mean D(x), mean D(G(z))
                scores, cache = D.forward(points)  # (N, 2) → (N, 1)
                D.backward(loss_of(scores)[1], cache, wrt="params")
            penalty(D, real, fake, rng)
            D_optimizer.step()
            if clip is not None:
                clip_weights(D.parameters(), clip)

        G_optimizer.zero_grad()
        fake, G_cache = generate(G, BATCH, rng)
        scores, D_cache = D.forward(fake)
        dfake = D.backward(loss.generator(scores)[1], D_cache, wrt="input")  # (N, 1) → (N, 2)
        G.backward(dfake, G_cache, wrt="params")
        G_optimizer.step()
    return G, D


def draw_real(data, n, rng):
    return data.samples[rng.integers(len(data), size=n)]


def generate(G, n, rng):
    return G.forward(rng.standard_normal((n, LATENT), dtype=np.float32))


def slope_between(D, real, fake, rng):
    """Return the mean norm of the critic's gradient at points between real and generated ones."""
    x = GradientPenalty().points(real, fake, rng)
    scores, cache = D.forward(x)
    dx = D.backward(np.ones_like(scores), cache, wrt="input")
    return float(np.linalg.norm(dx, axis=1).mean())


def cosine_with_differences(D, real, fake, penalty, n_weights=100):
    """Return the cosine of the penalty's computed gradient and central differences in `n_weights` weights, float64."""
    D.to(dtype=np.float64)
    values, grads = D.parameters().values, D.parameters().grads

    def value():
        return float(penalty(D, real, fake, np.random.default_rng(0)))  # the same ε in each call

    D.parameters().zero_grad()
    value()
    chosen = np.random.default_rng(0).choice(len(values), n_weights, replace=False)
    computed, numeric, h = grads[chosen].copy(), np.zeros(n_weights), 1e-5
    for k, i in enumerate(chosen):
        before = values[i]
        values[i] = before + h
        up = value()
        values[i] = before - h
        numeric[k] = (up - value()) / (2 * h)
        values[i] = before
    lengths = np.linalg.norm(computed) * np.linalg.norm(numeric)
    return computed @ numeric / lengths if lengths > 0 else np.nan


def draw(panels, data, path, side=300, title=30, extent=1.9):
    """Save one picture of all runs: real points (gray) and generated points (red), with a title each."""
    sheet = Image.new("RGB", (side * len(panels), side + title), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for k, (label, points) in enumerate(panels.items()):
        canvas = np.full((side, side, 3), 255, np.uint8)
        for some, color in ((data.samples[:4000], (170, 170, 170)), (points, (210, 40, 30))):
            column, row = ((some * (1, -1) + extent) * side / (2 * extent)).astype(int).clip(0, side - 2).T
            for down in (0, 1):
                for right in (0, 1):
                    canvas[row + down, column + right] = color
        sheet.paste(Image.fromarray(canvas), (k * side, title))
        pen.text(((k + 0.5) * side, title / 2), label, (40, 40, 45), font, "mm")
        pen.line([(k * side, 0), (k * side, side + title)], (215, 215, 220))
    sheet.save(path)


def main():
    parser = argparse.ArgumentParser(description="WGAN-GP, broken in four ways.")
    parser.add_argument("--steps", type=int, default=2000, help="steps of G in each run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-wgan-gp-broken"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    data, panels = grid(), {}
    print(f"{'':16} {'modes':>8} {'on target':>10} {'slope':>8} {'cosine':>8}")
    for name, broken in RUNS.items():
        G, D = train(data, args.steps, args.seed, **broken)
        rng = np.random.default_rng(args.seed + 1)
        points, _ = generate(G, 5000, rng)
        modes, on_target = modes_and_quality(points, data.centers, data.std)
        real, fake = draw_real(data, 64, rng).astype(np.float64), points[:64].astype(np.float64)
        slope = slope_between(D, real, fake, rng)
        penalty = broken.get("penalty", GradientPenalty(LAMBDA))
        cosine = cosine_with_differences(D, real, fake, penalty)
        cosine = "none" if np.isnan(cosine) else f"{cosine:.3f}"
        print(f"{name:16} {modes:>2} of 25 {on_target:>10.0%} {slope:>8.3g} {cosine:>8}", flush=True)
        panels[f"{name}: {modes} of 25, {on_target:.0%}"] = points
        draw(panels, data, args.out / "broken.png")
    print(f"the picture is {args.out / 'broken.png'}")


if __name__ == "__main__":
    main()

"""A GAN written out with NumPy alone: every forward pass, gradient and update.

Shows the computations inside minigan on a small problem: points on the plane from 8 narrow Gaussians on a ring. Nothing
of minigan is imported; networks of `minigan.layers` have the same gradients (tests/examples/test_examples.py).

    python examples/ring_by_hand.py                    about 30 seconds on one core
    python examples/ring_by_hand.py --steps 500        only the beginning

What you should see: after a few hundred steps the generated points form a closed curve through all eight Gaussians;
then they concentrate on them. `modes` is the number of Gaussians with at least 1 % of the points, `on target` the share
of points within three standard deviations of a center: 8 of 8, and about 88 % at the end. ring.png shows real points
(gray) and generated points (red). Some points stay between the Gaussians, because G is continuous and the latent space
connected. Within a Gaussian, the generated points have less variance than the real ones.

N is the batch size, Z the length of a latent, H the number of hidden units. `dname` is ∂loss/∂name.
"""

import argparse
import os
from pathlib import Path

# More BLAS threads would only slow down such small products. BLAS reads this when NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image

N, Z, H = 256, 2, 128
RADIUS, STD = 1.5, 0.05
LR, BETA1, BETA2, EPS = 1e-3, 0.5, 0.99, 1e-8
ANGLES = 2 * np.pi * np.arange(8) / 8
CENTERS = RADIUS * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)  # (8, 2)


def real_points(n, rng):
    """Draw points (n, 2): a random center plus Gaussian noise of standard deviation STD."""
    return CENTERS[rng.integers(8, size=n)] + np.float32(STD) * rng.standard_normal((n, 2), dtype=np.float32)


def new_network(sizes, rng):
    """Return [W1, b1, W2, b2, W3, b3] for layers of these sizes, with Glorot normal weights."""
    parameters = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        parameters.append((rng.standard_normal((n_in, n_out)) * np.sqrt(2 / (n_in + n_out))).astype(np.float32))
        parameters.append(np.zeros(n_out, np.float32))
    return parameters


def forward(parameters, x):
    """Dense, LeakyReLU, Dense, LeakyReLU, Dense: x (N, in) → y (N, out). Also returns a cache for `backward`."""
    W1, b1, W2, b2, W3, b3 = parameters
    a1 = x @ W1 + b1  # (N, in) @ (in, H)
    h1 = np.where(a1 > 0, a1, 0.2 * a1)  # (N, H)
    a2 = h1 @ W2 + b2  # (N, H) @ (H, H)
    h2 = np.where(a2 > 0, a2, 0.2 * a2)  # (N, H)
    y = h2 @ W3 + b3  # (N, H) @ (H, out)
    return y, (x, a1, h1, a2, h2)


def backward(parameters, dy, cache):
    """Reverse the lines of `forward`: dy (N, out) → dx (N, in) and the gradients [dW1, db1, …]."""
    W1, _, W2, _, W3, _ = parameters
    x, a1, h1, a2, h2 = cache
    # y = h2 @ W3 + b3
    dW3 = h2.T @ dy  # (H, N) @ (N, out)
    db3 = dy.sum(axis=0)
    dh2 = dy @ W3.T  # (N, out) @ (out, H)
    # h2 = leaky_relu(a2)
    da2 = np.where(a2 > 0, dh2, 0.2 * dh2)
    # a2 = h1 @ W2 + b2
    dW2 = h1.T @ da2  # (H, N) @ (N, H)
    db2 = da2.sum(axis=0)
    dh1 = da2 @ W2.T  # (N, H) @ (H, H)
    # h1 = leaky_relu(a1)
    da1 = np.where(a1 > 0, dh1, 0.2 * dh1)
    # a1 = x @ W1 + b1
    dW1 = x.T @ da1  # (in, N) @ (N, H)
    db1 = da1.sum(axis=0)
    dx = da1 @ W1.T  # (N, H) @ (H, in)
    return dx, [dW1, db1, dW2, db2, dW3, db3]


def sigmoid(l):
    """Return 1 / (1 + e^−l) without overflow."""
    e = np.exp(-np.abs(l))
    return np.where(l >= 0, 1, e) / (1 + e)


def softplus(l):
    """Return log(1 + e^l). −log sigmoid(l) = softplus(−l), and −log(1 − sigmoid(l)) = softplus(l)."""
    return np.maximum(l, 0) + np.log1p(np.exp(-np.abs(l)))


def adam(parameters, gradients, moments, t, lr):
    """Update every parameter by one step of Adam (Kingma and Ba 2014, algorithm 1)."""
    for p, g, (m, v) in zip(parameters, gradients, moments, strict=True):
        m += (1 - BETA1) * (g - m)
        v += (1 - BETA2) * (g * g - v)
        p -= lr * (m / (1 - BETA1**t)) / (np.sqrt(v / (1 - BETA2**t)) + EPS)


def discriminator_step(G, D, D_moments, t, lr, rng):
    """Update D to minimize −mean log D(x) − mean log(1 − D(G(z))), where D(x) = sigmoid(logit)."""
    x = real_points(N, rng)  # (N, 2)
    fake, _ = forward(G, rng.standard_normal((N, Z), dtype=np.float32))  # (N, Z) → (N, 2)

    logits, cache = forward(D, x)  # (N, 2) → (N, 1)
    loss_real = softplus(-logits).mean()  # −log D(x)
    dlogits = -sigmoid(-logits) / N
    _, gradients_real = backward(D, dlogits, cache)

    logits, cache = forward(D, fake)  # (N, 2) → (N, 1)
    loss_fake = softplus(logits).mean()  # −log(1 − D(G(z)))
    dlogits = sigmoid(logits) / N
    _, gradients_fake = backward(D, dlogits, cache)  # not backpropagated into G, which isn't updated here

    adam(D, [a + b for a, b in zip(gradients_real, gradients_fake, strict=True)], D_moments, t, lr)
    return loss_real + loss_fake


def generator_step(G, D, G_moments, t, lr, rng):
    """Update G to minimize −mean log D(G(z)), by backpropagation through D and then through G."""
    fake, G_cache = forward(G, rng.standard_normal((N, Z), dtype=np.float32))  # (N, Z) → (N, 2)
    logits, D_cache = forward(D, fake)  # (N, 2) → (N, 1)
    loss = softplus(-logits).mean()  # −log D(G(z)), non-saturating
    dlogits = -sigmoid(-logits) / N
    dfake, _ = backward(D, dlogits, D_cache)  # (N, 1) → (N, 2); D's own gradients aren't used
    _, gradients = backward(G, dfake, G_cache)
    adam(G, gradients, G_moments, t, lr)
    return loss


def quality(points):
    """Return the number of centers with at least 1 % of the points, and the share of points within 3 STD of one."""
    distance = np.linalg.norm(points[:, None] - CENTERS, axis=2)  # (n, 8)
    good = distance.min(axis=1) < 3 * STD
    share = np.bincount(distance.argmin(axis=1)[good], minlength=8) / len(points)
    return int((share >= 0.01).sum()), float(good.mean())


def draw(points, path, side=400, extent=2.2):
    """Save a picture of real points (gray) and generated points (red)."""
    canvas = np.full((side, side, 3), 255, np.uint8)
    for some, color in ((real_points(4000, np.random.default_rng(1)), (190, 190, 190)), (points, (210, 40, 30))):
        column, row = ((some * (1, -1) + extent) * side / (2 * extent)).astype(int).clip(0, side - 2).T
        for down in (0, 1):
            for right in (0, 1):
                canvas[row + down, column + right] = color
    Image.fromarray(canvas).save(path)


def main():
    parser = argparse.ArgumentParser(description="A GAN on a ring of Gaussians, with all gradients written out.")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-ring-by-hand"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(args.seed)
    G, D = new_network([Z, H, H, 2], rng), new_network([2, H, H, 1], rng)
    G_moments = [(np.zeros_like(p), np.zeros_like(p)) for p in G]
    D_moments = [(np.zeros_like(p), np.zeros_like(p)) for p in D]
    fixed_z = rng.standard_normal((2000, Z), dtype=np.float32)

    for t in range(1, args.steps + 1):
        lr = LR * min(1.0, 2 - 2 * t / args.steps)  # decays to 0 in the second half, which ends the points' oscillation
        d_loss = discriminator_step(G, D, D_moments, t, lr, rng)
        g_loss = generator_step(G, D, G_moments, t, lr, rng)
        if t % max(1, args.steps // 10) == 0:
            points, _ = forward(G, fixed_z)
            modes, on_target = quality(points)
            print(f"step {t:5d}  D {d_loss:.3f}  G {g_loss:.3f}  modes {modes} of 8  on target {on_target:.0%}")
            draw(points, args.out / f"ring-{t:05d}.png")
    draw(points, args.out / "ring.png")
    print(f"pictures are in {args.out}")


if __name__ == "__main__":
    main()

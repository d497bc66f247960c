"""WGAN-GP written out with NumPy alone, with the gradient of the gradient penalty in four sweeps.

Shows second-order backpropagation. The penalty of WGAN-GP (Gulrajani et al. 2017) is a function of the critic's input
gradient, so training differentiates that gradient: `gradient_penalty` does it, docs/double-backward.md derives it. The
data are 25 narrow Gaussians on a 5×5 grid. Nothing of minigan is imported; networks of `minigan.layers` have the same
gradients (tests/examples/test_examples.py).

    python examples/wgan_gp_by_hand.py                  about a minute on one core
    python examples/wgan_gp_by_hand.py --steps 500      only the beginning

What you should see: the points fill the square first, then concentrate on lines between the Gaussians, which become
thinner. After 4000 steps all 25 Gaussians are found, and 91 to 93 % of the points are within three standard deviations
of a center (seeds 0, 1 and 2). `distance`, the critic's estimate of the Wasserstein distance on one batch, falls to
about 0. grid.png shows real points (gray) and generated points (red). As in ring_by_hand.py, the points within a
Gaussian have less variance than the real ones, and a few stay between Gaussians, because G is continuous.

G has ReLUs, which allow steep transitions between Gaussians. The critic has a smooth activation, Swish(a) = a ·
sigmoid(βa), so f″ isn't zero and the fourth sweep has nonzero terms. He initialization, a G that is deeper than the
critic and has twice its learning rate, and decaying learning rates all improved the result. The authors' script (λ .1,
512 ReLUs per layer, five critic steps) takes 100,000 steps.

N is the batch size, Z the length of a latent, H the number of hidden units; in and out are a layer's sizes. With the
loss L and the penalty P: `dname` = ∂L/∂name, `ddname` = ∂P/∂(dname), and `dname2` = ∂P/∂name. A network is a list of
pairs (W, b); hidden layer i is a_i = h_i W_i + b_i, h_(i+1) = f(a_i).
"""

import argparse
import os
from pathlib import Path

# More BLAS threads would only slow down such small products. BLAS reads this when NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image

N, Z = 128, 2
G_SIZES, D_SIZES = [Z, 128, 128, 128, 128, 2], [2, 128, 128, 128, 1]
STD = 0.05 / np.sqrt(8)
TICKS = np.arange(-2, 3) / np.sqrt(2)
CENTERS = np.stack(np.meshgrid(TICKS, TICKS), axis=-1).reshape(25, 2).astype(np.float32)
LAMBDA, CRITIC_STEPS = 0.2, 3
G_LR, D_LR = 6e-3, 3e-3
BETA1, BETA2, EPS = 0.5, 0.9, 1e-8
SHARPNESS = 2.0  # β of Swish


def real_points(n, rng):
    """Draw points (n, 2): a random center plus Gaussian noise of standard deviation STD."""
    return CENTERS[rng.integers(25, size=n)] + np.float32(STD) * rng.standard_normal((n, 2), dtype=np.float32)


def new_network(sizes, rng):
    """Return [(W, b), …] for layers of these sizes, with He normal weights."""
    return [
        ((rng.standard_normal((n_in, n_out)) * np.sqrt(2 / n_in)).astype(np.float32), np.zeros(n_out, np.float32))
        for n_in, n_out in zip(sizes, sizes[1:], strict=False)
    ]


def relu(a):
    """Return f(a), f′(a), f″(a)."""
    return np.maximum(a, 0), (a > 0).astype(a.dtype), np.zeros_like(a)


def swish(a):
    """Return f(a), f′(a), f″(a) of f = a · s with s = sigmoid(βa), where s′ = β s (1 − s)."""
    s = (1 + np.tanh(SHARPNESS / 2 * a)) / 2  # sigmoid(βa), without overflow
    slope = SHARPNESS * s * (1 - s)  # s′
    return a * s, s + a * slope, slope * (2 + SHARPNESS * a * (1 - 2 * s))  # s″ = s′ β (1 − 2s)


def forward(network, x, f):
    """Dense layers with f between them: x (N, in) → y (N, out). Also returns a cache for the other passes."""
    hs, f1s, f2s = [x], [], []  # the layers' inputs h, and f′(a), f″(a)
    for W, b in network[:-1]:
        h, f1, f2 = f(hs[-1] @ W + b)  # (N, in) @ (in, H)
        hs.append(h)
        f1s.append(f1)
        f2s.append(f2)
    W, b = network[-1]
    return hs[-1] @ W + b, (hs, f1s, f2s)  # (N, H) @ (H, out)


def backward(network, dy, cache):
    """Reverse the lines of `forward`: dy (N, out) → dx (N, in), and the gradients [(dW, db), …]."""
    hs, f1s, _ = cache
    gradients, da = [], dy
    for i in reversed(range(len(network))):
        # a = h @ W + b
        gradients.append((hs[i].T @ da, da.sum(axis=0)))  # (in, N) @ (N, out)
        dh = da @ network[i][0].T  # (N, out) @ (out, in)
        # h = f(a) of the layer before
        da = dh * f1s[i - 1] if i > 0 else None
    return dh, gradients[::-1]


def penalty_of(dx):
    """Return P = λ mean (‖dx_n‖ − 1)² and ddx = ∂P/∂(dx), for the critic's input gradients dx (N, 2)."""
    norm = np.sqrt((dx * dx).sum(axis=1, keepdims=True))  # (N, 1)
    direction = dx / np.maximum(norm, 1e-12)  # 0 for a zero gradient
    return LAMBDA * ((norm - 1) ** 2).mean(), 2 * LAMBDA / len(dx) * (norm - 1) * direction


def gradient_penalty(D, x, f):
    """Return P at the points x (N, 2), and ∂P/∂(W, b) of every layer of D as [(dW, db), …].

    Biases get gradients only in sweep 4, because they don't occur in sweep 2; for a ReLU critic these are zero.
    """
    # Sweep 1, forward
    logits, (hs, f1s, f2s) = forward(D, x, f)

    # Sweep 2, backward: dx = ∂(Σ logits)/∂x, without parameter gradients
    last = len(D) - 1
    das, dhs = [None] * len(D), [None] * len(D)
    das[last] = np.ones_like(logits)  # (N, 1)
    for i in range(last, -1, -1):
        dhs[i] = das[i] @ D[i][0].T  # (N, out) @ (out, in)
        if i > 0:
            das[i - 1] = dhs[i] * f1s[i - 1]
    P, ddx = penalty_of(dhs[0])

    # Sweep 3, forward: the lines of sweep 2 reversed, from ddx to ddy
    dWs, da2s = [], []
    ddh = ddx  # (N, 2)
    for i in range(len(D)):
        # dh_i = da_i @ W_i.T
        dWs.append(ddh.T @ das[i])  # (in, N) @ (N, out)
        dda = ddh @ D[i][0]  # (N, in) @ (in, out)
        # da_i = dh_(i+1) * f′(a_i): P depends on both factors
        if i < last:
            ddh = dda * f1s[i]
            da2s.append(dda * dhs[i + 1] * f2s[i])

    # Sweep 4, backward: da2 = ∂P/∂a, starting from the terms through f′(a_i), by ordinary backpropagation
    dbs = [np.zeros_like(b) for _, b in D]
    dh2 = 0
    for i in reversed(range(last)):
        # h_(i+1) = f(a_i)
        da2 = da2s[i] + dh2 * f1s[i]
        # a_i = h_i @ W_i + b_i
        dWs[i] += hs[i].T @ da2  # (in, N) @ (N, H)
        dbs[i] += da2.sum(axis=0)
        dh2 = da2 @ D[i][0].T  # (N, H) @ (H, in)
    return P, list(zip(dWs, dbs, strict=True))


def adam(network, gradients, moments, t, lr):
    """Update every W and b by one step of Adam (Kingma and Ba 2014, algorithm 1)."""
    for layer, layer_gradients, layer_moments in zip(network, gradients, moments, strict=True):
        for p, g, (m, v) in zip(layer, layer_gradients, layer_moments, strict=True):
            m += (1 - BETA1) * (g - m)
            v += (1 - BETA2) * (g * g - v)
            p -= lr * (m / (1 - BETA1**t)) / (np.sqrt(v / (1 - BETA2**t)) + EPS)


def critic_step(G, D, D_moments, t, lr, rng):
    """Update D to minimize mean D(G(z)) − mean D(x) + λ mean (‖∇D(x̂)‖ − 1)²."""
    x = real_points(N, rng)  # (N, 2)
    fake, _ = forward(G, rng.standard_normal((N, Z), dtype=np.float32), relu)  # (N, Z) → (N, 2)

    scores, cache = forward(D, np.concatenate([x, fake]), swish)  # (2N, 2) → (2N, 1)
    distance = scores[:N].mean() - scores[N:].mean()  # estimates the Wasserstein distance; the loss is −distance
    dscores = np.repeat(np.float32([[-1 / N], [1 / N]]), N, axis=0)
    _, gradients = backward(D, dscores, cache)

    epsilon = rng.random((N, 1), dtype=np.float32)  # one per pair of points
    P, penalty_gradients = gradient_penalty(D, epsilon * x + (1 - epsilon) * fake, swish)

    both = zip(gradients, penalty_gradients, strict=True)
    adam(D, [(dW + dW_P, db + db_P) for (dW, db), (dW_P, db_P) in both], D_moments, t, lr)
    return distance, P


def generator_step(G, D, G_moments, t, lr, rng):
    """Update G to minimize −mean D(G(z)), by backpropagation through D and then through G."""
    fake, G_cache = forward(G, rng.standard_normal((N, Z), dtype=np.float32), relu)  # (N, Z) → (N, 2)
    scores, D_cache = forward(D, fake, swish)  # (N, 2) → (N, 1)
    dscores = np.full_like(scores, -1 / N)
    dfake, _ = backward(D, dscores, D_cache)  # (N, 1) → (N, 2); D's own gradients aren't used
    _, gradients = backward(G, dfake, G_cache)
    adam(G, gradients, G_moments, t, lr)


def quality(points):
    """Return the number of centers with at least 1 % of the points, and the share of points within 3 STD of one."""
    distance = np.linalg.norm(points[:, None] - CENTERS, axis=2)  # (n, 25)
    good = distance.min(axis=1) < 3 * STD
    share = np.bincount(distance.argmin(axis=1)[good], minlength=25) / len(points)
    return int((share >= 0.01).sum()), float(good.mean())


def draw(points, path, side=400, extent=1.9):
    """Save a picture of real points (gray) and generated points (red)."""
    canvas = np.full((side, side, 3), 255, np.uint8)
    for some, color in ((real_points(4000, np.random.default_rng(1)), (170, 170, 170)), (points, (210, 40, 30))):
        column, row = ((some * (1, -1) + extent) * side / (2 * extent)).astype(int).clip(0, side - 2).T
        for down in (0, 1):
            for right in (0, 1):
                canvas[row + down, column + right] = color
    Image.fromarray(canvas).save(path)


def moments_of(network):
    """Return Adam's initial moments: two arrays of zeros per W and b."""
    return [[(np.zeros_like(p), np.zeros_like(p)) for p in layer] for layer in network]


def main():
    parser = argparse.ArgumentParser(description="WGAN-GP on a grid of Gaussians, with all gradients written out.")
    parser.add_argument(
        "--steps", type=int, default=4000, help="updates of G; the critic is updated 3 times before each"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-wgan-gp-by-hand"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(args.seed)
    G, D = new_network(G_SIZES, rng), new_network(D_SIZES, rng)
    G_moments, D_moments = moments_of(G), moments_of(D)
    fixed_z = rng.standard_normal((5000, Z), dtype=np.float32)

    for t in range(1, args.steps + 1):
        decay = 1 - (t - 1) / args.steps  # to 0: with a large learning rate, the points oscillate
        for k in range(CRITIC_STEPS):
            distance, P = critic_step(G, D, D_moments, CRITIC_STEPS * (t - 1) + k + 1, D_LR * decay, rng)
        generator_step(G, D, G_moments, t, G_LR * decay, rng)
        if t % max(1, args.steps // 10) == 0:
            points, _ = forward(G, fixed_z, relu)
            modes, on_target = quality(points)
            print(f"step {t:5d}  distance {distance:.3f}  P {P:.3f}  modes {modes} of 25  on target {on_target:.0%}")
            draw(points, args.out / f"grid-{t:05d}.png")
    draw(points, args.out / "grid.png")
    print(f"pictures are in {args.out}")


if __name__ == "__main__":
    main()

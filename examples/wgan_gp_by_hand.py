"""WGAN-GP written out: the gradient of a gradient penalty, in four sweeps, with NumPy alone.

Shows how a critic learns from its own slope. The penalty of WGAN-GP (Gulrajani et al. 2017) is made of the critic's
input gradient, so to train with it that gradient has to be differentiated once more: `gradient_penalty` does it, and
docs/double-backward.md derives it. The data are 25 narrow Gaussians on a 5×5 grid. Nothing of minigan is imported; the
layers of minigan compute the same gradients (tests/examples/test_examples.py compares them).

    python examples/wgan_gp_by_hand.py                  about a minute on one core
    python examples/wgan_gp_by_hand.py --steps 500      a look at the beginning

What you should see: the points are spread over the square at first, then they gather on lines that connect the
Gaussians, and the lines get thinner. After 4000 steps all 25 Gaussians are found, and 91 to 93 % of the points are
within three standard deviations of a centre (seeds 0, 1 and 2). `distance` is the critic's estimate of the Wasserstein
distance on one batch, and falls to about 0. grid.png shows real points (grey) and generated points (red). As on the
ring, the points within a Gaussian lie closer together than the real ones, and a few stay in between: G is continuous.

Both networks had to suit the task. G has ReLUs, because it must jump from one Gaussian to the next. The critic has a
smooth activation, Swish(a) = a · sigmoid(βa), so that f″ is not zero and the fourth sweep has something to carry. He's
initial weights, a G that is deeper and learns twice as fast as the critic, and steps that get smaller until the end all
helped. The authors' own script (λ = .1, 512 ReLUs a layer, five critic steps) takes 100,000 steps.

Letters: N points a batch, Z latent numbers, H hidden units; in and out are a layer's sizes. `dname` is the gradient of
the loss in `name`; `ddname` is the gradient of the penalty P in `dname`, and `dname2` what P adds to the gradient in
`name` itself. A network is a list of pairs (W, b); hidden layer i is a_i = h_i W_i + b_i, h_(i+1) = f(a_i).
"""

import argparse
import os
from pathlib import Path

# For products this small one thread is enough, and BLAS is told before it is loaded: its others wait by spinning
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image

N, Z = 128, 2
G_SIZES, D_SIZES = [Z, 128, 128, 128, 128, 2], [2, 128, 128, 128, 1]
STD = 0.05 / np.sqrt(8)
TICKS = np.arange(-2, 3) / np.sqrt(2)
CENTRES = np.stack(np.meshgrid(TICKS, TICKS), axis=-1).reshape(25, 2).astype(np.float32)
LAMBDA, CRITIC_STEPS = 0.2, 3
G_LR, D_LR = 6e-3, 3e-3
BETA1, BETA2, EPS = 0.5, 0.9, 1e-8
SHARPNESS = 2.0  # β of Swish


def real_points(n, rng):
    """Draw (n, 2): a random centre each, and a little noise."""
    return CENTRES[rng.integers(25, size=n)] + np.float32(STD) * rng.standard_normal((n, 2), dtype=np.float32)


def new_network(sizes, rng):
    """Make [(W, b), …] for layers of these sizes, with random weights that keep a signal's size through ReLUs."""
    return [
        ((rng.standard_normal((n_in, n_out)) * np.sqrt(2 / n_in)).astype(np.float32), np.zeros(n_out, np.float32))
        for n_in, n_out in zip(sizes, sizes[1:], strict=False)
    ]


def relu(a):
    """Return f(a), f′(a), f″(a)."""
    return np.maximum(a, 0), (a > 0).astype(a.dtype), np.zeros_like(a)


def swish(a):
    """Return f(a), f′(a), f″(a) of f = a · s with s = sigmoid(βa), where s′ = β s (1 − s)."""
    s = (1 + np.tanh(SHARPNESS / 2 * a)) / 2  # the sigmoid, with nothing that can overflow
    slope = SHARPNESS * s * (1 - s)  # s′
    return a * s, s + a * slope, slope * (2 + SHARPNESS * a * (1 - 2 * s))  # s″ = s′ β (1 − 2s)


def forward(network, x, f):
    """x (N, in) → y (N, out): dense and f, several times, and a dense layer. Also what the ways back need."""
    hs, f1s, f2s = [x], [], []  # the layers' inputs, and f′ and f″ at every a
    for W, b in network[:-1]:
        h, f1, f2 = f(hs[-1] @ W + b)  # (N, in) @ (in, H)
        hs.append(h)
        f1s.append(f1)
        f2s.append(f2)
    W, b = network[-1]
    return hs[-1] @ W + b, (hs, f1s, f2s)  # (N, H) @ (H, out)


def backward(network, dy, cache):
    """The lines of `forward` from the last to the first: dy (N, out) → dx (N, in), and [(dW, db), …]."""
    hs, f1s, _ = cache
    gradients, da = [], dy
    for i in reversed(range(len(network))):
        # a = h @ W + b
        gradients.append((hs[i].T @ da, da.sum(axis=0)))  # (in, N) @ (N, out)
        dh = da @ network[i][0].T  # (N, out) @ (out, in)
        # h = f(a), of the layer below
        da = dh * f1s[i - 1] if i > 0 else None
    return dh, gradients[::-1]


def penalty_of(dx):
    """P = λ mean (‖dx‖ − 1)² of the slopes dx (N, 2), one per sample, and ddx = ∂P/∂(dx)."""
    norm = np.sqrt((dx * dx).sum(axis=1, keepdims=True))  # (N, 1)
    direction = dx / np.maximum(norm, 1e-12)  # a slope of zero points nowhere
    return LAMBDA * ((norm - 1) ** 2).mean(), 2 * LAMBDA / len(dx) * (norm - 1) * direction


def gradient_penalty(D, x, f):
    """P at the points x (N, 2), and ∂P/∂(W, b) of every layer of D: [(dW, db), …].

    No bias occurs in sweep two, so what the biases get, they get in sweep four: it is zero for a ReLU critic.
    """
    # Sweep one, up: the forward pass
    logits, (hs, f1s, f2s) = forward(D, x, f)

    # Sweep two, down: the input gradient ∂(Σ logits)/∂x. The weights are given: nothing is learned yet
    last = len(D) - 1
    das, dhs = [None] * len(D), [None] * len(D)
    das[last] = np.ones_like(logits)  # (N, 1)
    for i in range(last, -1, -1):
        dhs[i] = das[i] @ D[i][0].T  # (N, out) @ (out, in)
        if i > 0:
            das[i - 1] = dhs[i] * f1s[i - 1]
    P, ddx = penalty_of(dhs[0])

    # Sweep three, up: sweep two backwards, from ddx on
    dWs, da2s = [], []
    ddh = ddx  # (N, 2)
    for i in range(len(D)):
        # dh_i = da_i @ W_i.T
        dWs.append(ddh.T @ das[i])  # (in, N) @ (N, out)
        dda = ddh @ D[i][0]  # (N, in) @ (in, out)
        # da_i = dh_(i+1) * f′(a_i): two factors, and P reaches both
        if i < last:
            ddh = dda * f1s[i]
            da2s.append(dda * dhs[i + 1] * f2s[i])

    # Sweep four, down: each da2 is what P adds to the gradient at an a, and from there it is ordinary backward
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
    """Move every W and b by one step of Adam (Kingma and Ba 2014, algorithm 1)."""
    for layer, layer_gradients, layer_moments in zip(network, gradients, moments, strict=True):
        for p, g, (m, v) in zip(layer, layer_gradients, layer_moments, strict=True):
            m += (1 - BETA1) * (g - m)
            v += (1 - BETA2) * (g * g - v)
            p -= lr * (m / (1 - BETA1**t)) / (np.sqrt(v / (1 - BETA2**t)) + EPS)


def critic_step(G, D, D_moments, t, lr, rng):
    """D learns: scores of real points up, of generated points down, and its slope between them towards 1."""
    x = real_points(N, rng)
    fake, _ = forward(G, rng.standard_normal((N, Z), dtype=np.float32), relu)

    scores, cache = forward(D, np.concatenate([x, fake]), swish)  # (2N, 2) → (2N, 1)
    distance = scores[:N].mean() - scores[N:].mean()  # estimates the Wasserstein distance; the loss is −distance
    dscores = np.repeat(np.float32([[-1 / N], [1 / N]]), N, axis=0)
    _, gradients = backward(D, dscores, cache)

    epsilon = rng.random((N, 1), dtype=np.float32)  # one for each pair
    P, penalty_gradients = gradient_penalty(D, epsilon * x + (1 - epsilon) * fake, swish)

    both = zip(gradients, penalty_gradients, strict=True)
    adam(D, [(dW + dW_P, db + db_P) for (dW, db), (dW_P, db_P) in both], D_moments, t, lr)
    return distance, P


def generator_step(G, D, G_moments, t, lr, rng):
    """G learns: scores of generated points up. The gradient goes down through D, and then down through G."""
    fake, G_cache = forward(G, rng.standard_normal((N, Z), dtype=np.float32), relu)  # (N, Z) → (N, 2)
    scores, D_cache = forward(D, fake, swish)  # (N, 2) → (N, 1)
    dscores = np.full_like(scores, -1 / N)
    dfake, _ = backward(D, dscores, D_cache)  # (N, 1) → (N, 2); D's own gradients are thrown away
    _, gradients = backward(G, dfake, G_cache)
    adam(G, gradients, G_moments, t, lr)


def quality(points):
    """Return (how many centres get at least 1 % of the points, the share of points within 3 STD of a centre)."""
    distance = np.linalg.norm(points[:, None] - CENTRES, axis=2)  # (n, 25)
    good = distance.min(axis=1) < 3 * STD
    share = np.bincount(distance.argmin(axis=1)[good], minlength=25) / len(points)
    return int((share >= 0.01).sum()), float(good.mean())


def draw(points, path, side=400, extent=1.9):
    """Write a picture of real points (grey) and generated ones (red)."""
    canvas = np.full((side, side, 3), 255, np.uint8)
    for some, colour in ((real_points(4000, np.random.default_rng(1)), (170, 170, 170)), (points, (210, 40, 30))):
        column, row = ((some * (1, -1) + extent) * side / (2 * extent)).astype(int).clip(0, side - 2).T
        for down in (0, 1):
            for right in (0, 1):
                canvas[row + down, column + right] = colour
    Image.fromarray(canvas).save(path)


def moments_of(network):
    """Two vectors of zeros for every W and b, for Adam."""
    return [[(np.zeros_like(p), np.zeros_like(p)) for p in layer] for layer in network]


def main():
    parser = argparse.ArgumentParser(description="WGAN-GP on a grid of Gaussians, with all gradients written out.")
    parser.add_argument("--steps", type=int, default=4000, help="steps of G; the critic makes 3 before each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-wgan-gp-by-hand"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(args.seed)
    G, D = new_network(G_SIZES, rng), new_network(D_SIZES, rng)
    G_moments, D_moments = moments_of(G), moments_of(D)
    watched = rng.standard_normal((5000, Z), dtype=np.float32)

    for t in range(1, args.steps + 1):
        decay = 1 - (t - 1) / args.steps  # falls to 0: while the steps are large, the points circle
        for k in range(CRITIC_STEPS):
            distance, P = critic_step(G, D, D_moments, CRITIC_STEPS * (t - 1) + k + 1, D_LR * decay, rng)
        generator_step(G, D, G_moments, t, G_LR * decay, rng)
        if t % max(1, args.steps // 10) == 0:
            points, _ = forward(G, watched, relu)
            modes, on_target = quality(points)
            print(f"step {t:5d}  distance {distance:.3f}  P {P:.3f}  modes {modes} of 25  on target {on_target:.0%}")
            draw(points, args.out / f"grid-{t:05d}.png")
    draw(points, args.out / "grid.png")
    print(f"pictures are in {args.out}")


if __name__ == "__main__":
    main()

"""Draw why the mean of all possible pictures is blurred, and where three losses push it.

    python docs/pictures/blurred_means.py

Possible originals t have an edge and stripes of 2⅔ pixels, whose place is unknown: shrunk by 4, all of them are almost
the same low picture. Writes blurred-means.png next to this file: above, the low picture, three originals, their mean
and their median; below, a result y with faint stripes, and the directions in which squared error, a content loss and a
critic push it. Prints the cosine between each direction and the stripes of y: 1 makes them stronger, −1 weaker. Takes
about ten seconds.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.layers import AvgPool2D, Conv2D, Dense, Flatten, LeakyReLU, ReLU, Sequential
from minigan.layers.bicubic import enlarged, shrunk
from minigan.losses import Minimax, l2
from minigan.optim import Adam

HERE = Path(__file__).parent
SIZE, SHRINK, WAVE, STEPS, BATCH = 32, 4, 8 / 3, 300, 16
SCALE, GAP, TOP = 4, 8, 22  # pixels
INK, PAPER = (40, 40, 45), (255, 255, 255)


def stripes(phase):
    """Return stripes (N, SIZE, SIZE, 1) of amplitude 1 in the right half, weaker at its ends; `phase` in radians."""
    u = np.arange(SIZE)
    inside = np.sin(np.pi * np.clip((u - SIZE / 2 + 0.5) / (SIZE / 2), 0, 1)) ** 0.5
    wave = np.sin(2 * np.pi * (u + 0.5) / WAVE + np.asarray(phase)[:, None]) * inside  # (N, SIZE)
    return np.broadcast_to(wave[:, None, :, None], (len(wave), SIZE, SIZE, 1)).astype(np.float32)


def originals(phase):
    """Return possible originals (N, SIZE, SIZE, 1): a dark and a light half, and stripes in the light one."""
    edge = np.where(np.arange(SIZE) < SIZE // 2, -0.6, 0.2).astype(np.float32)
    return edge[None, None, :, None] + 0.5 * stripes(phase)


def content_network():
    """Return φ: how strong stripes of four phases are, on average over 8 × 8 pixels. (N, 32, 32, 1) → (N, 4, 4, 4)."""
    conv = Conv2D(1, 4, 8, padding=0, bias=False, rng=np.random.default_rng(0))
    u = np.arange(8)
    for k in range(4):
        conv.W[:, :, 0, k] = np.sin(2 * np.pi * u / WAVE + k * np.pi / 2) / 64
    return Sequential(conv, ReLU(), AvgPool2D(6, 6))


def trained_critic(rng):
    """Return a critic that tells originals from smooth results, after STEPS steps."""
    D = Sequential(
        *(Conv2D(1, 8, 5, stride=2, padding=2, rng=rng), LeakyReLU(0.2)),
        *(Conv2D(8, 8, 5, stride=2, padding=2, rng=rng), LeakyReLU(0.2), Flatten(), Dense(8 * 64, 1, rng=rng)),
    )
    optimizer, loss = Adam(D.parameters(), 1e-3), Minimax()
    for _ in range(STEPS):
        phase, weak = rng.uniform(0, 2 * np.pi, (2, BATCH)), rng.uniform(0, 0.5, (BATCH, 1, 1, 1)).astype(np.float32)
        fake = originals(phase[1]) - (1 - weak) * 0.5 * stripes(phase[1])
        optimizer.zero_grad()
        for pictures, objective in ((originals(phase[0]), loss.real), (fake, loss.fake)):
            logits, cache = D.forward(pictures)
            D.backward(objective(logits)[1], cache, wrt="params")
        optimizer.step()
    return D


def directions(y, t):
    """Return −∂loss/∂y (1, SIZE, SIZE, 1) at a result y for L2, content loss and critic; t: all originals."""
    phi, D = content_network(), trained_critic(np.random.default_rng(0))
    pixels = l2(np.repeat(y, len(t), axis=0), t)[1].sum(axis=0, keepdims=True)
    found, cache = phi.forward(np.repeat(y, len(t), axis=0), train=False)
    content = phi.backward(l2(found, phi.output(t, train=False))[1], cache, wrt="input").sum(axis=0, keepdims=True)
    logits, cache = D.forward(y)
    critic = D.backward(Minimax().generator(logits)[1], cache, wrt="input")
    return {"L2": -pixels, "content loss": -content, "a critic": -critic}


def draw(rows):
    """Save rows of pictures {title: (SIZE, SIZE)} in [−1, 1]."""
    side = SIZE * SCALE
    width = max(map(len, rows)) * (side + GAP) + GAP
    canvas = Image.new("RGB", (width, len(rows) * (side + TOP + GAP)), PAPER)
    for i, row in enumerate(rows):
        for j, (title, picture) in enumerate(row.items()):
            left, top = GAP + j * (side + GAP), i * (side + TOP + GAP)
            ImageDraw.Draw(canvas).text((left, top + 5), title, INK, ImageFont.load_default(12))
            levels = np.rint(127.5 * (np.clip(picture, -1, 1) + 1)).astype(np.uint8)
            canvas.paste(Image.fromarray(levels).resize((side, side), 0), (left, top + TOP))
    canvas.save(HERE / "blurred-means.png", optimize=True)


def main():
    """Compute, print and draw."""
    phases = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    t = originals(phases)
    low = shrunk(t, SHRINK)
    print(f"low pictures differ by {np.ptp(low, axis=0).max():.3f}, originals by {np.ptp(t, axis=0).max():.3f}")
    faint = stripes([0.7])
    y = t.mean(axis=0, keepdims=True) + 0.1 * faint
    pushed = directions(y, t)
    for name, d in pushed.items():
        print(f"{name:14} {float((d * faint).sum() / np.sqrt((d * d).sum() * (faint * faint).sum())):+.2f}")
    above = {"low (enlarged)": enlarged(low[:1], SHRINK)[0], "possible": t[0], "possible ": t[21], "possible  ": t[42]}
    above |= {"mean: least L2": t.mean(axis=0), "median: least L1": np.median(t, axis=0)}
    below = {"a result y": y[0]} | {f"pushed by {name}": d[0] / abs(d).max() for name, d in pushed.items()}
    draw([{title: x[..., 0] for title, x in row.items()} for row in (above, below)])


if __name__ == "__main__":
    main()

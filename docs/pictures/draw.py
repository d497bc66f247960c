"""Draw the pictures of the documentation: `python docs/pictures/draw.py`."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.layers import ConvTranspose2D
from minigan.losses import LeastSquares, Minimax, Wasserstein

HERE = Path(__file__).parent
SMOOTH = 3  # drawn at three times the size and reduced, for smooth edges
INK, FAINT, PAPER = (40, 40, 45), (215, 215, 220), (255, 255, 255)
COLORS = [(200, 60, 45), (35, 105, 180), (60, 145, 80), (140, 90, 170)]


class Sheet:
    """A canvas with coordinates in final pixels."""

    def __init__(self, width, height):
        self.image = Image.new("RGB", (width * SMOOTH, height * SMOOTH), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def line(self, points, color, width=1.0):
        """Draw a polyline through [(x, y), …]."""
        self.draw.line([(x * SMOOTH, y * SMOOTH) for x, y in points], color, round(width * SMOOTH), "curve")

    def box(self, x, y, w, h, fill, outline=None):
        """Draw a filled rectangle."""
        self.draw.rectangle([v * SMOOTH for v in (x, y, x + w, y + h)], fill, outline, SMOOTH)

    def text(self, x, y, text, color=INK, size=14, anchor="mm"):
        """Draw a line of text; `anchor` as in Pillow."""
        font = ImageFont.load_default(size * SMOOTH)
        self.draw.text((x * SMOOTH, y * SMOOTH), text, color, font, anchor)

    def save(self, name):
        """Write HERE/name."""
        size = (self.image.width // SMOOTH, self.image.height // SMOOTH)
        self.image.resize(size, Image.Resampling.LANCZOS).save(HERE / name, optimize=True)


def arrow(sheet, x, y, length, color):
    """Draw a horizontal arrow from (x, y), or a dot if the length is less than 3 pixels."""
    if abs(length) < 3:
        sheet.box(x - 1, y - 1, 2, 2, color)
        return
    neck = x + length - np.sign(length) * min(5, abs(length))
    sheet.line([(x, y), (x + length, y)], color, 1.6)
    sheet.line([(neck, y - 3), (x + length, y), (neck, y + 3)], color, 1.6)


def axes(sheet, left, top, width, height, x_range, y_range, title):
    """Draw a frame with ticks. Returns a function from (x, y) to coordinates on the sheet."""

    def place(x, y):
        across = (x - x_range[0]) / (x_range[1] - x_range[0])
        up = (y - y_range[0]) / (y_range[1] - y_range[0])
        return left + across * width, top + (1 - up) * height

    for x in range(x_range[0], x_range[1] + 1, 2):
        sheet.line([place(x, y_range[0]), place(x, y_range[1])], INK if x == 0 else FAINT, 1)
        sheet.text(place(x, 0)[0], top + height + 13, str(x), size=13)
    for y in range(y_range[0], y_range[1] + 1):
        sheet.line([place(x_range[0], y), place(x_range[1], y)], INK if y == 0 else FAINT, 1)
        sheet.text(left - 8, place(0, y)[1], str(y), size=13, anchor="rm")
    sheet.text(left + width / 2, top - 20, title, size=16)
    sheet.text(left + width / 2, top + height + 33, "logit of a fake", size=14)
    return place


def curve(sheet, place, xs, ys, y_range, color):
    """Draw y over x, clipped at the frame."""
    runs, run = [], []
    for x, y in zip(xs, ys, strict=True):
        if y_range[0] <= y <= y_range[1]:
            run.append(place(x, y))
        elif run:
            runs.append(run)
            run = []
    for points in [*runs, run]:
        if len(points) > 1:
            sheet.line(points, color, 2.4)


def draw_losses():
    """Draw the generator's losses and their gradients as functions of the logit."""
    sheet = Sheet(920, 420)
    curves = {
        "saturating": Minimax(saturating=True),
        "non-saturating": Minimax(),
        "least squares": LeastSquares(),
        "Wasserstein, hinge": Wasserstein(),
    }
    xs = np.linspace(-6, 6, 601)
    for k, title in enumerate(("loss of G", "gradient of the loss")):
        y_range = (-6, 6) if k == 0 else (-4, 3)
        place = axes(sheet, 55 + 455 * k, 45, 390, 280, (-6, 6), y_range, title)
        for (_, loss), color in zip(curves.items(), COLORS, strict=True):
            ys = [float(np.ravel(loss.generator(np.array([x]))[k])[0]) for x in xs]
            curve(sheet, place, xs, ys, y_range, color)
    for i, (name, color) in enumerate(zip(curves, COLORS, strict=True)):
        x = 110 + 200 * i
        sheet.line([(x, 398), (x + 26, 398)], color, 3)
        sheet.text(x + 34, 398, name, size=14, anchor="lm")
    sheet.save("losses.png")


def draw_stamps():
    """Draw the number of overlapping stamps per output pixel, for 3×3 and 4×4 kernels with stride 2."""
    sheet, cell = Sheet(700, 360), 27
    for k, (kernel, title) in enumerate(((3, "kernel 3, stride 2"), (4, "kernel 4, stride 2"))):
        layer = ConvTranspose2D(1, 1, kernel, stride=2, padding=1, bias=False)
        layer.W[...] = 1
        counts = layer.forward(np.ones((1, 5, 5, 1), np.float32))[0][0, :, :, 0].astype(int)
        left, top = 60 + 340 * k - 5 * k, 60
        sheet.text(left + len(counts) * cell / 2, 32, title, size=17)
        for i, row in enumerate(counts):
            for j, count in enumerate(row):
                shade = tuple(round(255 - (255 - c) * count / 5) for c in COLORS[1])
                sheet.box(left + j * cell, top + i * cell, cell, cell, shade, PAPER)
                ink = PAPER if count > 2 else INK
                sheet.text(left + (j + 0.5) * cell, top + (i + 0.5) * cell, str(count), ink, 14)
    sheet.save("stamps.png")


def page(name):
    """Run the Python blocks of a page and return their namespace."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (HERE.parent / name).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    defined = {"__name__": name}
    with contextlib.redirect_stdout(io.StringIO()):
        exec("\n".join(blocks), defined)
    return defined


def draw_objectives(distance=3):
    """Draw D(x), as trained in docs/objectives.md with each objective, and the negative gradients of three fakes."""
    on_page = page("objectives.md")
    sheet, width, height = Sheet(980, 450), 205, 105
    (real, fake), xs = on_page["samples"](distance), np.linspace(-4, 4, 401)[:, None]
    for i, (name, (loss, _)) in enumerate(on_page["OBJECTIVES"].items()):
        D = on_page["critics"][name][distance]
        left, top = 35 + 240 * (i % 4), 48 + 215 * (i // 4)
        ys = D.forward(xs, train=False)[0]
        low, high = float(ys.min()), float(ys.max())
        pulls = on_page["pull"](D, loss, fake)[:, 0]

        def place(x, y, left=left, top=top, low=low, high=high):
            return left + (x + 4) / 8 * width, top + 6 + (high - y) / (high - low) * (height - 12)

        sheet.text(left + width / 2, top - 20, name.replace("γ", "gamma"), size=14)  # Pillow's font has no γ
        sheet.box(left, top, width, height, PAPER, FAINT)
        for y in (low, high):
            label = f"{y:.0f}" if high > 9 else f"{round(y, 1) + 0.0:.1f}"
            sheet.text(left - 4, place(0, y)[1], label, size=11, anchor="rm")
        sheet.line([place(x, y) for x, y in zip(xs[:, 0], ys[:, 0], strict=True)], INK, 2)
        sheet.text(left + 9, top + 16, f"pull {pulls.mean():.2f}", COLORS[0], 13, "lm")
        below = top + height + 8
        for samples, color in ((real, COLORS[1]), (fake, COLORS[0])):
            for x in samples[:, 0]:
                sheet.line([(place(x, 0)[0], below), (place(x, 0)[0], below + 12)], color, 1)
        for row, k in enumerate((3, 16, 28)):
            arrow(sheet, place(fake[k, 0], 0)[0], below + 20 + 9 * row, pulls[k] * width / 16, COLORS[0])
    sheet.save("objectives.png")


if __name__ == "__main__":
    draw_losses()
    draw_stamps()
    draw_objectives()

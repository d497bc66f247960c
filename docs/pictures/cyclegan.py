"""Draw the gradients of one step of CycleGAN: `python docs/pictures/cyclegan.py` writes cyclegan.svg.

Gray: forward. Red: backward. A crossed end: the gradient is not computed, or not used. Needs only Python.
"""

from pathlib import Path

HERE = Path(__file__).parent
GRAY, RED, INK = "#777", "#c0392b", "#222"
TRAINED, PASSED, DATA = ("#e3f1e3", "#3b7d3b"), ("#f4f1ea", "#8a7440"), ("#fff", "#999")  # fill and outline
WIDTH, HEIGHT, APART = 860, 560, 5  # APART: pixels between an arrow and its gradient


def text(x, y, words, color=INK, size=13, anchor="middle", weight="normal"):
    """Words at a place."""
    return (
        f'<text x="{x}" y="{y}" fill="{color}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{words}</text>"
    )


def box(x, y, words, kind, below="", width=76):
    """A network or a loss; with round ends, an array. `below` is written under it."""
    fill, outline = kind
    corner = 4 if kind is not DATA else 15
    lines = [
        f'<rect x="{x - width / 2}" y="{y - 16}" width="{width}" height="32" rx="{corner}" fill="{fill}" '
        f'stroke="{outline}"/>',
        text(x, y + 5, words, weight="bold" if kind is not DATA else "normal"),
    ]
    return [*lines, text(x, y + 32, below, outline, 12)] if below else lines


def line(a, b, color, head):
    """An arrow from a to b."""
    (x, y), (u, v) = a, b
    return f'<path d="M{x} {y}L{u} {v}" stroke="{color}" stroke-width="1.6" marker-end="url(#{head})"/>'


def both(a, b, label="", stopped=False):
    """A forward arrow from a to b, and its gradient beside it."""
    (x, y), (u, v) = a, b
    dx, dy = (0, APART) if y == v else (APART, 0)
    lines = [
        line((x - dx, y - dy), (u - dx, v - dy), GRAY, "gray"),
        line((u + dx, v + dy), (x + dx, y + dy), RED, "stop" if stopped else "red"),
    ]
    place = ((x + u) / 2, y + 20, "middle") if y == v else (x + 12, (y + v) / 2 + 4, "start")
    return [*lines, text(place[0], place[1], label, RED, 12, place[2])] if label else lines


def generators():
    """The step of the generators, for a picture a."""
    y, below = 76, 186
    return [
        text(20, 26, "The generators, on a picture a of the first set", anchor="start", weight="bold", size=15),
        *box(60, y, "a", DATA, "data"),
        *both((98, y), (152, y), stopped=True),
        *box(190, y, "AB", TRAINED, "dW +="),
        *both((228, y), (292, y), "sum"),
        *box(330, y, "AB(a)", DATA),
        *both((368, y), (442, y), "dy, cycle"),
        *box(480, y, "BA", TRAINED, "dW +="),
        *both((518, y), (572, y)),
        *box(622, y, "BA(AB(a))", DATA, width=96),
        *both((670, y), (730, y), "± λ/M"),
        *box(790, y, "cycle loss", PASSED, "target a: data", width=110),
        *both((330, y + 16), (330, below - 16), "dy, adversarial"),
        *box(330, below, "DB", PASSED, "no dW: not trained here"),
        *both((368, below), (442, below)),
        *box(480, below, "logits", DATA),
        *both((518, below), (730, below), "2 (l − 1)/M"),
        *box(790, below, "adversarial", PASSED, width=110),
        *box(330, 280, "a", DATA, "data"),
        *both((368, 280), (442, 280), stopped=True),
        *box(480, 280, "BA", TRAINED, "dW +="),
        *both((518, 280), (572, 280)),
        *box(622, 280, "BA(a)", DATA, width=96),
        *both((670, 280), (730, 280), "± λ/2M"),
        *box(790, 280, "identity loss", PASSED, "target a: data", width=110),
    ]


def critics():
    """The step of a critic."""
    real, fake = 390, 480
    lines = [
        f'<path d="M20 334H{WIDTH - 20}" stroke="#ccc" stroke-dasharray="6 5"/>',
        text(20, 360, "The critic of b, afterwards", anchor="start", weight="bold", size=15),
        *box(190, fake, "AB(a)", DATA),
        line((228, fake), (292, fake), GRAY, "gray"),
        *box(330, fake, "pool", PASSED, "arrays, no caches"),
        *box(330, real, "b", DATA, "data"),
    ]
    for y, loss, gradient in ((real, "½ (l − 1)²", "(l − 1)/M"), (fake, "½ l²", "l/M")):
        lines += [
            *both((368, y), (442, y), stopped=True),
            *box(480, y, "DB", TRAINED, "dW +="),
            *both((518, y), (572, y)),
            *box(622, y, "logits", DATA, width=96),
            *both((670, y), (730, y), gradient),
            *box(790, y, loss, PASSED, width=110),
        ]
    legend = "gray: forward · red: backward · bar: the gradient ends here · green: adds to its gradients"
    return [*lines, text(20, HEIGHT - 14, legend, "#555", 12, "start")]


def marker(name, path, color):
    """The head of an arrow."""
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="{path}" fill="{color}" stroke="{color}"/></marker>'
    )


def draw():
    """The picture, as SVG."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" fill="none">',
        marker("gray", "M0 1 7 4 0 7z", GRAY),
        marker("red", "M0 1 7 4 0 7z", RED),
        marker("stop", "M5 0V8M7 0V8", RED),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        *generators(),
        *critics(),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "cyclegan.svg").write_text(draw(), encoding="utf-8")

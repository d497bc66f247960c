"""Draw which part of the package imports which: `python docs/pictures/imports.py` writes imports.svg.

The arrows are read from the source. One that follows from others is left out: where A imports B and B imports C, there
is no arrow from A to C. Needs nothing but the source of minigan.
"""

import ast
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "minigan"

# The parts, from the top row to the bottom row, each with its place from left (0) to right (4)
WORKSHOP = (
    {"commands": 2},
    {"selftest": 3},
    {"apply": 1, "bench": 2},
    {"training": 1},
    {"metrics": 2, "testing": 3.4},
    {"data": 2},
    {"common": 2.7},
)
ENGINE = (
    {"models": 1},
    {"translators": 0, "autoencoders": 1},
    {"gans": 1.6},
    {"model": 2, "options": 3.4},
    {"losses": 0, "penalties": 1, "optim": 2},
    {"layers": 1},
    {"kernels": 1},
    {"threads": 0.4, "backend": 1.6},
    {"errors": 1.6},
)
STEP_X, STEP_Y, WIDTH, HEIGHT, MARGIN = 130, 58, 96, 28, 24  # pixels
COLORS = {True: ("#e8f0fb", "#2a5ea8"), False: ("#f4f1ea", "#8a7440")}  # fill and outline, of the engine and the rest


def imports():
    """{part: the parts that its files import}, those in functions included."""
    found = {part: set() for row in (*WORKSHOP, *ENGINE) for part in row}
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom) and node.module == "minigan":
                modules = [f"minigan.{alias.name}" for alias in node.names]
            for module in modules:
                other = module.removeprefix("minigan.").partition(".")[0]
                if module.startswith("minigan.") and part in found and other in found and other != part:
                    found[part].add(other)
    return found


def without_detours(graph):
    """The arrows that don't follow from others, as pairs."""

    def reached(part):
        return graph[part].union(*(reached(other) for other in graph[part]))

    return sorted((a, b) for a in graph for b in graph[a] if not any(b in reached(c) for c in graph[a] - {b}))


def draw():
    """The picture, as SVG."""
    gap = len(WORKSHOP)
    rows = [*WORKSHOP, *ENGINE]
    place = {
        part: (MARGIN + x * STEP_X + WIDTH / 2, MARGIN + y * STEP_Y + (STEP_Y / 2 if y >= gap else 0))
        for y, row in enumerate(rows)
        for part, x in row.items()
    }
    width, height = round(2 * MARGIN + 3.4 * STEP_X + WIDTH + 90), round(2 * MARGIN + len(rows) * STEP_Y)
    border = MARGIN + gap * STEP_Y - 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="14" text-anchor="middle">',
        '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#555"/></marker>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<path d="M0 {border}H{width}" stroke="#bbb" stroke-dasharray="6 5"/>',
        f'<text x="{width - 55}" y="{border - 14}" fill="{COLORS[False][1]}">workshop</text>',
        f'<text x="{width - 55}" y="{border + 24}" fill="{COLORS[True][1]}">engine</text>',
    ]
    for a, b in without_detours(imports()):
        (x1, y1), (x2, y2) = place[a], place[b]
        lines.append(f'<path d="M{x1:.0f} {y1 + HEIGHT:.0f}L{x2:.0f} {y2:.0f}" stroke="#555" marker-end="url(#head)"/>')
    for y, row in enumerate(rows):
        for part in row:
            (x, top), (fill, ink) = place[part], COLORS[y >= gap]
            box = f'x="{x - WIDTH / 2:.0f}" y="{top:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="5"'
            lines.append(f'<rect {box} fill="{fill}" stroke="{ink}"/>')
            lines.append(f'<text x="{x:.0f}" y="{top + 19:.0f}" fill="#222">{part}</text>')
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    (HERE / "imports.svg").write_text(draw(), encoding="utf-8")

"""Arrange the last pictures of several runs on one sheet, with their models' names, and print the runs as a table.

    python docs/pictures/sheet.py mnist.png runs/gan-mnist runs/dcgan-mnist …

The Markdown table for docs/results.md has the command, the steps and, for points, the final number of modes and share
of good samples.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from minigan.training import RunFolder

HERE = Path(__file__).parent
COLUMNS, PANEL, TITLE, GAP = 4, 300, 22, 10  # pixels
INK, PAPER = (40, 40, 45), (255, 255, 255)


def panel(path, title):
    """Return the picture, reduced to a panel, with a title."""
    with Image.open(path) as image:
        image = image.convert("RGB")
        image.thumbnail((PANEL, PANEL), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (PANEL, PANEL + TITLE), PAPER)
    ImageDraw.Draw(canvas).text((PANEL / 2, TITLE / 2), title, INK, ImageFont.load_default(15), "mm")
    canvas.paste(image, ((PANEL - image.width) // 2, TITLE))
    return canvas


def sheet(folders, columns=COLUMNS):
    """Return one picture of all panels, row by row."""
    panels = [panel(folder.pictures("samples")[-1], folder.config().model) for folder in folders]
    rows = -(-len(panels) // columns)
    width = min(columns, len(panels)) * (PANEL + GAP) + GAP
    canvas = Image.new("RGB", (width, rows * (PANEL + TITLE + GAP) + GAP), PAPER)
    for i, one in enumerate(panels):
        canvas.paste(one, (GAP + i % columns * (PANEL + GAP), GAP + i // columns * (PANEL + TITLE + GAP)))
    return canvas


def row(folder):
    """Return a row of the table."""
    config, last = folder.config(), folder.records.read()[-1]
    cells = [f"`{config.model}`", f"`{config.command}`", f"{last['step']:,}", f"{last['seconds'] / 60:.1f} min"]
    if "modes" in last:
        cells += [str(last["modes"]), f"{last['quality']:.1%}"]
    return f"| {' | '.join(cells)} |"


def main():
    """Save the sheet next to this file and print the table."""
    name, *paths = sys.argv[1:]
    folders = [RunFolder(path) for path in paths]
    sheet(folders).quantize(128, dither=Image.Dither.NONE).save(HERE / name, optimize=True)
    print("\n".join(map(row, folders)))


if __name__ == "__main__":
    main()

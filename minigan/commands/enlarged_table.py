"""Tables of enlarged pictures: scores beside those of bicubic enlargement, as text, as files, and as pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from minigan.apply.picture import to_gray
from minigan.metrics import protocol_scores
from minigan.model import Exhibit
from minigan.training.files import write_text
from minigan.training.pictures import draw_exhibit, save_image

SCORES = ("psnr", "ssim", "detail")
MOST_ROWS = 40  # printed
SHOWN, SIDE = 6, 192  # rows of a table of pictures, and pixels of a side


@dataclass
class Table:
    """The scores of each picture, and those of its bicubic enlargement. `exhibit` has some pictures."""

    scale: int
    names: list[str] = field(default_factory=list)
    result: list[dict[str, float]] = field(default_factory=list)
    bicubic: list[dict[str, float]] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)

    def add(self, name: str, result: np.ndarray, original: np.ndarray, low: np.ndarray, plain: np.ndarray) -> None:
        """Score a result and the bicubic enlargement of the low picture, all bytes."""
        self.names.append(name)
        self.result.append(protocol_scores(result, original, self.scale))
        self.bicubic.append(protocol_scores(plain, original, self.scale))
        if len(self.names) <= SHOWN:
            large = low.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            self.pictures += [center(x) for x in (large, plain, result, original)]

    def means(self) -> dict[str, dict[str, float]]:
        """Return {"result": scores, "bicubic": scores}: means over the pictures, in which −∞ and NaN don't count."""
        return {"result": _mean(self.result), "bicubic": _mean(self.bicubic)}

    def rows(self) -> list[dict[str, Any]]:
        """Return {"picture", score, …, "bicubic_" + score, …} for each picture; None for what isn't finite."""
        found = []
        for name, result, plain in zip(self.names, self.result, self.bicubic, strict=True):
            row = result | {f"bicubic_{key}": value for key, value in plain.items()}
            found.append({"picture": name} | {key: value if isfinite(value) else None for key, value in row.items()})
        return found

    def about(self) -> str:
        """Say how it was measured."""
        s = self.scale
        return (
            f"sr: luminance from 16 to 235, rounded, of one channel its own values; {s} pixel{'s' * (s > 1)} cut at "
            f"each side, sizes cut to multiples of {s}; low pictures are bicubic, antialiased"
        )

    def found(self, source: str, described: str) -> dict[str, Any]:
        """Return everything, for JSON: None for what isn't finite."""
        means = {side: {k: v if isfinite(v) else None for k, v in one.items()} for side, one in self.means().items()}
        about = {"source": source, "pictures": described, "protocol": self.about(), "scale": self.scale}
        return about | {"n": len(self.names), "mean": means, "rows": self.rows()}

    def exhibit(self) -> Exhibit:
        """Return a row for each of some pictures, cut to a common size."""
        height, width = (min(x.shape[axis] for x in self.pictures) for axis in (0, 1))
        samples = np.stack([x[:height, :width] for x in self.pictures]).astype(np.float32) / 127.5 - 1
        return Exhibit(samples, 4, captions=("low", "bicubic", "result", "original"))


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Return bytes (H, W, channels): the luminance of colors, or gray three times."""
    if pixels.shape[2] == channels:
        return pixels
    return to_gray(pixels) if channels == 1 else pixels.repeat(3, axis=2)


def center(pixels: np.ndarray) -> np.ndarray:
    """Return the center of a picture, at most SIDE × SIDE, as (h, w, 3)."""
    H, W = pixels.shape[:2]
    top, left = max(0, H - SIDE) // 2, max(0, W - SIDE) // 2
    return with_channels(pixels[top : top + SIDE, left : left + SIDE], 3)


def _mean(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the means of all that is finite; the PSNR of a set with equal pictures is infinite."""
    found = {}
    for name in SCORES:
        values = [one[name] for one in scores if isfinite(one[name]) or (name == "psnr" and one[name] == inf)]
        found[name] = float(np.mean(values)) if values else float("nan")
    return found


def print_table(found: dict[str, Any], table: Table, what: str, as_json: bool) -> None:
    """Print the answer, as a table or as JSON."""
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(
        f"{what:10}  {found['source']}, ×{table.scale}\noriginals   {found['pictures']}\nprotocol    {table.about()}\n"
    )
    width = max(24, *(len(name) for name in table.names[:MOST_ROWS])) + 2
    print(f"{'':{width}}{'bicubic':>26}{'result':>30}")
    print(f"{'':{width}}" + 2 * (f"{'PSNR':>12}" + f"{'SSIM':>9}" + f"{'detail':>9}"))
    for name, plain, result in list(zip(table.names, table.bicubic, table.result, strict=True))[:MOST_ROWS]:
        print(f"{name:{width}}{_cells(plain)}{_cells(result)}")
    if len(table.names) > MOST_ROWS:
        print(f"… and {len(table.names) - MOST_ROWS:,} others")
    means = table.means()
    print(f"{'mean':{width}}{_cells(means['bicubic'])}{_cells(means['result'])}")
    print(f"\nPSNR in dB, {means['result']['psnr'] - means['bicubic']['psnr']:+.2f} beside bicubic")
    print("detail: power between ¼ and ½ cycle per pixel beside the original's, in dB; below 0 is too smooth")


def _cells(scores: dict[str, float]) -> str:
    return f"{scores['psnr']:12.2f}{scores['ssim']:9.4f}{scores['detail']:9.2f}"


def write_table(out: Path, found: dict[str, Any], table: Table, quiet: bool) -> None:
    """Write evaluation.json, a row for each picture, and some pictures."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "evaluation.json", json.dumps(found, indent=2) + "\n")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found["rows"][0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in found["rows"])
    write_text(out / "enlarged.csv", text.getvalue())
    save_image(draw_exhibit(table.exhibit()), out / "enlarged.png")
    if not quiet:
        print(f"\nsee evaluation.json, enlarged.csv, enlarged.png in {out}")

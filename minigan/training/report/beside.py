"""What a page shows beside samples: real pictures, and the nearest training picture of each sample."""

from __future__ import annotations

from pathlib import Path

from minigan.training.folder import RunFolder
from minigan.training.memorization import Memorization
from minigan.training.report import frames
from minigan.training.report.markup import Html, number, tag


def real(folder: RunFolder, shape: str) -> Html:
    """Return the card of the real pictures; nothing without them. `shape`: its further CSS class."""
    source = _encoded(folder.real)
    if not source:
        return Html("")
    title = tag("h2", "Real pictures ", tag("small", "training data, as many as samples"))
    return tag("section", title, tag("img", src=source, alt="real pictures"), class_=f"card still {shape}")


def nearest(folder: RunFolder, shape: str) -> Html:
    """Return the card of the nearest training pictures; nothing before a run has finished."""
    source, found = _encoded(folder.nearest), Memorization.read(folder.memorization)
    if not source or not found:
        return Html("")
    of = "all" if found.compared == found.of else f"{found.compared:,} of"
    title = tag("h2", "Nearest training pictures ", tag("small", f"of {found.shown} samples at step {found.step:,}"))
    alt = "samples, and below each the nearest training picture"
    below = tag("p", "In each pair of rows: samples, and below each the training picture nearest to it.", class_="how")
    distances = (
        f"Median distance from the nearest of {of} {found.of:,} training pictures: {number(found.samples)} for "
        f"samples, {number(found.real)} for training pictures themselves, from another one. Samples that are much "
        "nearer than these and look the same are copies."
    )
    words = tag("div", below, tag("p", distances, class_="how"))
    image = tag("img", src=source, alt=alt)
    return tag("section", title, tag("div", image, words, class_="pairs"), class_=f"card still {shape} nearest")


def _encoded(path: Path) -> str:
    """Return a picture as a data URI; "" if there is none."""
    try:
        status = path.stat()
        return frames.encoded(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return ""

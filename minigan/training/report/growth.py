"""The pictures of a run by the phases of training, such as the resolutions of a growing generator."""

from __future__ import annotations

from collections.abc import Sequence

from minigan.training.curves import RecordTable
from minigan.training.report.charts import LONGEST
from minigan.training.report.markup import Html, tag

MOST_STILLS = 16


def with_phases(frames: Sequence[tuple[int, str]], records: RecordTable) -> list[dict[str, int | str]]:
    """Return the frames (step, source) of an exhibit for page.js: "step", "src", and "phase" if there are several."""
    several = bool(records.phases)
    more = [{"phase": phase_at(step, records)[:LONGEST]} if several else {} for step, _ in frames]
    return [{"step": step, "src": source} | some for (step, source), some in zip(frames, more, strict=True)]


def stills(frames: Sequence[tuple[int, str]], records: RecordTable) -> Html:
    """Return the last picture of each phase, side by side; nothing if fewer than two phases have one."""
    last = {phase_at(step, records): (step, source) for step, source in frames}  # later frames replace earlier ones
    if len(last) < 2:
        return Html("")
    shown = []
    for name, (step, source) in list(last.items())[-MOST_STILLS:]:
        words = f"{name[:LONGEST]}, step {step:,}"
        shown.append(tag("figure", tag("img", src=source, alt=words), tag("figcaption", words)))
    title = tag("h2", "Growth ", tag("small", "the last picture of each phase"))
    return tag("section", title, tag("div", *shown, class_="stills"), class_="growth card")


def phase_at(step: int, records: RecordTable) -> str:
    """Return the name of the phase of a step; "" if the records name none."""
    return next((name for begins, name in reversed(records.phases) if step > begins), records.first_phase)

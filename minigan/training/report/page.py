"""The page of a run: report.html, one self-contained file that can be opened offline.

page.html is its template, page.css its style, page.js its interaction. All content is visible without JavaScript.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from pathlib import Path, PurePath
from string import Template
from typing import Any

from minigan.training.curves import RecordTable
from minigan.training.declared import Declared, Table
from minigan.training.files import write_text
from minigan.training.folder import RunFolder
from minigan.training.pictures import CELL, table_layout
from minigan.training.progress import duration
from minigan.training.report import beside, charts, frames, growth, layers, tables
from minigan.training.report.markup import Html, escape, join, memory, number, script_data, tag, when
from minigan.training.settings import RunConfig

PHASES = ("running", "finished", "interrupted", "stopped")
MOST_NOTES, LONGEST = 50, 1000  # notes, and characters of each
MOST_EXHIBITS, FEWEST_FRAMES = 8, 9  # exhibits, and frames of each of them: more exhibits have fewer frames each
FLAG = re.compile(r"(?<!\S)(--[a-z][a-z0-9-]*)")
RECENT = 20  # records for the estimate of the remaining time


@dataclass(frozen=True)
class Status:
    """The status of a run. `seconds` of training; `peak_bytes` of memory of the process, if known.

    phase:  "running", "finished", "interrupted" (by a signal) or "stopped" (by an error)
    reason: the error, in a sentence
    go_on:  the command that resumes the run
    """

    phase: str
    step: int
    seconds: float
    peak_bytes: int | None = None
    reason: str = ""
    go_on: str = ""

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f"phase is {self.phase!r}: use {', '.join(PHASES)}")


class Report:
    """Writes the page of a run, repeatedly during training. Each picture is encoded only once."""

    def __init__(self, folder: RunFolder, config: RunConfig, declared: Declared) -> None:
        self.folder, self.path, self.config, self.declared = folder, folder.report, config, declared
        self.when_written: Callable[[Path], None] | None = None  # called once, when the page is there

    def write(self, status: Status) -> None:
        """Write report.html from the files in the folder. Raises OSError if it can't be written."""
        pictures = {name: self.folder.pictures(name) for name in self.folder.exhibits()}
        write_text(self.path, self.html(status, self.folder.records.read(), pictures))
        if self.when_written:
            self.when_written(self.path)
            self.when_written = None

    def html(self, status: Status, records: Sequence[Any], pictures: Mapping[str, Sequence[Path]] | None = None) -> str:
        """Return the page. `pictures` has the files by exhibit. Damaged records and pictures are skipped."""
        found = RecordTable(records)
        films = self._films(pictures or {})
        last = max(status.step, found.last_step, 1)
        large, small = charts.charts_of(self.declared, found)
        drawn = [[shown for chart in some if (shown := charts.draw(chart, found, last))] for some in (large, small)]
        maps = layers.draw(found, last, self.declared)
        shown_films = [_film(*film, self.declared.tables.get(film[0]), found, self._coarse()) for film in films]
        real, pairs = (make(self.folder, self._coarse()) for make in (beside.real, beside.nearest))
        main = "main beside" if real and films else "main"
        title = f"{self.config.model} on {PurePath(self.config.data).name or self.config.data}"
        parts = [
            _header(title, self.config, status, found),
            _notes(found, status, self.config.n_steps),
            tag("div", shown_films[0] if films else NO_PICTURE, real, *(figure for figure, _ in drawn[0]), class_=main),
            pairs,
            growth.stills(films[0][1], found) if films else Html(""),
            _row("More pictures", shown_films[1:]),
            _row("More curves", [figure for figure, _ in drawn[1]]),
            *([_gradients(*maps[:2])] if maps else []),
            self._tables(status, found),
        ]
        sources = [growth.with_phases(shown, found) for _, shown in films]
        data = {"last": last, "charts": [data for _, data in drawn[0] + drawn[1]], "films": sources}
        data["maps"] = maps[2] if maps else []
        tables = [name for name, _ in films if name in self.declared.tables]
        data["tables"] = [self._layout(name, (pictures or {})[name]) for name in tables]
        return fill(f"{title}: step {status.step:,}", join(parts), script_data(data))

    def _films(self, pictures: Mapping[str, Sequence[Path]]) -> list[tuple[str, list[tuple[int, str]]]]:
        """Return the frames, (step, data URI), of each exhibit that has any, in the order of the model's exhibits."""
        place = {name: i for i, name in enumerate(self.declared.exhibits)}
        names = sorted(pictures, key=lambda name: place.get(name, len(place)))[:MOST_EXHIBITS]
        most = max(FEWEST_FRAMES, frames.MOST // max(1, len(names)))
        fewer = (min(most, frames.TABLE_FRAMES), frames.TABLE_SIDE, frames.TABLE_BYTES)
        limits = {name: fewer if name in self.declared.tables else (most,) for name in names}
        found = [(name, frames.read(pictures[name], *limits[name])) for name in names]
        return [(name, shown) for name, shown in found if shown]

    def _coarse(self) -> str:
        """Return "coarse", the CSS class of pictures whose pixels stay sharp, if samples are small; else ""."""
        sizes = [shape[:2] for shape in self.config.shapes.values() if len(shape) == 3]
        return "coarse" if sizes and max(map(max, sizes)) <= CELL else ""

    def _layout(self, name: str, paths: Sequence[Path]) -> dict[str, Any]:
        """Return where the pictures of a table are, for page.js, with its captions and the number of its rows."""
        table = self.declared.tables[name]
        size = next(size for path in reversed(paths) if (size := frames.size_of(path)))
        return table_layout(size, table.captions, table.rows) | {"captions": table.captions, "rows": table.rows}

    def _tables(self, status: Status, records: RecordTable) -> Html:
        config, judged = self.config, tables.judgements(records, self.declared)
        about = tables.about(config, records, status.step, status.seconds)
        command = tag("pre", tag("code", *_with_flags(config.command)))
        changes = tag("ul", *(tag("li", change) for change in config.changes))
        left = [_card("Configuration", tables.configuration(config))]
        left += [_card("Changed on the way", changes)] if config.changes else []
        right = [_card("Judgements", judged)] if judged else []
        right += [_card("Speed and data", about), *([_card("Command", command)] if config.command else [])]
        return tag("div", tag("div", *left, class_="stack"), tag("div", *right, class_="stack"), class_="tables")


def _card(title: str, *inside: str, class_: str = "card") -> Html:
    return tag("section", tag("h2", title), *inside, class_=class_)


NO_PICTURE = _card("Pictures", tag("p", "No picture has been drawn yet."), class_="film card")


@cache
def _part(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def fill(title: str, body: Html, data: Html) -> str:
    """Fill in the template. Its content security policy allows only the script page.js and no network access."""
    script = _part("page.js")
    fingerprint = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{fingerprint}'"
    return Template(_part("page.html")).substitute(
        title=escape(title), allowed=allowed, style=_part("page.css"), body=body, data=data, script=script
    )


def _row(name: str, figures: Sequence[Html]) -> Html:
    """Return a row of small figures; nothing if there are none."""
    return tag("section", *figures, class_="small", aria_label=name) if figures else Html("")


def _header(title: str, config: RunConfig, status: Status, records: RecordTable) -> Html:
    left = time_left(records, config.n_steps - status.step)
    now = datetime.now(timezone.utc)
    speed = records.last("pictures_per_second")
    written = tag("small", "written ", tag("time", when(now), datetime=now.isoformat(timespec="seconds")))
    share = min(1.0, status.step / max(config.n_steps, 1))
    figures = tables.facts(
        [
            ("step", f"{status.step:,} of {config.n_steps:,}"),
            ("time so far", duration(status.seconds)),
            ("time left", "" if left is None or status.phase == "finished" else f"about {duration(left)}"),
            ("samples per second", number(speed) if speed is not None else ""),
            ("peak memory", memory(status.peak_bytes) if status.peak_bytes else ""),
        ]
    )
    limits = {"aria_valuemin": "0", "aria_valuemax": "100", "aria_valuenow": f"{100 * share:.0f}"}
    done = tag("div", style=f"width:{100 * share:.2f}%")
    bar = tag("div", done, class_="progress", role="progressbar", aria_label="progress", **limits)
    head = tag("div", tag("h1", title), tag("span", status.phase, class_="phase"), written, class_="title")
    lines = [tag("p", *_with_flags(status.reason), class_="reason")] if status.reason else []
    if status.phase == "running":
        box = tag("input", type="checkbox", id="follow")
        lines.append(tag("p", tag("label", box, " reload this page twice a minute"), class_="follow needs-script"))
    if status.go_on:
        lines.append(tag("p", "To go on: ", tag("code", *_with_flags(status.go_on)), class_="go-on"))
    return tag("header", head, bar, figures, *lines, class_=status.phase)


def time_left(records: RecordTable, steps: int) -> float | None:
    """Estimate the seconds for `steps` steps from the last records; None if there are fewer than two."""
    at, seconds = records.series("seconds")
    at, seconds = at[-RECENT:], seconds[-RECENT:]
    if steps <= 0 or len(at) < 2 or seconds[-1] <= seconds[0]:
        return None
    return float(steps * (seconds[-1] - seconds[0]) / (at[-1] - at[0]))


def _notes(records: RecordTable, status: Status, n_steps: int) -> Html:
    """List the doctor's notes, or state that there are none. Notes on a short run are dropped once it was extended."""
    notes = [note for note in records.notes if note[1] != "steps" or note[0] >= n_steps]
    if not notes and status.phase == "stopped":
        return Html("")
    if not notes:
        return tag("p", "Nothing looks wrong so far: no check had anything to say.", class_="well")
    lines = []
    for step, check, sentence in notes[-MOST_NOTES:]:
        at, words = tag("span", f"step {step:,}", class_="when"), tag("span", *_with_flags(sentence[:LONGEST]))
        lines.append(tag("li", at, tag("strong", check[:60]), words))
    earlier = len(notes) - len(lines)
    more = [tag("p", f"and {earlier} earlier, in metrics.jsonl", class_="more")] if earlier else []
    return _card("What looks wrong", tag("ol", *lines), *more, class_="notes card")


def _with_flags(text: str) -> list[str]:
    """Split a text, with options such as --lr marked up so that lines don't break within them."""
    return [tag("span", part, class_="flag") if i % 2 else part for i, part in enumerate(FLAG.split(text))]


def _film(
    name: str, frames: Sequence[tuple[int, str]], table: Table | None, records: RecordTable, shape: str = ""
) -> Html:
    """Return the last picture of an exhibit, with a slider over the frames, and a viewer for the rows of a table."""
    (step, source), last, words = frames[-1], str(len(frames) - 1), name.replace("_", " ").replace("-", " ")
    at = f"step {step:,}" + (f", {growth.phase_at(step, records)[:40]}" if records.phases else "")
    title = tag("h2", words[:1].upper() + words[1:], " ", tag("small", tag("output", at)))
    slider = tag("input", type="range", min="0", max=last, value=last, aria_label=f"{words} over time")
    controls = tag("div", tag("button", "Play", type="button"), slider, class_="controls needs-script")
    picture = tag("img", src=source, alt=f"{words} at step {step:,}")
    if table is None:
        return tag("section", title, picture, controls, class_=f"film card {shape}".rstrip())
    whole = tag("div", picture, class_="whole")
    return tag("section", title, tag("div", whole, _viewer(table), class_="rows"), controls, class_="film card table")


def _viewer(table: Table) -> Html:
    """Return the place where page.js draws one row of a table, with buttons that turn to the others."""
    cells = [tag("figure", tag("figcaption", words), tag("canvas", role="img")) for words in table.captions]
    buttons = [tag("button", words, type="button") for words in ("Previous", "Next")]
    which = tag("output", f"1 of {table.rows}")
    turn = tag("div", buttons[0], which, buttons[1], class_="turn")
    return tag("div", tag("div", *cells, class_="cells"), turn, class_="viewer needs-script")


def _gradients(maps: Sequence[Html], key: Html) -> Html:
    words = "L2 norm for each layer, the largest in each column; blank where it is 0"
    title = tag("div", tag("h2", "Gradients ", tag("small", words)), key, class_="title")
    return tag("section", title, tag("div", *maps, class_="maps"), class_="gradients card")

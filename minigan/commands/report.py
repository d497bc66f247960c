"""`minigan report`: rewrites the page of a run from the files in its folder."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from pathlib import Path
from typing import Any

from minigan.commands.cli import Parser
from minigan.commands.options import check_writable, place, warn
from minigan.errors import printable
from minigan.training.declared import Declared
from minigan.training.folder import RunFolder
from minigan.training.lock import FolderLock
from minigan.training.progress import resume_command
from minigan.training.report import Report, Status
from minigan.training.settings import RunConfig


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.usage = "minigan report RUN [--open]"
    parser.add_argument("run", type=place, metavar="RUN", help="folder of a run, such as runs/dcgan-digits")
    add_open(parser)


def add_open(parser: Any) -> None:
    """Add --open."""
    what = "open the page in a browser (default: only write it)"
    parser.add_argument("--open", action="store_true", help=what)


def main(args: argparse.Namespace) -> int:
    """Rewrite report.html, and print its path. The model isn't needed: declared.json has its display names."""
    folder = RunFolder(args.run)
    config = folder.config()
    check_writable(folder.path)
    report = Report(folder, config, Declared.read(folder.declared))
    report.write(_status(folder, config))
    print(printable(str(report.path)))
    if args.open:
        open_page(report.path)
    return 0


def open_page(page: Path) -> None:
    """Open a page in the user's browser, or warn that there is none.

    Without a display, Python's webbrowser would start a browser in the terminal, in the midst of other output.
    """
    display = sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if not (display and webbrowser.open(page.resolve().as_uri())):
        warn(f"there is no browser here: open {page} on a computer that has one, it is a single file")


def _status(folder: RunFolder, config: RunConfig) -> Status:
    """Determine the status of the run from its last record, its lock and its checkpoints."""
    record: dict[str, Any] = next(reversed(folder.records.read()), {"step": 0})
    step, seconds = record["step"], max(0.0, float(record.get("seconds", 0.0)))
    if step >= config.n_steps:
        return Status("finished", step, seconds)
    if FolderLock(folder.path).taken():
        return Status("running", step, seconds)
    if not folder.checkpoints():
        return Status("stopped", step, seconds, reason="It ended before its first checkpoint.")
    return Status("stopped", step, seconds, go_on=resume_command(folder.path))

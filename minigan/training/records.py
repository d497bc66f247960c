"""metrics.jsonl: one JSON object for every ten steps of a run.

{"step": 10, "epoch": 0.3, "seconds": 1.2, "d_loss": 1.3, …, "gradients": {"G.0": 0.1, …}, "weights": {…}, "notes": […]}
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from minigan.training.files import naming, write_text
from minigan.untrusted import open_file

LARGEST = 1e39  # a little more than float32 can hold
TABLES, WORDS = ("gradients", "weights"), ("phase",)  # what isn't a number in a record
NOTE = {"check", "sentence"}


class Records:
    """The records in a file, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, record: dict[str, Any]) -> None:
        """Append one line."""
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """All records. Lines that are none, such as one that a crash cut off, are left out."""
        try:
            with open_file(self.path) as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        return [record for record in map(_parse, lines) if record]

    def forget_after(self, step: int) -> None:
        """Drop the records of later steps."""
        write_text(self.path, "".join(json.dumps(r) + "\n" for r in self.read() if r["step"] <= step))

    def flush(self) -> None:
        """Have the records on the disk: a checkpoint must not outlive what was recorded before it."""
        if self.path.exists():
            with naming(self.path), self.path.open("ab") as file:
                os.fsync(file.fileno())


def _parse(line: bytes) -> dict[str, Any] | None:
    """Read one line; None if it isn't a step with numbers, tables of numbers, and notes."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int or record["step"] < 0:
        return None
    tables = [record.get(name, {}) for name in TABLES]
    notes = record.get("notes", [])
    if not all(isinstance(table, dict) for table in tables) or not isinstance(notes, list):
        return None
    numbers = [value for name, value in record.items() if name not in (*TABLES, *WORDS, "notes")]
    numbers += [value for table in tables for value in table.values()]
    words = [record[name] for name in WORDS if name in record]
    if not all(isinstance(note, dict) and note.keys() == NOTE for note in notes):
        return None
    words += [text for note in notes for text in note.values()]
    good = all(type(value) in (int, float) and abs(value) < LARGEST for value in numbers)
    return record if good and all(type(text) is str for text in words) else None

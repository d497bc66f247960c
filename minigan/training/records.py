"""metrics.jsonl: one JSON object for every ten steps of a run.

{"step": 10, "epoch": 0.3, "seconds": 1.2, "d_loss": 1.3, …, "gradients": {"G.0": 0.1, …}, "weights": {…}, "notes": […]}
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from minigan.common.untrusted import open_file
from minigan.training.files import naming, write_text

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
    return record if all(_fits(name, value) for name, value in record.items()) else None


def _fits(name: str, value: Any) -> bool:
    """Whether a value of a record is of the kind that it has under this name."""
    if name in TABLES:
        return isinstance(value, dict) and all(map(_is_number, value.values()))
    if name == "notes":
        return isinstance(value, list) and all(map(_is_note, value))
    return type(value) is str if name in WORDS else _is_number(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < LARGEST


def _is_note(note: Any) -> bool:
    return isinstance(note, dict) and note.keys() == NOTE and all(type(text) is str for text in note.values())

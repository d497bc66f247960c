"""Reads and writes metrics.jsonl: one JSON object for every ten steps of a run.

{"step": 10, "epoch": 0.3, "seconds": 1.2, "d_loss": 1.3, …, "gradients": {"G.0": 0.1, …}, "weights": {…}, "notes": […]}
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from minigan.common.untrusted import open_file
from minigan.training.files import naming, write_text

LARGEST = 1e39  # just above the largest float32
TABLES, WORDS = ("gradients", "weights"), ("phase",)  # fields of a record that aren't numbers
NOTE = {"check", "sentence"}


class Records:
    """The records in a file. The file need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, record: dict[str, Any]) -> None:
        """Append one line."""
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Return all records. Invalid lines, such as one truncated by a crash, are skipped."""
        try:
            with open_file(self.path) as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        return [record for record in map(_parse, lines) if record]

    def forget_after(self, step: int) -> None:
        """Delete the records of later steps."""
        write_text(self.path, "".join(json.dumps(r) + "\n" for r in self.read() if r["step"] <= step))

    def flush(self) -> None:
        """Flush the records to disk: after a crash, a checkpoint must not be newer than the records before it."""
        if self.path.exists():
            with naming(self.path), self.path.open("ab") as file:
                os.fsync(file.fileno())


def _parse(line: bytes) -> dict[str, Any] | None:
    """Parse one line; return None unless it is a valid record."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int or record["step"] < 0:
        return None
    return record if all(_fits(name, value) for name, value in record.items()) else None


def _fits(name: str, value: Any) -> bool:
    """Whether a value has the type that a record has under this name."""
    if name in TABLES:
        return isinstance(value, dict) and all(map(_is_number, value.values()))
    if name == "notes":
        return isinstance(value, list) and all(map(_is_note, value))
    return type(value) is str if name in WORDS else _is_number(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < LARGEST


def _is_note(note: Any) -> bool:
    return isinstance(note, dict) and note.keys() == NOTE and all(type(text) is str for text in note.values())

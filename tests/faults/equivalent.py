"""Planted faults that change nothing, with the reason: (file, function, change) → why."""

EQUIVALENT: dict[tuple[str, str, str], str] = {}

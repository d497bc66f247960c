"""The type of a batch: a dict of arrays."""

from __future__ import annotations

from typing import Any

from minigan.common.words import nearest
from minigan.errors import DataError


class Batch(dict):
    """Arrays by name. Raises DataError for a missing name, and suggests the nearest one."""

    def __missing__(self, name: str) -> Any:
        raise DataError(f'a batch has no array "{name}": {nearest(name, self)}')

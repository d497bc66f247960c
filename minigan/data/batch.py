"""A batch: arrays by name."""

from __future__ import annotations

from typing import Any

from minigan.common.words import nearest
from minigan.errors import DataError


class Batch(dict):
    """The arrays of a batch, by name. Raises DataError, with the nearest name, for one that it hasn't."""

    def __missing__(self, name: str) -> Any:
        raise DataError(f'a batch has no array "{name}": {nearest(name, self)}')

"""Damage: arrays of a batch that a model makes of others, sample by sample, such as a noisy input of a clean target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from minigan.errors import DataError, described

Rows = dict[str, np.ndarray]  # {array name: (n, …)}
Damage = Callable[[Rows, np.random.Generator], Rows]  # of one sample: {array name: (…)}


def damaged(rows: Rows, damage: Damage, rngs: Sequence[np.random.Generator]) -> Rows:
    """Rows, and what damage makes of each sample: it joins them, or takes the place of an array of its name.

    Floats become float32. Raises DataError for what can't be stacked to rows.
    """
    made = []
    for i, rng in enumerate(rngs):
        one = damage({array: _row(x, i) for array, x in rows.items()}, rng)
        if not isinstance(one, Mapping):
            raise DataError(f"damage(item, rng) returns arrays by name, {{name: array}}, and not {described(one)}")
        made.append({array: np.asarray(x) for array, x in one.items()})
        if _shapes(made[i]) != _shapes(made[0]):
            raise DataError(
                f"damage(item, rng) gives each sample arrays of the same shape, and not {_shapes(made[0])} for one and "
                f"{_shapes(made[i])} for another"
            )
    stacked = {array: np.stack([one[array] for one in made]) for array in made[0]}
    return rows | {array: x.astype(np.float32) if x.dtype.kind == "f" else x for array, x in stacked.items()}


def _row(x: np.ndarray, i: int) -> np.ndarray:
    """Row i, which can't be written to: changed in place, an input would be its own target."""
    row = np.asarray(x[i])
    row.flags.writeable = False
    return row


def _shapes(arrays: Rows) -> dict[str, tuple[int, ...]]:
    return {array: x.shape for array, x in arrays.items()}

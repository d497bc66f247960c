"""Damage: arrays that a model derives from a sample's other arrays, such as a noisy input from a clean target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from minigan.errors import DataError, described

Rows = dict[str, np.ndarray]  # {array name: (n, …)}
Damage = Callable[[Rows, np.random.Generator], Rows]  # (one sample {array name: (…)}, rng) → new arrays


def damaged(rows: Rows, damage: Damage, rngs: Sequence[np.random.Generator]) -> Rows:
    """Return rows, plus the arrays that `damage` makes of each sample; these replace arrays of the same name.

    Floats become float32. Raises DataError if the results are not arrays by name, or can't be stacked.
    """
    made = []
    for i, rng in enumerate(rngs):
        one = damage({array: _row(x, i) for array, x in rows.items()}, rng)
        if not isinstance(one, Mapping):
            raise DataError(f"damage(item, rng) returns arrays by name, {{name: array}}, and not {described(one)}")
        made.append({array: np.asarray(x) for array, x in one.items()})
        if _shapes(made[i]) != _shapes(made[0]):
            shapes = f"{_shapes(made[0])} for one and {_shapes(made[i])} for another"
            raise DataError(f"damage(item, rng) gives each sample arrays of the same shape, and not {shapes}")
    stacked = {array: np.stack([one[array] for one in made]) for array in made[0]}
    return rows | {array: x.astype(np.float32) if x.dtype.kind == "f" else x for array, x in stacked.items()}


def _row(x: np.ndarray, i: int) -> np.ndarray:
    """Return a read-only view of row i: if `damage` changed its input in place, the target would change, too."""
    row = np.asarray(x[i])
    row.flags.writeable = False
    return row


def _shapes(arrays: Rows) -> dict[str, tuple[int, ...]]:
    return {array: x.shape for array, x in arrays.items()}

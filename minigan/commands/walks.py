"""Pictures on the way from one code to another, and pictures of two codes: interpolation and style mixing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from minigan.commands.cli import UsageError
from minigan.commands.codes import Codes, Item
from minigan.training import pictures

ROWS, STEPS = 8, 10  # of a grid of interpolations
FILM_STEPS, FRAME_MS, FILM_SIDE = 24, 60, 256  # of a film: steps from seed to seed, time of each, pixels at least
MOST_SEEDS = 64  # of a film
MOST_MIXED = 4096  # pictures


def interpolation(codes: Codes, seed: int | tuple[Item, ...], rows: int, steps: int, label: int | None) -> np.ndarray:
    """Return samples (rows, steps, …): in each row from one code to another, in `steps` steps.

    One seed draws both codes of `rows` rows, each of another class if `label` is None. With a list of seeds, each row
    goes from one of them to the next.
    """
    if isinstance(seed, int):
        rng, labels = codes.model.device.rng(seed), codes.labels(rows, label)
        starts, ends = (codes.of_z(codes.model.latent(rows, rng), labels) for _ in range(2))
    else:
        all_codes = codes.of(seed, codes.labels(len(seed), label))
        starts, ends, labels = all_codes[:-1], all_codes[1:], codes.labels(len(seed) - 1, label)
    between = [codes.between(starts, ends, float(t)) for t in np.linspace(0, 1, steps)]
    along = codes.model.device.xp.stack(between, axis=1)  # (rows, steps, …)
    samples = codes.samples(along.reshape(-1, *along.shape[2:]), None if labels is None else labels.repeat(steps))
    return samples.reshape(*along.shape[:2], *samples.shape[1:])


def film(codes: Codes, seed: tuple[Item, ...], label: int | None, path: Path) -> Path:
    """Write a film from each seed of a list to the next; return its path."""
    if len(seed) > MOST_SEEDS:
        raise UsageError(f"a film of {len(seed)} seeds is too long: use {MOST_SEEDS} at most")
    samples = interpolation(codes, seed, 0, FILM_STEPS + 1, label)  # (rows, steps + 1, H, W, C)
    each = samples[:, :-1].reshape(-1, *samples.shape[2:])  # each row begins where the one before it ends
    frames = [pictures.enlarged(picture, FILM_SIDE) for picture in (*each, samples[-1, -1])]
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_frames(frames, path, FRAME_MS)
    return path


def mixing(
    codes: Codes, rows: tuple[Item, ...], columns: tuple[Item, ...], coarse: int | None, label: int | None
) -> Image.Image:
    """Draw a table: the samples of `columns` in the first row, those of `rows` in the first column, mixed in the rest.

    The first `coarse` layers of a mixed sample have the styles of its row, the others those of its column. Raises
    UsageError if the model has no styles, or fewer layers.
    """
    codes.need_styles("--mix")
    if (len(rows) + 1) * (len(columns) + 1) > MOST_MIXED:
        raise UsageError(f"a table of {len(rows)} rows and {len(columns)} columns is too large: use fewer seeds")
    xp = codes.model.device.xp
    of_rows, of_columns = (codes.of(some, codes.labels(len(some), label)) for some in (rows, columns))  # (n, L, D)
    L = of_rows.shape[1]
    if L < 2 or not 1 <= (coarse or 1) < L:
        raise UsageError(f"the generator has {L} layers with styles, and --coarse is {coarse or 1}: use 1 to {L - 1}")
    k = coarse or L // 2
    mixed = [xp.concatenate([xp.repeat(w[None, :k], len(columns), axis=0), of_columns[:, k:]], axis=1) for w in of_rows]
    top = codes.samples(of_columns)  # (columns, H, W, C)
    table = [np.ones_like(top[:1]), top]  # a white corner
    for left, w in zip(codes.samples(of_rows), mixed, strict=True):
        table += [left[None], codes.samples(w)]
    return pictures.grid(np.concatenate(table), columns=len(columns) + 1)

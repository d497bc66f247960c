"""The image pool: translated pictures of earlier steps, which critics see in place of some of the newest.

A critic that sees only the newest pictures forgets what earlier ones looked like, and a generator may return to them
("Learning from Simulated and Unsupervised Images through Adversarial Training", Shrivastava et al. 2017, section 2.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import Device, array_module, to_numpy
from minigan.gans.base import Shape


class ImagePool:
    """A pool of `size` pictures of `shape` (H, W, C) on a device."""

    def __init__(self, size: int, shape: Shape, device: Device) -> None:
        self.pictures, self.filled = device.xp.zeros((size, *shape), np.float32), 0

    def exchange(self, fakes: Any, rng: np.random.Generator) -> Any:
        """Return pictures (N, H, W, C) for the critic, one for each fake.

        While the pool isn't full, each fake is stored and returned. Afterwards, with probability ½, a picture from the
        pool is returned and the fake takes its place; otherwise the fake is returned and not stored. The numbers are
        drawn on the host, so nothing waits for the device.
        """
        result, pool = [], self.pictures
        for n in range(len(fakes)):
            fake = chosen = fakes[n]
            if self.filled < len(pool):
                pool[self.filled] = fake
                self.filled += 1
            elif len(pool) and rng.random() < 0.5:
                i = int(rng.integers(len(pool)))
                chosen = pool[i].copy()
                pool[i] = fake
            result.append(chosen)
        return array_module(fakes).stack(result)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the pictures, and how many there are, on the host."""
        return {"pool": to_numpy(self.pictures).copy(), "filled": np.int64(self.filled)}  # type: ignore[dict-item]

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore the result of `state_dict`."""
        self.pictures[...] = array_module(self.pictures).asarray(arrays["pool"])
        self.filled = int(arrays["filled"])

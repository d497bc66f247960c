"""Averages of weights with a half-life in pictures, as in StyleGAN and StyleGAN2 (Karras et al. 2019, 2020).

`--ema` gives an average a constant decay for each step. Here the decay follows from the batch size n, so that larger
batches need no other setting: after so many pictures as the half-life, old weights count half as much.

    decay = 0.5^(n / h)        h = min(half-life, 0.05 · pictures so far)

The second term is a ramp, from the authors' later code (stylegan2-ada): at the beginning of a run, h is short, so that
the average forgets the initial weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from minigan.gans.base import LatentGAN

HALF_LIFE, RAMP = 10_000, 0.05  # pictures, and the share of the pictures so far


class HalfLifeGAN(LatentGAN):
    """A `LatentGAN` whose averages have a half-life, or by `average_weights` a constant decay."""

    half_life = 0.0  # in pictures; 0: the decay is constant, or there are no averages

    def start_averages(self, half_life: float) -> None:
        """Start averages of the networks in `averaged` with a half-life in pictures; 0: none."""
        if half_life:
            self.average_weights(0.0)  # `set_decay` sets the decay in each step
            self.half_life = half_life

    def average_weights(self, decay: float) -> None:
        """Start averages with a constant decay, instead of a half-life in pictures."""
        super().average_weights(decay)
        self.half_life = 0.0

    def set_decay(self, n: int, samples: int) -> None:
        """Set the decay of the averages after `samples` pictures, for steps of n pictures."""
        if self.half_life:
            for average in self.averages.values():
                average.decay = 0.5 ** (n / max(min(self.half_life, RAMP * samples), 1e-8))

    def heuristics(self, batch_size: int) -> Sequence[str]:
        """Return a line about the half-life, if there is one."""
        if not self.half_life:
            return ()
        decay = 0.5 ** (batch_size / self.half_life)
        return (
            f"`half_life` is {self.half_life:,.0f} pictures: averages of weights have the decay {decay:.4g} for "
            f"batches of {batch_size}, at first a half-life of {RAMP:.0%} of the pictures so far, to forget the "
            "initial weights",
        )

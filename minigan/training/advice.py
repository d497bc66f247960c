"""Which options of `minigan train` to try: only such as the model has, with other values than those of the run."""

from __future__ import annotations

import inspect
import math
from typing import Any

from minigan.training.run import USUAL_STEPS, RunConfig

SMOOTHING = 0.1  # of Salimans et al. 2016


class Advice:
    """Words options for one run."""

    def __init__(self, gan: Any, config: RunConfig) -> None:
        self.options, self.batch_size = config.model_args, config.batch_size
        self.n_steps, self.augment = config.n_steps, config.augment
        self.lr = gan.optimizers["G"].lr if "G" in gan.optimizers else None
        default = inspect.signature(type(gan)).parameters.get("lr")
        self.usual_lr = default.default if default and isinstance(default.default, float) else math.inf

    def __call__(self, *kinds: str) -> str:
        """Words such as `--lr 0.0001, --label-smoothing 0.1 or another --seed`, for the kinds that this run has.

        Kinds are the names of methods below. What doesn't fit the run is left out; a seed always fits.
        """
        words = [word for word in (getattr(self, kind)() for kind in kinds) if word]
        return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else "".join(words)

    def smaller_lr(self) -> str:
        """A learning rate half as large."""
        return self._lr(2)

    def much_smaller_lr(self) -> str:
        """A learning rate a tenth as large."""
        return self._lr(10)

    def _lr(self, times: float) -> str:
        """A learning rate that is so many times as small, or the model's usual one where that is smaller still."""
        if not self.lr or "lr" not in self.options:
            return ""
        return f"--lr {min(self.lr / times, self.usual_lr if self.usual_lr < self.lr else math.inf):.2g}"

    def smoothing(self) -> str:
        """One-sided label smoothing, if there is none."""
        return f"--label-smoothing {SMOOTHING}" if self.options.get("label_smoothing") == 0 else ""

    def weaker_critic(self) -> str:
        """Fewer updates of D, if there are several."""
        return "--n-critic 1" if (self.options.get("n_critic") or 1) > 1 else ""

    def stronger_critic(self) -> str:
        """More updates of D."""
        n = self.options.get("n_critic")
        return f"--n-critic {2 * n}" if n else ""

    def penalty(self) -> str:
        """A stronger gradient penalty."""
        weight = self.options.get("lambda_gp", 0)
        if weight is None:
            return "a larger --lambda-gp"
        return f"--lambda-gp {10 * weight:g}" if weight else ""

    def batch(self) -> str:
        """A larger batch."""
        return f"--batch-size {max(16, 2 * self.batch_size)}"

    def longer(self) -> str:
        """More steps."""
        return f"--n-steps {max(USUAL_STEPS, 2 * self.n_steps)}"

    def augmentation(self) -> str:
        """More pictures from the same ones, if none are made yet."""
        return "" if self.augment else "--augment flip"

    def more_pictures(self) -> str:
        """Others of the same kind."""
        return "more pictures"

    def seed(self) -> str:
        """Other initial weights."""
        return "another --seed"

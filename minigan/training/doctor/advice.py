"""Which options of `minigan train` to try: only such as the model has, with other values than those of the run."""

from __future__ import annotations

import math
from collections.abc import Iterable

from minigan.model import Model
from minigan.options import arguments_of
from minigan.training.settings import USUAL_STEPS, RunConfig

SMOOTHING = 0.1  # of Salimans et al. 2016


def advice(model: Model, config: RunConfig) -> dict[str, str]:
    """What to try, by kind, such as `--lr 0.0001`; empty where the model has no such option, or tries it already."""
    arguments = arguments_of(type(model))
    values = {name: config.model_args.get(name, argument.default) for name, argument in arguments.items()}
    rate = values.get("lr") or max((optimizer.lr for optimizer in model.optimizers.values()), default=0.0)
    default = arguments["lr"].default if "lr" in arguments else None
    usual = default if isinstance(default, float) and default < rate else math.inf
    n_critic, weight = values.get("n_critic") or 0, values.get("lambda_gp", 0)
    steps = f"--n-steps {max(USUAL_STEPS, 2 * config.n_steps)}"
    own_batch = any(phase.batch_size for phase in model.phases)

    def smaller_lr(times: float) -> str:
        return f"--lr {min(rate / times, usual):.2g}" if "lr" in arguments and rate else "a smaller learning rate"

    return {
        "smaller_lr": smaller_lr(2),
        "much_smaller_lr": smaller_lr(10),
        "smoothing": f"--label-smoothing {SMOOTHING}" if values.get("label_smoothing") == 0 else "",
        "weaker_critic": "--n-critic 1" if n_critic > 1 else "",
        "stronger_critic": f"--n-critic {2 * n_critic}" if n_critic else "",
        "penalty": "a larger --lambda-gp" if weight is None else f"--lambda-gp {10 * weight:g}" if weight else "",
        "batch": "a larger batch" if own_batch else f"--batch-size {max(16, 2 * config.batch_size)}",
        "longer": steps,
        "go_on": f"--resume with {steps}",
        "augmentation": "" if config.augment else "--augment flip",
        "more_pictures": "more pictures",
        "seed": "another --seed",
    }


def listed(words: Iterable[str]) -> str:
    """Words such as `--lr 0.0001, --label-smoothing 0.1 or another --seed`; empty ones are left out."""
    there = [word for word in words if word]
    return " or ".join(part for part in (", ".join(there[:-1]), *there[-1:]) if part)

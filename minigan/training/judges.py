"""How good a model is, asked now and then while it trains. The first judgement decides which checkpoint is the best.

A judge has `judgements`, as a model declares them, and is called with the model: it returns their numbers. Whatever it
draws comes from a generator of its own, the same every time, so that only the model's weights tell two numbers apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.errors import CheckpointError, described
from minigan.metrics import FeatureNetwork, evaluate, modes_and_quality, observe
from minigan.model import Judgement, can
from minigan.training.checkpoint import load_checkpoint
from minigan.training.evaluation import generated_pictures, real_pictures
from minigan.training.folder import RunFolder
from minigan.training.settings import COUNTED_LATENTS, JUDGED_LATENTS, TrainingError

REFERENCE = 10_000  # pictures of the data that a run is compared with while it is trained
COUNTED = 10_000  # points among which modes are counted


class FeatureJudge:
    """FID and Inception Score of `n` samples of a generator.

    The reference is the training data without augmentation; of a large set 10,000 pictures. Raises DataError if it has
    fewer than two.
    """

    judgements = {
        "fid": Judgement("FID"),
        "is": Judgement("Inception Score", "higher"),
    }

    def __init__(self, network: FeatureNetwork, dataset: Any, n: int, seed: int, device: Any) -> None:
        self.network, self.n, self.seed = network, n, seed
        real = real_pictures(dataset, REFERENCE, seed, device)
        self.reference = observe(real, network, real.source)

    def __call__(self, model: Any) -> dict[str, float]:
        """Return {"fid", "is"}."""
        samples = generated_pictures(model, self.n, [self.seed, JUDGED_LATENTS], "the generator")
        answer, _ = evaluate(samples, self.n, samples.source, self.network, self.reference, ("fid", "is"))
        return {name: round(answer.values[name], 4) for name in ("fid", "is")}


class OwnJudge:
    """The judgements that a model declares, on items that training doesn't see."""

    def __init__(self, model: Any, held_out: Sequence[dict[str, Any]], seed: int) -> None:
        self.judgements, self.held_out, self.seed = model.judgements, held_out, seed

    def __call__(self, model: Any) -> dict[str, float]:
        """Return the numbers that are finite. Raises TrainingError if they aren't those that the model declares."""
        found = model.judge(self.held_out, model.device.rng([self.seed, JUDGED_LATENTS]))
        if not isinstance(found, dict) or found.keys() != self.judgements.keys():
            told = ", ".join(map(str, found)) or "nothing" if isinstance(found, dict) else described(found)
            expected = f"but its judgements are {', '.join(self.judgements)}"
            raise TrainingError(f"{type(model).__name__}.judge returned {told}, {expected}")
        return {name: float(f"{float(value):.6g}") for name, value in found.items() if np.isfinite(value)}


class ModesJudge:
    """How many of a mixture's centres the generator finds, and the share of its points that are near one."""

    judgements = {
        "modes": Judgement("modes found", "higher", "of the data, by the generator"),
        "quality": Judgement("good samples", "higher", "share of samples near a mode", "share"),
    }

    def __init__(self, centers: np.ndarray, std: float, seed: int) -> None:
        self.centers, self.std, self.seed = centers, std, seed

    def __call__(self, model: Any) -> dict[str, float]:
        """Return {"modes", "quality"} of points from latents that are the same every time."""
        z = model.latent(COUNTED, model.device.rng([self.seed, COUNTED_LATENTS]))
        modes, quality = modes_and_quality(to_numpy(model.generate(z)), self.centers, self.std)
        return {"modes": modes, "quality": round(quality, 4)}


def modes_judge(model: Any, feeds: Any, seed: int) -> ModesJudge | None:
    """The judge of a generator of points, if its data is a mixture whose centres are known."""
    sources = [source for source in feeds.sources.values() if source.centers is not None]
    if not sources or not can(model, "generate"):
        return None
    return ModesJudge(sources[0].centers, sources[0].std, seed)


def modes_found(found: dict[str, float], of: int) -> str:
    """Such as `modes 7 of 8, good 93 %`."""
    return f"modes {found['modes']} of {of}, good {100 * found['quality']:.0f} %"


class Best:
    """Keeps count of the best value of one judgement; there is none if `judgements` is empty."""

    def __init__(self, judgements: dict[str, Judgement]) -> None:
        ranked = [(key, judgement) for key, judgement in judgements.items() if judgement.better]
        self.key, self.judgement = ranked[0] if ranked else ("", Judgement(""))
        self.value, self.step = 0.0, 0

    def update(self, found: dict[str, float], step: int) -> bool:
        """Whether a value is the best so far. It is remembered then."""
        value = found.get(self.key)
        if value is None:
            return False
        better = value < self.value if self.judgement.better == "lower" else value > self.value
        if better or not self.step:
            self.value, self.step = value, step
        return self.step == step

    def load(self, folder: RunFolder, model: str) -> None:
        """Take up the best of the records so far; if best.npz can't be read, there has been none."""
        try:
            load_checkpoint(folder.best, model)
        except CheckpointError:
            return
        for record in folder.records.read():
            self.update(record, record["step"])

    def describe(self, found: dict[str, float]) -> str:
        """Such as `FID 12.34`; empty if there is no such number."""
        return f"{self.judgement.words} {found[self.key]:.4g}" if self.key in found else ""

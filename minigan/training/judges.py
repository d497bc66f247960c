"""Periodic evaluation during training. The first ranked judgement determines the best checkpoint.

A judge declares its `judgements` like a model; called with the model, it returns their values. It seeds its own random
generator the same way every time, so that two values differ only because of the model's weights.
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

REFERENCE = 10_000  # real pictures, at most, for FID during training
COUNTED = 10_000  # generated points for the count of modes
DISTANCE = "distance of samples from the data, in features; lower is better"
KNOWN = {
    "fid": Judgement("FID", note=DISTANCE),
    "kid": Judgement("KID", note=DISTANCE, scale="any"),  # an unbiased estimate may be negative
    "is": Judgement("Inception Score", "higher", "high if each sample has a clear class and all classes occur"),
}


class FeatureJudge:
    """FID and Inception Score of `n` generated samples, or their KID if the feature network knows no classes.

    The reference is the training data without augmentation, at most 10,000 pictures. Raises DataError if there are
    fewer than two.
    """

    def __init__(self, network: FeatureNetwork, dataset: Any, n: int, seed: int, device: Any) -> None:
        self.network, self.n, self.seed = network, n, seed
        self.judgements = {name: KNOWN[name] for name in network.usual if name in KNOWN}
        real = real_pictures(dataset, REFERENCE, seed, device)
        self.reference = observe(real, network, real.source, keep="kid" in self.judgements)

    def __call__(self, model: Any) -> dict[str, float]:
        """Return {"fid", "is"} or {"kid"}."""
        samples = generated_pictures(model, self.n, [self.seed, JUDGED_LATENTS], "the generator")
        answer, _ = evaluate(samples, self.n, samples.source, self.network, self.reference, tuple(self.judgements))
        return {name: round(answer.values[name], 6 if name == "kid" else 4) for name in self.judgements}


class OwnJudge:
    """The judgements that a model declares, on held-out items."""

    def __init__(self, model: Any, held_out: Sequence[dict[str, Any]], seed: int) -> None:
        self.judgements, self.held_out, self.seed = model.judgements, held_out, seed

    def __call__(self, model: Any) -> dict[str, float]:
        """Return all finite values. Raises TrainingError unless `model.judge` returned exactly the declared ones."""
        found = model.judge(self.held_out, model.device.rng([self.seed, JUDGED_LATENTS]))
        if not isinstance(found, dict) or found.keys() != self.judgements.keys():
            returned = ", ".join(map(str, found)) or "nothing" if isinstance(found, dict) else described(found)
            expected = f"but its judgements are {', '.join(self.judgements)}"
            raise TrainingError(f"{type(model).__name__}.judge returned {returned}, {expected}")
        return {name: float(f"{float(value):.6g}") for name, value in found.items() if np.isfinite(value)}


class ModesJudge:
    """The number of modes of a mixture that the generator covers, and the share of its points near a mode."""

    judgements = {
        "modes": Judgement("modes found", "higher", "of the data, by the generator"),
        "quality": Judgement("good samples", "higher", "share of samples near a mode", "share"),
    }

    def __init__(self, centers: np.ndarray, std: float, seed: int) -> None:
        self.centers, self.std, self.seed = centers, std, seed

    def __call__(self, model: Any) -> dict[str, float]:
        """Return {"modes", "quality"}, from the same latents every time."""
        z = model.latent(COUNTED, model.device.rng([self.seed, COUNTED_LATENTS]))
        modes, quality = modes_and_quality(to_numpy(model.generate(z)), self.centers, self.std)
        return {"modes": modes, "quality": round(quality, 4)}


def modes_judge(model: Any, feeds: Any, seed: int) -> ModesJudge | None:
    """Return a ModesJudge if the model generates points and the data is a mixture with known centers, else None."""
    sources = [source for source in feeds.sources.values() if source.centers is not None]
    if not sources or not can(model, "generate"):
        return None
    return ModesJudge(sources[0].centers, sources[0].std, seed)


def describe_modes(found: dict[str, float], of: int) -> str:
    """Format modes and quality, such as `modes 7 of 8, good 93 %`."""
    return f"modes {found['modes']} of {of}, good {100 * found['quality']:.0f} %"


class Best:
    """Tracks the best value of the first judgement that has a direction, if there is one."""

    def __init__(self, judgements: dict[str, Judgement]) -> None:
        ranked = [(key, judgement) for key, judgement in judgements.items() if judgement.better]
        self.key, self.judgement = ranked[0] if ranked else ("", Judgement(""))
        self.shown = self.key or next(iter(judgements), "")  # in lines of progress
        self.words = judgements[self.shown].words if self.shown else ""
        self.value, self.step = 0.0, 0

    def update(self, found: dict[str, float], step: int) -> bool:
        """Update the best value; return whether this one is the best so far."""
        value = found.get(self.key)
        if value is None:
            return False
        better = value < self.value if self.judgement.better == "lower" else value > self.value
        if better or not self.step:
            self.value, self.step = value, step
        return self.step == step

    def load(self, folder: RunFolder, model: str) -> None:
        """Restore the best value from the records, unless best.npz can't be read."""
        try:
            load_checkpoint(folder.best, model)
        except CheckpointError:
            return
        for record in folder.records.read():
            self.update(record, record["step"])

    def describe(self, found: dict[str, float]) -> str:
        """Format the value, such as `FID 12.34`, or that of the first judgement; empty if `found` lacks it."""
        return f"{self.words} {found[self.shown]:.4g}" if self.shown in found else ""

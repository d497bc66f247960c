"""Finds the code whose sample is nearest to a picture, by gradient descent on the code (Zhu et al. 2016).

    E(c) = mean over pixels and channels of (G(c) − t)²        dG = 2 (G(c) − t)/(H W C)        dc by `Model.trace`

c is w for a model with styles, one for all layers or one for each, else z; t is the picture. G doesn't change, and the
noise that its layers may add is the same in every step. E has local minima, so several searches start at once, from the
mean w̄ (or z = 0) and from the nearest of random samples, and the best one counts.

E compares pixels, and is what is minimized. Whether the result also *looks* like the picture is measured by what isn't
minimized: by the distance in the features of a classifier, beside that of the nearest of random samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.commands.codes import Codes, collected
from minigan.common.terminal import bar
from minigan.errors import MiniganError
from minigan.layers import Layer
from minigan.metrics import FeatureNetwork, psnr, ssim
from minigan.optim import Adam, cosine_decay

DRAWS = 1000  # random samples to start from, and to compare with
FRAMES = 60  # of the film
LEAST_SSIM = 11  # pixels: the window of SSIM


@dataclass(frozen=True)
class Draws:
    """Random samples: their codes (n, …), samples (n, H, W, C) on the host, and features (n, F).

    mean: the code w̄ (1, L, D), or z = 0
    """

    codes: Any
    samples: np.ndarray
    features: np.ndarray
    mean: Any


@dataclass(frozen=True)
class Projection:
    """The result for one picture: the code found (…), samples (H, W, C), the film (T, H, W, C), and measures.

    measures: squared errors "mean", "nearest", "found", of w̄, of the nearest random sample and of the result; in
              features the distances "features_mean", "features_nearest", "features_found"; "psnr" and "ssim" of the
              result
    """

    code: np.ndarray
    mean: np.ndarray
    nearest: np.ndarray
    found: np.ndarray
    film: np.ndarray
    measures: dict[str, float]


class Unknown(Layer):
    """The codes that are sought, as the parameter `c` of a layer, so that an optimizer of networks can move them."""

    def __init__(self, start: np.ndarray) -> None:
        self.add_parameters(c=start)


def draw(codes: Codes, label: int | None, seed: int, network: FeatureNetwork) -> Draws:
    """Draw DRAWS random samples of a model, of one class if it is conditional."""
    labels = codes.labels(DRAWS, label)
    some = codes.of_z(codes.model.latent(DRAWS, codes.model.device.rng(seed)), labels)
    samples = codes.samples(some, labels)
    return Draws(some, samples, features_of(network, samples), codes.mean(codes.labels(1, label)))


def features_of(network: FeatureNetwork, samples: np.ndarray) -> np.ndarray:
    """Return the features (n, F) of samples (n, H, W, C), clipped to [−1, 1]."""
    device, clipped = network.device, np.clip(samples, -1, 1).astype(np.float32)  # type: ignore[attr-defined]
    return collected(lambda some: network(device.array(clipped[some]))[0], len(samples))


def project(
    codes: Codes,
    target: np.ndarray,
    draws: Draws,
    network: FeatureNetwork,
    label: int | None = None,
    steps: int = 400,
    rate: float = 0.1,
    starts: int = 4,
    per_layer: bool = False,
) -> Projection:
    """Find the code of `target` (H, W, C) in [−1, 1]: `starts` searches of `steps` steps.

    rate: Adam's learning rate at the first step, in standard deviations of random codes
    """
    errors = squared_errors(draws.samples, target)  # (DRAWS,)
    xp, order = codes.model.device.xp, np.argsort(errors)
    begin = xp.concatenate([draws.mean, *(draws.codes[i : i + 1] for i in order[: starts - 1])])
    scale = float(to_numpy(draws.codes.std(axis=0).mean()))
    way = search(codes, target, begin, label, steps, rate * scale, per_layer)  # (T, starts, …)
    try:
        last = codes.samples(way[-1], codes.labels(len(begin), label))
    except MiniganError:  # random samples were finite
        raise MiniganError("the search has left the range of finite numbers: give a smaller `lr`") from None
    best = int(np.argmin(squared_errors(last, target)))
    film = codes.samples(way[:, best], codes.labels(len(way), label))
    mean = codes.samples(draws.mean, codes.labels(1, label))[0]
    three = np.stack([mean, draws.samples[order[0]], film[-1]])
    return Projection(to_numpy(way[-1, best]), *three, film, measured(three, target, draws, network))


@np.errstate(over="ignore", invalid="ignore")  # `project` looks for what isn't finite
def search(
    codes: Codes, target: np.ndarray, begin: Any, label: int | None, steps: int, rate: float, per_layer: bool
) -> Any:
    """Descend from each code of `begin` (S, …); return the codes (T, S, …) at the start, at some steps and at the end.

    The codes of different starts don't influence each other: E of each is a term of its own, and Adam is elementwise.
    """
    xp, labels = codes.model.device.xp, codes.labels(len(begin), label)
    one_w = codes.in_w and not per_layer
    unknown = Unknown(to_numpy(begin.mean(axis=1) if one_w else begin)).to(codes.model.device)
    optimizer, schedule = Adam(unknown.parameters(), rate), cosine_decay(steps)
    t = codes.model.device.array(target.astype(np.float32))
    shown = {int(steps * (i / FRAMES) ** 2) for i in range(FRAMES)}  # more of them at the beginning

    def whole() -> Any:
        """The codes that the generator takes: with one w for all layers, (S, D) → (S, L, D)."""
        return xp.repeat(unknown.c[:, None], begin.shape[1], axis=1) if one_w else unknown.c.copy()

    way = []
    for step in bar(range(steps), desc="projecting", unit=" steps"):
        c = whole()
        if step in shown:
            way.append(c)
        samples, backward = codes.model.trace(c, labels)  # (S, H, W, C)
        dc = backward((samples - t) * np.float32(2 / prod(t.shape)))
        optimizer.zero_grad()
        unknown.dc += dc.sum(axis=1) if one_w else dc  # (S, L, D) → (S, D)
        optimizer.lr = rate * schedule(step)
        optimizer.step()
    return xp.stack([*way, whole()])


def squared_errors(samples: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return E of samples (n, H, W, C) as (n,)."""
    return np.square(samples - target, dtype=np.float64).mean(axis=(1, 2, 3))


def measured(three: np.ndarray, target: np.ndarray, draws: Draws, network: FeatureNetwork) -> dict[str, float]:
    """Return the measures of the samples (3, H, W, C) of the mean, of the nearest draw, and of the code found."""
    features = features_of(network, np.stack([target, *three]))
    distances = np.linalg.norm(features[1:] - features[0], axis=1)
    nearest = np.linalg.norm(draws.features - features[0], axis=1).min()  # nearer than any random sample?
    found = dict(zip(("mean", "nearest", "found"), squared_errors(three, target).tolist(), strict=True))
    found |= {"features_mean": distances[0], "features_nearest": nearest, "features_found": distances[2]}
    found["psnr"] = psnr(three[2], target, 2)
    if min(target.shape[:2]) >= LEAST_SSIM:
        found["ssim"] = ssim(three[2], target, 2)
    return {name: float(f"{float(value):.6g}") for name, value in found.items()}

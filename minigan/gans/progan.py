"""Progressive growing (Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, …").

G and D start with pictures of 4×4 pixels. When these have been learned, layers for 8×8 are added and faded in, and so
on: the large structure is learned with small and cheap networks, and each later phase adds only finer details. The
phases for pictures of 32 pixels:

    4px   fade-8px   8px   fade-16px   16px   fade-32px   32px

`growth_samples` are shared equally by all phases but the last, which takes the rest of the run. In a fade, α rises
linearly from 0 to 1. G's picture is (1 − α)·(the old one, enlarged) + α·(the new one), D's features are blended
likewise, and so are the real pictures (growing.py). One step, at the level that follows from the samples so far:

    draw z; x̂ = ε x + (1 − ε) G(z)
    update D to minimize   mean D(G(z)) − mean D(x) + λ mean (‖∇D(x̂)‖ − 1)² + 0.001 mean D(x)²
    draw z; update G to minimize   −mean D(G(z))

The last term, the drift penalty, keeps D's scores near 0: the others don't change if a constant is added to D. At the
beginning of each phase the moments of Adam are set to 0, as in the authors' code: those of the phase before belong to
another loss. Layers that don't compute yet have gradients and moments of 0, so that they keep their initial weights.

The networks have an equalized learning rate (layers/equalized.py), pixel norm in G (pixel_norm.py), and the minibatch
standard deviation in D (minibatch.py), so that a score also depends on how much the pictures of a batch differ.

Networks: growing.py. Latent of 128 numbers from N(0, 1), which pixel norm brings to the length √128. Adam (0, .99) with
the rate 1e-3·√(512/C) for C channels, λ 10, n_critic 1. Samples are drawn with an average of G's weights, decay .999.

The authors' rate is 1e-3, with C = 512. With equalized weights, a step of Adam changes an output by about lr·√fan_in
(docs/progressive-growing.md), and fan_in is 9 C for a conv 3×3. So the rate 1e-3·√(512/C) gives the same change.

Deviations: 64 channels up to 32 pixels and a latent of 128 numbers, instead of 512 each; one batch size for all
resolutions, by default 16 (authors: 128 up to 16 pixels, 64 at 32, …, 16 at 128); phase lengths by the length of the
run (authors: 600,000 pictures each); α moves in every step (authors' code: every fourth); the first dense layer of G
has a bias for each number (authors: for each channel); D's activation comes before the halving, as in table 2 of the
paper (authors' code: after it); no classes (theirs has an auxiliary classifier); the decay of the average rises from .1
to .999, which removes the initial weights from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Annotated, Any

import numpy as np

from minigan.backend import Device, array_module
from minigan.gans.base import LatentGAN, Shape
from minigan.gans.growing import FIRST, GrowingCritic, GrowingGenerator, reduced, stage, top_level
from minigan.gans.networks import check_groups
from minigan.layers import Upsample
from minigan.losses import Wasserstein, l2
from minigan.model import PICTURE, Game, Measure, Now, Phase, phase_at
from minigan.optim import Adam
from minigan.options import Count, Fraction, NotNegative, Positive, Samples, WholeNumber
from minigan.penalties import GradientPenalty

GROUP = 4  # pictures


class ProGAN(LatentGAN):
    """A GAN that grows from 4 pixels to those of `shape` (H, W, C).

    Raises ShapeError unless pictures are square, with 8, 16, 32 … pixels.
    """

    paper = "Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al. 2018)"
    makes = "pictures of 8, 16, 32, 64, 128, 256 … pixels"
    suits = "for larger pictures than dcgan learns stably; most of the pictures are seen at small sizes, in little time"
    arrays = {"real": PICTURE}
    batch_size = 16
    ema = 0.999
    measures = {
        **LatentGAN.measures,
        "penalty": Measure("penalty", "Gradient penalty", "positive"),
        "drift": Measure("drift", "Drift", "positive", note="mean D(x)², which its small weight keeps from growing"),
        "alpha": Measure("α", "Fade", "share", note="share of the new resolution; 1 between the fades"),
    }

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the latent vector z")] = 128,
        lr: Annotated[
            float | None, Positive("learning rate", default="0.001·√(512/features): 0.0028 with 64 features")
        ] = None,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.0,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.99,
        lambda_gp: Annotated[float, NotNegative("weight of the gradient penalty")] = 10.0,
        drift: Annotated[float, NotNegative("weight of the drift penalty, mean D(x)²")] = 1e-3,
        group: Annotated[int, WholeNumber("pictures in a group of the minibatch standard deviation; 0: none")] = GROUP,
        growth_samples: Annotated[
            int | None, Samples("pictures until the last size is faded in; 0: no growing", "two thirds of the run")
        ] = None,
        features: Annotated[int, Count("channels of all layers up to 32 pixels; half as many at 64 …")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        self.top, channels = top_level(shape, "progan"), shape[-1]
        G = GrowingGenerator(self.top, latent_dim, channels, features, True, rng)
        D = GrowingCritic(self.top, channels, features, group, True, rng)
        self.setup(shape, latent_dim, G, D, Wasserstein(), device)
        self.features, self.rate_chosen = features, lr is None
        lr = rate_for(features) if lr is None else lr
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.penalty, self.drift = GradientPenalty(lambda_gp), drift
        self.games = (Game(self.loss, penalty="penalty", penalty_weight=lambda_gp),)
        self.phases = phases(self.top, growth_samples or 0)
        self.level = self.level_at(0)

    @classmethod
    def planned(cls, samples: int, arguments: dict[str, Any]) -> dict[str, Any]:
        """Fill in `growth_samples`: two thirds of the run. Raises ShapeError if groups don't divide the batch."""
        check_groups(arguments, GROUP)
        given = arguments.get("growth_samples")
        return arguments | {"growth_samples": 2 * samples // 3 if given is None else given}

    def heuristics(self, batch_size: int) -> Sequence[str]:
        """Return lines about the learning rate, unless it was given, and about the lengths of the phases."""
        return growing_heuristics(self.phases, batch_size, self.features if self.rate_chosen else 0)

    def begin(self, phase: Phase, now: Now) -> None:
        """Set the level, and the moments of Adam to 0."""
        self.level = self.level_at(now.samples)
        for optimizer in self.optimizers.values():
            optimizer.reset()

    def level_at(self, samples: int) -> float:
        """Return the level after so many samples."""
        return level_at(self.phases, self.top, samples)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D once, then G once, at the level of now.samples.

        Returns both losses, the mean scores D(x) and D(G(z)), both penalties, and α. d_loss excludes the penalties:
        −d_loss estimates the Wasserstein distance.
        """
        self.level = self.level_at(now.samples)
        real = reduced(next_batch()["real"], self.top, self.level)  # (N, H, W, C) → (N, h, h, C), h = 4·2ᵏ
        measured = self.critic_step(real, rng) | self.generator_step(len(real), rng)
        return measured | {"alpha": array_module(real).full((), stage(self.level)[1], np.float32)}

    def critic_step(self, real: Any, rng: Any) -> dict[str, Any]:
        """Update D on real pictures (N, h, h, C) of the current level, and as many fakes."""
        G, D, optimizer, level = self.networks["G"], self.networks["D"], self.optimizers["D"], self.level
        fake = G.output((self.latent(len(real), rng), level), rng=rng)  # (N, latent_dim) → the shape of real
        optimizer.zero_grad()

        real_scores, cache = D.forward((real, level), rng=rng)  # (N, h, h, C) → (N, 1)
        loss_real, dscores = self.loss.real(real_scores)  # −mean D(x)
        drift, ddrift = l2(real_scores, array_module(real_scores).zeros_like(real_scores))  # mean D(x)²
        D.backward(dscores + self.drift * ddrift, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another

        fake_scores, cache = D.forward((fake, level), rng=rng)  # (N, h, h, C) → (N, 1)
        loss_fake, dscores = self.loss.fake(fake_scores)  # mean D(G(z)); `fake` is an array: no gradient reaches G
        D.backward(dscores, cache, wrt="params")
        del cache

        # draws x̂, returns P, and adds ∂P/∂weights to D's gradients; the level is D's second input, as labels are
        penalty = self.penalty(D, real, fake, rng, labels=level)

        optimizer.step()
        means = {"d_real": real_scores.mean(), "d_fake": fake_scores.mean()}
        return {"d_loss": loss_real + loss_fake, **means, "penalty": penalty, "drift": drift}

    def generator_step(self, n: int, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes to minimize −mean D(G(z)): backpropagate through D, then through G."""
        G, D, optimizer, level = self.networks["G"], self.networks["D"], self.optimizers["G"], self.level
        optimizer.zero_grad()

        fake, G_cache = G.forward((self.latent(n, rng), level), rng=rng)  # (N, latent_dim) → (N, h, h, C)
        scores, D_cache = D.forward((fake, level), rng=rng)  # (N, h, h, C) → (N, 1)
        loss, dscores = self.loss.generator(scores)  # −mean D(G(z))
        dfake, _ = D.backward(dscores, D_cache, wrt="input")  # (N, 1) → (N, h, h, C); the level has no gradient
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}

    def input_of_G(self, z: Any, labels: Any) -> Any:
        """Return (z, level). Raises ValueError for labels: the model isn't conditional."""
        return super().input_of_G(z, labels), self.level

    def generate(self, z: Any, labels: Any = None) -> Any:
        """Map z (n, latent_dim) to pictures (n, H, W, C), enlarged to the full size while G makes smaller ones."""
        return self._enlarge().output(super().generate(z, labels))

    def trace(self, code: Any, labels: Any = None) -> tuple[Any, Callable[[Any], Any]]:
        """Return the pictures of z = `code`, as `generate`, and `backward`, which maps their gradient to dz."""
        samples, backward = super().trace(code, labels)
        enlarge = self._enlarge()
        larger, cache = enlarge.forward(samples)  # (n, h, h, C) → (n, H, W, C)
        # G's input is (z, level), so its backward returns (dz, None)
        return larger, lambda dlarger: backward(enlarge.backward(dlarger, cache))[0]

    def _enlarge(self) -> Upsample:
        """The layer from the size of the current level to the full size."""
        return Upsample(2 ** (self.top - stage(self.level)[0]))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the level of the last step, at which samples are drawn."""
        return {"level": np.array(self.level)}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore the level."""
        self.level = float(arrays["level"])


def level_at(phases: Sequence[Phase], top: int, samples: int) -> float:
    """Return the level after so many samples: k, or k − 1 + α in the fade to level k. `phases` end at level `top`.

    In a fade, 0 < α < 1: each of its steps trains the old and the new layers.
    """
    at = phases.index(phase_at(phases, samples))
    i = at + 2 * top + 1 - len(phases)  # 0: 4px, 1: fade-8px, 2: 8px, …; the last phase is 2·top
    k = (i + 1) // 2
    if i % 2 == 0:
        return float(k)
    begins, ends = phases[at].begins, phases[at + 1].begins
    return k - 1 + (samples - begins + 1) / (ends - begins + 1)


def phases(top: int, growth_samples: int, first: int = 0, networks: Sequence[str] = "GD") -> tuple[Phase, ...]:
    """Return the phases from level `first` to level `top`: a fade to each level and a stable phase at it.

    All but the last together take `growth_samples`, in equal parts; with 0, the last is the only one. The layers of
    other levels are idle in `networks`. Raises ValueError for fewer samples than phases before the last.
    """
    before = 2 * (top - first)  # phases before the last
    if 0 < growth_samples < before:
        few = f"`growth_samples` is {growth_samples}, and growing has {before} phases before the last"
        raise ValueError(f"{few}: give at least {before} samples, or more `n_steps`, or 0 for no growing")
    found = []
    for i in range(2 * first, 2 * top + 1):
        k, fading = (i + 1) // 2, i % 2
        idle = [f"block{FIRST << j}" for j in range(top + 1) if j > k]
        idle += [f"rgb{FIRST << j}" for j in range(top + 1) if j != k and not (fading and j == k - 1)]
        name = f"fade-{FIRST << k}px" if fading else f"{FIRST << k}px"
        begins = growth_samples * (i - 2 * first) // max(1, before)
        found.append(Phase(name, begins, idle=tuple(f"{net}.{layer}" for net in networks for layer in idle)))
    return tuple(found) if growth_samples else (found[-1],)


def rate_for(features: int) -> float:
    """Return the learning rate for layers of `features` channels; the authors' is 1e-3, for 512."""
    return 1e-3 * sqrt(512 / features)


def growing_heuristics(phases: Sequence[Phase], batch_size: int, features: int) -> list[str]:
    """Return lines about the lengths of phases, and about the learning rate for `features` channels; 0: none."""
    lines = []
    if features:
        lines.append(
            f"`lr` is {rate_for(features):.2g}: 0.001 · √(512 / {features}), by `features`, so that outputs change as "
            "much in a step as in the paper, whose layers have 512 channels"
        )
    if len(phases) > 1:
        *growing, last = phases
        names, each = ", ".join(phase.name for phase in growing), last.begins / len(growing)
        lines.append(
            f"`growth_samples` is {last.begins:,}: {names} take {each:,.0f} pictures each ({each / batch_size:,.0f} "
            f"steps) and {last.name} the rest, by default a third of the run: only then the last layers train without "
            "a fade"
        )
    return lines

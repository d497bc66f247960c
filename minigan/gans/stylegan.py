"""StyleGAN: "A Style-Based Generator Architecture for Generative Adversarial Networks" (Karras, Laine and Aila 2019).

A mapping network turns the latent z into a style w. The synthesis network begins with a learned constant of 4×4 pixels
instead of z. After each convolution, an adaptive instance norm replaces the mean and the deviation of every channel by
those that w asks for (layers/adain.py). So each layer has a style, and different layers may have those of different w.
Coarse layers decide on pose and shape, fine ones on color and texture.

It is the model between progan.py and stylegan2.py:

    as in progan.py       growing, phases, the fade, real pictures that are blended likewise, the critic; from 8 pixels
    as in stylegan2.py    mapping, w̄ and truncation, style mixing, noise, the loss and R1
    its own               AdaIN (stylegan2 modulates and demodulates weights); a filter [1, 2, 1] after enlargements and
                          before halvings; R1 with γ 10 in every step, not in each 16th; no path length

StyleGAN2 replaced AdaIN because pictures had blobs: one strong spot makes the deviation of its channel large, so that
the norm makes the rest of the channel small. It replaced growing because details kept to fixed places. docs/stylegan.md
shows the first in numbers.

One step, at the level of now.samples:

    draw z; update D to minimize   mean softplus(D(G(z))) + mean softplus(−D(x)) + γ/2 mean ‖∇D(x)‖²
    draw z; update mapping and synthesis to minimize   mean softplus(−D(G(z)))

Where gradients end: as in stylegan2.py. The level has none.

Networks: growing_style.py, growing.py; mapping: style_networks.py. z and w of 128 numbers, 8 dense layers between them;
Adam (0, .99) with the rate 1e-3·√(512/C) for C channels, for the reason in progan.py. The moments are set to 0 at the
beginning of each phase.

Deviations: 64 channels up to 32 pixels instead of 512; z and w of 128 numbers instead of 512; one batch size and one
rate for all sizes; phases and α are as in progan.py, weights are averaged as in stylegan2.py (authors: without the
ramp); one strength of noise for each layer instead of each channel; the critic's activation comes before the halving;
the second w of a mix is computed only if it is used; samples aren't truncated unless asked for (authors: ψ .7 for the
first 8 layers). No labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np

from minigan.backend import Device, array_module, get_device, to_numpy
from minigan.gans.base import LatentGAN, Shape
from minigan.gans.growing import GrowingCritic, reduced, stage, top_level
from minigan.gans.growing_style import GrowingSynthesis
from minigan.gans.half_life import HALF_LIFE, HalfLifeGAN
from minigan.gans.progan import ProGAN, growing_heuristics, level_at, phases, rate_for
from minigan.gans.style_networks import mapping
from minigan.gans.stylegan2 import GROUP, StyleGAN2
from minigan.layers import Upsample
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import Game, Now, Phase
from minigan.optim import Adam
from minigan.options import Count, Fraction, NotNegative, Positive, Samples, WholeNumber
from minigan.penalties import R1

FIRST_LEVEL = 1  # 8 pixels


class StyleGAN(StyleGAN2):
    """A growing GAN with a style for each layer, for pictures of `shape` (H, W, C).

    Raises ShapeError unless pictures are square, with 8, 16, 32 … pixels.
    """

    paper = "A Style-Based Generator Architecture for Generative Adversarial Networks (Karras, Laine and Aila 2019)"
    makes = "square pictures of 8, 16, 32, 64, 128, 256 … pixels"
    suits = "to compare it with stylegan2, which replaced it"
    measures = {
        **LatentGAN.measures,
        "r1": StyleGAN2.measures["r1"],
        "alpha": ProGAN.measures["alpha"],
    }

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the latent vector z and of the style w")] = 128,
        lr: Annotated[
            float | None, Positive("learning rate", default="0.001·√(512/features): 0.0028 with 64 features")
        ] = None,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.0,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.99,
        mapping_layers: Annotated[int, Count("dense layers from z to w")] = 8,
        gamma: Annotated[float, NotNegative("weight of R1")] = 10.0,
        mixing: Annotated[float, Fraction("probability of two styles in a batch's layers")] = 0.9,
        half_life: Annotated[
            float, NotNegative("of the averages of weights, in pictures; 0: none; --ema gives a decay instead")
        ] = HALF_LIFE,
        group: Annotated[int, WholeNumber("pictures in a group of the minibatch standard deviation; 0: none")] = GROUP,
        growth_samples: Annotated[
            int | None, Samples("pictures until the last size is faded in; 0: no growing", "two thirds of the run")
        ] = None,
        features: Annotated[int, Count("channels of all layers up to 32 pixels; half as many at 64 …")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        self.top, channels = top_level(shape, "stylegan"), shape[-1]
        self.shape, self.latent_dim, self.device = tuple(shape), latent_dim, get_device(device)
        synthesis = GrowingSynthesis(self.top, latent_dim, channels, features, rng=rng)
        D = GrowingCritic(self.top, channels, features, group, True, rng, blur=True)
        made = {"mapping": mapping(latent_dim, mapping_layers, rng), "synthesis": synthesis, "D": D}
        self.networks = {name: network.to(self.device) for name, network in made.items()}
        self.features, self.rate_chosen = features, lr is None
        lr = rate_for(features) if lr is None else lr
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.n_layers, self.mixing, self.penalty = synthesis.n_layers, mixing, R1(gamma)
        self.loss = Minimax()
        self.losses = {"loss": self.loss}
        self.games = (Game(self.loss, generator="synthesis", penalty="r1", penalty_weight=gamma / 2),)
        self.phases = phases(self.top, growth_samples or 0, FIRST_LEVEL, ("synthesis", "D"))
        self.level = level_at(self.phases, self.top, 0)
        self.w_mean = self.device.array(np.zeros(latent_dim, np.float32))  # w̄
        self.start_averages(half_life)

    @classmethod
    def planned(cls, samples: int, arguments: dict[str, Any]) -> dict[str, Any]:
        """Fill in `growth_samples`: two thirds of the run. Raises ShapeError if groups don't divide the batch."""
        given = super().planned(samples, arguments).get("growth_samples")
        return arguments | {"growth_samples": 2 * samples // 3 if given is None else given}

    def heuristics(self, batch_size: int) -> Sequence[str]:
        """Return lines about the rate, unless it was given, the phases, and the half-life of the averages."""
        growing = growing_heuristics(self.phases, batch_size, self.features if self.rate_chosen else 0)
        return [*growing, *HalfLifeGAN.heuristics(self, batch_size)]

    def begin(self, phase: Phase, now: Now) -> None:
        """Set the moments of Adam to 0: those of the phase before belong to another loss."""
        self.level = level_at(self.phases, self.top, now.samples)
        for optimizer in self.optimizers.values():
            optimizer.reset()

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D once, then mapping and synthesis, at the level of now.samples.

        Returns both losses, the means of D(x) and D(G(z)), ‖∇D(x)‖², and α. d_loss excludes R1.
        """
        self.level = level_at(self.phases, self.top, now.samples)
        real = reduced(next_batch()["real"], self.top, self.level)  # (N, H, W, C) → (N, h, h, C), h = 4·2ᵏ
        self.set_decay(len(real), now.samples)
        measured = self.discriminator_step(real, rng, now) | self.generator_step(len(real), rng, now)
        return measured | {"alpha": array_module(real).full((), stage(self.level)[1], np.float32)}

    def discriminator_step(self, real: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D on real pictures (N, h, h, C) of the current level and as many fakes, with R1 at the real ones."""
        D, level = self.networks["D"], self.level
        ws, _ = self.mixed_styles(len(real), rng, now)  # (N, L, Z)
        fake = self.networks["synthesis"].output((ws, level), rng=rng)  # no cache: no gradient reaches G
        self.zero_grad("D")

        logits, cache = D.forward((fake, level), rng=rng)  # (N, h, h, C) → (N, 1)
        loss_fake, dlogits = self.loss.fake(logits)  # mean softplus(l)
        D.backward(dlogits, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another
        d_fake = sigmoid(logits).mean()

        logits, cache = D.forward((real, level), rng=rng)  # (N, h, h, C) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)  # mean softplus(−l)
        D.backward(dlogits, cache, wrt="params")
        del cache
        measured = {"d_loss": loss_real + loss_fake, "d_real": sigmoid(logits).mean(), "d_fake": d_fake}
        if self.penalty.gamma:
            # returns P, and adds ∂P/∂weights to D's gradients; the level is D's second input, as labels are
            penalty = self.penalty(D, real, fake, rng, labels=level)
            measured["r1"] = penalty * (2 / self.penalty.gamma)

        self.update("D")
        return measured

    def generator_step(self, n: int, rng: Any, now: Now) -> dict[str, Any]:
        """Update mapping and synthesis on `n` new fakes to minimize −mean log D(G(z))."""
        synthesis, D, level = self.networks["synthesis"], self.networks["D"], self.level
        self.zero_grad("mapping", "synthesis")

        ws, backward_to_mapping = self.mixed_styles(n, rng, now)  # (N, L, Z)
        fake, cache = synthesis.forward((ws, level), rng=rng)  # → (N, h, h, C)
        logits, D_cache = D.forward((fake, level), rng=rng)  # → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # mean softplus(−l)
        dfake, _ = D.backward(dlogits, D_cache, wrt="input")  # D isn't trained here; the level has no gradient
        del D_cache
        dws, _ = synthesis.backward(dfake, cache)
        backward_to_mapping(dws)

        self.update("mapping", "synthesis")
        return {"g_loss": loss}

    def layers_in_use(self) -> int:
        """Return the number of layers with a style at the current level."""
        return 2 * stage(self.level)[0] + 2

    def synthesize(self, w: Any, rng: Any = None) -> Any:
        """Make pictures (n, H, W, C) in [−1, 1] of styles w (n, L, Z), by fixed noise, or with `rng` by random noise.

        While the network makes smaller pictures, they are enlarged.
        """
        pictures = self.drawing("synthesis").output((w, self.level), train=False, rng=rng)
        return self._enlarge().output(pictures).clip(-1, 1)

    def trace(self, w: Any, labels: Any = None) -> tuple[Any, Callable[[Any], Any]]:
        """Return pictures of styles w (n, L, Z), not clipped, and a function from their gradient to that of w."""
        self.refuse_labels(labels)
        synthesis, enlarge = self.drawing("synthesis"), self._enlarge()
        pictures, cache = synthesis.forward((w, self.level), train=False)
        larger, enlarged = enlarge.forward(pictures)  # (n, h, h, C) → (n, H, W, C)

        def backward(dlarger: Any) -> Any:
            return synthesis.backward(enlarge.backward(dlarger, enlarged), cache, wrt="input")[0]

        return larger, backward

    def _enlarge(self) -> Upsample:
        return Upsample(2 ** (self.top - stage(self.level)[0]))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return w̄ (Z,), and the level of the last step, at which samples are drawn."""
        return {"w_mean": to_numpy(self.w_mean).copy(), "level": np.array(self.level)}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore w̄ and the level."""
        self.w_mean, self.level = self.device.array(arrays["w_mean"]), float(arrays["level"])

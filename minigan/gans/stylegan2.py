"""StyleGAN2: "Analyzing and Improving the Image Quality of StyleGAN" (Karras et al. 2020).

A mapping network turns the latent z into a style w, and w enters every layer of the synthesis network, where it scales
the channels of a convolution (layers/modulated.py). Styles of coarse layers determine shape and pose, those of fine
layers color and texture, and each layer may have the style of another w. One step:

    draw z; update mapping and synthesis to minimize   mean softplus(−D(G(z)))
    every 4th step, for half a batch of z              4 · β mean (ℓ − a)²               path length (penalties.py)
    draw z; update D to minimize                       mean softplus(D(G(z))) + mean softplus(−D(x))
    every 16th step                                    16 · γ/2 mean ‖∇D(x)‖²            R1

ℓ is the length of ∂⟨G(w), y⟩/∂w for a random picture y, and a is its moving average: pictures are to change equally
fast with w everywhere. The two penalties change slowly, so each is computed in every k-th step, with k times its
weight, in an update of its own ("lazy" regularization). k steps then have k + 1 updates by Adam. With c = k/(k + 1),
the learning rate lr·c and the decays β1ᶜ and β2ᶜ, k + 1 updates move as far and decay Adam's averages as much as k
updates would with lr, β1 and β2 (appendix B; docs/lazy-regularization.md).

Style mixing: with probability 0.9, the layers from a random one on get the w of a second z, so that each layer also
works beside a layer with another style. w̄ is a moving average of w. Samples are drawn with averages of the weights;
ψ < 1 moves their styles toward w̄, to typical pictures (truncation, `styles`).

Where gradients end:
    G's update       goes through D, whose parameters get none, and through synthesis to mapping. w̄ gets none
    path length      the gradient ∂P/∂w that leaves synthesis is an ordinary dy of mapping. a gets none
    D's update       ends at D's input: the pictures are an array, made without a cache
    R1               ends at x, which is data

Networks: style_networks.py. z and w of 128 numbers, 2 dense layers between them; Adam 0.002 (0, .99); β 2; γ by the
authors' heuristic, 0.0002·size²/batch: gradients are summed over pixels, and larger batches are less noisy. Averages
have a half-life of 10,000 pictures, at first of a twentieth of the pictures so far.

Deviations: 64 channels at the size of the picture, at most 128 (authors: 512 up to 64 pixels); z and w of 128 numbers
(512); 2 dense layers (8, or 2 for small data); a in the path length is a constant. No labels, no augmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from minigan.backend import Device, array_module, get_device, to_numpy
from minigan.gans.base import LatentGAN, Shape
from minigan.gans.half_life import HALF_LIFE, HalfLifeGAN
from minigan.gans.networks import check_groups
from minigan.gans.style_networks import Synthesis, discriminator, mapping, sizes_of
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import PICTURE, Game, Kind, Measure, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, NotNegative, Positive, WholeNumber
from minigan.penalties import R1, PathLength

GROUP = 4  # pictures of a group of the minibatch standard deviation
W_RATE = 0.005  # of w̄
GAMMA = 0.0002  # times size²/batch: the authors' heuristic


class StyleGAN2(HalfLifeGAN):
    """A GAN with a style for each layer, for pictures of `shape` (H, W, C).

    Raises ShapeError unless pictures are square, with 8, 16, 32 … pixels.
    """

    paper = "Analyzing and Improving the Image Quality of StyleGAN (Karras et al. 2020)"
    makes = "square pictures of 8, 16, 32, 64, 128, 256 … pixels"
    suits = "for styles that can be mixed, truncated and found for a picture; a step costs several of dcgan's"
    arrays: ClassVar[dict[str, Kind]] = {"real": PICTURE}
    averaged = ("mapping", "synthesis")
    batch_size = 32
    measures = {
        **LatentGAN.measures,
        "r1": Measure("‖∇D‖² at real pictures", "R1", "positive", note="its weight is γ/2; 0 where D has no slope"),
        "path_length": Measure("mean ℓ", "Path length", "positive", note="how far a picture moves per unit of w"),
        "path_penalty": Measure("mean (ℓ − a)²", "Path length", "positive"),
    }

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the latent vector z and of the style w")] = 128,
        lr: Annotated[float, Positive("learning rate")] = 2e-3,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.0,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.99,
        mapping_layers: Annotated[int, Count("dense layers from z to w; the paper has 8")] = 2,
        gamma: Annotated[float | None, NotNegative("weight of R1; 0: none", "0.0002 · size²/batch size")] = None,
        r1_every: Annotated[int, Count("steps from one R1 to the next")] = 16,
        path_weight: Annotated[float, NotNegative("weight of the path length; 0: none")] = 2.0,
        path_every: Annotated[int, Count("steps from one path length to the next")] = 4,
        mixing: Annotated[float, Fraction("probability of two styles in a batch's layers")] = 0.9,
        half_life: Annotated[float, NotNegative("of the averages of weights, in pictures; 0: none")] = HALF_LIFE,
        group: Annotated[int, WholeNumber("pictures in a group of the minibatch standard deviation; 0: none")] = GROUP,
        features: Annotated[int, Count("channels at the size of the picture; twice as many with each halving")] = 64,
        max_features: Annotated[int, Count("most channels of a layer")] = 128,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        self.size = sizes_of(shape, "stylegan2")[-1]
        self.shape, self.latent_dim, self.device = tuple(shape), latent_dim, get_device(device)
        synthesis = Synthesis(shape, latent_dim, features, max_features, rng=rng)
        D = discriminator(shape, features, max_features, group, rng=rng)
        made = {"mapping": mapping(latent_dim, mapping_layers, rng), "synthesis": synthesis, "D": D}
        self.networks = {name: network.to(self.device) for name, network in made.items()}
        self.n_layers, self.mixing, self.gamma = synthesis.n_layers, mixing, gamma
        self.r1_every, self.path_every = r1_every, path_every
        self.path = PathLength(path_weight)
        every = dict.fromkeys(made, path_every if path_weight else 0) | {"D": 0 if gamma == 0 else r1_every}
        self.optimizers = {name: lazy_adam(net, lr, (b1, b2), every[name]) for name, net in self.networks.items()}
        self.loss: Any = Minimax()
        self.losses, self.games = {"loss": self.loss}, (Game(self.loss, generator="synthesis"),)
        self.w_mean = self.device.array(np.zeros(latent_dim, np.float32))  # w̄
        self.path_mean = self.device.array(np.zeros((), np.float32))  # a
        self.start_averages(half_life)

    @classmethod
    def planned(cls, samples: int, arguments: dict[str, Any]) -> dict[str, Any]:
        """Check that groups divide the batch; raises ShapeError."""
        check_groups(arguments, GROUP)
        return arguments

    def heuristics(self, batch_size: int) -> Sequence[str]:
        """Return lines about γ, unless it was given, and about the half-life of the averages."""
        if self.gamma is not None:
            return super().heuristics(batch_size)
        return (
            f"`gamma` is {self.r1_weight(batch_size):.3g}: {GAMMA} · {self.size}² / {batch_size}, by size² / batch "
            "size, because gradients are summed over pixels, and larger batches are less noisy",
            *super().heuristics(batch_size),
        )

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update mapping and synthesis, then D; every so many steps, each also by its penalty.

        Returns both losses, the means of D(x) and D(G(z)), and what was penalized, without weights and intervals.
        """
        real = next_batch()["real"]  # (N, H, W, C)
        self.set_decay(len(real), now.samples)
        measured = self.generator_step(len(real), rng, now)
        if self.path.weight and now.step % self.path_every == 0:
            measured |= self.path_length_step(max(1, len(real) // 2), rng, now)
        measured |= self.discriminator_step(real, rng, now)
        if self.gamma != 0 and now.step % self.r1_every == 0:
            measured |= self.r1_step(real, rng)
        return measured

    def generator_step(self, n: int, rng: Any, now: Now) -> dict[str, Any]:
        """Update mapping and synthesis on `n` new fakes to minimize −mean log D(G(z))."""
        synthesis, D = self.networks["synthesis"], self.networks["D"]
        self.zero_grad("mapping", "synthesis")

        ws, backward_to_mapping = self.mixed_styles(n, rng, now)  # (N, L, Z)
        fake, cache = synthesis.forward(ws, rng=rng)  # → (N, H, W, C)
        logits, D_cache = D.forward(fake, rng=rng)  # → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # mean softplus(−l)
        dfake = D.backward(dlogits, D_cache, wrt="input")  # D isn't trained here
        del D_cache
        backward_to_mapping(synthesis.backward(dfake, cache))

        self.update("mapping", "synthesis")
        return {"g_loss": loss}

    def path_length_step(self, n: int, rng: Any, now: Now) -> dict[str, Any]:
        """Update mapping and synthesis by the path length penalty, with `path_every` times its weight."""
        self.zero_grad("mapping", "synthesis")

        ws, backward_to_mapping = self.mixed_styles(n, rng, now)  # (N, L, Z)
        scale = self.path.weight * self.path_every
        penalty, length, dws = PathLength(scale, self.path.rate)(self.networks["synthesis"], ws, self.path_mean, rng)
        backward_to_mapping(dws)

        self.update("mapping", "synthesis")
        return {"path_length": length, "path_penalty": penalty / scale}

    def discriminator_step(self, real: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D to minimize −mean log D(x) − mean log(1 − D(G(z))); fakes and reals pass as two batches."""
        D = self.networks["D"]
        ws, _ = self.mixed_styles(len(real), rng, now)
        fake = self.networks["synthesis"].output(ws, rng=rng)  # no cache: no gradient reaches G
        self.zero_grad("D")

        logits, cache = D.forward(fake, rng=rng)  # (N, H, W, C) → (N, 1)
        loss_fake, dlogits = self.loss.fake(logits)  # mean softplus(l)
        D.backward(dlogits, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another
        d_fake = sigmoid(logits).mean()

        logits, cache = D.forward(real, rng=rng)  # (N, H, W, C) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)  # mean softplus(−l)
        D.backward(dlogits, cache, wrt="params")

        self.update("D")
        return {"d_loss": loss_real + loss_fake, "d_real": sigmoid(logits).mean(), "d_fake": d_fake}

    def r1_step(self, real: Any, rng: Any) -> dict[str, Any]:
        """Update D by R1, with `r1_every` times its weight."""
        gamma = self.r1_weight(len(real))
        self.zero_grad("D")
        penalty = R1(self.r1_every * gamma)(self.networks["D"], real, None, rng)
        self.update("D")
        return {"r1": penalty * (2 / (self.r1_every * gamma))}  # mean ‖∇D(x)‖²

    def r1_weight(self, n: int) -> float:
        """Return γ for batches of n pictures: as given, or by the heuristic."""
        return GAMMA * self.size**2 / n if self.gamma is None else self.gamma

    def mixed_styles(self, n: int, rng: Any, now: Now) -> tuple[Any, Callable[[Any], None]]:
        """Draw ws (n, L, Z), and return a function that takes dws to the parameters of mapping. Moves w̄.

        With probability `mixing`, the layers from `cut` on, the same for the whole batch, have the w of another z.
        """
        mapping, L = self.networks["mapping"], self.layers_in_use()
        cut = int(now.rng.integers(1, L)) if now.rng.random() < self.mixing else L
        w, cache = mapping.forward(self.latent(n, rng), rng=rng)  # (n, Z)
        self.w_mean += W_RATE * (w.mean(axis=0) - self.w_mean)  # w̄ is no function of the weights: no gradient
        ws = self.for_all_layers(w)
        other = None
        if cut < L:
            second, other = mapping.forward(self.latent(n, rng), rng=rng)
            ws[:, cut:] = second[:, None]

        def backward(dws: Any) -> None:
            # ws[:, i] = w for i < cut, and second from there on: the gradients of the layers are added
            mapping.backward(dws[:, :cut].sum(axis=1), cache, wrt="params")
            if other is not None:
                mapping.backward(dws[:, cut:].sum(axis=1), other, wrt="params")

        return ws, backward

    def layers_in_use(self) -> int:
        """Return the number of layers with a style: L. A model that grows has fewer at first."""
        return self.n_layers

    def for_all_layers(self, w: Any) -> Any:
        """w (n, Z) → ws (n, L, Z), the same for every layer."""
        return array_module(w).repeat(w[:, None], self.n_layers, axis=1)

    def styles(self, z: Any, labels: Any = None, truncation: float = 1.0, layers: int | None = None) -> Any:
        """Map z (n, Z) to styles w (n, L, Z), one for each layer: w̄ + ψ (w − w̄), ψ = `truncation`.

        0 is w̄ for every z. Smaller ψ: more typical pictures, less variety. `layers`: only the first so many layers are
        truncated; None: all. Raises ValueError for labels.
        """
        self.refuse_labels(labels)
        ws = self.for_all_layers(self.drawing("mapping").output(z, train=False))
        part = ws[:, :layers]
        part[...] = self.w_mean + truncation * (part - self.w_mean)
        return ws

    def synthesize(self, w: Any, rng: Any = None) -> Any:
        """Make pictures (n, H, W, C) in [−1, 1] of styles w (n, L, Z), with fixed noise, or drawn by `rng`."""
        return self.drawing("synthesis").output(w, train=False, rng=rng).clip(-1, 1)

    def generate(self, z: Any, labels: Any = None, truncation: float = 1.0) -> Any:
        """Map z (n, Z) to pictures (n, H, W, C) in [−1, 1] with fixed noise: `styles`, then `synthesize`."""
        return self.synthesize(self.styles(z, labels, truncation))

    def trace(self, w: Any, labels: Any = None) -> tuple[Any, Callable[[Any], Any]]:
        """Return pictures of styles w (n, L, Z), not clipped, and a function from their gradient to that of w."""
        self.refuse_labels(labels)
        synthesis = self.drawing("synthesis")
        pictures, cache = synthesis.forward(w, train=False)
        return pictures, lambda dpictures: synthesis.backward(dpictures, cache, wrt="input")

    def refuse_labels(self, labels: Any) -> None:
        """Raise ValueError for labels."""
        if labels is not None:
            raise ValueError("this model is not conditional: give no labels")

    def zero_grad(self, *names: str) -> None:
        """Set the gradients of networks to zero."""
        for name in names:
            self.optimizers[name].zero_grad()

    def update(self, *names: str) -> None:
        """Make a step of the optimizers of networks."""
        for name in names:
            self.optimizers[name].step()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return w̄ (Z,) and a, the usual path length ()."""
        return {"w_mean": to_numpy(self.w_mean).copy(), "path_mean": to_numpy(self.path_mean).copy()}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore w̄ and a."""
        self.w_mean, self.path_mean = (self.device.array(arrays[name]) for name in ("w_mean", "path_mean"))


def lazy_adam(network: Any, lr: float, betas: tuple[float, float], every: int) -> Adam:
    """Return Adam for a network that makes every + 1 updates in `every` steps; 0: one in each step."""
    c = every / (every + 1) if every else 1.0
    return Adam(network.parameters(), lr * c, (betas[0] ** c, betas[1] ** c))

"""pix2pix: "Image-to-Image Translation with Conditional Adversarial Networks" (Isola, Zhu, Zhou and Efros 2017).

A network G turns an input x into a picture y = G(x) that should equal the target t. D sees pairs, (x, t) or (x, y), and
gives a logit for each patch of them (patchgan.py). One training step, with D(·) = sigmoid(logit):

    y = G(x)
    update D to minimize ½ (−mean log D(x, t) − mean log(1 − D(x, y)))
    update G to minimize −mean log D(x, y) + λ mean |y − t|                λ = 100

The gradients, and where they end:

    D's update     end at D's input: y is data there, and G gets no gradient
    G's update     go from the logits through D to (x, y). The part at x ends there: x is data. The part at y and the
                   gradient of the L1 loss, λ sign(y − t)/M with M values in y, both go through G, where y = tanh(out),
                   and out is the U-Net's output. They are added at `out`. D's weights get no gradient

`gan=False` leaves D out: the U-Net with L1 alone, to compare with. It estimates the median of all targets that fit x,
which is blurred wherever x doesn't determine the details. D rejects blurred pictures, so with D, y has details. These
are plausible, but most of them differ from the details of t, and the L1 error is larger.

**Class maps.** If the target is a map, G's output has a logit for each class. y = softmax(logits) is compared with the
one-hot map t, by L1 or cross-entropy, and D gets y. Where the class is unknown, t is 0 and y is set to 0.

**Noise and norms.** Dropout is the only noise. It is on in training only, so the same x always gives the same y later.
The authors leave dropout on at test time. Their batch norm uses the statistics of the batch in training and at test
time. Their batch is one picture, so this is instance norm, the default here. With `norm="batch"`, inference uses the
running statistics.

The other settings are the authors': Adam 2e-4 with β1 .5, weights from N(0, .02), a constant learning rate. Deviations:
the depth of the U-Net and D's field follow the size of the pictures (unet.py, patchgan.py); a batch of 4 instead of 1,
for which a step takes only about twice as long at 64×64 pixels; no bias before a norm, where it has no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.errors import ShapeError
from minigan.gans.base import Shape
from minigan.layers import Softmax, Tanh
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax, l1, pixel_cross_entropy
from minigan.model import MAP, PICTURE, Game, Kind, Measure, Model, Now, Translation
from minigan.optim import Adam
from minigan.options import Count, Fraction, NotNegative, Option, Positive
from minigan.translators.damages import Damages
from minigan.translators.maps import from_colors, to_colors
from minigan.translators.norms import norm_of
from minigan.translators.patchgan import build_patchgan, check_size, field_for
from minigan.translators.unet import build_unet, depth_of, output_of

ERRORS = {
    "l1": Measure("mean |y − target|", "L1", "positive"),
    "cross_entropy": Measure("−mean log p", "Cross-entropy", "positive"),
}
ADVERSARIAL = {
    "d_loss": Measure("D", "Losses"),
    "g_loss": Measure("G", "Losses"),
    "d_real": Measure("D(target)", "Output of D", "opinion"),
    "d_fake": Measure("D(G(input))", "Output of D", "opinion"),
}


class Pix2Pix(Model):
    """A translator for pairs: inputs (N, H, W, C) → targets (N, H, W, K).

    Both are pictures, or one of them is class maps (`labels`), with the color of each class in bytes (K, 3). With
    `damage`, the data has targets only, and the inputs are made of them. Raises ValueError for options that exclude
    each other, ShapeError for sizes that the networks can't take.
    """

    paper = "Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou and Efros 2017)"
    makes = "pictures of pictures, label maps of photos, photos of label maps"
    suits = "where pairs are at hand: hundreds of inputs, each with the picture wanted for it"
    arrays = {"input": PICTURE, "target": PICTURE}
    translations = (Translation("input", "target"),)
    batch_size, holds_out, averaged, applied, recolors = 4, True, ("G",), ("G",), True

    def __init__(
        self,
        target_shape: Shape,
        input_shape: Shape | None = None,
        input_colors: Any = None,
        target_colors: Any = None,
        labels: Annotated[Literal["none", "input", "target"], Option("which of the two is a class map")] = "none",
        damage: Annotated[
            str, Option("make inputs of targets: gray, fade, noise:25, blur:2, jpeg:20 …", "none: the data are pairs")
        ] = "",
        gan: Annotated[bool, Option("adversarial loss; without it, the U-Net is trained alone")] = True,
        loss: Annotated[
            Literal["l1", "cross-entropy"], Option("loss between output and target; cross-entropy is for maps")
        ] = "l1",
        weight: Annotated[float, NotNegative("weight of that loss beside the adversarial one")] = 100.0,
        norm: Annotated[Literal["instance", "batch", "none"], Option("normalization in both networks")] = "instance",
        dropout: Annotated[float, Fraction("dropout probability in the three innermost levels of the U-Net")] = 0.5,
        depth: Annotated[
            int | None, Count("how often the U-Net halves pictures", "as often as possible, at most 8")
        ] = None,
        field: Annotated[
            int | None, Count("receptive field of D in pixels: 1, 16, 34 or 70", "about a quarter of the picture")
        ] = None,
        features: Annotated[int, Count("channels next to the picture; deeper layers have multiples of it")] = 64,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        self.arrays = self.needs(labels=labels, damage=damage)
        if loss == "cross-entropy" and labels != "target":
            raise ValueError("`loss` cross-entropy compares class maps: give `labels` target, or leave it out")
        if not gan and not weight:
            raise ValueError("without `gan` and with `weight` 0, nothing is learned: leave one of them out")
        self.device, self.weight, self.cross_entropy = get_device(device), weight, loss == "cross-entropy"
        self.input_colors, self.target_colors, self.of_classes = input_colors, target_colors, labels == "target"
        if damage:
            self.damages, input_shape = Damages(damage), target_shape
            self.damages.check_channels(target_shape[-1])
            self.recolors = self.damages.takes_color
            if self.damages.masked:
                raise ValueError(f"`damage` {damage}: pix2pix doesn't know where a hole is; train restore, which does")
            self.damage = self.damaged  # an attribute of those models only that make their inputs
        *size, C = input_shape or target_shape
        *target_size, K = target_shape
        depth = depth or depth_of(size)
        self.multiple = 2**depth
        self._check_sizes(size, target_size, depth)

        self.ending = Softmax() if labels == "target" else Tanh()  # not in G: cross-entropy takes the logits
        self.networks = {"G": build_unet(C, K, depth, features, norm_of(norm, rng), dropout, rng=rng)}
        self.measures = {"cross_entropy" if self.cross_entropy else "l1": ERRORS[loss.replace("-", "_")]}
        if gan:
            self.set_up_discriminator(C + K, size, field, features, norm, rng)
        networks = self.networks.items()
        self.optimizers = {name: Adam(net.to(self.device).parameters(), lr, (b1, b2)) for name, net in networks}

    def _check_sizes(self, size: list[int], target_size: list[int], depth: int) -> None:
        """Raise ShapeError if inputs and targets differ in size, or if the U-Net can't halve them `depth` times."""
        if size != target_size:
            sizes = (f"{H}×{W}" for H, W in (size, target_size))
            raise ShapeError("inputs have {} pixels, targets {}: they must be the same".format(*sizes))
        if any(n % self.multiple for n in size):
            raise ShapeError(f"`depth` {depth} takes multiples of {self.multiple} pixels, not {size[0]}×{size[1]}")

    def set_up_discriminator(
        self,
        channels: int,
        size: Sequence[int],
        field: int | None,
        features: int,
        norm: str,
        rng: np.random.Generator,
    ) -> None:
        """Build D for pairs with `channels` channels together, and declare the game."""
        field = field or field_for(size)
        check_size(size, field)
        self.networks["D"] = build_patchgan(channels, field, features, norm_of(norm, rng), rng=rng)
        self.loss = Minimax()
        self.losses, self.games, self.measures = {"loss": self.loss}, (Game(self.loss),), ADVERSARIAL | self.measures

    @classmethod
    def needs(cls, *, labels: str = "none", damage: str = "", **arguments: Any) -> dict[str, Kind]:
        """Return the arrays of a batch. Raises ValueError for a damage together with class maps."""
        if damage and labels != "none":
            raise ValueError("`damage` makes inputs of pictures, and `labels` takes pairs: leave one of them out")
        kinds = {"input": MAP if labels == "input" else PICTURE, "target": MAP if labels == "target" else PICTURE}
        return {"target": PICTURE} if damage else kinds

    def damaged(self, item: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the input (H, W, C) made of an item's target."""
        return {"input": self.damages(item["target"], rng)["damaged"]}

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D, then G. Returns the losses and the means of D(x, t) and D(x, y)."""
        batch, G = next_batch(), self.networks["G"]
        x, target = batch["input"], batch["target"]  # (N, H, W, C), (N, H, W, K)
        known = target.sum(axis=-1, keepdims=True) if self.of_classes else 1.0  # (N, H, W, 1): 0 where t is unknown
        out, G_cache = G.forward(x, rng=rng)  # → (N, H, W, K)
        y, ending_cache = self.ending.forward(out)  # a picture, or probabilities
        fake = known * y
        measured = self.discriminator_step(x, target, fake) if self.games else {}

        self.optimizers["G"].zero_grad()
        if self.cross_entropy:
            measured["cross_entropy"], dout = pixel_cross_entropy(out, target)
        else:
            measured["l1"], dfake = l1(fake, target)
            dout = self.ending.backward(known * dfake, ending_cache)  # forward: fake = known * ending(out)
        dout = self.weight * dout
        if self.games:
            measured["g_loss"], dfake = self.adversarial_loss(x, fake)
            dout = dout + self.ending.backward(known * dfake, ending_cache)
        G.backward(dout, G_cache, wrt="params")
        self.optimizers["G"].step()
        return measured

    def discriminator_step(self, x: Any, target: Any, fake: Any) -> dict[str, Any]:
        """Update D to minimize ½ (−mean log D(x, t) − mean log(1 − D(x, y))).

        d_loss is the loss without the ½. Adam divides gradients by their size, so the ½ matters only beside its ε.
        """
        D, optimizer, concatenate = self.networks["D"], self.optimizers["D"], array_module(x).concatenate
        optimizer.zero_grad()

        logits, cache = D.forward(concatenate([x, target], axis=-1))  # (N, H, W, C + K) → (N, OH, OW, 1)
        loss_real, dlogits = self.loss.real(logits)  # −mean log D(x, t)
        D.backward(0.5 * dlogits, cache, wrt="params")
        d_real = sigmoid(logits).mean()

        logits, cache = D.forward(concatenate([x, fake], axis=-1))
        loss_fake, dlogits = self.loss.fake(logits)  # −mean log(1 − D(x, y))
        D.backward(0.5 * dlogits, cache, wrt="params")  # adds to the gradients of the first pass; G gets none
        d_fake = sigmoid(logits).mean()

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": d_real, "d_fake": d_fake}

    def adversarial_loss(self, x: Any, fake: Any) -> tuple[Any, Any]:
        """Return −mean log D(x, y) and its gradient dy (N, H, W, K), through D. D's own gradients don't change."""
        D = self.networks["D"]
        logits, cache = D.forward(array_module(x).concatenate([x, fake], axis=-1))  # → (N, OH, OW, 1)
        loss, dlogits = self.loss.generator(logits)
        dpair = D.backward(dlogits, cache, wrt="input")  # (N, H, W, C + K)
        return loss, dpair[..., x.shape[-1] :]  # the first C channels belong to x, which is data

    def translate(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return {"target": y} of an item {"input": x} of any size, in inference mode: a picture, or probabilities."""
        return {"target": self.ending.output(output_of(self.drawing("G"), item["input"], self.multiple))}

    def apply(self, x: Any) -> Any:
        """Translate pictures x (N, H, W, C) in [−1, 1], in inference mode, to pictures in [−1, 1].

        Class maps are pictures here, too: in the colors of the classes (N, H, W, 3), or as input also in gray, with the
        numbers of the classes as bytes.
        """
        of_maps = self.arrays.get("input") == MAP
        y = self.translate({"input": from_colors(x, self.input_colors) if of_maps else x})["target"]
        return to_colors(y, self.target_colors) if self.of_classes else y

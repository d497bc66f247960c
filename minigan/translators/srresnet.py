"""SRResNet: a network that enlarges pictures, trained for a small error (Ledig et al. 2017, section 2.1).

    x = low(t)               the photo t, shrunk: super_resolution.py
    y = G(x)                 enlarger.py
    minimize                 mean |y − t|, or mean (y − t)²

Many photos t have the same small picture x. The mean of (y − t)² over all of them is smallest for their mean, and the
mean of |y − t| for their median. Where x doesn't determine the details, both are smoother than every t: the error is
as small as possible, and textures are missing. srgan.py adds them; docs/super-resolution.md shows why.

Deviations from Ledig et al., all of which are options: L1 instead of L2; no batch norm, whose statistics of small crops
add noise to the result (Lim et al. 2017, EDSR); the network adds to the bicubic enlargement; 32 channels and 8 blocks,
with a simpler tail, instead of 64 and 16; a cosine schedule instead of a constant rate. The paper's model is
`--preset paper --norm batch --no-residual --loss l2 --colors rgb`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from minigan.backend import Device
from minigan.gans.base import Shape
from minigan.model import Now
from minigan.optim import Adam
from minigan.options import Count, Option, Positive
from minigan.translators.enlarger import PRESETS, Preset, build_enlarger
from minigan.translators.super_resolution import PIXEL_LOSSES, Scale, SuperResolution, psnr_of_batch


class SRResNet(SuperResolution):
    """A network that enlarges pictures of any size; `shape` (H, W, C) is that of the large crops in training.

    Raises ValueError for an option that doesn't exist, ShapeError for crops smaller than the scale.
    """

    paper = "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et al. 2017)"
    suits = "to enlarge photos as faithfully as possible; needs photos only"
    lr_decay: ClassVar[str] = "cosine"

    def __init__(
        self,
        shape: Shape,
        scale: Annotated[int, Scale("factor of enlargement: 2, 3 or 4")] = 2,
        preset: Annotated[
            Literal["small", "default", "paper"], Option("channels × blocks: 16 × 5, 32 × 8, or the paper's 64 × 16")
        ] = "default",
        features: Annotated[int | None, Count("channels of the hidden layers", "by preset")] = None,
        blocks: Annotated[int | None, Count("residual blocks", "by preset")] = None,
        norm: Annotated[Literal["none", "batch"], Option("batch norm after each convolution of a block")] = "none",
        residual: Annotated[bool, Option("add to the bicubic enlargement")] = True,
        colors: Annotated[
            Literal["luminance", "rgb"], Option("what is learned; luminance: colors are enlarged bicubically")
        ] = "luminance",
        damage: Annotated[
            str, Option("what low pictures suffer besides: blur:1, noise:5, jpeg:50 …", default="none")
        ] = "",
        loss: Annotated[Literal["l1", "l2"], Option("mean absolute or mean square error")] = "l1",
        lr: Annotated[float, Positive("learning rate of Adam")] = 1e-3,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        self.setup(shape, scale, colors, damage, device)
        size = Preset(features or PRESETS[preset].features, blocks or PRESETS[preset].blocks, preset == "paper")
        G = build_enlarger(self.channels, scale, size, norm, residual, rng=rng).to(self.device)
        self.networks = {"G": G}
        self.optimizers = {"G": Adam(G.parameters(), lr)}
        self.pixel_loss = PIXEL_LOSSES[loss]

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update G once. Returns the error of the enlarged batch, and its PSNR."""
        batch, G = next_batch(), self.networks["G"]
        x, t = self.seen(batch["low"]), self.seen(batch["high"])  # (N, h, w, C) and (N, s·h, s·w, C)

        self.optimizers["G"].zero_grad()
        y, cache = G.forward(x, rng=rng)  # (N, h, w, C) → (N, s·h, s·w, C)
        error, dy = self.pixel_loss(y, t)
        G.backward(dy, cache, wrt="params")  # x is data and needs no gradient
        self.optimizers["G"].step()
        return {self.pixel_loss.__name__: error, "batch_psnr": psnr_of_batch(y, t)}

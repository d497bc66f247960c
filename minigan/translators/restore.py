"""Restore: a network that removes a damage from pictures, trained on clean pictures that the model damages itself.

    x = damage(clean)        new in each epoch for training pictures, always the same for held-out pictures
    r = G(x)                 the network computes the residual: what the damage added
    y = x − r                the restored picture
    minimize                 mean (y − clean)², or mean |y − clean|

If x = clean + noise, then r = noise is the wanted output, and y − clean = −(r − noise): learning the picture or
the noise minimizes the same error. But an untrained network with a small r leaves the picture as it is, and the layers
have no picture to pass on ("Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising", Zhang, Zuo,
Chen, Meng and Zhang 2017; network: dncnn.py). A hole is unknown, not changed, so the network also sees the mask, and
only the pixels in the hole are replaced: y = x − (1 − mask) r.

With `adversarial` > 0, a critic D compares restored with clean pictures and adds this weight times −mean log D(y) to
the loss, as in the context encoder (Pathak et al. 2016: 0.001). The result is sharper, and its error larger.

Deviations from Zhang et al.: 48 channels and a depth of 10 instead of 64 and 17 (`preset` paper); batch of 16 instead
of 128; the learning rate falls along a cosine instead of once; the mean over all pixels instead of half the sum.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.gans.base import Shape
from minigan.losses import l1, l2
from minigan.model import PICTURE, Measure, Model, Now, Translation
from minigan.optim import Adam
from minigan.options import Count, Option, Positive
from minigan.translators.damages import Damages
from minigan.translators.dncnn import build_dncnn

PRESETS = {"small": (48, 10), "paper": (64, 17)}  # channels and depth of the DnCNN


class Restore(Model):
    """A network that removes a damage from pictures of any size; `shape` (h, w, C) is that of the crops in training.

    Raises ValueError for a damage or an option that doesn't exist.
    """

    paper = "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising (Zhang et al. 2017)"
    makes = "pictures without noise, blur, compression or another damage, from damaged pictures of any size"
    suits = "to remove a damage that can be simulated; needs clean pictures only"
    arrays = {"clean": PICTURE}
    batch_size, lr_decay = 16, "cosine"
    holds_out = crops = True
    averaged = applied = ("G",)
    translations = (Translation("damaged", "clean"),)
    measures = {
        "l1": Measure("mean |y − clean|", "L1", "positive"),
        "l2": Measure("mean (y − clean)²", "L2", "positive"),
        "batch_psnr": Measure("training", "PSNR", note="dB, of all pixels of a batch; higher is better"),
    }

    def __init__(
        self,
        shape: Shape,
        damage: Annotated[str, Option("noise:25, salt:0.05, blur:2, jpeg:20, gray, fade, hole:blobs …")] = "noise:25",
        clip: Annotated[bool, Option("clip damaged pictures to the range of bytes")] = False,
        preset: Annotated[Literal["small", "paper"], Option("size: 48 channels, depth 10; or 64, 17")] = "small",
        features: Annotated[int | None, Count("channels of the hidden layers", "by the preset")] = None,
        depth: Annotated[int | None, Count("number of convolutions", "by the preset")] = None,
        norm: Annotated[bool, Option("batch norm")] = True,
        loss: Annotated[Literal["l2", "l1"], Option("mean square or mean absolute error")] = "l2",
        lr: Annotated[float, Positive("learning rate of Adam")] = 2e-3,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        self.device, self.loss = get_device(device), {"l1": l1, "l2": l2}[loss]
        self.damages, C = Damages(damage, clip), shape[-1]
        self.damages.check_channels(C)
        features, depth = features or PRESETS[preset][0], depth or PRESETS[preset][1]
        G = build_dncnn(C + self.damages.masked, C, features, depth, norm, rng)
        self.networks = {"G": G.to(self.device)}
        self.optimizers = {"G": Adam(G.parameters(), lr)}

    @property
    def masked(self) -> bool:
        """True if pictures have holes, so that `apply` needs a mask."""
        return self.damages.masked

    def damage(self, item: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the damaged picture (H, W, C), and for holes the mask (H, W, 1), 1 where pixels are known."""
        return self.damages(item["clean"], rng)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update G once. Returns the loss, under its name, and the PSNR of the restored batch."""
        batch, G = next_batch(), self.networks["G"]
        x, clean = batch["damaged"], batch["clean"]  # (N, H, W, C)
        unknown = self.unknown(x, batch.get("mask"))  # (N, H, W, 1), or None

        self.optimizers["G"].zero_grad()
        r, cache = G.forward(self.seen(x, unknown), rng=rng)  # → (N, H, W, C)
        y = x - r if unknown is None else x - unknown * r
        error, dy = self.loss(y, clean)
        # forward: y = x - unknown * r
        dr = -dy if unknown is None else -unknown * dy
        G.backward(dr, cache, wrt="params")  # x is data and needs no gradient
        self.optimizers["G"].step()
        return {self.loss.__name__: error, "batch_psnr": _psnr(y, clean)}

    def unknown(self, x: Any, mask: Any) -> Any:
        """Return 1 where pixels are unknown and 0 elsewhere, (N, H, W, 1) of x's dtype; None without holes."""
        if not self.masked:
            return None
        xp = array_module(x)
        return xp.zeros((*x.shape[:3], 1), x.dtype) if mask is None else 1 - mask.astype(x.dtype)

    def seen(self, x: Any, unknown: Any) -> Any:
        """Return the input of G: pictures (N, H, W, C), or with holes (N, H, W, C + 1)."""
        return x if unknown is None else array_module(x).concatenate([x * (1 - unknown), unknown], axis=-1)

    def apply(self, x: Any, mask: Any = None) -> Any:
        """Restore pictures x (N, H, W, C) in [−1, 1], in inference mode. The result is clipped to [−1, 1].

        mask: (N, H, W, 1), 1 where pixels are known and 0 in holes; only for a model that fills holes. None: no holes
        """
        unknown = self.unknown(x, mask)
        r = self.drawing("G").output(self.seen(x, unknown), train=False)
        y = x - r if unknown is None else x - unknown * r
        return y.clip(-1, 1)

    def translate(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return {"clean": the restored picture} of a held-out item."""
        return {"clean": self.apply(item["damaged"], item.get("mask"))}


def _psnr(y: Any, clean: Any) -> Any:
    """Return the PSNR of all pixels together, 10 log₁₀(2²/⟨(y − clean)²⟩), as a 0-d array."""
    gap = y - clean
    return 10 * array_module(y).log10(4 / (gap * gap).mean())

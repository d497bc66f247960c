"""Restore: a network that removes a damage from pictures, trained on clean pictures that the model damages itself.

    x = damage(clean)        new in each epoch for training pictures, always the same for held-out pictures
    r = G(x)                 the network computes the residual, damaged minus clean
    y = x − r                the restored picture
    minimize                 mean |y − clean|, or mean (y − clean)²

If x = clean + noise, then r = noise is the wanted output, and y − clean = −(r − noise). So the error is the same,
whether the network learns the picture or the noise. But y = x needs only r = 0, and then no layer has to pass the
picture on ("Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising", Zhang, Zuo, Chen, Meng and
Zhang 2017). The weights of the last layer start 10 times smaller, so that r is small at first. Network: dncnn.py.

Pixels in a hole are unknown. They are first filled smoothly from the pixels around (filling.py), and the residual is
the error of this filling. G also sees where the hole is. All other pixels stay as they are, even if there is another
damage: of `noise:10,hole:blobs`, the noise remains. Network: the U-Net of unet.py, which looks further around:

    x = filled(damaged)      y = x − u·G(x, u)      u = 1 − mask, 1 in the hole and 0 elsewhere

With `adversarial` > 0, a critic D learns to tell clean from restored pictures, at a tenth of G's learning rate. The
mean of −log D(y), times `adversarial`, is added to G's loss, as in the context encoder (Pathak et al. 2016: 0.001). The
result has more texture, and its error is larger.

Damage that can't be simulated, such as a camera's noise, is learned from pairs (`damage` pairs): photos as they are,
and each without the damage, such as the mean of many exposures.

Deviations from Zhang et al.: 48 channels and a depth of 10 instead of 64 and 17 (`preset` paper); L1 instead of half
the sum of squares (`loss` l2); a batch of 16 instead of 128; the learning rate falls along a cosine instead of once.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.gans.base import Shape
from minigan.layers import BatchNorm, InstanceNorm, Sequential
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax, l1, l2
from minigan.model import PICTURE, Game, Kind, Measure, Model, Now, Translation
from minigan.optim import Adam
from minigan.options import Count, NotNegative, Option, Positive
from minigan.translators.damages import Damages
from minigan.translators.dncnn import build_dncnn
from minigan.translators.filling import filled
from minigan.translators.patchgan import build_patchgan, check_size, field_for
from minigan.translators.unet import build_unet, depth_of, output_of

# Channels and depth
PRESETS = {"small": {"dncnn": (48, 10), "unet": (32, 4)}, "paper": {"dncnn": (64, 17), "unet": (64, 6)}}
PAIRS = "pairs"  # the damage that is in the data
LAST = 0.1  # factor on the initial weights of G's last layer


class Restore(Model):
    """A network that removes a damage from pictures of any size; `shape` (h, w, C) is that of the crops in training.

    Raises ValueError for a damage or an option that doesn't exist, ShapeError for crops that the networks can't take.
    """

    paper = "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising (Zhang et al. 2017)"
    makes = "pictures without noise, blur, compression, holes or another damage, of any size"
    suits = "to undo a damage; one that can be simulated needs clean pictures only"
    arrays = {"clean": PICTURE}
    batch_size, lr_decay = 16, "cosine"
    holds_out = crops = True
    averaged = ("G",)
    translations = (Translation("damaged", "clean"),)
    measures = {
        "l1": Measure("L1, training", "L1", "positive", note="mean |y − clean|, of a range of 2"),
        "l2": Measure("L2, training", "L2", "positive", note="mean (y − clean)²"),
        "batch_psnr": Measure("training", "PSNR", note="dB, of all pixels of a batch; higher is better"),
        "d_loss": Measure("D", "Losses"),
        "g_loss": Measure("G", "Losses", note="adversarial, before its weight"),
        "d_real": Measure("D(clean)", "Output of D", "opinion"),
        "d_fake": Measure("D(restored)", "Output of D", "opinion"),
    }

    def __init__(
        self,
        shape: Shape,
        damage: Annotated[
            str, Option("noise:25, salt:0.05, blur:2, jpeg:20, gray, fade, hole:blobs …; pairs")
        ] = "noise:25",
        clip: Annotated[bool, Option("clip damaged pictures to the range of bytes")] = False,
        network: Annotated[Literal["auto", "dncnn", "unet"], Option("auto: a U-Net for holes, else DnCNN")] = "auto",
        preset: Annotated[Literal["small", "paper"], Option("DnCNN: 48 channels, depth 10; or 64, 17")] = "small",
        features: Annotated[int | None, Count("channels of the hidden layers", "by preset")] = None,
        depth: Annotated[int | None, Count("convolutions of a DnCNN, levels of a U-Net", "by preset")] = None,
        loss: Annotated[Literal["l1", "l2"], Option("mean absolute or mean square error")] = "l1",
        adversarial: Annotated[float, NotNegative("weight of a critic's loss, such as 0.001")] = 0.0,
        lr: Annotated[float, Positive("learning rate of Adam")] = 2e-3,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        self.device, self.adversarial, C = get_device(device), adversarial, shape[2]
        self.arrays, self.masked = self.needs(damage=damage), False
        if damage != PAIRS:
            damages = self.damages = Damages(damage, clip)
            damages.check_channels(C)
            self.masked, self.recolors = damages.masked, damages.takes_color
            self.damage = self.damaged  # an attribute of those models only that make the damage
        elif clip:
            raise ValueError("`clip` is for a damage that the model makes, and `damage` pairs takes that of the data")
        if network == "auto":
            network = "unet" if self.masked else "dncnn"
        features, depth = features or PRESETS[preset][network][0], depth or PRESETS[preset][network][1]
        if network == "unet":
            depth = min(depth, depth_of(shape[:2]))
            G = build_unet(C + self.masked, C, depth, features, BatchNorm, dropout=0, rng=rng)
        else:
            G = build_dncnn(C + self.masked, C, features, depth, rng=rng)
        G.layers[-1].W *= LAST
        self.multiple = 2**depth if network == "unet" else 1
        # A filling may come from anywhere in the picture, so pictures with holes aren't cut into tiles
        self.applied = () if self.masked else ("G",)
        self.networks = {"G": G} | ({"D": self._critic(shape, features, rng)} if adversarial else {})
        self.optimizers = {}
        for name, one in self.networks.items():
            self.optimizers[name] = Adam(one.to(self.device).parameters(), lr if name == "G" else lr / 10)
        self.pixel_loss, self.loss = {"l1": l1, "l2": l2}[loss], Minimax()
        if adversarial:
            self.losses, self.games = {"loss": self.loss}, (Game(self.loss),)

    @staticmethod
    def _critic(shape: Shape, features: int, rng: np.random.Generator) -> Sequential:
        field = field_for(shape[:2])
        check_size(shape[:2], field)
        return build_patchgan(shape[2], field, features, InstanceNorm, rng=rng)

    @classmethod
    def needs(cls, *, damage: str = "noise:25", **arguments: Any) -> dict[str, Kind]:
        """Return the arrays of a batch."""
        return {"damaged": PICTURE, "clean": PICTURE} if damage == PAIRS else {"clean": PICTURE}

    def damaged(self, item: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the damaged picture (H, W, C), and for holes the mask (H, W, 1), 1 where pixels are known."""
        return self.damages(item["clean"], rng)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update G once, and D if there is one. Returns the losses, and the PSNR of the restored batch."""
        batch, G = next_batch(), self.networks["G"]
        clean = batch["clean"]  # (N, H, W, C)
        x, u = self.prepared(batch["damaged"], batch.get("mask"))  # (N, H, W, C), and (N, H, W, 1) or None

        self.optimizers["G"].zero_grad()
        r, cache = G.forward(_joined(x, u), rng=rng)  # → (N, H, W, C)
        y = _restored(x, u, r)
        error, dy = self.pixel_loss(y, clean)
        measured = {self.pixel_loss.__name__: error, "batch_psnr": _psnr(y, clean)}
        if self.adversarial:
            D = self.networks["D"]
            logits, D_cache = D.forward(y, rng=rng)  # → (N, h, w, 1)
            measured["g_loss"], dlogits = self.loss.generator(logits)
            dy = dy + D.backward(self.adversarial * dlogits, D_cache, wrt="input")  # D isn't trained by this loss
            del D_cache
        # forward: y = x - u * r, or x - r without holes; x is data and needs no gradient
        G.backward(-dy if u is None else -u * dy, cache, wrt="params")
        self.optimizers["G"].step()
        return measured | (self.critic_step(clean, y, rng) if self.adversarial else {})

    def critic_step(self, real: Any, fake: Any, rng: Any) -> dict[str, Any]:
        """Update D to minimize −mean log D(real) − mean log(1 − D(fake)); `fake` is an array, so G gets no gradient."""
        D, measured, d_loss = self.networks["D"], {}, 0
        self.optimizers["D"].zero_grad()
        for name, x, objective in (("d_real", real, self.loss.real), ("d_fake", fake, self.loss.fake)):
            logits, cache = D.forward(x, rng=rng)  # (N, H, W, C) → (N, h, w, 1)
            value, dlogits = objective(logits)
            D.backward(dlogits, cache, wrt="params")
            measured[name], d_loss = sigmoid(logits).mean(), d_loss + value
        self.optimizers["D"].step()
        return measured | {"d_loss": d_loss}

    def prepared(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """Return pictures x (N, H, W, C) with filled holes, and u (N, H, W, 1), 1 in holes; (x, None) without holes."""
        if not self.masked:
            return x, None
        xp = array_module(x)
        u = xp.zeros((*x.shape[:3], 1), x.dtype) if mask is None else 1 - mask.astype(x.dtype)
        return filled(x, u), u

    def apply(self, x: Any, mask: Any = None) -> Any:
        """Restore pictures x (N, H, W, C) in [−1, 1], in inference mode. The result is clipped to [−1, 1].

        mask: (N, H, W, 1), 1 where pixels are known and 0 in holes; only for a model that fills holes. None: no holes
        """
        x, u = self.prepared(x, mask)
        r = output_of(self.drawing("G"), _joined(x, u), self.multiple)
        return _restored(x, u, r).clip(-1, 1)

    def translate(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return {"clean": the restored picture} of a held-out item."""
        return {"clean": self.apply(item["damaged"], item.get("mask"))}


def _joined(x: Any, u: Any) -> Any:
    """Return the input of G: pictures (N, H, W, C), or with holes (N, H, W, C + 1)."""
    return x if u is None else array_module(x).concatenate([x, u], axis=-1)


def _restored(x: Any, u: Any, r: Any) -> Any:
    """Return x minus the residual r (N, H, W, C). If there are holes, it is subtracted in the holes only."""
    return x - r if u is None else x - u * r


def _psnr(y: Any, clean: Any) -> Any:
    """Return the PSNR of all pixels together, 10 log₁₀(2²/⟨(y − clean)²⟩), as a 0-d array."""
    gap = y - clean
    return 10 * array_module(y).log10(4 / (gap * gap).mean())

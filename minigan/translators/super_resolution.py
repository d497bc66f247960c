"""What the models that enlarge pictures share: how low pictures are made, what is computed of them, and `apply`.

Training pictures t are photos, "high". The model makes the small picture x, "low", of each crop, by the bicubic scaler
of layers/bicubic.py, in bytes: these are the low pictures of the published tests. So a folder of photos is enough.
`damage` can add blur, noise or compression after it, as old photos have them (damages.py).

**Luminance.** With `colors="luminance"`, the default, all networks see and make luminance alone, one channel. Colors
are enlarged bicubically, and every channel gets the difference that the network makes:

    l = luminance(x)        y_c = bicubic(x_c) + G(l) − bicubic(l)        for each channel c

The weights of red, green and blue in the luminance sum to 1, so luminance(y) = G(l), and differences of channels stay
those of the bicubic enlargement. Published tables compare luminance, and the eye sees few fine details in colors. So
all weights serve what is compared and seen. With `colors="rgb"`, y = G(x) in three channels.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minigan.backend import array_module, get_device
from minigan.errors import ShapeError
from minigan.gans.base import Shape
from minigan.layers import Layer
from minigan.layers.bicubic import enlarged, shrunk
from minigan.losses import l1, l2
from minigan.model import PICTURE, Measure, Model, Translation
from minigan.options import Number
from minigan.translators.damages import BYTE, Damages
from minigan.translators.enlarger import SCALES
from minigan.translators.luminance import luminance

PIXEL_LOSSES = {"l1": l1, "l2": l2}


class Scale(Number):
    """A factor of enlargement."""

    wrong, valid = "is not 2, 3 or 4", staticmethod(lambda value: value in SCALES)


class SuperResolution(Model):
    """The base class of models that enlarge pictures `scale` times; a subclass has a network "G", and writes `step`."""

    makes = "enlarged pictures, ×2, ×3 or ×4, of any size"
    arrays = {"high": PICTURE}
    batch_size: ClassVar[int] = 16
    holds_out = crops = True
    averaged = ("G",)
    applied = ("G",)
    translations = (Translation("low", "high"),)
    baseline_words = "bicubic"
    measures = {
        "l1": Measure("L1, training", "L1", "positive", note="mean |y − high|, of a range of 2"),
        "l2": Measure("L2, training", "L2", "positive", note="mean (y − high)²"),
        "batch_psnr": Measure(
            "training", "PSNR", note="dB; held out: all channels of whole pictures, unlike --protocol sr"
        ),
    }
    scale: int

    def setup(self, shape: Shape, scale: int, colors: str, damage: str, device: Any) -> None:
        """Set up how pictures (H, W, C) are shrunk, and what networks see: `crop` (H, W), and the number of `channels`.

        Raises ShapeError for crops smaller than the scale, ValueError for a damage that can't be undone.
        """
        if min(shape[:2]) < scale:
            raise ShapeError(f"`img_size` {shape[0]}×{shape[1]} is smaller than the scale {scale}: use a larger one")
        self.device, self.scale, self.luminance = get_device(device), scale, colors == "luminance"
        self.damages = Damages(damage) if damage else None
        if self.damages and (self.damages.masked or self.damages.takes_color):
            raise ValueError(
                f"`damage` {damage}: an enlargement undoes blur, noise and compression, no holes or colors"
            )
        self.crop = shape[0] // scale * scale, shape[1] // scale * scale
        self.channels = 1 if self.luminance else shape[2]

    def damage(self, item: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the low picture (h, w, C), and the high one cut to a multiple of the scale (scale·h, scale·w, C)."""
        high, s = item["high"], self.scale
        high = high[: high.shape[0] // s * s, : high.shape[1] // s * s]
        low = shrunk(np.clip(np.rint((high + 1) / BYTE), 0, 255).astype(np.uint8), s)
        x = low.astype(np.float32) * np.float32(BYTE) - 1
        return {"low": self.damages(x, rng)["damaged"] if self.damages else x, "high": high}

    def seen(self, x: Any) -> Any:
        """Return what the networks see of pictures (N, H, W, C): the luminance (N, H, W, 1), or the pictures."""
        return luminance(x)[..., None] if self.luminance else x

    def apply(self, x: Any) -> Any:
        """Enlarge pictures x (N, h, w, C) in [−1, 1] in inference mode, and clip them to [−1, 1]."""
        return self.enlarge(x, self.drawing("G"))

    def enlarge(self, x: Any, G: Layer) -> Any:
        """Enlarge pictures x (N, h, w, C) by the network G: → (N, scale·h, scale·w, C) in [−1, 1]."""
        l = self.seen(x)
        y = G.output(l, train=False)  # (N, scale·h, scale·w, 1 or C)
        if x.shape[3] > y.shape[3]:
            y = enlarged(x, self.scale) + (y - enlarged(l, self.scale))
        return y.clip(-1, 1)

    def translate(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return {"high": the enlargement} of a held-out item."""
        return {"high": self.apply(item["low"])}

    def baseline(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return {"high": the bicubic enlargement} of a held-out item."""
        return {"high": enlarged(item["low"], self.scale).clip(-1, 1)}


def psnr_of_batch(y: Any, high: Any) -> Any:
    """Return the PSNR of all pixels together, 10 log₁₀(2²/⟨(y − high)²⟩), as a 0-d array."""
    gap = y - high
    return 10 * array_module(y).log10(4 / (gap * gap).mean())

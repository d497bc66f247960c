"""The protocol of super-resolution: PSNR and SSIM of luminance, as in published tables.

1. Height and width of the original are cut, at the bottom and on the right, to multiples of the scale s.
2. The low picture is the original shrunk by s; the result is the low picture enlarged by s. Both are bytes.
3. Colors become luminance, in the range from 16 to 235 (ITU-R BT.601), rounded:

       Y = ⌊16 + (65.481 R + 128.553 G + 24.966 B)/255 + ½⌋

   A picture with one channel is compared in its own values, without this formula.
4. s pixels are cut at each side, since a network knows less there.
5. PSNR with a peak of 255; SSIM of Wang et al. (`similarity.py`). The score of a set is the mean over its pictures.

`detail` says what PSNR doesn't: whether the result has as much fine structure as the original, be it in the right
places or not. It is the ratio of two powers, in dB: that of the result's and that of the original's luminance at
frequencies between ¼ and ½ cycle per pixel, the finest half of those that an axis of pixels can show. 0 is as much as
in the original; a smooth picture has −10 or less. Edges of the picture are faded out by a Hann window.

Details change the second decimal and more. Of bicubic enlargement on Set5 ×2, where 33.64 dB is published, rounding Y
makes 0.03 dB. The gray picture of Set14, sent through the formula as R = G = B, has its errors shrunk by 219/255, which
adds 1.3 dB to it and 0.09 dB to the mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.metrics.similarity import psnr, ssim

LUMA = np.array([65.481, 128.553, 24.966]) / 255  # of bytes R, G, B
PEAK = 255
FINE = 0.25, 0.5  # cycles per pixel


def luma(pixels: np.ndarray) -> np.ndarray:
    """Return Y (…, 1) of bytes (…, 3), rounded, in float64; one channel keeps its values."""
    if pixels.shape[-1] == 1:
        return pixels.astype(np.float64)
    return np.floor(16.5 + pixels @ LUMA)[..., None]


def cut_to_multiple(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Return (H, W, C) without the last rows and columns, so that H and W are multiples of `scale`."""
    height, width = (n // scale * scale for n in pixels.shape[:2])
    return pixels[:height, :width]


def protocol_scores(result: np.ndarray, original: np.ndarray, scale: int) -> dict[str, float]:
    """Return {"psnr", "ssim", "detail"} of bytes (H, W, 1 or 3); PSNR is infinite for equal pictures.

    Raises ShapeError for other pictures than bytes of one shape, and for those that are too small for SSIM after the
    border is cut.
    """
    for pixels in (result, original):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
            raise ShapeError(f"the protocol compares bytes (H, W, 1 or 3), got {pixels.dtype} {pixels.shape}")
    if result.shape != original.shape:
        raise ShapeError(f"the protocol compares pictures of one shape, got {result.shape} and {original.shape}")
    height, width = original.shape[:2]
    inner = slice(scale, height - scale), slice(scale, width - scale)
    y, wanted = luma(result)[inner], luma(original)[inner]
    values: dict[str, Any] = {"psnr": psnr(y, wanted, PEAK), "ssim": ssim(y, wanted, PEAK)}
    return {name: float(value) for name, value in values.items()} | {"detail": detail(y, wanted)}


def detail(y: np.ndarray, wanted: np.ndarray) -> float:
    """Return 10 log₁₀ of the fine power in luminance y (H, W, 1) over that in `wanted`, in dB.

    −∞ if there is none in y; NaN if there is none in `wanted`.
    """
    power, reference = (_fine_power(x[..., 0]) for x in (y, wanted))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10 * np.log10(np.float64(power) / reference)) if reference else float("nan")


def _fine_power(y: np.ndarray) -> float:
    """Return the sum of |DFT|² of y (H, W) over the frequencies in FINE, after the mean and a window are applied."""
    H, W = y.shape
    window = np.outer(np.hanning(H), np.hanning(W))
    power = np.abs(np.fft.fft2(window * (y - y.mean()))) ** 2
    radius = np.hypot(np.fft.fftfreq(H)[:, None], np.fft.fftfreq(W))  # cycles per pixel
    return float(power[(radius >= FINE[0]) & (radius <= FINE[1])].sum())

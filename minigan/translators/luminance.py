"""How much of a picture's light and dark a translation keeps: the correlation of luminance before and after.

CycleGAN is known for exchanging light and dark: the generator that makes negatives early in training is undone by the
other one, so the cycle loss is satisfied, and it rarely comes back (junyanz/pytorch-CycleGAN-and-pix2pix, docs/qa.md).
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module

REC_601 = (0.299, 0.587, 0.114)  # the weights of red, green and blue in ITU-R BT.601, as in Pillow's "L"
FLAT = 1e-8  # a variance far below that of one step of 1/255: a picture without contrast


def luminance(x: Any) -> Any:
    """Return the luminance (N, H, W) of pictures (N, H, W, C): that of BT.601 for 3 channels, else the mean channel."""
    if x.shape[3] != 3:
        return x.mean(axis=3)
    red, green, blue = REC_601
    return red * x[..., 0] + green * x[..., 1] + blue * x[..., 2]


def luminance_correlation(x: Any, y: Any) -> Any:
    """Return the correlation of luminance over the pixels of x (N, H, W, C) and y (N, H, W, K), a mean over pictures.

    It is a 0-d array. 1: y is light and dark where x is. 0: no relation, or no contrast in y. −1: y is a negative.
    """
    a, b = luminance(x), luminance(y)  # (N, H, W)
    a, b = a - a.mean(axis=(1, 2), keepdims=True), b - b.mean(axis=(1, 2), keepdims=True)
    covariance = (a * b).mean(axis=(1, 2))  # (N,)
    variances = (a * a).mean(axis=(1, 2)) * (b * b).mean(axis=(1, 2))
    return (covariance / (array_module(x).sqrt(variances) + FLAT)).mean()

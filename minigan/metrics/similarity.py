"""How similar two pictures are: SSIM, and PSNR, which is an error in decibels.

Structural similarity (Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", 2004). Around each pixel of pictures x and y, a window of weights w, Σ w = 1, gives means, variances and a
covariance,

    μ_x = Σ w x        σ_x² = Σ w x² − μ_x²        σ_xy = Σ w x y − μ_x μ_y

and the local similarity is a product of two factors, one for luminance, the other for contrast and structure:

    SSIM = (2 μ_x μ_y + C₁)/(μ_x² + μ_y² + C₁) · (2 σ_xy + C₂)/(σ_x² + σ_y² + C₂)

    C₁ = (K₁ L)²  C₂ = (K₂ L)²        L the range of the data: 255 for bytes, 2 for pictures in [-1, 1]

Each factor is at most 1, because (μ_x − μ_y)² and the variance of x − y, σ_x² + σ_y² − 2 σ_xy, are not negative; both
are 1 where the windows are equal. C₁ and C₂ prevent 0/0 in dark or flat windows. The similarity of two pictures is the
mean over pixels and channels.

The weights are a Gaussian with σ = 1.5 on 11 × 11 pixels, exp(−(i² + j²)/(2σ²)), or uniform. Both are separable, so a
window is two passes with 11 weights instead of one with 121. Pictures are extended by reflection (d c b a | a b c d | d
c b a), and the mean leaves out a border as wide as the window's radius. Wang divides variances by the number of pixels
in the window, P; the sample variances that are scikit-image's default are larger by P/(P − 1).
"""

from __future__ import annotations

from math import exp, isfinite
from numbers import Real
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.common.arguments import finite, numbers, together, whole
from minigan.errors import MiniganError, ShapeError

REACH = 3.5  # radius of a Gaussian window in standard deviations: 11 weights for σ = 1.5


def ssim(
    a: Any,
    b: Any,
    data_range: float,
    *,
    window: int | None = None,
    gaussian: bool = True,
    sigma: float = 1.5,
    K1: float = 0.01,
    K2: float = 0.03,
    sample_covariance: bool = False,
    full: bool = False,
) -> Any:
    """Return the SSIM of pictures (N, H, W, C) as (N,), or of (H, W, C) as a number, in float64; 1 for equal pictures.

    `data_range` is the difference between the largest and the smallest possible value. `window` is an odd number of
    pixels, by default 11 for the Gaussian with σ = 1.5 (for others 3.5 σ to each side), and 7 for uniform weights. With
    `full`, (values, map) is returned, the map in the pictures' shape. `gaussian=False, sample_covariance=True` are
    scikit-image's defaults. Raises ShapeError for pictures that differ in shape or are smaller than the window,
    ValueError or MiniganError for invalid parameters.
    """
    a, b = _pictures(a, b, data_range)
    if any(not _is_number(value) for value in (sigma, K1, K2)):
        raise MiniganError(f"sigma, K1 and K2 must be finite numbers, got {sigma!r}, {K1!r} and {K2!r}")
    if sigma <= 0 or K1 < 0 or K2 < 0:
        raise ValueError(f"sigma must be positive, K1 and K2 not negative, got {sigma}, {K1} and {K2}")
    if window is None:
        window = 2 * int(REACH * sigma + 0.5) + 1 if gaussian else 7
    window = whole(window, "SSIM", "window")
    if window < 1 or window % 2 == 0 or (sample_covariance and window == 1):
        raise ValueError(f"a window around a pixel is an odd number of pixels wide, and a sample two or more: {window}")
    radius = window // 2
    if window > min(a.shape[-3:-1]):
        raise ShapeError(f"SSIM with a window of {window} pixels takes pictures that large, got {tuple(a.shape)}")
    weights = [exp(-((i / sigma) ** 2) / 2) if gaussian else 1.0 for i in range(-radius, radius + 1)]
    norm = window**2 / (window**2 - 1) if sample_covariance else 1.0
    C1, C2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    x, y = _float64(a), _float64(b)
    # σ² as ⟨x²⟩ − μ² is accurate enough: in float64 the cancellation error is far below C₂
    mu_x, mu_y = _windowed(x, weights), _windowed(y, weights)
    var_x = norm * (_windowed(x * x, weights) - mu_x * mu_x)
    var_y = norm * (_windowed(y * y, weights) - mu_y * mu_y)
    cov = norm * (_windowed(x * y, weights) - mu_x * mu_y)
    similarity = (2 * mu_x * mu_y + C1) * (2 * cov + C2)
    similarity /= (mu_x * mu_x + mu_y * mu_y + C1) * (var_x + var_y + C2)  # (…, H, W, C)
    H, W = a.shape[-3:-1]
    values = similarity[..., radius : H - radius, radius : W - radius, :].mean(axis=(-3, -2, -1))
    return (values, similarity) if full else values


def psnr(a: Any, b: Any, data_range: float) -> Any:
    """Return 10 log₁₀(L²/⟨(a − b)²⟩) decibels of pictures (N, H, W, C) as (N,), or of (H, W, C) as a number.

    In float64; L is `data_range`. Equal pictures give infinity. Raises ShapeError for pictures that differ in shape.
    """
    a, b = _pictures(a, b, data_range)
    xp = array_module(a)
    gap = _float64(a) - _float64(b)
    error = (gap * gap).mean(axis=(-3, -2, -1))
    return xp.where(error == 0, xp.inf, 10 * xp.log10(data_range**2 / xp.where(error == 0, 1, error)))


def _windowed(x: Any, weights: list[float]) -> Any:
    """Return Σ w x over the window around each pixel of (…, H, W, C): along columns, then along rows."""
    xp = array_module(x)
    radius, total = len(weights) // 2, sum(weights)
    for axis in (x.ndim - 3, x.ndim - 2):
        size = x.shape[axis]
        widths = [(radius, radius) if i == axis else (0, 0) for i in range(x.ndim)]
        padded = xp.moveaxis(xp.pad(x, widths, mode="symmetric"), axis, 0)  # (2·radius + size, …)
        y = xp.zeros((size, *padded.shape[1:]), xp.float64)
        for first, weight in enumerate(weights):
            y += (weight / total) * padded[first : first + size]
        x = xp.moveaxis(y, 0, axis)
    return x


def _float64(x: Any) -> Any:
    return x.astype(array_module(x).float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and isfinite(value)


def _pictures(a: Any, b: Any, data_range: float) -> tuple[Any, Any]:
    """Return both pictures as arrays. Raises ShapeError, MiniganError or ValueError if they can't be compared."""
    who = "the similarity of pictures"
    a, b = (numbers(x, who, "pictures") for x in (a, b))
    together(who, a, b)
    if a.ndim not in (3, 4) or tuple(a.shape) != tuple(b.shape) or 0 in a.shape:
        got = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise ShapeError(f"pictures that are compared have one shape, (N, H, W, C) or (H, W, C), got {got}")
    if not _is_number(data_range) or not data_range > 0:
        raise ShapeError(f"data_range is the difference between the largest and the smallest value, not {data_range!r}")
    if array_module(a) is np:  # skipped on a GPU, where it would wait; NaN gives NaN
        finite(a, who, "pixels")
        finite(b, who, "pixels")
    return a, b

"""Minibatch standard deviation: a critic that sees how much the pictures of a batch differ (Karras et al. 2017)."""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.normalize import J, standardize
from minigan.kernels.reductions import mean, sum_over
from minigan.layers.base import Layer

MEMBERS = (0,)  # x is read as (G, M, H, W, C): G members of each of M groups


class MinibatchStdDev(Layer):
    """Append one channel that says how much the samples of a group differ: (N, H, W, C) → (N, H, W, C + 1).

    Progressive growing of GANs (Karras et al. 2017, section 3), with the groups of the authors' code: x is read as
    (G, M, H, W, C), G = min(group_size, N), so samples m, m + M, m + 2M, … are a group. With ⟨·⟩ for the mean over the
    G members, and F = H·W·C features,

        σ = √(⟨(x − ⟨x⟩)²⟩ + ε)        (M, H, W, C)
        s = Σ_features σ / F           (M,), a number for each group

    and y is x with s of its group as a further channel, the same at every pixel of every member.

    First order. Call dy's first C channels dy_x and its last dy_s. With x̂ = (x − ⟨x⟩)/σ, ∂σ/∂x = x̂/G
    (derived in `kernels/normalize.py`):

        ds = Σ_{members, pixels} dy_s        dx = dy_x + t x̂,   t = ds/(G F)

    Second order. dx is linear in dy_x and in t, and depends on x through x̂. With v = ddx = ∂P/∂(dx), P changes by
    Σ v (δdy_x + x̂ δt + t δx̂), and δx̂ = J δx with the symmetric J of the same file:

        ddy_x = v        ddy_s = Σ_{members, features} v x̂ / (G F)        dx2 = t J v

    ddy_s, the same at every pixel of every member, is the change of s along v: forward's derivative, as it should be.
    """

    def __init__(self, group_size: int = 4, eps: float = 1e-8) -> None:
        if group_size < 1:
            raise ValueError(f"group_size is {group_size}: it must be at least 1")
        self.group_size, self.eps = int(group_size), float(eps)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, H, W, C + 1). Raises ShapeError if N is no multiple of the group's size."""
        self.check_input(x, 4, None)
        N, H, W, C = x.shape
        G = max(1, min(self.group_size, N))
        if N % G:
            raise ShapeError(f"{self!r} can't divide a batch of {N} into groups of {G}: use a multiple of {G}")
        x_hat, inv_sigma, _, _ = standardize(x.reshape(G, N // G, H, W, C), MEMBERS, self.eps)
        s = mean(1 / inv_sigma, (2, 3, 4))  # (1, M, H, W, C) → (1, M, 1, 1, 1)
        return _append(x, s, G), (x_hat, inv_sigma)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, H, W, C + 1) → dx (N, H, W, C)."""
        x_hat, _ = cache
        G, M, H, W, C = x_hat.shape
        # forward: y = x, and s as a further channel
        dx = x_hat * _per_number(dy, x_hat)
        dx += dy[..., :C].reshape(x_hat.shape)
        return dx.reshape(G * M, H, W, C)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, H, W, C + 1) and dx2 (N, H, W, C)."""
        self.check_second(ddx, dy, cache)
        x_hat, inv_sigma = cache
        # backward: dx = dy_x + t * x_hat
        v = ddx.reshape(x_hat.shape)
        dx2 = J(v, x_hat, inv_sigma, MEMBERS)
        dx2 *= _per_number(dy, x_hat)
        G, _, H, W, C = x_hat.shape
        ddy_s = sum_over((v, x_hat), (0, 2, 3, 4)) / (G * H * W * C)
        return _append(ddx, ddy_s, G), dx2.reshape(ddx.shape)

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """(N, H, W, C) and (N, H, W, C + 1)."""
        G, M, H, W, C = cache[0].shape
        return (G * M, H, W, C), (G * M, H, W, C + 1)


def _append(x: Any, s: Any, G: int) -> Any:
    """x (N, H, W, C) with s (1, M, 1, 1, 1) as a further channel."""
    xp, (N, H, W, _) = array_module(x), x.shape
    channel = xp.broadcast_to(s, (G, N // G, H, W, 1)).reshape(N, H, W, 1)
    return xp.concatenate((x, channel), axis=-1)


def _per_number(dy: Any, x_hat: Any) -> Any:
    """t = ds/(G F): what dy's last channel comes to for each number of a group, (1, M, 1, 1, 1)."""
    G, M, H, W, C = x_hat.shape
    return sum_over((dy[..., C:].reshape(G, M, H, W, 1),), (0, 2, 3, 4)) / (G * H * W * C)

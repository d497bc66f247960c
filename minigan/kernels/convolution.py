"""Convolution as three kernels: the map itself, and its gradients in x and in W. The reference, to be read.

    y[n, i, j, k] = Σ_{r, s, c} x[n, i·stride + r·dilation − padding, j·stride + s·dilation − padding, c] W[r, s, c, k]

Letters: pictures x (N, H, W, C), weight W (R, S, C, K), outputs y (N, OH, OW, K); (r, s) is a place in the window.
Outside of the picture x is zero. Strictly, this is a correlation: the window is not flipped.

**One place of the window.** Take the sum over (r, s) last. At one place, all outputs together see a shifted copy x_rs
of the picture, with every stride-th pixel. With one row per output, M = N·OH·OW rows,

    y = Σ_rs x_rs W_rs            x_rs (M, C)        W_rs = W[r, s] (C, K)        y (M, K)

**Gradients.** Let L be a loss and dy = ∂L/∂y. If y changes by δy, L changes by ⟨δy, dy⟩, where ⟨a, b⟩ is the sum of a·b
over all entries. y is linear in x and linear in W, so move the other factor of each product to the right:

    ⟨conv2d(x, W), dy⟩ = Σ_rs ⟨x_rs W_rs, dy⟩ = Σ_rs ⟨x_rs, dy W_rsᵀ⟩ = Σ_rs ⟨W_rs, x_rsᵀ dy⟩

    conv2d             x, W  → y      y     += x_rs W_rs
    conv2d_input_grad  dy, W → dx     dx_rs += dy W_rsᵀ      a pixel that several windows see gets the sum
    conv2d_weight_grad x, dy → dW     dW_rs  = x_rsᵀ dy

**Second derivatives** need no other kernel. T = ⟨conv2d(x, W), dy⟩ is linear in each of x, W and dy, and each kernel is
the gradient of T in one of them, given the other two. So if v is the gradient of a kernel's result, then

    of                           in its first argument         in its second argument
    conv2d(x, W)                 conv2d_input_grad(v, W)       conv2d_weight_grad(x, v)
    conv2d_input_grad(dy, W)     conv2d(v, W)                  conv2d_weight_grad(v, dy)
    conv2d_weight_grad(x, dy)    conv2d_input_grad(dy, v)      conv2d(x, v)

**The transposed convolution** is `conv2d_input_grad` used as a forward pass. Several sizes of x give y of one size if
the stride is larger than 1, so it is told the `size` of its result; this is where a layer's `output_padding` goes.

**Groups.** The channels of x and of y are cut into `groups` equal parts, and part g of y sees part g of x alone:
W is (R, S, C/groups, K). With groups = C (a depthwise convolution) each channel has a window of its own.

`stride`, `padding` and `dilation` are pairs (height, width), see geometry.py. The result has the dtype of the first
argument. The kernels that run are in fast/convolution.py.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.kernels.fast import convolution as fast
from minigan.kernels.geometry import Pair, channel_groups, output_size, padded, padded_size, places, unpadded
from minigan.kernels.twin import runs_as


@runs_as(fast.conv2d)
def conv2d(
    x: Any, W: Any, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> Any:
    """x (N, H, W, C), W (R, S, C/groups, K) → y (N, OH, OW, K)."""
    (N, *size, C), (R, S, _, K) = x.shape, W.shape
    OH, OW = output_size(size, (R, S), stride, padding, dilation)
    W = W.astype(x.dtype, copy=False)
    y = array_module(x).zeros((N, OH, OW, K), x.dtype)
    for r, s, x_rs in places(padded(x, padding), (OH, OW), (R, S), stride, dilation):
        for c, k in channel_groups(C, K, groups):
            y[..., k] += x_rs[..., c] @ W[r, s][:, k]  # (N, OH, OW, C/groups) @ (C/groups, K/groups)
    return y


@runs_as(fast.conv2d_input_grad)
def conv2d_input_grad(
    dy: Any, W: Any, size: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> Any:
    """Adjoint of `conv2d` in x: dy (N, OH, OW, K), W (R, S, C/groups, K) → dx (N, H, W, C) for `size` = (H, W)."""
    xp = array_module(dy)
    (N, OH, OW, K), (R, S, C_in_group, _) = dy.shape, W.shape
    C = C_in_group * groups
    W = W.astype(dy.dtype, copy=False)
    dx_padded = xp.zeros((N, *padded_size(size, padding), C), dy.dtype)
    for r, s, dx_rs in places(dx_padded, (OH, OW), (R, S), stride, dilation):
        for c, k in channel_groups(C, K, groups):
            dx_rs[..., c] += dy[..., k] @ W[r, s][:, k].T  # (N, OH, OW, K/groups) @ (K/groups, C/groups)
    return xp.ascontiguousarray(unpadded(dx_padded, padding))


@runs_as(fast.conv2d_weight_grad)
def conv2d_weight_grad(
    x: Any,
    dy: Any,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Any:
    """Adjoint of `conv2d` in W: x (N, H, W, C), dy (N, OH, OW, K) → dW (R, S, C/groups, K) for `kernel` = (R, S)."""
    (N, OH, OW, K), C = dy.shape, x.shape[-1]
    M, C_in_group, K_in_group = N * OH * OW, C // groups, K // groups
    dW = array_module(x).empty((*kernel, C_in_group, K), x.dtype)
    for r, s, x_rs in places(padded(x, padding), (OH, OW), kernel, stride, dilation):
        for c, k in channel_groups(C, K, groups):
            x_rows, dy_rows = x_rs[..., c].reshape(M, C_in_group), dy[..., k].reshape(M, K_in_group)
            dW[r, s][:, k] = x_rows.T @ dy_rows  # (C/groups, M) @ (M, K/groups)
    return dW

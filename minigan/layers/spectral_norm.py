"""Spectral normalization: a layer that computes with its weight divided by the weight's largest singular value."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.layers.base import Layer, Wrt
from minigan.layers.composite import check_layers
from minigan.layers.conv import ConvTranspose2D
from minigan.layers.reach import Chain

FIRST_ITERATIONS = 15  # when the layer is made, as in PyTorch's parametrization


class SpectralNormCache(NamedTuple):
    """The inner layer's cache, and copies of W̄ = W/σ, u, v and σ, which later calls and steps change."""

    inner: Any
    W_bar: Any
    u: Any
    v: Any
    sigma: Any


class SpectralNorm(Layer):
    """The inner layer with W̄ = W/σ(W) for its W (Miyato et al. 2018, "Spectral Normalization for GANs").

    W is read as a matrix M whose rows are the last axis of W, the outputs: K × C for a dense layer, K × R·S·C/groups
    for a convolution. In a transposed convolution they are the axis before: K/groups × R·S·C. σ is the largest singular
    value of M, so |M̄ x| ≤ |x|: a dense layer becomes 1-Lipschitz. A convolution applies M̄ to patches, and a pixel is
    in up to ⌈R·g/stride⌉·⌈S·g/stride⌉ of them, g = gcd(stride, dilation); in a transposed convolution, in R·S. The
    Lipschitz constant of the layer is at most the square root of that number: 3 for a 3×3 kernel with stride 1.

    σ is estimated by power iterations, which keep two vectors, u with a number for each row of M and v for each column:

        u ← M v/|M v|        v ← Mᵀ u/|Mᵀ u|        σ = uᵀ M v

    A training forward first makes `n_power_iterations` of them; as W changes little in a step, one is enough.
    Inference doesn't change u and v.

    First order. Let dM̄ be the gradient of W̄ that the inner layer computes. In W̄ = W/σ, with u and v constant,

        δσ = uᵀ δM v = ⟨u vᵀ, δM⟩        δM̄ = δM/σ − M̄ δσ/σ
        ⟨dM̄, δM̄⟩ = ⟨(dM̄ − ⟨dM̄, M̄⟩ u vᵀ)/σ, δM⟩

        dM = (dM̄ − ⟨dM̄, M̄⟩ u vᵀ)/σ        dx and db are the inner layer's, computed with W̄

    u and v are functions of W, too. But where they are the singular vectors, uᵀ M v has its maximum over all unit
    vectors: moving them changes σ to second order only, and dM is exact. That is the fixed point of the iteration.

    Second order. P depends on dx, and the map (dy, x, W̄) → dx is the inner layer's backward. W occurs in dx through W̄
    alone. So the inner double_backward, computed with W̄, gives ddy, dx2 and ∂P/∂W̄, and the formula for dM maps ∂P/∂W̄
    to ∂P/∂W, because both are the derivative of W → W̄. No second derivative of σ is needed: P doesn't depend on dM.

    layer: Dense, Conv2D, ConvTranspose2D, Embedding, or any other with a parameter W whose last axis is the output.
    rng:   a host generator, draws the first u. Raises ValueError if the layer has no W, or one of nothing but zeros.
    """

    state_names = ("u", "v")

    def __init__(
        self,
        layer: Layer,
        n_power_iterations: int = 1,
        eps: float = 1e-12,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        check_layers("SpectralNorm", layer)
        if "W" not in layer.parameter_names:
            raise ValueError(f"{layer!r} has no weight W to normalize: wrap the dense layer or convolution itself")
        if n_power_iterations < 1:
            raise ValueError(f"n_power_iterations is {n_power_iterations}: without one, σ doesn't follow W")
        if not to_numpy(layer.W).any():
            raise ValueError(f"{layer!r} has weights of zero, whose σ is 0 and can't be divided by: use another init")
        self.layer, self.n_power_iterations, self.eps = layer, n_power_iterations, float(eps)
        columns, outputs = self._matrix(layer.W).shape
        u = (rng or np.random.default_rng()).standard_normal(outputs)
        self.u = self._unit(array_module(layer.W).asarray(u, dtype=layer.W.dtype))
        self.v = self._unit(self._matrix(layer.W) @ self.u)  # (R·S·C, K) @ (K,)
        self.iterate(FIRST_ITERATIONS)

    def children(self) -> dict[str, Layer]:
        """{"layer": …}: the inner layer, which owns the weight W that is trained."""
        return {"layer": self.layer}

    def iterate(self, n: int = 1) -> None:
        """Make n power iterations: u and v converge to the singular vectors of W's largest singular value."""
        M_T = self._matrix(self.layer.W)
        for _ in range(n):
            self.u[...] = self._unit(self.v @ M_T)  # (R·S·C,) @ (R·S·C, K)
            self.v[...] = self._unit(M_T @ self.u)  # (R·S·C, K) @ (K,)

    def sigma(self) -> Any:
        """uᵀ M v with the stored u and v: a lower bound of W's largest singular value, as an array of no axes."""
        return (self.v @ self._matrix(self.layer.W)) @ self.u

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y, by the inner layer with W̄ for W."""
        self.check_array(x)
        if train:
            self.iterate(self.n_power_iterations)
        # in the dtype of the input, unless that are labels; astype copies, so later iterations don't change these
        dtype = x.dtype if x.dtype in (np.float32, np.float64) else self.layer.W.dtype
        W, u, v = (a.astype(dtype) for a in (self.layer.W, self.u, self.v))
        sigma = (v @ self._matrix(W)) @ u
        W /= sigma
        y, inner = self._with(W).forward(x, train, rng)
        return y, SpectralNormCache(inner, W, u, v, sigma)

    def backward(self, dy: Any, cache: SpectralNormCache, wrt: Wrt = "both") -> Any:
        """dy → dx."""
        # forward: y = layer(x) with W_bar for W
        layer = self._with(cache.W_bar, gradient=wrt != "input")
        dx = layer.backward(dy, cache.inner, wrt)
        if wrt != "input":
            self._add_to_dW(layer.dW, cache)
        return dx

    def double_backward(self, ddx: Any, dy: Any, cache: SpectralNormCache) -> tuple[Any, Any]:
        """ddx → (ddy, dx2), those of the inner layer."""
        # backward: dx = layer.backward(dy) with W_bar for W
        layer = self._with(cache.W_bar, gradient=True)
        ddy, dx2 = layer.double_backward(ddx, dy, cache.inner)
        self._add_to_dW(layer.dW, cache)
        return ddy, dx2

    def reach(self) -> Chain:
        """That of the inner layer."""
        return Chain((self.layer,))

    def _with(self, W_bar: Any, gradient: bool = False) -> Layer:
        """A shallow copy of the inner layer with W̄ as its W and zeros as its dW. The layer itself isn't changed.

        All other arrays are shared, so gradients of b are added to the layer's own db.
        """
        layer = copy.copy(self.layer)
        zeros = array_module(W_bar).zeros_like(W_bar) if gradient else None
        vars(layer).update(W=W_bar, dW=zeros)  # not `layer.W = …`, which would take the dtype of the layer's own
        return layer

    def _add_to_dW(self, dW_bar: Any, cache: SpectralNormCache) -> None:
        """dM += (dM̄ − ⟨dM̄, M̄⟩ u vᵀ)/σ. Overwrites dW_bar."""
        xp = array_module(dW_bar)
        # forward: W_bar = W / sigma, with sigma = u @ M @ v
        along_W_bar = xp.vdot(dW_bar, cache.W_bar)
        dM_T = self._to_last(dW_bar)  # a view (…, C, K)
        dM_T -= xp.outer(cache.v * along_W_bar, cache.u).reshape(dM_T.shape)  # (R·S·C, K) as (R, S, C, K)
        dW_bar /= cache.sigma
        self.layer.dW += dW_bar

    def _to_last(self, W: Any) -> Any:
        """View W with the axis of its outputs as the last one: (R, S, K, C) → (R, S, C, K) if it is transposed."""
        return W.swapaxes(-1, -2) if isinstance(self.layer, ConvTranspose2D) else W

    def _matrix(self, W: Any) -> Any:
        """Mᵀ: W as a matrix (R·S·C, K) with one column for each output."""
        W = self._to_last(W)
        return W.reshape(-1, W.shape[-1])

    def _unit(self, a: Any) -> Any:
        """a/|a|, and 0 for 0."""
        xp = array_module(a)
        return a / xp.maximum(xp.sqrt(a @ a), self.eps)

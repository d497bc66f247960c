"""The reparametrization trick: a random latent with a gradient (Kingma and Welling 2013, section 2.4)."""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.base import Layer


class Reparametrize(Layer):
    """z = μ + σ ε, with ε ~ N(0, 1) in training and z = μ in inference. x (…, 2D) holds μ, then s = log σ; z (…, D).

    z ~ N(μ, σ²) could also be drawn directly, but a drawn number has no derivative. Here all that is drawn is ε, which
    doesn't depend on x. Given ε, z is an ordinary function of μ and s, with σ = eˢ and ∂σ/∂s = σ:

        dμ = dz        ds = dz ε σ

    Second order. With (a, b) = ddx = ∂P/∂(dμ), ∂P/∂(ds):

        ddz = a + b ε σ        dx2 = (0, b dz ε σ), because ds depends on s by σ, with the same derivative

    In inference ε = 0, so ds, and with it all that depends on b, is 0.
    """

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (…, 2D) → z (…, D). Raises ShapeError for an odd last axis, ValueError in training without a generator."""
        self.check_input(x, None, None)
        if not x.ndim or x.shape[-1] % 2:
            raise ShapeError(f"{self!r} takes μ and log σ side by side, an even number of columns, got {x.shape}")
        if train and rng is None:
            raise ValueError(f"{self!r} draws ε in training: pass a random generator, forward(x, rng=rng)")
        D = x.shape[-1] // 2
        mean, log_sigma = x[..., :D], x[..., D:]
        if not train:
            return mean.copy(), (x.shape, array_module(x).zeros_like(mean))
        noise = rng.standard_normal(mean.shape, dtype=x.dtype)
        noise *= array_module(x).exp(log_sigma)  # ε σ, the derivative of z by log σ
        return mean + noise, (x.shape, noise)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dz (…, D) → dx (…, 2D)."""
        _, noise = cache
        # forward: z = μ + eˢ ε
        return array_module(dy).concatenate([dy, dy * noise], axis=-1)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, 2D) → ddz (…, D), and dx2 (…, 2D)."""
        self.check_second(ddx, dy, cache)
        _, noise = cache
        D = noise.shape[-1]
        a, b = ddx[..., :D], ddx[..., D:]
        # backward: dμ = dz, ds = dz eˢ ε
        xp = array_module(ddx)
        return a + b * noise, xp.concatenate([xp.zeros_like(a), b * dy * noise], axis=-1)

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """The shapes of x (…, 2D) and z (…, D)."""
        shape, noise = cache
        return shape, noise.shape

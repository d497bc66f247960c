"""Gradient penalties: WGAN-GP, DRAGAN, R1 and R2 for a critic D, path length for a generator.

They work with any network that has double backward.

A penalty P is a scalar function of the input gradients ∇D(x_n) at points x_n near the data. Training with it requires
∂P/∂parameters, the derivative of a gradient, so `backward` itself is differentiated (docs/double-backward.md). With the
notation ddx = ∂P/∂(dx) and dx2 = ∂P/∂x, these are four sweeps through the network:

    1. forward    logits = D(x)                       critic.forward
    2. backward   dx = ∂(Σ_n D(x_n))/∂x               critic.backward with dlogits = 1 and wrt="input"
                  P(dx) and ddx = ∂P/∂(dx)            `of_gradient` of the penalty
    3. forward    ddx → ddy, layer by layer           critic.double_backward: the gradients of parameters that occur in
                                                      a layer's backward, such as W in dx = dy Wᵀ
    4. backward   the dx2 terms                       and of parameters that determine the x of later layers, where the
                                                      derivative f′(x) of an activation is evaluated

Row n of dx is ∇D(x_n) if D(x_n) depends on x_n alone. The norms ‖∇‖ below are per sample, over all other axes.

Sweep 4 starts at activations, with dx2 = ddx · dy · f″(x); f″ is zero for ReLU, LeakyReLU, PReLU and Maxout. With these
and linear layers alone, every dx2 is None: sweep 4 computes nothing, and biases get no gradient from P. With Tanh,
Softplus or a norm, sweep 4 is needed. Training doesn't reveal its omission, only a gradient check does.

Which layers a critic may have:

* BatchNorm is refused: the output for one sample depends on the whole batch, so ∇D(x_n) isn't defined (Gulrajani et al.
  2017, section 4). LayerNorm and InstanceNorm normalize each sample separately.
* MinibatchStdDev mixes samples too, but only into one feature per group. It is allowed, as in progressive growing
  (Karras et al. 2017); dx is then the gradient of the sum of the batch's logits.
* SpectralNorm does one power iteration in sweep 1, as in every training forward, which brings σ closer to the largest
  singular value. All four sweeps use the same u and v.
* Dropout draws one mask in sweep 1, and all four sweeps use it.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from minigan.backend import array_module
from minigan.errors import MiniganError, ShapeError
from minigan.kernels.reductions import sum_over
from minigan.layers import BatchNorm, Layer


class Penalty:
    """The base class of penalties, with the four sweeps. A subclass defines `points` and `of_gradient`.

    `penalty(critic, real, fake, rng)` returns P as a 0-d array on the device and *adds* ∂P/∂parameter to the gradients
    of the critic. It changes nothing else, except state that every training forward updates (SpectralNorm's u and v).
    """

    def __call__(self, critic: Layer, real: Any, fake: Any, rng: Any, labels: Any = None) -> Any:
        """Return P, and add ∂P/∂parameter to the critic's gradients.

        critic: maps x (N, …), or (x, labels), to logits (N, 1)
        real:   samples (N, …); R2 ignores them
        fake:   samples (N, …); R1 and DRAGAN ignore them
        rng:    random generator of the critic's device
        labels: classes (N,) of the real samples and of the fake ones, for a conditional critic

        Raises MiniganError for a critic with batch norm, and ShapeError if real and fake have different shapes or if
        the critic returns more than one number per sample.
        """
        refuse_batch_norm(critic)
        x = self.points(real, fake, rng)
        # 1. forward
        logits, cache = critic.forward(x if labels is None else (x, labels), True, rng)  # (N, …) → (N, 1)
        if logits.size != len(logits):
            raise ShapeError(f"a penalty needs a critic with one output per sample, got shape {tuple(logits.shape)}")
        # 2. backward: dlogits = ∂(Σ logits)/∂logits = 1, and row n of dx is ∇D(x_n)
        dlogits = array_module(x).ones_like(logits)
        dx = critic.backward(dlogits, cache, wrt="input")  # (N, 1) → (N, …), or ((N, …), None) with labels
        value, ddx = self.of_gradient(dx if labels is None else dx[0])
        # 3. forward and 4. backward; labels have no gradient
        critic.double_backward(ddx if labels is None else (ddx, None), dlogits, cache)
        return value

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """Return the points x (N, …) at which the gradient ∇D is penalized."""
        raise NotImplementedError

    def of_gradient(self, dx: Any) -> tuple[Any, Any]:
        """Map dx (N, …), whose rows are the gradients ∇D(x_n), to P and ddx = ∂P/∂(dx) (N, …)."""
        raise NotImplementedError


class GradientPenalty(Penalty):
    """WGAN-GP (Gulrajani et al. 2017, equation 3): pulls the gradient norm to 1 between real and fake samples.

        x̂ = ε · real + (1 − ε) · fake,  one ε ~ U[0, 1] per sample
        P = λ mean (‖∇‖ − 1)²                    ddx = (2λ/N) (‖∇‖ − 1) ∇/‖∇‖

    With `one_sided`, only norms above 1 are penalized (section 4 of the paper; Petzka et al. 2018):

        P = λ mean max(0, ‖∇‖ − 1)²              ddx = (2λ/N) max(0, ‖∇‖ − 1) ∇/‖∇‖

    ‖∇‖ isn't differentiable at ∇ = 0; ddx is defined as 0 there. `weight` is λ.
    """

    def __init__(self, weight: float = 10.0, one_sided: bool = False) -> None:
        self.weight, self.one_sided = _not_negative("weight", weight), one_sided

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """Return x̂ (N, …): a random point on the line between each real sample and the fake one of the same row."""
        if real.shape != fake.shape:
            raise ShapeError(
                f"real samples have shape {tuple(real.shape)}, fake ones {tuple(fake.shape)}: use one shape"
            )
        epsilon = _uniform_per_sample(real, rng)
        return epsilon * real + (1 - epsilon) * fake

    def of_gradient(self, dx: Any) -> tuple[Any, Any]:
        """Return P and ddx (N, …), from the norm and the direction of each sample's gradient."""
        norm, direction = norm_and_direction(dx)
        excess = norm - 1  # (N, 1, …)
        if self.one_sided:
            excess = array_module(dx).maximum(excess, 0)
        return self.weight * (excess * excess).mean(), (2 * self.weight / len(dx)) * excess * direction

    def __repr__(self) -> str:
        return f"GradientPenalty({self.weight:g}{', one_sided=True' if self.one_sided else ''})"


class DRAGAN(GradientPenalty):
    """DRAGAN (Kodali et al. 2017): pulls the gradient norm to 1 around the real samples.

        x̂ = real + α · c · std(real) · u,  u ~ U[0, 1] for every number, one α ~ U[0, 1] per sample
        P = λ mean (‖∇‖ − 1)²

    std(real) is over all numbers of the batch. This follows the authors' notebook (c = ½, λ = 10), including the
    non-negative noise and the second random factor α. The last version of the paper adds noise N(0, c) to the real
    sample instead, with c tuned to the range of the data. `weight` is λ.
    """

    def __init__(self, weight: float = 10.0, c: float = 0.5) -> None:
        super().__init__(weight)
        self.c = _not_negative("c", c)

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """Return x̂ (N, …), near the real samples."""
        u = rng.random(real.shape, dtype=real.dtype)
        return real + _uniform_per_sample(real, rng) * (self.c * real.std() * u)

    def __repr__(self) -> str:
        return f"DRAGAN({self.weight:g}, c={self.c:g})"


class R1(Penalty):
    """R1 (Mescheder et al. 2018, equation 9): pulls the gradient to 0 at the real samples.

    P = γ/2 · mean ‖∇‖²        ddx = (γ/N) ∇

    Without it, a critic with a gradient at the real data moves G away again once G generates the data's distribution.
    """

    def __init__(self, gamma: float = 10.0) -> None:
        self.gamma = _not_negative("gamma", gamma)

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """Return the real samples."""
        return real

    def of_gradient(self, dx: Any) -> tuple[Any, Any]:
        """Return P and ddx (N, …). ‖∇‖² is differentiable everywhere, also at ∇ = 0."""
        squared = sum_over((dx, dx), tuple(range(1, dx.ndim)))  # (N, 1, …)
        return self.gamma / 2 * squared.mean(), (self.gamma / len(dx)) * dx

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.gamma:g})"


class R2(R1):
    """R2 (Mescheder et al. 2018, equation 10): R1's formula at the generated samples."""

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """Return the generated samples."""
        return fake


class PathLength:
    """StyleGAN2's penalty on a generator (Karras et al. 2020, section 3.2): all steps in w change pictures equally.

    y (N, H, W, C) is a random picture with independent numbers from N(0, 1)/√(H·W). ⟨G(w), y⟩ is the sum of G(w) y over
    the numbers of a picture:

        J = ∂⟨G(w), y⟩/∂w                  (N, L, D), for a style w for each of L layers, or (N, D)
        ℓ = √(mean over layers of ‖J‖²)    (N,)
        a ← a + rate · (mean ℓ − a)        (), the average length, kept from call to call
        P = weight · mean (ℓ − a)²         dJ = ∂P/∂J = (2·weight/N) (ℓ − a) J/(ℓ L)

    The mean of ℓ² over y is ‖∂G/∂w‖²/(H·W L), so ℓ measures the whole Jacobian without computing it. If P is 0, then a
    step of length 1 in any direction of w changes the picture equally at every w.

    P is a function of the gradient J with respect to the *input* of G. So it is computed by the four sweeps of the text
    above, with w for x, y for dlogits, J for dx and dJ for ddx. `double_backward` also returns ∂P/∂w, which is needed
    here: w is the output of a mapping network, whose dy is ∂P/∂w. ∂P/∂y isn't needed.

    In P, a is a constant. (In the authors' code it depends on ℓ in the current step: `rate`, 1 %, of the mean of ℓ − a
    is subtracted from each ℓ − a in dJ.)
    """

    def __init__(self, weight: float = 2.0, rate: float = 0.01) -> None:
        self.weight, self.rate = _not_negative("weight", weight), _not_negative("rate", rate)

    def __call__(self, G: Layer, w: Any, a: Any, rng: Any) -> tuple[Any, Any, Any]:
        """Return P, the mean of ℓ, and ∂P/∂w in the shape of w; add ∂P/∂parameter to G's gradients, and move a.

        G: maps w (N, …, D) to pictures (N, H, W, C). a: an array () on the device. rng: a generator of the device
        """
        xp, N, L = array_module(w), len(w), prod(w.shape[1:-1])
        # 1. forward
        pictures, cache = G.forward(w, True, rng)  # → (N, H, W, C)
        y = rng.standard_normal(pictures.shape, dtype=pictures.dtype) / sqrt(prod(pictures.shape[1:3]))
        y = y.astype(pictures.dtype, copy=False)
        # 2. backward: the gradient of ⟨pictures, y⟩
        J = G.backward(y, cache, wrt="input")
        norm, direction = norm_and_direction(J)  # over layers and D; J = norm · direction
        length = norm.reshape(N) / sqrt(L)
        a += self.rate * (length.mean() - a)
        excess = length - a
        # J/(ℓ L) = direction/√L, because J = norm · direction and ℓ = norm/√L
        dJ = (2 * self.weight / (N * sqrt(L))) * excess.reshape(norm.shape) * direction
        # 3. forward and 4. backward
        _, dw = G.double_backward(dJ, y, cache)
        return self.weight * (excess * excess).mean(), length.mean(), xp.zeros_like(w) if dw is None else dw

    def __repr__(self) -> str:
        return f"PathLength({self.weight:g}, rate={self.rate:g})"


def norm_and_direction(dx: Any) -> tuple[Any, Any]:
    """Return ‖dx_n‖ (N, 1, …) and dx_n/‖dx_n‖ (N, …) of each sample; the direction of a zero gradient is zero.

    Each sample is divided by its largest magnitude before squaring. Otherwise the squares of small gradients would
    underflow (in float32 below 1e-23) and those of large ones overflow.
    """
    xp, axes = array_module(dx), tuple(range(1, dx.ndim))
    largest = xp.abs(dx).max(axis=axes, keepdims=True)  # (N, 1, …)
    scaled = dx / (largest + (largest == 0))
    length = xp.sqrt(sum_over((scaled, scaled), axes))  # ≥ 1, or 0 for a zero gradient
    return largest * length, scaled / xp.maximum(length, 1)


def refuse_batch_norm(critic: Layer) -> None:
    """Raise MiniganError if there is a batch norm anywhere in the critic."""
    for prefix, layer in critic.walk():
        if isinstance(layer, BatchNorm):
            place = f" at {prefix[:-1]!r}" if prefix else ""
            raise MiniganError(
                f"a gradient penalty can't be used on a critic with {layer!r}{place}: it mixes the samples of a batch, "
                "so there is no gradient per sample to penalize; use LayerNorm, InstanceNorm or no norm"
            )


def _uniform_per_sample(x: Any, rng: Any) -> Any:
    """Draw one number from U[0, 1) per sample: (N, 1, …), in the dtype of x."""
    return rng.random((len(x), *(1,) * (x.ndim - 1)), dtype=x.dtype)


def _not_negative(name: str, value: float) -> float:
    if not value >= 0:
        raise ValueError(f"{name} is {value}: it must be at least 0")
    return float(value)

"""Gradient penalties: a critic learns from its own slope. Four sweeps through the network, for any critic.

A penalty P is a number made of the input gradient ∇D(x), at points x near the data. To train with it, the parameters
must know how they influence that *gradient*, so backward itself is differentiated (docs/double-backward.md):

    up      logits = D(x)                      critic.forward
    down    dx = ∂(Σ_n D(x_n))/∂x              critic.backward of ones, wrt="input"
            P(dx), and ddx = ∂P/∂(dx)          the formula of the penalty
    up      ddx → ddy, layer by layer          critic.double_backward, which adds what P adds to the parameters as they
                                               occur in the layers' backward,
    down    the dx2 terms                      and as they occur in forward: they move the x at which a slope is taken

Row n of dx is ∇D(x_n), as long as D(x_n) depends on x_n alone; the norms ‖∇‖ below are per sample, over all its axes.
The last sweep starts from dx2 = ddx · dy · f″(x), and f″ is zero for a ReLU, LeakyReLU, PReLU or Maxout. A critic of
these and of linear layers has dx2 = None all the way down: that sweep has nothing to carry and costs nothing, and no
bias learns from the penalty. With a Tanh, a Softplus or a norm it is there, and forgetting it isn't seen in training.

What D may be made of:

* Batch norm is refused. Its output for one sample depends on all of them, and so does the gradient: there is no ∇D(x_n)
  to penalise (Gulrajani et al. 2017, section 4). LayerNorm and InstanceNorm work on each sample alone.
* MinibatchStdDev mixes samples too, but only into one feature that is the same for a group. It is allowed, as in
  progressive growing (Karras et al. 2017); dx is then the gradient of the sum of the batch's logits.
* Under SpectralNorm the first sweep is one more training forward, with a power iteration, and this is meant so: the
  penalty is about the critic that is being trained, and one more iteration can only bring σ nearer to the largest
  singular value. All four sweeps use the u and v of that one forward.
* Dropout draws a mask in the first sweep, and all four use it.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.errors import MiniganError, ShapeError
from minigan.kernels.reductions import sum_over
from minigan.layers import BatchNorm, Layer


class Penalty:
    """What all penalties have in common: the four sweeps. A subclass says at which points, and what P is.

    A penalty is called as `penalty(critic, real, fake, rng)`. It returns P as a 0-d array that stays on the device, and
    *adds* ∂P/∂parameter to the gradients of the critic. Nothing else is changed, but for states that every training
    forward moves (SpectralNorm's u and v).
    """

    def __call__(self, critic: Layer, real: Any, fake: Any, rng: Any, labels: Any = None) -> Any:
        """Add the penalty's gradient to the critic's, and return its value.

        critic: real and fake (N, …) → logits (N, 1); with labels (N,), (x, labels) → logits.
        fake:   of the same shape as real. R1 doesn't look at it, R2 doesn't look at real.
        rng:    a generator of the critic's device.
        labels: those of the real samples, which the fake ones must share.

        Raises MiniganError for a critic with batch norm, ShapeError if real and fake have different shapes or if the
        critic gives several numbers for a sample.
        """
        refuse_batch_norm(critic)
        x = self.points(real, fake, rng)
        # up
        logits, cache = critic.forward(x if labels is None else (x, labels), True, rng)
        if logits.size != len(logits):
            raise ShapeError(f"a penalty needs a critic with one number for each sample, got {tuple(logits.shape)}")
        # down: the gradient of the sum of the logits has ∇D(x_n) in row n
        dlogits = array_module(x).ones_like(logits)
        dx = critic.backward(dlogits, cache, wrt="input")
        value, ddx = self.of_gradient(dx if labels is None else dx[0])
        # up and down again. Labels have no gradient
        critic.double_backward(ddx if labels is None else (ddx, None), dlogits, cache)
        return value

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """The points x (N, …) at which the slope is taken."""
        raise NotImplementedError

    def of_gradient(self, dx: Any) -> tuple[Any, Any]:
        """dx (N, …) → P and ddx = ∂P/∂(dx) (N, …)."""
        raise NotImplementedError


class GradientPenalty(Penalty):
    """WGAN-GP (Gulrajani et al. 2017, algorithm 1): the slope shall be 1 between real and fake samples.

        x̂ = ε · real + (1 − ε) · fake,  one ε ~ U[0, 1] per sample
        P = λ mean (‖∇‖ − 1)²                    ddx = (2λ/N) (‖∇‖ − 1) ∇/‖∇‖

    One-sided, only slopes that are too steep are penalised (section 4 there; Petzka et al. 2018):

        P = λ mean max(0, ‖∇‖ − 1)²              ddx = (2λ/N) max(0, ‖∇‖ − 1) ∇/‖∇‖

    The norm has no derivative at ∇ = 0. There ddx is 0, as for a slope that points nowhere. `weight` is λ.
    """

    def __init__(self, weight: float = 10.0, one_sided: bool = False) -> None:
        self.weight, self.one_sided = _not_negative("weight", weight), one_sided

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """x̂, on the straight lines between the pairs of a real and a fake sample."""
        if real.shape != fake.shape:
            raise ShapeError(
                f"real samples have shape {tuple(real.shape)}, fake ones {tuple(fake.shape)}: make as many"
            )
        epsilon = _one_per_sample(real, rng)
        return epsilon * real + (1 - epsilon) * fake

    def of_gradient(self, dx: Any) -> tuple[Any, Any]:
        """P and ∂P/∂(dx), from the length and the direction of each sample's gradient."""
        norm, direction = norm_and_direction(dx)
        excess = norm - 1  # (N, 1, …)
        if self.one_sided:
            excess = array_module(dx).maximum(excess, 0)
        return self.weight * (excess * excess).mean(), (2 * self.weight / len(dx)) * excess * direction

    def __repr__(self) -> str:
        return f"GradientPenalty({self.weight:g}{', one_sided=True' if self.one_sided else ''})"


class DRAGAN(GradientPenalty):
    """DRAGAN (Kodali et al. 2017): the slope shall be 1 around the real samples.

        x̂ = real + α · c · std(real) · u,  u ~ U[0, 1] for every number, one α ~ U[0, 1] per sample
        P = λ mean (‖∇‖ − 1)²

    with the standard deviation of all numbers in the batch. This is what the authors' notebook does (c = ½, λ = 10),
    noise that is never negative and the second factor α included. The last version of the paper has Gaussian noise
    N(0, c) around the real sample instead, with a c chosen by hand for the data's range. `weight` is λ.
    """

    def __init__(self, weight: float = 10.0, c: float = 0.5) -> None:
        super().__init__(weight)
        self.c = _not_negative("c", c)

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """x̂, near the real samples."""
        u = rng.random(real.shape, dtype=real.dtype)
        return real + _one_per_sample(real, rng) * (self.c * real.std() * u)

    def __repr__(self) -> str:
        return f"DRAGAN({self.weight:g}, c={self.c:g})"


class R1(Penalty):
    """R1 (Mescheder et al. 2018): the slope shall be 0 at the real samples.

    P = γ/2 · mean ‖∇‖²        ddx = (γ/N) ∇

    When the generator has found the data, a critic that is still steep there would drive it away again.
    """

    def __init__(self, gamma: float = 10.0) -> None:
        self.gamma = _not_negative("gamma", gamma)

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """The real samples."""
        return real

    def of_gradient(self, dx: Any) -> tuple[Any, Any]:
        """P and ∂P/∂(dx). No norm is taken, so nothing happens at ∇ = 0."""
        squared = sum_over((dx, dx), tuple(range(1, dx.ndim)))  # (N, 1, …)
        return self.gamma / 2 * squared.mean(), (self.gamma / len(dx)) * dx

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.gamma:g})"


class R2(R1):
    """R2 (Mescheder et al. 2018): as R1, but at the generated samples."""

    def points(self, real: Any, fake: Any, rng: Any) -> Any:
        """The generated samples."""
        return fake


def norm_and_direction(dx: Any) -> tuple[Any, Any]:
    """‖dx_n‖ (N, 1, …) and dx_n/‖dx_n‖ (N, …) of every sample; the direction of a zero is zero.

    Each sample is first divided by its largest magnitude. The squares would otherwise vanish or overflow long before
    the gradient does: in float32, those of anything below 1e-23.
    """
    xp, axes = array_module(dx), tuple(range(1, dx.ndim))
    largest = xp.abs(dx).max(axis=axes, keepdims=True)  # (N, 1, …)
    scaled = dx / (largest + (largest == 0))
    length = xp.sqrt(sum_over((scaled, scaled), axes))  # 1 or more, or 0 for a gradient of zeros
    return largest * length, scaled / xp.maximum(length, 1)


def refuse_batch_norm(critic: Layer) -> None:
    """Raise MiniganError if there is a batch norm anywhere in the critic."""
    for prefix, layer in critic.walk():
        if isinstance(layer, BatchNorm):
            place = f" at {prefix[:-1]!r}" if prefix else ""
            raise MiniganError(
                f"a gradient penalty can't be used on a critic with {layer!r}{place}: it mixes the samples of a batch, "
                "so the gradient at one depends on all the others and there is none per sample to penalise; "
                "use LayerNorm, InstanceNorm or no norm"
            )


def _one_per_sample(x: Any, rng: Any) -> Any:
    """Draw a number in [0, 1) for every sample: (N, 1, …), of the dtype of x."""
    return rng.random((len(x), *(1,) * (x.ndim - 1)), dtype=x.dtype)


def _not_negative(name: str, value: float) -> float:
    if not value >= 0:
        raise ValueError(f"{name} is {value}: it must be at least 0")
    return float(value)

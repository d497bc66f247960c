"""Optimizers, learning rate schedules, moving averages of weights, and clipping.

All parameters of a network are one vector p, and their gradients one vector g (`Layer.parameters()`), so an update rule
is the formula of the paper. `change_by_rows` applies it to slices of the vectors, in several threads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from math import cos, inf, pi
from numbers import Real
from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.errors import CheckpointError, LayerError
from minigan.kernels.elementwise import change_by_rows
from minigan.layers.base import Layer
from minigan.layers.parameters import Parameters


class Optimizer:
    """The base class of update rules. A subclass sets `state_names` and writes `update`.

    `lr` may change between steps, for a schedule; `t` is the number of steps so far. `update` is called with slices of
    the vectors, so it must work element by element. Raises LayerError for wrong parameters or a negative learning rate.
    """

    lr: float
    state_names: tuple[str, ...] = ()

    def __init__(self, parameters: Parameters, lr: float) -> None:
        check_parameters(type(self).__name__, parameters)
        if not isinstance(lr, Real) or not 0 <= lr < inf:
            raise LayerError(f"{type(self).__name__} takes a learning rate of at least 0, such as lr=1e-3, got {lr!r}")
        self.parameters, self.lr, self.t = parameters, lr, 0
        xp = array_module(parameters.values)
        for name in self.state_names:
            setattr(self, name, xp.zeros_like(parameters.values))

    def zero_grad(self) -> None:
        """Set all gradients to 0."""
        self.parameters.zero_grad()

    def reset(self) -> None:
        """Set the state vectors and t to 0. Parameters whose gradients are 0 from then on no longer change."""
        for name in self.state_names:
            getattr(self, name)[...] = 0
        self.t = 0

    def step(self) -> None:
        """Update the parameters once. Raises LayerError if the network was moved to another device or dtype."""
        p, g = self.parameters.values, self.parameters.grads
        state = [getattr(self, name) for name in self.state_names]
        if any(type(s) is not type(p) or s.dtype != p.dtype for s in state):
            raise LayerError(
                f"the network was moved after {type(self).__name__} was created: create optimizers after .to(…)"
            )
        self.t += 1
        change_by_rows(self.update, p, g, *state)

    def update(self, p: Any, g: Any, *state: Any) -> None:
        """Update p and the state vectors in place, given the gradient g."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the state vectors, and t, on the host."""
        vectors = {name: to_numpy(getattr(self, name)).copy() for name in self.state_names}
        return vectors | {"t": np.int64(self.t)}

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        """Restore the result of `state_dict`. Raises CheckpointError, and changes nothing, if it doesn't match."""
        own = {*self.state_names, "t"}
        if arrays.keys() != own:
            found = ", ".join(sorted(arrays)) or "nothing"
            raise CheckpointError(f"the saved optimizer state holds {found} instead of {', '.join(sorted(own))}")
        for name in self.state_names:
            if arrays[name].shape != getattr(self, name).shape:
                raise CheckpointError(f"the saved optimizer state has no {name} of {len(self.parameters)} numbers")
        for name in self.state_names:
            vector = getattr(self, name)
            vector[...] = array_module(vector).asarray(arrays[name], dtype=vector.dtype)
        self.t = int(arrays["t"])


def check_parameters(caller: str, parameters: Any) -> None:
    """Raise LayerError unless `parameters` is the `Parameters` of a network. `caller` is named in the message."""
    if not isinstance(parameters, Parameters):
        kind = type(parameters).__name__
        wrong = f", not the {kind} itself" if isinstance(parameters, Layer) else f" of one network, not {kind}"
        raise LayerError(f"{caller} takes the parameters{wrong}: {caller}(network.parameters(), …)")


class SGD(Optimizer):
    """Stochastic gradient descent with momentum μ (Polyak 1964), or Nesterov momentum (Sutskever et al. 2013).

        velocity ← μ velocity + g
        p ← p − lr · velocity                       with Nesterov: p − lr (g + μ velocity)

    As in PyTorch, the velocity doesn't contain lr, so a change of lr takes full effect at the next step.
    """

    state_names = ("velocity",)

    def __init__(self, parameters: Parameters, lr: float, momentum: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(parameters, lr)
        self.momentum, self.nesterov = momentum, nesterov

    def update(self, p: Any, g: Any, velocity: Any) -> None:  # type: ignore[override]
        """Apply the formulas above to slices of the vectors."""
        velocity *= self.momentum
        velocity += g
        p -= self.lr * (g + self.momentum * velocity if self.nesterov else velocity)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012): the gradient divided by its root mean square, a moving average.

    v ← α v + (1 − α) g²
    p ← p − lr · g / (√v + ε)
    """

    state_names = ("v",)

    def __init__(self, parameters: Parameters, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__(parameters, lr)
        self.alpha, self.eps = alpha, eps

    def update(self, p: Any, g: Any, v: Any) -> None:  # type: ignore[override]
        """Apply the formulas above to slices of the vectors."""
        v *= self.alpha
        v += (1 - self.alpha) * (g * g)
        p -= self.lr * g / (array_module(p).sqrt(v) + self.eps)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2014, algorithm 1), as in PyTorch.

        m ← β1 m + (1 − β1) g            m̂ = m / (1 − β1ᵗ)
        v ← β2 v + (1 − β2) g²           v̂ = v / (1 − β2ᵗ)
        p ← p − lr · m̂ / (√v̂ + ε)

    With `epsilon_hat=True`: the variant of section 2, as in TensorFlow, which adds ε̂ to √v instead of √v̂:

        p ← p − lr·√(1 − β2ᵗ)/(1 − β1ᵗ) · m/(√v + ε̂)

    It equals algorithm 1 for ε̂ = ε √(1 − β2ᵗ). With ε̂ = ε its effect is up to 1/√(1 − β2) times larger at first, 32
    times for β2 = .999. Raises LayerError for betas outside [0, 1).
    """

    state_names = ("m", "v")

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        epsilon_hat: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise LayerError(f"Adam takes two betas of at least 0 and less than 1, such as (0.5, 0.999), got {betas!r}")
        self.betas, self.eps, self.epsilon_hat = betas, eps, epsilon_hat

    def update(self, p: Any, g: Any, m: Any, v: Any) -> None:  # type: ignore[override]
        """Apply the formulas above to slices of the vectors."""
        b1, b2 = self.betas
        correction1, correction2 = 1 - b1**self.t, (1 - b2**self.t) ** 0.5
        # √v̂ + ε = (√v + ε √(1 − β2ᵗ)) / √(1 − β2ᵗ)
        eps = self.eps if self.epsilon_hat else self.eps * correction2
        rate = self.lr * correction2 / correction1
        xp = array_module(p)
        if hasattr(xp, "ElementwiseKernel"):
            _adam_kernel(xp)(g, b1, 1 - b1, b2, 1 - b2, eps, float(rate), p, m, v)
            return
        m *= b1
        m += (1 - b1) * g
        v *= b2
        v += (1 - b2) * (g * g)
        denominator = xp.sqrt(v)
        denominator += eps
        p -= rate * m / denominator


@cache
def _adam_kernel(cupy: Any) -> Any:
    """Return `Adam.update` as one CuPy kernel: it reads and writes memory once, the NumPy lines twelve times."""
    return cupy.ElementwiseKernel(
        "T g, T b1, T b1_rest, T b2, T b2_rest, T eps, T rate",
        "T p, T m, T v",
        """
        m = b1 * m + b1_rest * g;
        v = b2 * v + b2_rest * (g * g);
        p -= rate * m / (sqrt(v) + eps);
        """,
        "minigan_adam",
    )


# A schedule maps t, in epochs or steps, to a factor on the learning rate: `optimizer.lr = lr * schedule(epoch)`

Schedule = Callable[[float], float]


def constant() -> Schedule:
    """Return a schedule that is always 1."""
    return lambda t: 1.0


def linear_decay(start: float, length: float) -> Schedule:
    """Return a schedule that is 1 until `start`, then decays linearly to 0 over `length` (CycleGAN: both 100)."""
    return lambda t: min(1.0, max(0.0, 1 - (t - start) / length))


def exponential_decay(gamma: float) -> Schedule:
    """Return the schedule gammaᵗ."""
    return lambda t: gamma**t


def step_decay(step_size: float, gamma: float = 0.1) -> Schedule:
    """Return a schedule that is multiplied by gamma every `step_size`."""
    return lambda t: gamma ** (t // step_size)


def cosine_decay(length: float, floor: float = 0.0) -> Schedule:
    """Return a schedule from 1 to `floor` along half a cosine over `length` (Loshchilov and Hutter 2016)."""
    return lambda t: floor + (1 - floor) * (1 + cos(pi * min(t, length) / length)) / 2


class WeightAverage:
    """An exponential moving average of a network's parameters: a copy of the network to sample from, `average`.

        average ← d_t · average + (1 − d_t) · parameters             d_t = min(decay, (1 + t) / (10 + t))

    t is the number of earlier updates. The growing d_t, as in TensorFlow's ExponentialMovingAverage with `num_updates`,
    reduces the weight of the initial parameters. While d_t grows, this weight is t! 9! / (t + 9)! after t updates, that
    is 10 %, 1.8 %, 0.5 %, … With a constant decay of .999 it would still be 37 % after 1,000 updates.

    Running statistics and the u and v of spectral norm are copied: they follow the network slowly as they are.
    Raises LayerError unless `network` is a layer, ValueError unless 0 ≤ decay < 1.
    """

    def __init__(self, network: Layer, decay: float = 0.999) -> None:
        if not isinstance(network, Layer):
            raise LayerError(f"WeightAverage takes a network, got {type(network).__name__}: WeightAverage(network)")
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of a moving average must be at least 0 and less than 1, got {decay}")
        self.network, self.decay, self.t = network, decay, 0
        self.average: Any = copy.deepcopy(network)

    def update(self) -> None:
        """Update the average. Call this after each step of the network's optimizer."""
        decay = min(self.decay, (1 + self.t) / (10 + self.t))
        self.t += 1
        average = self.average.parameters().values
        average += (1 - decay) * (self.network.parameters().values - average)
        for (_, copied), (_, original) in zip(self.average.walk(), self.network.walk(), strict=True):
            for name in copied.state_names:
                getattr(copied, name)[...] = getattr(original, name)

    def restart(self) -> None:
        """Set the average to the network's current parameters, and t to 0."""
        self.average.load_state_dict(self.network.state_dict())
        self.t = 0

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the averaged network's arrays, and t, on the host."""
        return self.average.state_dict() | {"t": np.int64(self.t)}

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        """Restore the result of `state_dict`. Raises CheckpointError, and changes nothing, if it doesn't match."""
        if "t" not in arrays:
            raise CheckpointError("the saved moving average has no t, the number of its updates")
        self.average.load_state_dict({name: array for name, array in arrays.items() if name != "t"})
        self.t = int(arrays["t"])


def clip_grad_norm(parameters: Parameters, max_norm: float) -> Any:
    """Scale the gradient vector to a norm of at most `max_norm`. Returns the norm before scaling, on the device."""
    check_parameters("clip_grad_norm", parameters)
    xp = array_module(parameters.grads)
    norm = xp.sqrt((parameters.grads * parameters.grads).sum())
    parameters.grads *= xp.minimum(max_norm / (norm + 1e-6), 1)  # an `if` would wait for the device
    return norm


def clip_weights(parameters: Parameters, bound: float) -> None:
    """Clip every parameter to [−bound, bound] (WGAN, algorithm 1)."""
    check_parameters("clip_weights", parameters)
    parameters.values.clip(-bound, bound, out=parameters.values)

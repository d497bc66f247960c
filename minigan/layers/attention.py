"""Self-attention: to every pixel is added a weighted mean of values from all pixels.

Zhang et al. 2019, "Self-Attention Generative Adversarial Networks" (SAGAN), in the form of BigGAN's authors' code. A
convolution relates a pixel to its neighbors; attention relates any two pixels of a picture in one layer.

    SelfAttention(C) = Residual(Sequential(Fork(θ, φ, g), DotProductAttention(), o, Gain()))

docs/attention.md derives the gradients, with numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.elementwise import by_rows, product
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer
from minigan.layers.blocks import Wrap, as_it_is
from minigan.layers.branches import Fork
from minigan.layers.containers import Residual, Sequential
from minigan.layers.conv import Conv2D
from minigan.layers.initializers import Initializer
from minigan.layers.pooling import MaxPool2D
from minigan.layers.softmax import Softmax

SOFTMAX = Softmax()  # it has no parameters, and keeps nothing of a call


class DotProductAttention(Layer):
    """O = softmax(Q Kᵀ) V: for M queries, J keys and J values of each sample, M weighted means of the values.

    Q (N, …, d), K (N, …, d) and V (N, …, e) → O (N, …, e), where … are pixels: M of Q and O, J of K and V. Written for
    one sample, with matrices Q (M, d), K (J, d) and V (J, e), and ∘ for products element by element:

        S = Q Kᵀ  (M, J)        A = softmax(S) over the J keys        O = A V  (M, e)

    First order. s[a] = A ∘ (a − Σ_keys a ∘ A) is the backward of softmax (`Softmax`): each row of a times the symmetric
    Jacobian of this row.

        dA = dO Vᵀ        dV = Aᵀ dO        dS = s[dA]        dQ = dS K        dK = dSᵀ Q

    Second order. P depends on dQ, dK and dV, with q = ddQ, k = ddK, v = ddV. In reverse order through dQ = dS K and
    dK = dSᵀ Q, with T = ∂P/∂(dS), then dS = s[dA], then dA = dO Vᵀ and dV = Aᵀ dO:

        T = q Kᵀ + Q kᵀ        ddA = s[T]        ddO = ddA V + A v

    Q, K, V and A occur in these lines, too. With ∂s for the ∂P/∂A of `Softmax` with ddx = T and dy = dA, and with
    S2 = ∂P/∂S, Q2 = ∂P/∂Q and so on:

        ∂P/∂A = dO vᵀ + ∂s        S2 = s[∂P/∂A]
        Q2 = S2 K + dS k        K2 = S2ᵀ Q + dSᵀ q        V2 = ddAᵀ dO

    The products are not divided by √d: SAGAN doesn't, Transformers do. Memory is N·M·J numbers.
    """

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(Q (N, …, d), K (N, …, d), V (N, …, e)) → O (N, …, e). Raises ShapeError if their lengths differ."""
        Q, K, V = self._matrices(x)
        S = product(Q, _T(K))  # (N, M, d) @ (N, d, J) → (N, M, J)
        A, _ = SOFTMAX.forward(S)
        O = product(A, V)  # (N, M, J) @ (N, J, e) → (N, M, e)
        return O.reshape(*x[0].shape[:-1], V.shape[2]), (Q, K, V, A, tuple(entry.shape for entry in x))

    def backward_input(self, dy: Any, cache: Any) -> tuple[Any, Any, Any]:
        """dO (N, …, e) → (dQ, dK, dV)."""
        Q, K, V, A, shapes = cache
        dO = dy.reshape(*A.shape[:2], V.shape[2])
        # forward: O = A @ V
        dA, dV = product(dO, _T(V)), product(_T(A), dO)  # (M, e) @ (e, J), (J, M) @ (M, e)
        # forward: A = softmax(S)
        dS = SOFTMAX.backward_input(dA, A)
        # forward: S = Q @ Kᵀ
        dQ, dK = product(dS, K), product(_T(dS), Q)  # (M, J) @ (J, d), (J, M) @ (M, d)
        return _like(shapes, dQ, dK, dV)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddQ, ddK, ddV), None being zeros → ddO, and (Q2, K2, V2)."""
        self.check_second(ddx, dy, cache)
        Q, K, V, A, shapes = cache
        xp = array_module(dy)
        q, k, v = (xp.zeros_like(a) if b is None else b.reshape(a.shape) for a, b in zip((Q, K, V), ddx, strict=True))
        dO = dy.reshape(*A.shape[:2], V.shape[2])
        dA = product(dO, _T(V))
        dS = SOFTMAX.backward_input(dA, A)
        # backward: dQ = dS @ K, dK = dSᵀ @ Q
        T = product(q, _T(K)) + product(Q, _T(k))  # (M, d) @ (d, J), twice
        Q2, K2 = product(dS, k), product(_T(dS), q)
        # backward: dS = s[dA]; S2 is s[∂s] so far
        ddA, S2 = SOFTMAX.double_backward(T, dA, A)
        # backward: dA = dO @ Vᵀ, dV = Aᵀ @ dO
        ddO, V2 = product(ddA, V) + product(A, v), product(_T(ddA), dO)
        # forward: A = softmax(S), S = Q @ Kᵀ; dO vᵀ is the part of ∂P/∂A from dV = Aᵀ @ dO
        S2 += SOFTMAX.backward_input(product(dO, _T(v)), A)
        Q2 += product(S2, K)
        K2 += product(_T(S2), Q)
        return ddO.reshape(dy.shape), _like(shapes, Q2, K2, V2)

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Those of Q, K and V, and (N, …, e)."""
        *_, shapes = cache
        return shapes, (*shapes[0][:-1], shapes[2][-1])

    def macs(self, x_shape: tuple[Any, ...], y_shape: tuple[int, ...]) -> int:
        """Those of Q Kᵀ and A V: M·J·(d + e) for each sample."""
        Q, K, V = x_shape
        return int(np.prod(Q[:-1]) * np.prod(K[1:-1])) * (Q[-1] + V[-1])

    def _matrices(self, x: Any) -> list[Any]:
        """Q (N, M, d), K (N, J, d) and V (N, J, e)."""
        self.check_several(x, 3)
        for entry in x:
            self.check_input(entry, None, None)
        Q, K, V = (tuple(entry.shape) for entry in x)
        if min(map(len, (Q, K, V))) < 3 or not (Q[0] == K[0] and K[:-1] == V[:-1] and Q[-1] == K[-1]):
            found = f"got {Q}, {K} and {V}"
            raise ShapeError(f"{self!r} takes queries (N, …, d), keys (N, …, d) and values (N, …, e) of them: {found}")
        return [entry.reshape(len(entry), -1, entry.shape[-1]) for entry in x]


class Gain(Layer):
    """y = γ x with one learned number γ, which begins as 0 unless `start` says otherwise: x (…) → y (…).

    First order: dx = γ dy and dγ = Σ dy x. Second order, v = ddx: ddy = γ v, dγ += Σ dy v, and dx2 is None, as x
    doesn't occur in dx.
    """

    per_pixel = True

    def __init__(self, start: float = 0.0) -> None:
        self.start = float(start)
        self.add_parameters(gamma=np.array([start]))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y of the same shape."""
        self.check_input(x, None, None)
        return self._times_gamma(x), x

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy → dx."""
        # forward: y = gamma * x
        return self._times_gamma(dy)

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add dgamma (1,)."""
        # forward: y = gamma * x
        self.dgamma += _inner(dy, cache)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddy; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = gamma * dy
        self.dgamma += _inner(dy, ddx)
        return self._times_gamma(ddx), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Those of x and y, which are equal."""
        return cache.shape, cache.shape

    def _times_gamma(self, a: Any) -> Any:
        gamma = self.gamma[0].astype(a.dtype, copy=False)
        return by_rows(lambda a, out=None: array_module(a).multiply(a, gamma, out=out), a)


class SelfAttention(Residual):
    """y = x + γ o(softmax(θ(x) φ(x)ᵀ) g(x)), for x (N, H, W, C) → y of the same shape.

    θ, φ, g and o are 1×1 convolutions without bias: θ and φ to C/8 channels, g to C/2, and o back to C. φ and g are
    then pooled, the largest of every 2×2 pixels, so there are a quarter as many keys and values as queries. γ begins
    as 0, so the layer begins as y = x, and the first step moves γ alone (SAGAN, equation 3).

    All gradients are those of the layers that it is composed of. Of these, only `DotProductAttention` has a dx2: the
    others are linear, or piecewise linear, in x.

    wrap: put around each convolution, such as `SpectralNorm`, as in both papers.
    init: of the convolutions.
    """

    def __init__(
        self,
        channels: int,
        *,
        wrap: Wrap = as_it_is,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = rng or np.random.default_rng()
        few, half = max(1, channels // 8), max(1, channels // 2)

        def conv1x1(in_channels: int, out_channels: int) -> Layer:
            return wrap(Conv2D(in_channels, out_channels, 1, bias=False, init=init, rng=rng))

        self.channels = channels
        self.theta = conv1x1(channels, few)  # (N, H, W, C) → (N, H, W, C/8), the queries
        self.phi = Sequential(conv1x1(channels, few), MaxPool2D(2))  # → (N, H/2, W/2, C/8), the keys
        self.g = Sequential(conv1x1(channels, half), MaxPool2D(2))  # → (N, H/2, W/2, C/2), the values
        self.attend = DotProductAttention()  # → (N, H, W, C/2)
        self.o = conv1x1(half, channels)  # → (N, H, W, C)
        self.gain = Gain()
        super().__init__(Sequential(Fork(self.theta, self.phi, self.g), self.attend, self.o, self.gain))

    __repr__ = Layer.__repr__


def _T(a: Any) -> Any:
    """Transpose the matrix of each sample: (N, M, J) → (N, J, M), a view."""
    return a.swapaxes(1, 2)


def _like(shapes: tuple[Any, ...], *matrices: Any) -> Any:
    """Return gradients (N, M, C) in the shapes (N, …, C) of the inputs."""
    return tuple(a.reshape(shape) for a, shape in zip(matrices, shapes, strict=True))


def _inner(a: Any, b: Any) -> Any:
    """Σ a b over all axes: → (1,)."""
    return sum_over((a, b), tuple(range(a.ndim))).reshape(1)

"""GAN objectives, each with its gradient ∂loss/∂logits.

A discriminator has no final sigmoid. It outputs a logit l; only some objectives contain the probability D(x) =
sigmoid(l). Its logarithms are softplus(±l), where softplus(l) = log(1 + eˡ), which neither overflows nor loses digits:

    −log sigmoid(l) = softplus(−l)        −log(1 − sigmoid(l)) = softplus(l)        softplus′ = sigmoid

Every objective has three methods: `real` and `fake` are the discriminator's loss on real and on generated samples,
`generator` is the generator's loss on generated samples. Each takes M logits of any shape and returns
`(value, dlogits)`: the mean over the logits as a 0-d array on the device, and dlogits = ∂value/∂logits in the shape of
the logits. Raises ShapeError unless the logits are a non-empty array of floats.

`RelativisticAverage` compares real with generated samples, so its methods take the logits of both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module, is_array
from minigan.errors import ShapeError, described
from minigan.layers.activations import sigmoid, softplus


class Minimax:
    """The objective of Goodfellow et al. 2014, equation 1: D maximizes E log D(x) + E log(1 − D(G(z))).

        real        mean softplus(−l) + s·l       dl = (s − sigmoid(−l))/M      s = label_smoothing
        fake        mean softplus(l)              dl = sigmoid(l)/M
        generator   saturating                    −mean softplus(l)             dl = −sigmoid(l)/M
                    non-saturating (default)       mean softplus(−l)            dl = −sigmoid(−l)/M

    `real` is the cross-entropy with target 1 − s, (1 − s) softplus(−l) + s softplus(l), since softplus(l) =
    softplus(−l) + l. Where D rejects a fake with certainty, l ≪ 0: the saturating gradient −sigmoid(l)/M vanishes,
    the non-saturating one is −1/M (section 3 of the paper). Only the real target is smoothed (one-sided; Salimans et
    al. 2016): with a smoothed fake target, fakes far from the data would have no incentive to move toward it.
    """

    def __init__(self, saturating: bool = False, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"`label_smoothing` is {label_smoothing}: it must be at least 0 and less than 1")
        self.saturating, self.label_smoothing = saturating, float(label_smoothing)

    def real(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on real samples: cross-entropy with target 1 − label_smoothing."""
        _check(logits)
        s = self.label_smoothing
        return (softplus(-logits) + s * logits).mean(), (s - sigmoid(-logits)) / logits.size

    def fake(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on generated samples: cross-entropy with target 0."""
        _check(logits)
        return softplus(logits).mean(), sigmoid(logits) / logits.size

    def generator(self, logits: Any) -> tuple[Any, Any]:
        """G's loss on generated samples, saturating or not."""
        _check(logits)
        if self.saturating:
            return -softplus(logits).mean(), sigmoid(logits) / -logits.size
        return softplus(-logits).mean(), sigmoid(-logits) / -logits.size


class LeastSquares:
    """The objective of LSGAN (Mao et al. 2016): ½ mean (l − target)², dl = (l − target)/M.

    The target is b for real, a for fake, and c for the generator: (a, b, c) = (0, 1, 1) (equation 9) or (−1, 1, 0)
    (equation 8; b − c = 1 and b − a = 2 minimize the Pearson χ² divergence). It doesn't saturate: the gradient is
    proportional to the distance from the target.
    """

    def __init__(self, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> None:
        self.a, self.b, self.c = float(a), float(b), float(c)

    def real(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on real samples: ½ mean (l − b)²."""
        return self._half_squared_error(logits, self.b)

    def fake(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on generated samples: ½ mean (l − a)²."""
        return self._half_squared_error(logits, self.a)

    def generator(self, logits: Any) -> tuple[Any, Any]:
        """G's loss on generated samples: ½ mean (l − c)²."""
        return self._half_squared_error(logits, self.c)

    @staticmethod
    def _half_squared_error(logits: Any, target: float) -> tuple[Any, Any]:
        _check(logits)
        error = logits - target
        return (error * error).mean() / 2, error / logits.size


class Wasserstein:
    """The objective of WGAN (Arjovsky et al. 2017): D maximizes mean l_real − mean l_fake, G maximizes mean l_fake.

        real   −mean l, dl = −1/M        fake   mean l, dl = 1/M        generator   −mean l, dl = −1/M

    The difference estimates the Wasserstein-1 distance only if D is 1-Lipschitz: see gans/wgan.py and gans/wgan_gp.py.
    """

    def real(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on real samples: −mean l."""
        return _signed_mean(logits, -1)

    def fake(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on generated samples: mean l."""
        return _signed_mean(logits, 1)

    def generator(self, logits: Any) -> tuple[Any, Any]:
        """G's loss on generated samples: −mean l."""
        return _signed_mean(logits, -1)


class Hinge:
    """The hinge objective (Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17).

        real   mean max(0, 1 − l), dl = −[l < 1]/M        fake   mean max(0, 1 + l), dl = [l > −1]/M
        generator   −mean l, dl = −1/M

    Real logits above 1 and fake ones below −1 have zero gradient.
    """

    def real(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on real samples: mean max(0, 1 − l)."""
        _check(logits)
        margin = 1 - logits
        return array_module(logits).maximum(margin, 0).mean(), _constant(logits, -1) * (margin > 0)

    def fake(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on generated samples: mean max(0, 1 + l)."""
        _check(logits)
        margin = 1 + logits
        return array_module(logits).maximum(margin, 0).mean(), _constant(logits, 1) * (margin > 0)

    def generator(self, logits: Any) -> tuple[Any, Any]:
        """G's loss on generated samples: −mean l."""
        return _signed_mean(logits, -1)


class RelativisticAverage:
    """The relativistic average objective (Jolicoeur-Martineau 2018; ESRGAN, Wang et al. 2018, section 3.2).

    D doesn't estimate whether a sample is real, but whether it is more realistic than the other kind on average. With
    the logits r_i of N real samples, f_j of M fakes, and their means r̄ and f̄:

        u_i = r_i − f̄                 v_j = f_j − r̄
        critic       mean softplus(−u) + mean softplus(v)       −log sigmoid(u) and −log(1 − sigmoid(v))
        generator    mean softplus(u) + mean softplus(−v)       the same with real and fake exchanged

    Every u_i contains f̄, and so all f_j, each with the factor −1/M; likewise every v_j contains all r_i. So the
    gradient at a logit has a part from its own comparison, and a part from its share of the mean:

        critic       du_i = −sigmoid(−u_i)/N     dv_j = sigmoid(v_j)/M
        generator    du_i = sigmoid(u_i)/N       dv_j = −sigmoid(−v_j)/M
        both         dr_i = du_i − (Σ_j dv_j)/N  df_j = dv_j − (Σ_i du_i)/M

    Adding a constant to all logits changes no u and no v, so all dr and df together sum to 0. With the minimax
    objective, G learns from fakes alone. Here its gradient also contains the logits of real samples, by u.

    Both methods take real logits (N, …) and fake logits (M, …) and return `(value, (dreal, dfake))`. The reference code
    (xinntao/BasicSR, models/esrgan_model.py) halves both sums, and treats the means in D's loss as constants.
    """

    def critic(self, real: Any, fake: Any) -> tuple[Any, tuple[Any, Any]]:
        """D's loss on real and fake samples together."""
        _check_both(real, fake)
        u, v = real - fake.mean(), fake - real.mean()
        value = softplus(-u).mean() + softplus(v).mean()
        return value, self._through_the_means(-sigmoid(-u) / u.size, sigmoid(v) / v.size)

    def generator(self, real: Any, fake: Any) -> tuple[Any, tuple[Any, Any]]:
        """G's loss. It needs only dfake: real samples don't depend on G."""
        _check_both(real, fake)
        u, v = real - fake.mean(), fake - real.mean()
        value = softplus(u).mean() + softplus(-v).mean()
        return value, self._through_the_means(sigmoid(u) / u.size, -sigmoid(-v) / v.size)

    @staticmethod
    def _through_the_means(du: Any, dv: Any) -> tuple[Any, Any]:
        """Map ∂L/∂u and ∂L/∂v to (dreal, dfake), in the shapes of u and v."""
        # forward: u = real - fake.mean(), v = fake - real.mean()
        return du - dv.sum() / du.size, dv - du.sum() / dv.size


def l1(y: Any, target: Any) -> tuple[Any, Any]:
    """Return mean |y − target| and its gradient dy = sign(y − target)/M. Raises ShapeError if the shapes differ."""
    error = _difference(y, target)
    xp = array_module(y)
    return xp.abs(error).mean(), xp.sign(error) / y.size


def l2(y: Any, target: Any) -> tuple[Any, Any]:
    """Return mean (y − target)² and its gradient dy = 2 (y − target)/M. Raises ShapeError if the shapes differ."""
    error = _difference(y, target)
    return (error * error).mean(), error * (2 / y.size)


def softmax_cross_entropy(logits: Any, labels: Any) -> tuple[Any, Any]:
    """Return −mean log p[label] with p = softmax(logits), and its gradient dlogits = (p − onehot(label))/N.

    logits (N, K), integer labels (N,). The largest logit of each row is subtracted before exp, which prevents overflow.
    Raises ShapeError for other shapes, for labels that aren't integers, and for labels outside 0…K−1. The range is
    checked only on the host: on a GPU, the check would wait for the device.
    """
    _check(logits)
    if not is_array(labels) or labels.dtype.kind not in "iu":
        got = f"an array of {labels.dtype}" if is_array(labels) else described(labels)
        raise ShapeError(f"labels are an array of integers, got {got}")
    xp = array_module(logits)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ShapeError(f"expected logits (N, K) and labels (N,), got {logits.shape} and {labels.shape}")
    if xp is np and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        raise ShapeError(f"labels are from 0 to {logits.shape[1] - 1}, got {labels.min()} to {labels.max()}")
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
    onehot = labels[:, None] == xp.arange(logits.shape[1])  # (N, 1) == (K,) → (N, K)
    return -xp.where(onehot, log_p, 0).sum() / len(logits), (xp.exp(log_p) - onehot) / len(logits)


def pixel_cross_entropy(logits: Any, target: Any) -> tuple[Any, Any]:
    """Return −mean log p[class] over the M pixels of known class, p = softmax(logits), and dlogits = (p − target)/M.

    logits (…, K); target (…, K) is 1 in the channel of the pixel's class and 0 in the others, or 0 in all of them where
    the class is unknown: such pixels have no loss and no gradient. Without any known pixel, both results are 0.
    Raises ShapeError if the shapes differ.
    """
    _difference(logits, target)  # for its checks
    xp = array_module(logits)
    M = xp.maximum(target.sum(), 1)
    known = target.sum(axis=-1, keepdims=True)  # (…, 1)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    return -(target * log_p).sum() / M, (known * xp.exp(log_p) - target) / M


def kl_to_normal(x: Any) -> tuple[Any, Any]:
    """Return the Kullback–Leibler divergence of N(μ, σ²) from N(0, 1), in nats, and its gradient dx.

    x (N, 2D) holds μ, then s = log σ. The value is the mean over N of the sum over D (Kingma and Welling 2013,
    appendix B). For one of the D numbers, with E over z ~ N(μ, σ²), so that E (z − μ)² = σ² and E z² = μ² + σ²:

        KL = E log N(z; μ, σ²) − E log N(z; 0, 1) = −s − ½ + ½ (μ² + σ²)          dμ = μ        ds = σ² − 1

    It is 0 for μ = 0 and σ = 1, and greater elsewhere. Raises ShapeError unless x has two axes, the last one even.
    """
    _check(x, "means and log standard deviations")
    if x.ndim != 2 or x.shape[1] % 2:
        raise ShapeError(f"expected μ and log σ side by side, an array (N, 2D), got {tuple(x.shape)}")
    D = x.shape[1] // 2
    mean, log_sigma = x[:, :D], x[:, D:]
    xp = array_module(x)
    variance = xp.exp(2 * log_sigma)
    value = ((mean * mean + variance - 1) / 2 - log_sigma).sum() / len(x)
    return value, xp.concatenate([mean, variance - 1], axis=1) / len(x)


def _signed_mean(logits: Any, sign: int) -> tuple[Any, Any]:
    """Return ±mean l and its gradient ±1/M."""
    _check(logits)
    return logits.mean() if sign > 0 else -logits.mean(), _constant(logits, sign)


def _constant(logits: Any, sign: int) -> Any:
    return array_module(logits).full_like(logits, sign / logits.size)


def _check(logits: Any, name: str = "logits") -> None:
    """Raise ShapeError unless `logits` is a non-empty array of floats: integers would have an integer gradient, 0."""
    if not is_array(logits):
        raise ShapeError(f"a loss takes an array of {name}, got {described(logits)}")
    if logits.dtype.kind != "f" or not logits.size:
        raise ShapeError(
            f"a loss takes {name} in a non-empty array of floats, got {logits.dtype} {tuple(logits.shape)}"
        )


def _check_both(real: Any, fake: Any) -> None:
    _check(real, "logits of real samples")
    _check(fake, "logits of fakes")


def _difference(y: Any, target: Any) -> Any:
    _check(y, "outputs")
    _check(target, "targets")
    if y.shape != target.shape:
        raise ShapeError(f"y has shape {tuple(y.shape)}, its target {tuple(target.shape)}: they must be the same")
    return y - target

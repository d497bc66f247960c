"""GAN objectives on logits: the value and its gradient.

A discriminator ends without a sigmoid: it gives a logit l, and D(x) = sigmoid(l) only where an objective speaks of
probabilities. Written on logits, log D and log(1 − D) are softplus functions that neither overflow nor lose digits:

    −log sigmoid(l) = softplus(−l)        −log(1 − sigmoid(l)) = softplus(l)        softplus′ = sigmoid

Every objective has three methods, `real`, `fake` (what the discriminator minimises on either kind of picture) and
`generator` (what the generator minimises on its own pictures). Each takes logits of any shape and returns
`(value, dlogits)`: the mean over the M logits as a 0-d array that stays on the device, and ∂value/∂logits. Logits that
are no array of floats, or none at all, are a ShapeError.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module, is_array
from minigan.errors import ShapeError, described
from minigan.layers.activations import sigmoid, softplus


class Minimax:
    """The game of Goodfellow et al. 2014: D maximises E log D(x) + E log(1 − D(G(z))).

        real        mean softplus(−l) + s·l       dl = (s − sigmoid(−l))/M      s = label_smoothing
        fake        mean softplus(l)              dl = sigmoid(l)/M
        generator   saturating                    −mean softplus(l)             dl = −sigmoid(l)/M
                    non-saturating (default)       mean softplus(−l)            dl = −sigmoid(−l)/M

    The first line is the cross-entropy with the target 1 − s, because softplus(l) = softplus(−l) + l. When D is sure
    that a picture is fake, l ≪ 0: sigmoid(l) and with it the saturating generator's gradient vanish, while the
    non-saturating one's is −1/M (section 3 of the paper). Smoothing moves the real target only (one-sided; Salimans et
    al. 2016): a smoothed fake target would reward pictures that look like today's fakes.
    """

    def __init__(self, saturating: bool = False, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"`label_smoothing` is {label_smoothing}: it must be at least 0 and less than 1")
        self.saturating, self.label_smoothing = saturating, float(label_smoothing)

    def real(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on real pictures: cross-entropy with the target 1 − label_smoothing."""
        _check(logits)
        s = self.label_smoothing
        return (softplus(-logits) + s * logits).mean(), (s - sigmoid(-logits)) / logits.size

    def fake(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on generated pictures: cross-entropy with the target 0."""
        _check(logits)
        return softplus(logits).mean(), sigmoid(logits) / logits.size

    def generator(self, logits: Any) -> tuple[Any, Any]:
        """G's loss on generated pictures."""
        _check(logits)
        if self.saturating:
            return -softplus(logits).mean(), sigmoid(logits) / -logits.size
        return softplus(-logits).mean(), sigmoid(-logits) / -logits.size


class LeastSquares:
    """LSGAN (Mao et al. 2016): ½ mean (l − target)², dl = (l − target)/M, with target b real, a fake, c generator.

    (a, b, c) = (0, 1, 1), or (−1, 1, 0), for which the paper shows that the Pearson χ² divergence is minimised
    (b − c = 1, b − a = 2). It doesn't saturate: the further a logit is from its target, the stronger the pull.
    """

    def __init__(self, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> None:
        self.a, self.b, self.c = float(a), float(b), float(c)

    def real(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on real pictures, target b."""
        return self._towards(logits, self.b)

    def fake(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on generated pictures, target a."""
        return self._towards(logits, self.a)

    def generator(self, logits: Any) -> tuple[Any, Any]:
        """G's loss on generated pictures, target c."""
        return self._towards(logits, self.c)

    @staticmethod
    def _towards(logits: Any, target: float) -> tuple[Any, Any]:
        _check(logits)
        error = logits - target
        return (error * error).mean() / 2, error / logits.size


class Wasserstein:
    """WGAN (Arjovsky et al. 2017): the critic maximises mean l_real − mean l_fake, the generator mean l_fake.

        real   −mean l, dl = −1/M        fake   mean l, dl = 1/M        generator   −mean l, dl = −1/M

    It means a distance only if the critic is kept 1-Lipschitz, by clipping its weights or by a gradient penalty.
    """

    def real(self, logits: Any) -> tuple[Any, Any]:
        """The critic's loss on real pictures."""
        _check(logits)
        return -logits.mean(), _constant(logits, -1)

    def fake(self, logits: Any) -> tuple[Any, Any]:
        """The critic's loss on generated pictures."""
        _check(logits)
        return logits.mean(), _constant(logits, 1)

    def generator(self, logits: Any) -> tuple[Any, Any]:
        """G's loss on generated pictures."""
        _check(logits)
        return -logits.mean(), _constant(logits, -1)


class Hinge:
    """The hinge objective (Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17).

        real   mean max(0, 1 − l), dl = −[l < 1]/M        fake   mean max(0, 1 + l), dl = [l > −1]/M
        generator   −mean l, dl = −1/M

    The discriminator stops pushing logits that are beyond ±1 on the right side.
    """

    def real(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on real pictures."""
        _check(logits)
        margin = 1 - logits
        return array_module(logits).maximum(margin, 0).mean(), _constant(logits, -1) * (margin > 0)

    def fake(self, logits: Any) -> tuple[Any, Any]:
        """D's loss on generated pictures."""
        _check(logits)
        margin = 1 + logits
        return array_module(logits).maximum(margin, 0).mean(), _constant(logits, 1) * (margin > 0)

    def generator(self, logits: Any) -> tuple[Any, Any]:
        """G's loss on generated pictures."""
        _check(logits)
        return -logits.mean(), _constant(logits, -1)


def l1(y: Any, target: Any) -> tuple[Any, Any]:
    """mean |y − target| and its gradient in y, sign(y − target)/M. Raises ShapeError if the shapes differ."""
    error = _difference(y, target)
    xp = array_module(y)
    return xp.abs(error).mean(), xp.sign(error) / y.size


def l2(y: Any, target: Any) -> tuple[Any, Any]:
    """mean (y − target)² and its gradient in y, 2 (y − target)/M. Raises ShapeError if the shapes differ."""
    error = _difference(y, target)
    return (error * error).mean(), error * (2 / y.size)


def softmax_cross_entropy(logits: Any, labels: Any) -> tuple[Any, Any]:
    """mean over N of −log softmax(logits)[label]; logits (N, K), integer labels (N,).

    With p = softmax(l), ∂/∂l = (p − onehot(label))/N. The largest logit is subtracted first, so nothing overflows.
    Raises ShapeError if the shapes don't fit, for labels that are no integers, and on the host for labels that aren't
    in 0…K−1; on a GPU looking for those would wait for it.
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


def _constant(logits: Any, sign: int) -> Any:
    return array_module(logits).full_like(logits, sign / logits.size)


def _check(logits: Any, name: str = "logits") -> None:
    """Integers would have a gradient of 0 without a word, and no logits a mean of NaN."""
    if not is_array(logits):
        raise ShapeError(f"a loss takes an array of {name}, got {described(logits)}")
    if logits.dtype.kind != "f" or not logits.size:
        raise ShapeError(f"a loss takes {name} in floats, and one at least, got {logits.dtype} {tuple(logits.shape)}")


def _difference(y: Any, target: Any) -> Any:
    _check(y, "outputs")
    _check(target, "targets")
    if y.shape != target.shape:
        raise ShapeError(f"y has shape {tuple(y.shape)}, its target {tuple(target.shape)}: they must be the same")
    return y - target

"""Models that are spoiled somewhere, and the search for the first number that isn't finite in a step of them."""

import numpy as np

from minigan.gans import MODELS
from minigan.model import Now
from minigan.training.failure import first_not_finite

N, SHAPE = 4, (16, 16, 1)
ARGS = {
    "gan": {"latent_dim": 3},
    "dcgan": {"latent_dim": 3, "features": 2},
    "wgan-gp": {"latent_dim": 3, "features": 2, "n_critic": 1},
    "sngan": {"latent_dim": 3, "features": 2, "labels": True, "n_classes": 3},
    "cdcgan": {"latent_dim": 3, "features": 2, "n_classes": 3},
}


def build(model, device="cpu", shape=SHAPE, **more):
    return MODELS[model](shape, **(ARGS[model] | more), rng=np.random.default_rng(0), device=device)


def data(gan):
    x = gan.device.array(np.tanh(np.random.default_rng(1).standard_normal((N, *gan.shape), dtype=np.float32)))
    return lambda: {"real": x} | ({"label": gan.labels(N)} if gan.n_classes else {})


def now():
    return Now(6, 6 * N, np.random.default_rng(3))


def find(gan, next_batch=None, seen=None):
    """What is found, or None."""
    found = first_not_finite(gan, next_batch or data(gan), gan.device.rng(2), now(), seen)
    return None if isinstance(found, dict) else found


def layers(gan):
    return {(n, prefix.rstrip(".")): layer for n, net in gan.networks.items() for prefix, layer in net.walk()}


def plant(layer, verb, spoil, nth=1):
    """Have `spoil(layer, result)` change what the n-th call of a verb makes; of copies of the layer, too.

    Returns the list of calls in which there was something to spoil.
    """
    kind, calls = type(layer), []

    def spoiled(self, *args, **kwargs):
        result = getattr(kind, verb)(self, *args, **kwargs)
        bad = spoil(self, result)
        if bad is None:
            return result
        calls.append(verb)
        return bad if len(calls) == nth else result

    layer.__class__ = type(kind.__name__, (kind,), {verb: spoiled})
    return calls


def with_nan(x):
    x = x.copy()
    x.reshape(-1)[x.size // 2] = np.nan
    return x


def output(layer, result):
    return with_nan(result[0]), result[1]


def dx(layer, result):
    """NaN in dx, or in the dx of (dx, None)."""
    if isinstance(result, tuple):
        return None if result[0] is None else (with_nan(result[0]), *result[1:])
    return None if result is None else with_nan(result)


def ddy(layer, result):
    return with_nan(result[0]), result[1]


def last_gradient(layer, result):
    """The gradient of the last parameter runs over."""
    getattr(layer, "d" + layer.parameter_names[-1]).reshape(-1)[-1] = np.inf
    return result


def place(finding):
    return finding.network, finding.layer, finding.verb, finding.part

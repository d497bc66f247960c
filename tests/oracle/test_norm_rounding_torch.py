"""float32 normalization at means and spreads that round badly, against float64, beside PyTorch.

    python tests/oracle/test_norm_rounding_torch.py      prints the table of docs/normalization.md

Every error is the largest one in float32, divided by the largest entry of the right answer. The right answer is the
same layer in float64, on the same float32 values; its derivatives are tested elsewhere.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from minigan.layers import BatchNorm, ConditionalBatchNorm, InstanceNorm, LayerNorm, MinibatchStdDev  # noqa: E402

SHAPE = (16, 8, 8, 12)  # N, H, W, C
LABELS = np.arange(16) % 3
MEANS, SPREADS = (0.0, 1.0, 100.0), (1.0, 1e-3)
NAMES = ("y", "dx", "ddy", "dx2")


def torch_minibatch_std(x):
    groups = x.reshape(4, 4, *SHAPE[1:])  # (G, M, H, W, C)
    sigma = ((groups - groups.mean(0)).square().mean(0) + 1e-8).sqrt()  # (M, H, W, C)
    s = sigma.mean((1, 2, 3)).reshape(1, 4, 1, 1, 1).expand(4, 4, *SHAPE[1:3], 1).reshape(16, *SHAPE[1:3], 1)
    return torch.cat((x, s), -1)


def torch_batch_norm(x):
    return torch.nn.functional.batch_norm(x.movedim(-1, 1), None, None, training=True).movedim(1, -1)


NORMS = {
    "BatchNorm": (lambda: BatchNorm(12), torch_batch_norm),
    "ConditionalBatchNorm": (lambda: ConditionalBatchNorm(12, 3), torch_batch_norm),
    "InstanceNorm": (
        lambda: InstanceNorm(12),
        lambda x: torch.nn.functional.instance_norm(x.movedim(-1, 1)).movedim(1, -1),
    ),
    "LayerNorm": (lambda: LayerNorm((8, 8, 12)), lambda x: torch.nn.functional.layer_norm(x, (8, 8, 12))),
    "MinibatchStdDev": (MinibatchStdDev, torch_minibatch_std),
}


def ours(layer, x, dy, ddx):
    """y, dx, ddy and dx2 in the precision of x."""
    norm = layer.norm if layer.conditional else layer
    norm.eps = np.float32(norm.eps).item()
    y, cache = layer.forward((x, LABELS) if layer.conditional else x)
    dx = layer.backward(dy, cache, wrt="input")
    ddy, dx2 = layer.double_backward((ddx, None) if layer.conditional else ddx, dy, cache)
    return (y, dx[0], ddy, dx2[0]) if layer.conditional else (y, dx, ddy, dx2)


def theirs(function, x, dy, ddx):
    """The same by PyTorch's autograd."""
    x, dy, ddx = (torch.tensor(a, requires_grad=True) for a in (x, dy, ddx))
    y = function(x)
    (dx,) = torch.autograd.grad(y, x, dy, create_graph=True)
    ddy, dx2 = torch.autograd.grad((dx * ddx).sum(), (dy, x))
    return tuple(a.detach().numpy() for a in (y, dx, ddy, dx2))


def errors(name, mean, spread, seed=0):
    """Of minigan and of PyTorch, four each: y, dx, ddy, dx2."""
    make, function = NORMS[name]
    rng = np.random.default_rng(seed)
    x = (mean + spread * rng.standard_normal(SHAPE)).astype(np.float32)
    out = SHAPE[:-1] + (13 if name == "MinibatchStdDev" else 12,)
    dy, ddx = (rng.standard_normal(shape).astype(np.float32) for shape in (out, SHAPE))
    right = ours(make(), *(a.astype(np.float64) for a in (x, dy, ddx)))
    found = ours(make(), x, dy, ddx), theirs(function, x, dy, ddx)
    return [[abs(a - b).max() / abs(b).max() for a, b in zip(answer, right, strict=True)] for answer in found]


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("name", NORMS)
def test_float32_is_as_near_to_float64_as_pytorch(name, mean, spread):
    """Within twice PyTorch's error, or within a few roundings where PyTorch happens to be better than that."""
    written, control = errors(name, mean, spread)
    for of, a, b in zip(NAMES, written, control, strict=True):
        assert a <= max(2 * b, 2e-6), of


if __name__ == "__main__":
    print("| norm | mean | spread | " + " | ".join(f"{a}, PyTorch" for a in NAMES) + " |")
    print("|---|---|---|" + "---|" * len(NAMES))
    for name in NORMS:
        for mean in MEANS:
            for spread in SPREADS:
                cells = [f"{a:.1e}, {b:.1e}" for a, b in zip(*errors(name, mean, spread), strict=True)]
                print(f"| {name} | {mean:g} | {spread:g} | " + " | ".join(cells) + " |")

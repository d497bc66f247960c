"""The networks of StyleGAN that grow: which styles a level uses, its derivatives, and its critic."""

import numpy as np
import pytest

from minigan.gans.growing import GrowingCritic
from minigan.gans.growing_style import GrowingSynthesis
from minigan.layers import AdaIN, Blur, Conv2D, Dense, Equalized, NoiseBias
from minigan.testing import shake

N, Z, TOP = 2, 3, 2


def synthesis(dtype=np.float64):
    layer = GrowingSynthesis(TOP, Z, 1, 2, rng=np.random.default_rng(0))
    return shake(layer, np.random.default_rng(1), 0.1).to(dtype=dtype)


def styles():
    return np.random.default_rng(2).standard_normal((N, 2 * TOP + 2, Z))


@pytest.mark.parametrize(("level", "size"), [(0, 4), (0.5, 8), (1, 8), (1.25, 16), (2, 16)])
def test_a_level_uses_the_styles_of_its_layers(level, size):
    G, ws = synthesis(), styles()
    y, cache = G.forward((ws, level), train=False)
    assert y.shape == (N, size, size, 1)
    np.testing.assert_array_equal(G.output((ws, level), train=False), y)
    dws, nothing = G.backward(np.random.default_rng(3).standard_normal(y.shape), cache)
    assert nothing is None
    used = 2 * int(np.ceil(level)) + 2
    assert [bool(dws[:, i].any()) for i in range(6)] == [i < used for i in range(6)]


@pytest.mark.parametrize("level", [0, 0.5, 1.25, 2])
def test_derivatives_by_styles_and_parameters(level):
    """First order against differences; second order: P = ⟨ddws, dws⟩ by dy, styles and parameters."""
    G, ws, rng = synthesis(), styles(), np.random.default_rng(3)
    parameters = G.parameters()
    direction, move = rng.standard_normal(ws.shape), rng.standard_normal(len(parameters))
    y, cache = G.forward((ws, level), train=False)
    dy, ddws, step = rng.standard_normal(y.shape), rng.standard_normal(ws.shape), 1e-6
    start = parameters.values.copy()

    def at(t, what):
        parameters.values[:] = start + t * move
        y, cache = G.forward((ws + t * direction, level), train=False)
        return (dy * y).sum() if what == "L" else (ddws * G.backward(dy, cache, wrt="input")[0]).sum()

    parameters.zero_grad()
    dws, _ = G.backward(dy, cache)
    found = (dws * direction).sum() + (parameters.grads * move).sum()
    assert found == pytest.approx((at(step, "L") - at(-step, "L")) / (2 * step), rel=1e-6)

    parameters.values[:] = start
    y, cache = G.forward((ws, level), train=False)
    parameters.zero_grad()
    ddy, (dws2, _) = G.double_backward((ddws, None), dy, cache)
    found = (dws2 * direction).sum() + (parameters.grads * move).sum()
    assert found == pytest.approx((at(step, "P") - at(-step, "P")) / (2 * step), rel=1e-5)
    parameters.values[:] = start
    assert (ddy * dy).sum() == pytest.approx(at(0, "P"), rel=1e-9)  # P is linear in dy


def test_the_fade_blends_both_sizes():
    """Noise is off: it is another at each pass."""
    G, ws = synthesis(), styles()
    old, new, between = (G.output((ws, level), train=False) for level in (1, 2, 1.25))
    np.testing.assert_allclose(between, 0.75 * old.repeat(2, 1).repeat(2, 2) + 0.25 * new, atol=1e-12)


def test_its_layers():
    """Two noises and norms a size, no bias in convolutions between them, a constant that begins with ones."""
    G = GrowingSynthesis(TOP, Z, 3, 2, rng=np.random.default_rng(0))
    layers = [layer for _, layer in G.walk()]
    assert G.n_layers == sum(isinstance(layer, AdaIN) for layer in layers) == 6
    assert [layer.size for layer in layers if isinstance(layer, NoiseBias)] == [4, 4, 8, 8, 16, 16]
    assert (G.layers["block4"][0].W == 1).all()
    weighted = [layer for layer in layers if isinstance(layer, (Conv2D, Dense))]
    assert len(weighted) == sum(isinstance(layer, Equalized) for layer in layers) == 5 + 3 + 12
    assert {layer.kernel_size: layer.b is not None for layer in weighted if isinstance(layer, Conv2D)} == {
        (3, 3): False,
        (1, 1): True,
    }


def test_the_critic_blurs_before_it_halves():
    D, plain = (GrowingCritic(TOP, 1, 2, 0, True, np.random.default_rng(0), blur) for blur in (True, False))
    assert [type(layer).__name__ for layer in D.layers["block8"].layers] == [
        "Equalized", "LeakyReLU", "Blur", "Equalized", "LeakyReLU", "AvgPool2D",
    ]  # fmt: skip
    assert sum(isinstance(layer, Blur) for _, layer in D.walk()) == TOP
    assert not any(isinstance(layer, Blur) for _, layer in plain.walk())
    assert D.layers["block8"][2].taps == (1, 2, 1)
    x = np.random.default_rng(1).standard_normal((3, 16, 16, 1))
    assert D.output((x, 2)).shape == (3, 1)

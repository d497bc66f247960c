"""What a penalty adds to the parameters' gradients, against central differences in float64: to 1e-6, for any critic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from penalty_checks import PENALTIES, check_penalty

from minigan import layers as L
from minigan.testing import shake
from minigan.testing.critics import CriticCase, critics, prepared

POINTS, PICTURES = (4, 3), (4, 4, 4, 2)

# Every layer that a critic may have: what comes before the last dense layer, and what it is given
LAYERS = {
    "Dense": (POINTS, lambda r: [L.Dense(3, 5, rng=r)]),
    "Conv2D": (PICTURES, lambda r: [L.Conv2D(2, 3, (3, 2), stride=(2, 1), padding=1, rng=r), L.Tanh()]),
    "ConvTranspose2D": (PICTURES, lambda r: [L.ConvTranspose2D(2, 2, 3, stride=2, padding=1, rng=r), L.Tanh()]),
    "ReLU": (POINTS, lambda r: [L.Dense(3, 9, rng=r), L.ReLU()]),
    "LeakyReLU": (POINTS, lambda r: [L.Dense(3, 5, rng=r), L.LeakyReLU(0.1)]),
    "PReLU": (POINTS, lambda r: [L.Dense(3, 5, rng=r), L.PReLU(5)]),
    "Tanh": (POINTS, lambda r: [L.Dense(3, 5, rng=r), L.Tanh()]),
    "Sigmoid": (POINTS, lambda r: [L.Dense(3, 5, rng=r), L.Sigmoid()]),
    "Softplus": (POINTS, lambda r: [L.Dense(3, 5, rng=r), L.Softplus(2.0)]),
    "Maxout": (POINTS, lambda r: [L.Dense(3, 6, rng=r), L.Maxout(2)]),
    "LayerNorm": (PICTURES, lambda r: [L.Conv2D(2, 3, 3, rng=r), L.LayerNorm((2, 2, 3)), L.Tanh()]),
    "InstanceNorm": (PICTURES, lambda r: [L.Conv2D(2, 3, 3, rng=r), L.InstanceNorm(3, affine=True), L.LeakyReLU()]),
    "Dropout": (POINTS, lambda r: [L.Dense(3, 8, rng=r), L.Tanh(), L.Dropout(0.4)]),
    "Reshape": (POINTS, lambda r: [L.Dense(3, 8, rng=r), L.Reshape(2, 2, 2), L.Conv2D(2, 2, 2, rng=r), L.Sigmoid()]),
    "AvgPool2D": (PICTURES, lambda r: [L.AvgPool2D(2), L.Conv2D(2, 3, 2, rng=r), L.Softplus()]),
    "MaxPool2D": (PICTURES, lambda r: [L.Conv2D(2, 3, 3, padding=1, rng=r), L.Tanh(), L.MaxPool2D(3, 2, 1)]),
    "GlobalSumPool": (PICTURES, lambda r: [L.Conv2D(2, 3, 3, rng=r), L.Tanh(), L.GlobalSumPool()]),
    "GlobalAvgPool": (PICTURES, lambda r: [L.Conv2D(2, 3, 3, rng=r), L.Tanh(), L.GlobalAvgPool()]),
    "Upsample": (PICTURES, lambda r: [L.Upsample(2), L.Conv2D(2, 1, 3, rng=r), L.Tanh()]),
    "ReflectionPad2D": (PICTURES, lambda r: [L.ReflectionPad2D(2), L.Conv2D(2, 1, 3, rng=r), L.Tanh()]),
    "ReplicationPad2D": (PICTURES, lambda r: [L.ReplicationPad2D(2), L.Conv2D(2, 1, 3, rng=r), L.Tanh()]),
    "BilinearUpsample": (PICTURES, lambda r: [L.BilinearUpsample(2), L.Conv2D(2, 1, 3, rng=r), L.Tanh()]),
    "BicubicUpsample": (PICTURES, lambda r: [L.BicubicUpsample(2), L.Conv2D(2, 1, 3, rng=r), L.Tanh()]),
    "BicubicDownsample": (PICTURES, lambda r: [L.BicubicDownsample(2), L.Conv2D(2, 3, 2, rng=r), L.Tanh()]),
    "Blur": (PICTURES, lambda r: [L.Blur(1), L.Conv2D(2, 3, 3, rng=r), L.Tanh()]),
    "DownsampleFIR": (PICTURES, lambda r: [L.Conv2D(2, 3, 3, padding=1, rng=r), L.Tanh(), L.DownsampleFIR()]),
    "UpsampleFIR": (PICTURES, lambda r: [L.UpsampleFIR(), L.Conv2D(2, 1, 3, rng=r), L.Tanh()]),
    "ScaledLeakyReLU": (POINTS, lambda r: [L.Dense(3, 5, rng=r), L.ScaledLeakyReLU()]),
    "PixelShuffle": (PICTURES, lambda r: [L.Conv2D(2, 8, 3, rng=r), L.Tanh(), L.PixelShuffle(2), L.Softplus()]),
    "PixelUnshuffle": (PICTURES, lambda r: [L.PixelUnshuffle(2), L.Conv2D(8, 3, 2, rng=r), L.Softplus()]),
    "Skip": (POINTS, lambda r: [L.Skip(L.Sequential(L.Dense(3, 2, rng=r), L.Tanh())), L.Dense(5, 3, rng=r), L.Tanh()]),
    "Softmax": (POINTS, lambda r: [L.Dense(3, 4, rng=r), L.Softmax()]),
    "Residual": (POINTS, lambda r: [L.Residual(L.Sequential(L.Dense(3, 3, rng=r), L.Tanh()), L.Dense(3, 3, rng=r))]),
    "Parallel": (POINTS, lambda r: [L.Parallel(L.Dense(3, 2, rng=r), L.Tanh()), L.Dense(5, 3, rng=r), L.Softplus()]),
    "down_block": (PICTURES, lambda r: [L.down_block(2, 3, norm=L.InstanceNorm, rng=r)]),
    "first_down_block": (PICTURES, lambda r: [L.first_down_block(2, 3, rng=r), L.Tanh()]),
    "SpectralNorm": (PICTURES, lambda r: [L.SpectralNorm(L.Conv2D(2, 3, 3, rng=r), rng=r), L.Softplus()]),
    "MinibatchStdDev": (PICTURES, lambda r: [L.MinibatchStdDev(2), L.Conv2D(3, 2, 2, rng=r), L.LeakyReLU()]),
    "attention and deviation": (
        PICTURES,
        lambda r: [L.Conv2D(2, 4, 3, padding=1, rng=r), L.SelfAttention(4, rng=r), L.MinibatchStdDev(2), L.Tanh()],
    ),
    "MinibatchStdDev on top": (PICTURES, lambda r: [L.Conv2D(2, 3, 3, rng=r), L.Tanh(), L.MinibatchStdDev(4)]),
}


def critic_of(name, seed=0):
    """A case with the layer of that name; "… with labels" has a projection on top."""
    name, labeled, _ = name.partition(" with labels")
    shape, make = LAYERS[name]
    rng = np.random.default_rng(seed)
    parts = make(rng)
    y, _ = L.Sequential(*parts).forward(np.zeros(shape), rng=rng)
    parts += [L.Flatten()] if y.ndim == 4 else []
    features = y[0].size
    head, labels = L.Dense(features, 1, rng=rng), None
    critic = L.Sequential(*parts, head)
    if labeled:
        projection = L.Projection(L.SpectralNorm(head, rng=rng), L.SpectralNorm(L.Embedding(3, features), rng=rng))
        critic, labels = L.Sequential(L.Branches(L.Sequential(*parts), None), projection), np.array([2, 0, 1, 2])
    real, fake = rng.standard_normal((2, *shape))
    return prepared(CriticCase(shake(critic, rng), real, fake, labels, seed), 1.8)


@pytest.mark.parametrize("layer", [*LAYERS, "Conv2D with labels"])
def test_every_layer(layer):
    check_penalty(*PENALTIES["WGAN-GP"], critic_of(layer))


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("layer", ["LayerNorm", "LayerNorm with labels"])
def test_every_penalty(layer, penalty):
    check_penalty(*PENALTIES[penalty], critic_of(layer))


@given(critics(), st.sampled_from(sorted(PENALTIES)))
def test_random_critics(case, penalty):
    check_penalty(*PENALTIES[penalty], case)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", PENALTIES)
@given(critics())
@settings(max_examples=10 * settings().max_examples)
def test_many_random_critics(penalty, case):
    check_penalty(*PENALTIES[penalty], case)


@pytest.mark.slow
def test_random_critics_are_varied_and_have_the_slope_they_are_made_to_have():
    """2,000 of them have every allowed layer, with and without labels; none has a batch norm, few have no slope."""
    seen, flat = set(), 0

    @given(critics())
    @settings(max_examples=2000, derandomize=True, database=None)
    def draw(case):
        nonlocal flat
        seen.update(type(layer).__name__ for _, layer in case.critic.walk())
        x = case.real if case.labels is None else (case.real, case.labels)
        logits, cache = case.critic.forward(x, True, case.rng())
        assert logits.shape == (len(case.real), 1)
        dx = case.critic.backward(np.ones_like(logits), cache, wrt="input")
        dx = dx if case.labels is None else dx[0]
        slope = np.linalg.norm(dx.reshape(len(dx), -1), axis=1).mean()
        flat += slope == 0
        assert slope == 0 or min(abs(slope - 0.4), abs(slope - 1.8)) < 1e-3, slope

    draw()
    made_of_others = {"down_block", "first_down_block", "MinibatchStdDev on top", "attention and deviation"}
    assert seen >= (LAYERS.keys() - made_of_others) | {"Flatten", "Conditional", "Projection", "Embedding"}
    assert not seen & {"BatchNorm", "ConditionalBatchNorm"}
    assert flat < 200

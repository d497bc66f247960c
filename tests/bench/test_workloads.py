"""What is measured, and how many multiply-adds it has."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.backend import CPU
from minigan.bench.workloads import GROUPS, LAYERS, WORKLOADS, SingleLayer, Training, find
from minigan.errors import MiniganError
from minigan.layers import Dense


def test_names_and_groups_are_found_once_and_in_order():
    assert find(["dcgan-64", "gan-28", "dcgan-64"]) == ["dcgan-64", "gan-28"]
    assert find(["conv3-16", "layers"]) == ["conv3-16", *(name for name in GROUPS["layers"] if name != "conv3-16")]
    for wrong, hint in (("dcgan64", "did you mean dcgan-64?"), ("Layer", "did you mean layers?"), ("?", "use gan-28")):
        with pytest.raises(MiniganError, match=hint.replace("?", r"\?")):
            find([wrong])


F = 8  # features, in place of 64


def narrow(name):
    """The workload with fewer channels."""
    return replace(WORKLOADS[name], settings=WORKLOADS[name].settings | {"features": F})


MIDDLE = 3 * 16 * 16 * 16 * F * 2 * F  # three layers between F and 8·F channels, as many multiply-adds each
PICTURE = 32 * 32 * 16 * 3 * F  # the layer next to the picture


@pytest.mark.parametrize(
    ("name", "middle", "picture", "widest"),
    [("dcgan-64", MIDDLE, PICTURE, 8 * F), ("dcgan-128", 4 * (4 * MIDDLE // 3), 4 * PICTURE, 16 * F)],
)
def test_the_operations_of_a_dcgan_step_are_those_of_eleven_passes(name, middle, picture, widest):
    ends = (100 * widest * 16, 16 * widest)  # z's layer, the logit's
    G, D = middle + picture + ends[0], middle + picture + ends[1]
    # G: forward, weights, inputs; D: the same for real and for fake, then forward and inputs. 3 + 8 = 11, but nobody
    # asks for the gradient of z, nor of the pictures in D's own step
    assert narrow(name).macs() == 3 * G - ends[0] + 8 * D - 2 * picture


def test_a_step_of_progan_is_four_passes_through_g_and_twelve_through_d():
    conv, rgb = lambda size, c, k: size**2 * 9 * c * k, lambda size: size**2 * F
    z = 128 * 16 * F
    G, D = z + conv(4, F, F) + rgb(4), rgb(4) + conv(4, F + 1, F) + 16 * F * F + F
    # G: forward twice, inputs and weights, but nobody asks for z's gradient. D: as in a critic step of wgan-gp, then
    # forward and inputs for G. The penalty's second derivative goes back from the deviation to the picture: both
    assert narrow("progan-4").macs() == 4 * G - z + 12 * D - 2 * rgb(4) + 2 * rgb(4)
    new = rgb(8) - rgb(4) + 2 * conv(8, F, F)  # in G, and in D
    below = rgb(8) + 2 * conv(8, F, F)  # the deviation
    assert narrow("progan-8").macs() == 4 * (G + new) - z + 12 * (D + new) - 2 * rgb(8) + 2 * below


def test_sampling_is_one_pass_through_g():
    assert narrow("sample-64").macs() == 100 * 8 * F * 16 + MIDDLE + PICTURE


def test_a_critic_step_of_wgan_gp_is_a_pass_through_g_and_ten_through_d():
    G, D = 128 * 8 * F * 16 + MIDDLE + PICTURE, MIDDLE + PICTURE + 16 * 8 * F
    # D: forward, inputs and weights for real and for fake, but the pictures' gradients; then the penalty's forward,
    # inputs, and two in double backward
    assert narrow("wgan-gp-64").macs() == G + 10 * D - 2 * PICTURE


def test_a_discriminator_step_of_sngan_is_a_pass_through_g_and_three_for_both_halves_through_d():
    conv, one = lambda size, c, k: size**2 * 9 * c * k, lambda size, c, k: size**2 * c * k
    W = 2 * F  # G's channels; D has F
    G = 128 * 16 * W + sum(2 * conv(size, W, W) + one(size // 2, W, W) for size in (8, 16, 32)) + conv(32, W, 3)
    first = conv(32, 3, F) + one(16, 3, F)  # both look at the pictures, whose gradient nobody needs
    D = first + conv(32, F, F) + 2 * conv(16, F, F) + one(8, F, F) + 4 * conv(8, F, F) + F
    assert narrow("sngan-32").macs() == G + 2 * (3 * D - first)


@pytest.mark.parametrize(
    ("name", "forward"),
    [
        ("conv4-32", 16 * 16 * 16 * 64 * 128),
        ("conv4-8", 4 * 4 * 16 * 256 * 512),
        ("convt4-16", 16 * 16 * 16 * 128 * 64),
        ("conv5-14", 7 * 7 * 25 * 64 * 128),
        ("conv3-16", 16 * 16 * 9 * 128 * 128),
        ("conv3-32", 32 * 32 * 9 * 256 * 256),
        ("dense-1200", 1200 * 1200),
        ("attention-16", 256 * 128 * (2 * 16 + 2 * 64) + 256 * 64 * (16 + 64)),
        ("norm-16", 0),
    ],
)
def test_a_layer_makes_as_many_products_again_for_each_gradient(name, forward):
    assert LAYERS[name].macs() == 3 * forward


def test_a_layers_step_leaves_both_gradients_of_one_pass():
    """However often it is made: they start from zero."""
    workload = SingleLayer(lambda rng: Dense(3, 2, rng=rng), (3,))
    layer = workload.build()
    step = workload.ready(layer, 5, CPU)
    dx, dW = step(), layer.dW.copy()
    rng = CPU.rng(0)
    x, dy = (rng.standard_normal(shape, dtype=np.float32) for shape in ((5, 3), (5, 2)))
    np.testing.assert_allclose(dW, x.T @ dy, rtol=1e-5)
    np.testing.assert_allclose(dx, dy @ layer.W.T, rtol=1e-5)
    step()
    np.testing.assert_array_equal(layer.dW, dW)


@pytest.mark.parametrize("step", ["sampling pass", "critic step", "discriminator step", "step"])
def test_who_changes_in_a_step(step):
    """Sampling changes nothing, not even statistics, and an update of D only statistics of G."""
    model = {"critic step": "wgan-gp", "discriminator step": "sngan"}.get(step, "dcgan")
    workload = Training(model, (16, 16, 1), step, {"features": 2})
    gan = workload.build()
    made = workload.ready(gan, 3, CPU)
    before = {name: network.state_dict() for name, network in gan.networks.items()}
    result = made()
    changed = {
        f"{name} {key}"
        for name, network in gan.networks.items()
        for key, a in network.state_dict().items()
        if (a != before[name][key]).any()
    }
    weights = {name.split()[0] for name in changed if "running" not in name}
    assert weights == {"sampling pass": set(), "step": {"G", "D"}}.get(step, {"D"})
    if step == "sampling pass":
        assert not changed
        assert result.shape == (3, 16, 16, 1)

"""What the norms normalize, batch norm's running statistics, and inference."""

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.errors import ShapeError
from minigan.layers import (
    BatchNorm,
    ConditionalAffine,
    ConditionalBatchNorm,
    InstanceNorm,
    LayerNorm,
    MinibatchStdDev,
    Softplus,
)
from minigan.testing import check_layer, shake, smooth_point
from minigan.testing.call import Call
from minigan.testing.several import entries
from minigan.testing.strategies import LAYERS, pictures
from minigan.threads import partition


@pytest.mark.parametrize(
    ("layer", "axes"),
    [
        (BatchNorm(3), (0, 1, 2)),
        (LayerNorm(3), (3,)),
        (LayerNorm((4, 5, 3)), (1, 2, 3)),
        (InstanceNorm(3), (1, 2)),
    ],
    ids=repr,
)
def test_what_is_normalized_over_which_axes(layer, axes):
    x = np.random.default_rng(0).normal(5, 3, (2, 4, 5, 3))
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    np.testing.assert_allclose(layer.forward(x)[0], (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-10, atol=1e-12)


def test_two_values_by_hand():
    y, _ = BatchNorm(1, eps=0).forward(np.array([[1.0], [5.0]]))
    np.testing.assert_allclose(y, [[-1], [1]], rtol=1e-15)


def test_gamma_scales_and_beta_shifts():
    layer, x = BatchNorm(2), np.random.default_rng(0).normal(size=(4, 2))
    plain, _ = layer.forward(x)
    layer.gamma[...], layer.beta[...] = [2, 3], [5, 7]
    np.testing.assert_allclose(layer.forward(x)[0], plain * [2, 3] + [5, 7], rtol=1e-12)


def test_running_statistics_by_hand():
    layer = BatchNorm(1, momentum=0.1)
    layer.forward(np.array([[2.0], [6.0]]))  # mean 4, unbiased variance 8
    np.testing.assert_allclose(layer.running_mean, [0.4], rtol=1e-6)
    np.testing.assert_allclose(layer.running_var, [0.9 + 0.8], rtol=1e-6)


@given(pictures(channels=2, ndim=None, least=2))
def test_running_statistics_converge_to_those_of_the_data(x):
    layer = BatchNorm(2, momentum=0.5)
    for _ in range(40):
        layer.forward(x)
    axes = tuple(range(x.ndim - 1))
    np.testing.assert_allclose(layer.running_mean, x.mean(axis=axes), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.running_var, x.var(axis=axes, ddof=1), rtol=1e-5)


def test_inference_uses_running_statistics_and_leaves_them():
    layer = BatchNorm(1, eps=0)
    layer.running_mean[...], layer.running_var[...] = 3, 4
    y, cache = layer.forward(np.array([[7.0]]), train=False)
    assert y.item() == 2
    assert (layer.running_mean, layer.running_var) == (3, 4)
    assert layer.backward(np.array([[10.0]]), cache).item() == 5
    assert layer.double_backward(np.array([[1.0]]), np.array([[10.0]]), cache)[1] is None


@pytest.mark.parametrize("affine", [True, False])
def test_output_in_inference_is_that_of_forward(affine):
    rng = np.random.default_rng(0)
    layer, x = shake(BatchNorm(3, affine=affine), rng).to(dtype=np.float64), rng.normal(5, 3, (4, 2, 2, 3))
    layer.forward(x)  # moves the running statistics
    np.testing.assert_allclose(layer.output(x, train=False), layer.forward(x, train=False)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", [BatchNorm(3), BatchNorm(3, affine=False)], ids=repr)
def test_gradients_of_two_values(layer):
    """They are normalized to ±1 whatever they are, so what is left of dx is of the order of eps."""
    check_layer(shake(layer, np.random.default_rng(0)), smooth_point(np.random.default_rng(0), (2, 3)), step=1e-2)


def test_a_constant_batch_gives_zeros_and_finite_gradients():
    layer, x = BatchNorm(2), np.full((4, 2), 3.0)
    y, cache = layer.forward(x)
    results = [y, layer.backward(x, cache), *layer.double_backward(x, x, cache)]
    assert not y.any()
    assert all(np.isfinite(r).all() for r in results)


@pytest.mark.parametrize(
    ("layer", "x_shape", "sentence"),
    [
        (BatchNorm(3), (1, 3), "can't train on one value a channel"),
        (BatchNorm(3), (2, 4, 3), r"takes \(N, C\) or \(N, H, W, C\), got \(2, 4, 3\)"),
        (BatchNorm(3), (2, 4), r"takes an input of shape \(N, 3\)"),
        (LayerNorm((4, 3)), (2, 3, 4), r"takes \(N, …, 4, 3\), got \(2, 3, 4\)"),
        (LayerNorm(3), (3,), r"takes \(N, …, 3"),
        (InstanceNorm(3), (2, 1, 1, 3), "needs more than one pixel"),
        (InstanceNorm(3), (2, 3), r"takes an input of shape \(N, H, W, 3\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_a_sentence(layer, x_shape, sentence):
    with pytest.raises(ShapeError, match=sentence):
        layer.forward(np.zeros(x_shape))


def test_one_value_a_channel_is_enough_for_inference():
    BatchNorm(3).forward(np.zeros((1, 3)), train=False)


NORMS = [
    lambda: BatchNorm(5),
    lambda: ConditionalBatchNorm(5, 2),
    lambda: LayerNorm(5),
    lambda: LayerNorm((4, 6, 5)),
    lambda: InstanceNorm(5),
    MinibatchStdDev,
]


@pytest.mark.parametrize("spread", [1, 1e-3])
@pytest.mark.parametrize("mean", [0, 1, 100])
@pytest.mark.parametrize("make", NORMS, ids=lambda make: repr(make()))
def test_a_mean_that_float32_rounds_costs_no_digits(make, mean, spread):
    """y, dx, ddy and dx2 in float32 are within some roundings of those in float64, for the same numbers."""
    rng = np.random.default_rng(0)
    x = rng.normal(mean, spread, (8, 4, 6, 5)).astype(np.float32)
    out = make().forward(_given(make(), x))[0].shape
    dy, ddx = (rng.standard_normal(shape).astype(np.float32) for shape in (out, x.shape))
    right = _both_orders(make(), *(a.astype(np.float64) for a in (x, dy, ddx)))
    for a, b in zip(_both_orders(make(), x, dy, ddx), right, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * abs(b).max())


def _given(layer, x):
    return (x, np.arange(8) % 2) if layer.conditional else x


def _both_orders(layer, x, dy, ddx):
    y, cache = layer.forward(_given(layer, x))
    dx = layer.backward(dy, cache, wrt="input")
    ddy, dx2 = layer.double_backward((ddx, None) if layer.conditional else ddx, dy, cache)
    return (y, dx[0], ddy, dx2[0]) if layer.conditional else (y, dx, ddy, dx2)


def test_the_variance_keeps_its_digits_when_the_parts_of_a_batch_are_unlike():
    x = np.zeros((64, 1), np.float32)
    x[0] = 1000  # among the numbers from which the mean is guessed first
    layer = BatchNorm(1, momentum=1)
    layer.forward(x)
    np.testing.assert_allclose(layer.running_var, x.astype(np.float64).var(axis=0, ddof=1), rtol=1e-6)
    np.testing.assert_allclose(layer.running_mean, x.astype(np.float64).mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("name", ["BatchNorm", "ConditionalBatchNorm", "InstanceNorm", "LayerNorm"])
@given(data=st.data(), train=st.booleans())
@settings(max_examples=settings.default.max_examples // 2)
def test_rows_at_a_time_and_threads_change_nothing(name, data, train):
    """Not a bit in float32, and the gradients are right to second order."""
    layer, x = data.draw(LAYERS[name])

    def results():
        call = Call(layer, x, train, 0, np.float32)
        found = {"y": call.forward()[0], "dx": call.backward(), "second": call.double_backward(), "grads": call.grads}
        return {key: a for whole, result in found.items() for key, a in entries(whole, result).items()}

    with number_of_threads(1):
        whole = results()
    with number_of_threads(2), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "ROWS_BYTES", 1)
        for key, array in results().items():
            np.testing.assert_array_equal(array, whole[key])
        patch.setattr(partition, "count", lambda: 1)
        check_layer(layer, x, train=train, entries=4, promises=False)


@pytest.mark.parametrize(
    "layer",
    [
        BatchNorm(3, np.float64(1e-5), np.float64(0.1)),
        LayerNorm(np.int64(3), np.float64(1e-5)),
        Softplus(np.float64(1)),
    ],
)
def test_numpy_numbers_as_settings_promote_nothing(layer):
    x = np.random.default_rng(0).standard_normal((4, 3), dtype=np.float32)
    y, cache = layer.forward(x)
    assert [a.dtype for a in (y, layer.backward(y, cache), *layer.double_backward(x, y, cache))] == [np.float32] * 4


def test_half_precision_is_refused_because_its_sums_overflow():
    with pytest.raises(ShapeError, match="takes float32 or float64"):
        BatchNorm(3).forward(np.ones((4, 3), np.float16))


LABELS = np.array([2, 0, 2, 1, 0])


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 4, 3)])
@pytest.mark.parametrize("train", [True, False])
def test_with_equal_rows_conditional_batch_norm_is_batch_norm(shape, train):
    """Outputs, all gradients (a row's add up to γ's) and the running statistics."""
    rng = np.random.default_rng(0)
    plain, conditional = (layer.to(dtype=np.float64) for layer in (BatchNorm(3), ConditionalBatchNorm(3, 4)))
    plain.gamma[...], plain.beta[...] = rng.standard_normal((2, 3))
    conditional.affine.gamma[...], conditional.affine.beta[...] = plain.gamma, plain.beta
    x, dy, ddx = rng.standard_normal((3, *shape))
    pairs = []
    for layer, inputs, direction in ((plain, x, ddx), (conditional, (x, LABELS), (ddx, None))):
        y, cache = layer.forward(inputs, train)
        dx, (ddy, dx2) = layer.backward(dy, cache), layer.double_backward(direction, dy, cache)
        dx, dx2 = (a[0] if isinstance(a, tuple) else a for a in (dx, dx2))
        norm, affine = (layer.norm, layer.affine) if layer.conditional else (layer, layer)
        sums = [grad.reshape(-1, 3).sum(axis=0) for grad in (affine.dgamma, affine.dbeta)]
        pairs.append([y, dx, ddy, *sums, norm.running_mean, norm.running_var, *([dx2] if train else [])])
        assert train or dx2 is None
    for one, other in zip(*pairs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_every_class_has_its_own_gamma_and_beta():
    layer, x = ConditionalBatchNorm(1, 4, eps=0), np.array([[1.0], [5.0], [5.0], [1.0]])  # normalized: −1, 1, 1, −1
    layer.affine.gamma[:, 0], layer.affine.beta[:, 0] = [2, 3, 5, 7], [10, 20, 30, 40]
    y, cache = layer.forward((x, np.array([0, 2, 0, 3])))
    np.testing.assert_allclose(y[:, 0], [8, 35, 12, 33])
    layer.backward(np.array([[1.0], [2.0], [3.0], [4.0]]), cache)
    np.testing.assert_allclose(layer.affine.dgamma[:, 0], [2, 0, 2, -4])
    np.testing.assert_allclose(layer.affine.dbeta[:, 0], [4, 0, 2, 4])


def test_wrong_labels_are_refused_before_the_running_statistics_move():
    layer, x = ConditionalBatchNorm(3, 2), np.arange(15.0).reshape(5, 3)
    for labels, sentence in ((LABELS, "knows the labels 0 to 1, got 2"), (LABELS[:1] * 0, r"labels of shape \(5,\)")):
        with pytest.raises(ShapeError, match=sentence):
            layer.forward((x, labels))
    with pytest.raises(ShapeError, match="takes a tuple of 2 arrays as its input"):
        layer.forward(x)
    assert not layer.norm.running_mean.any()


def test_a_conditional_affine_map_alone_refuses_what_it_cannot_use():
    layer, x = ConditionalAffine(3, 2), np.ones((5, 3))
    for given_x, sentence in (
        (x, "takes a tuple of 2 arrays as its input"),
        ((x, LABELS), "knows the labels 0 to 1, got 2"),
        ((x[:, :2], LABELS % 2), r"takes an input of shape \(…, 3\)"),
        ((x[0], LABELS[:3] % 2), r"takes \(N, …, 3\), got \(3,\)"),
    ):
        with pytest.raises(ShapeError, match=sentence):
            layer.forward(given_x)


def test_gamma_may_be_drawn():
    """By the generator that is given; a number is scaled alone, so both fans are 1."""
    fans = []

    def init(rng, shape, fan_in, fan_out):
        fans.append((fan_in, fan_out))
        return rng.standard_normal(shape).astype(np.float32)

    one, other = (BatchNorm(4, init=init, rng=np.random.default_rng(7)).gamma for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert BatchNorm(4, init=init).gamma.shape == (4,)
    assert set(fans) == {(1, 1)}


@pytest.mark.parametrize("size", [(1, 2), (2, 1)])
def test_two_pixels_are_enough_for_an_instance_norm(size):
    y, _ = InstanceNorm(1, eps=0).forward(np.array([3.0, 7.0]).reshape(1, *size, 1))
    np.testing.assert_array_equal(y.ravel(), [-1, 1])


def test_momentum_and_eps_of_a_conditional_norm_are_those_of_its_norm():
    layer = ConditionalBatchNorm(3, 2, eps=1e-3)
    layer.momentum = 1.0
    x = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    layer.forward((x, np.zeros(8, int)))
    assert np.allclose(layer.norm.running_mean, x.mean(axis=0), atol=1e-6)
    assert repr(layer) == "ConditionalBatchNorm(3, 2, eps=0.001, momentum=1.0)"

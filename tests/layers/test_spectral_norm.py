"""Spectral normalization: σ against the singular values, what moves u and v, and that a call leaves nothing behind."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.layers import Conv2D, ConvTranspose2D, Dense, Embedding, Flatten, LeakyReLU, Sequential, SpectralNorm
from minigan.optim import WeightAverage
from minigan.testing import check_layer, smooth_point
from minigan.testing.strategies import LAYERS, seeds
from minigan.training.summary import PassCounter

WRAPPED = [
    (Dense(6, 4), (5, 6)),
    (Conv2D(2, 3, 4, stride=2, padding=1), (2, 6, 4, 2)),
    (ConvTranspose2D(3, 2, 4, stride=2, padding=1), (2, 2, 3, 3)),
    (Conv2D(4, 6, 3, dilation=2, groups=2), (2, 6, 5, 4)),
    (ConvTranspose2D(4, 6, 3, dilation=2, groups=2), (2, 2, 3, 4)),
]


def wrap(layer, seed=0, dtype=np.float64, **settings):
    """A wrapped copy of a layer with new weights, u and v."""
    rng, layer = np.random.default_rng(seed), copy.deepcopy(layer)
    layer.W[...] = rng.standard_normal(layer.W.shape)
    return SpectralNorm(layer, rng=rng, **settings).to(dtype=dtype)


def matrix(layer):
    """W with one row for each output, written out number by number."""
    W = layer.W
    if isinstance(layer, Dense):
        return np.array([[W[c, k] for c in range(W.shape[0])] for k in range(W.shape[1])])
    R, S, *channels = W.shape
    swapped = isinstance(layer, ConvTranspose2D)
    K, C = channels if swapped else channels[::-1]
    at = (lambda r, s, c, k: W[r, s, k, c]) if swapped else (lambda r, s, c, k: W[r, s, c, k])
    return np.array([[at(r, s, c, k) for r in range(R) for s in range(S) for c in range(C)] for k in range(K)])


@pytest.mark.parametrize(("layer", "x_shape"), WRAPPED, ids=lambda p: repr(p))
def test_after_many_iterations_sigma_is_the_largest_singular_value(layer, x_shape):
    wrapped = wrap(layer)
    wrapped.iterate(300)
    U, singular_values, V = np.linalg.svd(matrix(wrapped.layer), full_matrices=False)
    assert wrapped.sigma() == pytest.approx(singular_values[0], rel=1e-12)
    assert abs(wrapped.u @ U[:, 0]) == pytest.approx(1, rel=1e-12)
    assert abs(wrapped.v @ V[0]) == pytest.approx(1, rel=1e-12)


def test_sigma_of_a_matrix_with_known_singular_values():
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (4, 6))
    layer = Dense(6, 4).to(dtype=np.float64)
    layer.W[...] = (U * [3, 2, 0.5, 0.1] @ V[:4]).T
    wrapped = SpectralNorm(layer, rng=rng)
    assert 2.9 < wrapped.sigma() <= 3  # from below, and near after the iterations made at the start
    wrapped.iterate(60)
    assert wrapped.sigma() == pytest.approx(3, rel=1e-14)


def test_one_iteration_by_hand():
    wrapped = SpectralNorm(Dense(2, 2, bias=False)).to(dtype=np.float64)
    wrapped.layer.W[...] = [[3, 0], [0, 4]]
    wrapped.v[...] = [1 / np.sqrt(2), 1 / np.sqrt(2)]
    y, _ = wrapped.forward(np.array([[1.0, 1.0]]))  # u ∝ M v ∝ (3, 4), v ∝ Mᵀ u ∝ (9, 16), σ = |Mᵀ u|
    sigma = np.hypot(9, 16) / 5
    np.testing.assert_allclose(wrapped.u, [0.6, 0.8], rtol=1e-15)
    np.testing.assert_allclose(wrapped.v, [9 / np.hypot(9, 16), 16 / np.hypot(9, 16)], rtol=1e-15)
    np.testing.assert_allclose(y, [[3 / sigma, 4 / sigma]], rtol=1e-15)


@given(seeds())
def test_a_dense_layer_becomes_1_lipschitz(seed):
    wrapped, rng = wrap(Dense(6, 4), seed), np.random.default_rng(seed)
    wrapped.iterate(2000)
    a, b = rng.standard_normal((2, 100, 6))
    (ya, _), (yb, _) = wrapped.forward(a, train=False), wrapped.forward(b, train=False)
    assert (np.linalg.norm(ya - yb, axis=1) <= (1 + 1e-6) * np.linalg.norm(a - b, axis=1)).all()


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "groups", "bound"),
    [
        (3, 1, 1, 1, 3),
        (4, 2, 1, 1, 2),
        (3, 2, 1, 1, 2),
        (2, 2, 1, 1, 1),
        (3, 1, 2, 1, 3),
        (3, 1, 1, 2, 3),
        (2, 2, 1, 2, 1),
    ],
)
def test_a_convolution_may_stretch_by_the_square_root_of_the_patches_that_a_pixel_is_in(
    kernel, stride, dilation, groups, bound
):
    """For any W and x; a kernel of ones on an even picture comes near to it where all pixels are in as many patches."""
    layer = Conv2D(groups, groups, kernel, stride, bias=False, dilation=dilation, groups=groups)
    x = np.random.default_rng(0).standard_normal((20, 40, 40, groups))
    ones, rng = np.zeros((1, 40, 40, groups)), np.random.default_rng(1)
    ones[..., 0] = 1
    W_ones = np.zeros(layer.W.shape)
    W_ones[..., 0] = 1  # of the first group alone
    for W, pictures in ((rng.standard_normal(layer.W.shape), x), (W_ones, ones)):
        wrapped = wrap(layer)
        wrapped.layer.W[...] = W
        wrapped.iterate(50)
        y, _ = wrapped.forward(pictures, train=False)
        stretch = np.sqrt((y * y).sum(axis=(1, 2, 3)) / (pictures * pictures).sum(axis=(1, 2, 3)))
        assert (stretch <= bound + 1e-9).all()
    if kernel % stride == 0:
        without_border = 1 - dilation * (kernel - 1) / 40
        assert stretch[0] > (without_border - 1e-9) * bound


@given(case=st.one_of(LAYERS["Dense"], LAYERS["Conv2D"], LAYERS["ConvTranspose2D"]), iterations=st.integers(1, 3))
def test_gradients_in_inference_are_exact_wherever_u_and_v_are(case, iterations):
    wrapped = SpectralNorm(case.layer.to(dtype=np.float64), iterations, rng=np.random.default_rng(case.seed))
    case.layer.W += 0.1  # u and v are now no singular vectors
    check_layer(wrapped, case.x, train=False)


class Bent(Dense):
    """y = tanh(x W): a layer with a weight whose dx2 isn't nothing, as all of ours have."""

    def forward(self, x, train=True, rng=None):
        y = np.tanh(x @ self.W.astype(x.dtype, copy=False))
        return y, (x, y)

    def backward(self, dy, cache, wrt="both"):
        x, y = cache
        self.check_dy(dy, y.shape, wrt)
        da = dy * (1 - y * y)
        if wrt != "input":
            self.dW += x.T @ da
        return da @ self.W.astype(x.dtype, copy=False).T if wrt != "params" else None

    def double_backward(self, ddx, dy, cache):
        x, y = cache
        self.check_second(ddx, dy, cache)
        W, slope = self.W.astype(x.dtype, copy=False), 1 - y * y
        q = ddx @ W
        da = -2 * y * slope * dy * q
        self.dW += ddx.T @ (dy * slope) + x.T @ da
        return q * slope, da @ W.T

    def shapes(self, cache):
        x, y = cache
        return x.shape, y.shape


def test_gradients_around_a_layer_that_is_not_linear():
    wrapped = wrap(Bent(4, 3, bias=False))
    wrapped.iterate(200)
    check_layer(wrapped, smooth_point(np.random.default_rng(0), (5, 4)), train=True)


@pytest.mark.parametrize(("layer", "x_shape"), WRAPPED, ids=lambda p: repr(p))
def test_gradients_in_training_are_exact_at_the_singular_vectors(layer, x_shape):
    wrapped = wrap(layer)
    wrapped.iterate(200)
    check_layer(wrapped, smooth_point(np.random.default_rng(0), x_shape), train=True)


def test_an_embedding_is_a_dense_layer_of_one_hot_vectors():
    dense, labels = wrap(Dense(5, 3, bias=False)), np.array([1, 2, 2])
    embedding = wrap(Embedding(5, 3))
    embedding.load_state_dict(dense.state_dict())
    for train in (False, True):
        (y, cache), (expected, dense_cache) = embedding.forward(labels, train), dense.forward(np.eye(5)[labels], train)
        np.testing.assert_allclose(y, expected, rtol=1e-14)
        assert embedding.backward(y + 1, cache) is None
        dense.backward(y + 1, dense_cache)
        np.testing.assert_allclose(embedding.layer.dW, dense.layer.dW, rtol=1e-12)
        ddy, dx2 = embedding.double_backward(None, y, cache)
        assert not ddy.any() and dx2 is None
    np.testing.assert_allclose(embedding.layer.dW, dense.layer.dW, rtol=1e-12)


def test_training_moves_u_and_v_and_inference_does_not():
    wrapped = wrap(Dense(6, 4), n_power_iterations=3)
    wrapped.layer.W[...] = np.random.default_rng(1).standard_normal((6, 4))
    x, before, twin = np.ones((2, 6)), wrapped.state_dict(), copy.deepcopy(wrapped)
    wrapped.forward(x, train=False)
    assert all(np.array_equal(array, before[name]) for name, array in wrapped.state_dict().items())
    wrapped.forward(x)
    twin.iterate(3)
    np.testing.assert_array_equal(wrapped.u, twin.u)
    np.testing.assert_array_equal(wrapped.v, twin.v)
    assert not np.allclose(wrapped.u, before["u"])


@pytest.mark.parametrize(("layer", "x_shape"), WRAPPED, ids=lambda p: repr(p))
def test_passes_over_real_and_fake_are_alive_together(layer, x_shape):
    """Each goes back through the W̄, u and v that it went up with, though u, v, W and their vector changed since."""
    rng = np.random.default_rng(0)
    real, fake, ddx = rng.standard_normal((3, *x_shape))

    def gradients(disturb):
        wrapped = wrap(layer)
        y, cache = wrapped.forward(real)
        if disturb:
            wrapped.forward(fake)
            wrapped.parameters().values[...] *= 2  # made only now: dW and db are other arrays than at forward
            wrapped.u[...] = 0
        dx = wrapped.backward(y, cache)
        ddy, _ = wrapped.double_backward(ddx, y, cache)
        return [dx, ddy, wrapped.parameters().grads]

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        assert expected.any()
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_gradient_of_the_input_does_not_pay_for_that_of_the_weight():
    wrapped = wrap(Dense(6, 4))
    y, cache = wrapped.forward(np.ones((2, 6)))
    wrapped._add_to_dW = None  # calling it would fail
    wrapped.backward(y, cache, wrt="input")
    with pytest.raises(TypeError):
        wrapped.backward(y, cache)


def test_float64_input_is_computed_in_float64_whatever_the_weights_are():
    wrapped, x = wrap(Dense(6, 4), dtype=np.float32), np.random.default_rng(0).standard_normal((3, 6))
    y, _ = wrapped.forward(x, train=False)
    W, u, v = (a.astype(np.float64) for a in (wrapped.layer.W, wrapped.u, wrapped.v))
    np.testing.assert_allclose(y, x @ W / (v @ W @ u), rtol=1e-14)


def test_u_and_v_are_saved_moved_and_copied_by_an_average_but_not_averaged():
    network = Sequential(wrap(Dense(6, 4), dtype=np.float32), LeakyReLU(0.2))
    assert set(network.state_dict()) == {"0.u", "0.v", "0.layer.W", "0.layer.b"}
    average = WeightAverage(network, decay=0.5)
    network[0].layer.W[...] = np.random.default_rng(1).standard_normal((6, 4))
    network.forward(np.ones((2, 6), np.float32))
    average.update()
    np.testing.assert_array_equal(average.average[0].u, network[0].u)
    np.testing.assert_array_equal(average.average[0].v, network[0].v)
    assert not np.allclose(average.average[0].layer.W, network[0].layer.W)
    other = Sequential(wrap(Dense(6, 4), seed=2, dtype=np.float32), LeakyReLU(0.2))
    other.load_state_dict(network.state_dict())
    np.testing.assert_array_equal(other[0].v, network[0].v)
    assert network.to(dtype=np.float64)[0].u.dtype == np.float64


def test_a_dry_run_counts_the_inner_layer_once():
    class Gan:
        networks = {"D": Sequential(wrap(Conv2D(2, 3, 3)), Flatten(), wrap(Dense(12, 1)))}

    x = np.random.default_rng(0).standard_normal((2, 4, 4, 2))
    D, watch = Gan.networks["D"], PassCounter(Gan)
    y, cache = D.forward(x)
    D.backward(y, cache, wrt="input")
    D.double_backward(x, y, cache)
    D.backward(y, cache)
    watch.close()
    macs = 2 * (2 * 2 * 3 * 9 * 2 + 12)
    times = {"forward": 1, "backward (input)": 1, "double backward": 2, "backward (both)": 2}
    assert watch.macs == {("D", verb): n * macs for verb, n in times.items()}
    y, cache = D.forward(x)
    assert D.backward(y, cache).shape == x.shape
    assert np.abs(y).max() < np.abs(Sequential(D[0].layer, D[1], D[2].layer).forward(x)[0]).max()


def test_what_can_not_be_normalized_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"LeakyReLU\(\) has no weight W to normalize"):
        SpectralNorm(LeakyReLU(0.2))
    with pytest.raises(ValueError, match="has no weight W"):
        SpectralNorm(SpectralNorm(Dense(2, 3)))
    with pytest.raises(ValueError, match="n_power_iterations is 0"):
        SpectralNorm(Dense(2, 3), 0)
    with pytest.raises(ValueError, match="weights of zero"):
        SpectralNorm(Dense(2, 3, init=lambda rng, shape, i, o: np.zeros(shape, np.float32)))


def test_it_shows_as_it_is_called():
    assert repr(SpectralNorm(Dense(2, 3))) == "SpectralNorm(Dense(2, 3))"
    assert repr(SpectralNorm(Conv2D(2, 3, 3), 2)) == "SpectralNorm(Conv2D(2, 3, 3), n_power_iterations=2)"


@pytest.mark.parametrize(
    ("layer", "bound"),
    [
        (Conv2D(3, 40, 3, stride=2, padding=2, dilation=2, bias=False, rng=np.random.default_rng(0)), 3),
        (Conv2D(3, 40, 3, stride=2, padding=1, bias=False, rng=np.random.default_rng(0)), 2),
        (ConvTranspose2D(4, 16, 2, 2, bias=False, rng=np.random.default_rng(0)), 2),
    ],
)
def test_the_bound_of_the_docstring_holds_and_can_be_reached(layer, bound):
    """M with orthonormal columns, so that an output is as long as the patch that it is made of."""
    norm = SpectralNorm(layer, rng=np.random.default_rng(0))
    W = norm._to_last(layer.W)
    columns, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((W.shape[-1], W.size // W.shape[-1])))
    W[...] = columns.T.reshape(W.shape)
    x = np.random.default_rng(1).standard_normal((1, 12, 12, layer.in_channels))
    for _ in range(200):  # power iterations of the whole layer
        x /= np.linalg.norm(x)
        y, cache = layer.forward(x)
        x = layer.backward(y, cache, wrt="input")
    assert 0.9 * bound < np.linalg.norm(y) <= bound * (1 + 1e-6)  # W is float32

"""cGAN and conditional DCGAN: how the class enters, and that it is learned."""

import numpy as np
import pytest
from family import make, real_data
from steps import make_step

from minigan.data import open_dataset, ring
from minigan.gans import CDCGAN, CGAN
from minigan.layers import Dense, Dropout, Embedding, Maxout, Projection
from minigan.optim import SGD


def test_the_networks_of_mirza_and_osindero():
    gan = CGAN((28, 28, 1), n_classes=10, rng=np.random.default_rng(0))
    of = {which: [layer for _, layer in network.walk()] for which, network in gan.networks.items()}
    shapes = {which: [x.W.shape for x in layers if isinstance(x, (Dense, Embedding))] for which, layers in of.items()}
    assert shapes["G"] == [(100, 200), (10, 1000), (1200, 1200), (1200, 784)]
    assert shapes["D"] == [(784, 1200), (10, 250), (290, 960), (240, 1)]
    assert [layer.pieces for layer in of["D"] if isinstance(layer, Maxout)] == [5, 5, 4]
    dropout = {which: [x.p for x in layers if isinstance(x, Dropout)] for which, layers in of.items()}
    assert dropout == {"G": [], "D": [0.2, 0.5, 0.5, 0.5]}
    assert all(type(o) is SGD and (o.lr, o.momentum) == (0.1, 0.5) for o in gan.optimizers.values())
    assert gan.batch_size == 100


@pytest.mark.parametrize("cls", [CGAN, CDCGAN])
def test_without_a_number_of_classes_it_is_refused(cls):
    with pytest.raises(ValueError, match="number of classes"):
        cls((28, 28, 1), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="`n_classes` is -3"):
        cls((28, 28, 1), n_classes=-3, rng=np.random.default_rng(0))
    assert cls((28, 28, 1), n_classes=1, rng=np.random.default_rng(0)).n_classes == 1


@pytest.mark.parametrize("shape", [(6, 5, 1), (2,)], ids=["pictures", "points"])
def test_latent_has_variance_one(shape):
    gan = CGAN(shape, latent_dim=100, n_classes=3, rng=np.random.default_rng(0))
    z = gan.latent(2000, np.random.default_rng(0))
    assert (z.shape, z.dtype) == ((2000, 100), np.float32)
    assert z.mean() == pytest.approx(0, abs=0.01)
    assert z.var() == pytest.approx(1, abs=0.01)
    assert (np.abs(z).max() <= np.float32(np.sqrt(3))) == (len(shape) == 3)  # uniform, or normal


def test_what_g_draws_from_0_to_1_is_brought_to_pictures():
    gan = make("cgan-pictures")
    z, labels = gan.latent(5, np.random.default_rng(0)), np.array([0, 1, 2, 0, 1])
    drawn = gan.networks["G"].output((z, labels), False)
    np.testing.assert_array_equal(gan.generate(z, labels), 2 * drawn - 1)
    gan = make("cgan-points")
    z = gan.latent(5, np.random.default_rng(0))
    np.testing.assert_array_equal(gan.generate(z, labels), gan.networks["G"].output((z, labels), False))


def test_momentum_grows_for_pictures():
    gan = make("cgan-pictures")
    for optimizer in gan.optimizers.values():
        optimizer.t = 125 * 500
    make_step(gan, lambda: real_data(gan), np.random.default_rng(0))
    assert [optimizer.momentum for optimizer in gan.optimizers.values()] == pytest.approx([0.6, 0.6], rel=1e-12)


def test_projection_adds_the_inner_product_with_the_class():
    gan = make("cdcgan-28-projection")
    D = gan.networks["D"]
    head = D.layers[-1]
    assert isinstance(head, Projection)
    x, labels = real_data(gan)
    one, other = (D.forward((x, np.full(6, k)), train=False)[0] for k in (0, 1))
    h, _ = D.layers[0].layers[0].forward(x, train=False)
    np.testing.assert_allclose(
        one - other, h @ (head.embedding.W[0] - head.embedding.W[1])[:, None], rtol=1e-3, atol=1e-6
    )


@pytest.mark.slow
def test_on_the_ring_every_class_goes_to_its_gaussian():
    data = ring(20_000)
    gan, rng = CGAN((2,), n_classes=8, lr=1e-3, rng=np.random.default_rng(0)), np.random.default_rng(1)

    def batch():
        chosen = rng.integers(len(data), size=256)
        return data.samples[chosen], data.labels[chosen]

    for _ in range(1500):
        make_step(gan, batch, rng)
    labels = np.arange(800) % 8
    points = gan.generate(gan.latent(800, rng), labels)
    nearest = np.linalg.norm(points[:, None] - data.centers, axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.95


def test_at_the_beginning_neither_the_class_nor_z_is_drowned():
    """As variance in the joined layer: z is much louder than the class in G, the class a little louder than x in D."""
    gan, rng = CGAN((28, 28, 1), n_classes=10, rng=np.random.default_rng(0)), np.random.default_rng(1)
    pictures = (open_dataset("digits", 28).batch(np.arange(500)) + 1) / 2
    own_to_label = {}
    for name, x in {"G": gan.latent(500, rng), "D": pictures}.items():
        inputs = gan.networks[name].layers[0]
        own, label = inputs.forward((x, rng.integers(10, size=500)), train=False)[0]  # (500, K) each
        own_to_label[name] = own.var(axis=0).sum() / label.var(axis=0).sum()
    assert 20 < own_to_label["G"] < 100
    assert 1 / 5 < own_to_label["D"] < 1

"""InfoGAN: each gradient is where its docstring says, and data of one's own is what a model takes."""

import numpy as np
import pytest
from test_examples import load

from minigan.model import Now

infogan, my_data = load("infogan"), load("my_data")


class Keeping:
    """An optimizer that stays where it is; the gradients are there after the step."""

    def __init__(self, parameters):
        self.zero_grad, self.parameters = parameters.zero_grad, parameters

    def step(self):
        pass


@pytest.fixture
def model():
    model = infogan.InfoGAN((16, 16, 1), features=2, number_weight=0.3, rng=np.random.default_rng(0))
    for name, network in model.networks.items():
        network.to(dtype=np.float64)
        model.optimizers[name] = Keeping(network.parameters())
    return model


def along(model, name, f, h=1e-8):
    """The slope of f() along a random direction in the weights of a network, by differences; and that direction.

    So small an h, because with batches of five the kinks of LeakyReLU are near.
    """
    values = model.networks[name].parameters().values
    direction = np.random.default_rng(1).standard_normal(len(values))
    ends = []
    for sign in (1, -1):
        before = values.copy()
        values += sign * h * direction
        ends.append(float(f()))
        values[...] = before
    return (ends[0] - ends[1]) / (2 * h), direction


@pytest.mark.parametrize("name", ["G", "features", "verdict", "Q"])
def test_each_network_learns_from_its_part_of_the_loss(model, name):
    rng = np.random.default_rng(2)
    real, z = np.tanh(rng.standard_normal((5, 16, 16, 1))), model.latent(5, rng).astype(np.float64)

    def information(fake):
        class_loss, number_loss, _ = model.information(model.networks["features"].output(fake), z, "input", None)
        return class_loss + 0.3 * number_loss  # ½ Σ over two numbers is their mean

    def loss():
        fake, cache = model.networks["G"].forward(z)
        critic, generator = model.critic_step(real, fake, z, None), model.generator_step(fake, cache, z, None)
        if name == "G":
            return generator["g_loss"] + information(fake)
        return (critic["d_loss"] if name != "Q" else 0) + (information(fake) if name != "verdict" else 0)

    expected, direction = along(model, name, loss)
    loss()
    assert model.networks[name].parameters().grads @ direction == pytest.approx(expected, rel=1e-5)
    assert abs(expected) > 1e-3


def test_the_exhibits_vary_one_code_at_a_time():
    model = infogan.InfoGAN((16, 16, 1), features=2, rng=np.random.default_rng(0))
    asked = []
    model.generate = lambda z: asked.append(z.copy()) or z
    shown = model.show((), np.random.default_rng(0))
    samples, first, second = asked
    noise, classes = samples[:, :62].reshape(8, 10, 62), samples[:, 62:72].reshape(8, 10, 10)
    assert np.ptp(noise, axis=1).max() == 0 < np.ptp(noise, axis=0).min()
    np.testing.assert_array_equal(classes, np.broadcast_to(np.eye(10), (8, 10, 10)))
    for table, column in ((first, -2), (second, -1)):
        varied = np.ptp(table[:9], axis=0) > 0
        assert varied.nonzero()[0].tolist() == [74 + column]
    assert {name: exhibit.columns for name, exhibit in shown.items()} == {"samples": 10, "first": 9, "second": 9}


def test_a_step_moves_all_four_networks():
    model = infogan.InfoGAN((16, 16, 1), features=2, rng=np.random.default_rng(0))
    before = {name: network.parameters().values.copy() for name, network in model.networks.items()}
    rng = np.random.default_rng(1)
    batch = {"real": np.tanh(rng.standard_normal((6, 16, 16, 1), dtype=np.float32))}
    measured = model.step(lambda: batch, rng, Now(0, 0, rng))
    assert measured.keys() == model.measures.keys()
    for name, network in model.networks.items():
        assert (network.parameters().values != before[name]).mean() > 0.5, name


def test_my_data_is_pictures_of_rings():
    pictures = my_data.make_data()
    assert pictures.dtype == np.float32 and pictures.shape == (2000, 16, 16, 1)
    assert -1 <= pictures.min() < -0.99 and 0.9 < pictures.max() <= 1

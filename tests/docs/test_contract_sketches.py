"""The sketches of docs/contract-sketches.md: each makes a step, with the gradients of what it says that it minimizes.

The classes are taken from the page as they stand. Here they get small networks, optimizers that don't move and only
keep the gradient that they were to step by, and arrays in float64.
"""

import re
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest

import minigan.layers
import minigan.losses
import minigan.model
import minigan.penalties
from minigan.backend import CPU, array_module, to_numpy
from minigan.layers import AvgPool2D, Conv2D, Dense, Flatten, Layer, LeakyReLU, Reshape, Sequential, Tanh, Upsample
from minigan.layers.activations import sigmoid, softplus
from minigan.losses import LeastSquares, Minimax, Wasserstein
from minigan.model import Now
from minigan.penalties import GradientPenalty

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contract-sketches.md"
SKETCHES = {"np": np, "ceil": ceil, "floor": floor, "array_module": array_module, "to_numpy": to_numpy}
SKETCHES |= {"sigmoid": sigmoid, "softplus": softplus, "NAMES": ("encoder", "decoder", "features", "verdict")}
for library in (minigan.layers, minigan.losses, minigan.model, minigan.penalties):
    SKETCHES |= {name: value for name, value in vars(library).items() if name[0] != "_" and name != "annotations"}
for block in re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
    exec(compile(block, str(PAGE), "exec"), SKETCHES)
CPU_RNG = np.random.default_rng(0)


class Keeping:
    """An optimizer that stays where it is and keeps the gradients that it was to step by."""

    def __init__(self, parameters):
        self.parameters, self.kept = parameters, []

    def zero_grad(self):
        self.parameters.zero_grad()

    def step(self):
        self.kept.append(self.parameters.grads.copy())

    def reset(self):
        self.kept = []


class Double:
    """A generator whose normal numbers are float64 whatever is asked for: the networks here are, too."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def standard_normal(self, shape, dtype=None):
        return self.rng.standard_normal(shape)

    def random(self, shape, dtype=None):
        return self.rng.random(shape)


class Beside(Layer):
    """(x, level) → f(x): what stands beside x has no gradient."""

    def __init__(self, f):
        self.f = f

    def children(self):
        return {"f": self.f}

    def forward(self, x, train=True, rng=None):
        return self.f.forward(x[0], train, rng)

    def backward(self, dy, cache, wrt="both"):
        return self.f.backward(dy, cache, wrt), None

    def double_backward(self, ddx, dy, cache):
        ddy, dx2 = self.f.double_backward(ddx[0], dy, cache)
        return ddy, (dx2, None)


class Augment(Layer):
    """Each sample is halved with the probability p."""

    state_names = ("p",)

    def __init__(self):
        self.p = np.full(1, 0.5)

    def forward(self, x, train=True, rng=None):
        factor = np.where(rng.random((len(x), 1, 1, 1)) < self.p, 0.5, 1.0)
        return x * factor, factor

    def backward(self, dy, cache, wrt="both"):
        return dy * cache

    def double_backward(self, ddx, dy, cache):
        return ddx * cache, None


class Constant(np.ndarray):
    """A number that isn't moved."""

    def __iadd__(self, other):
        return self


def convolution(c_in, c_out, stride=1):
    layers = [Conv2D(c_in, 4, 3, stride, 1, rng=CPU_RNG), Tanh(), Conv2D(4, c_out, 3, 1, 1, rng=CPU_RNG)]
    return Sequential(*layers)


def dense(n_in, *widths):
    """Dense layers with Tanh between them, from pictures or vectors."""
    layers = [Flatten()]
    for n, m in zip((n_in, *widths), widths, strict=False):
        layers += [Dense(n, m, rng=CPU_RNG), Tanh()]
    return layers[:-1]


def maker(n_in, shape):
    return Sequential(*dense(n_in, 6, int(np.prod(shape))), Reshape(*shape))


class Small:
    """What the sketches leave out."""

    loss, lr, gamma = LeastSquares(), 0.1, 0.5

    def ready(self, **networks):
        self.networks = {name: network.to(dtype=np.float64) for name, network in networks.items()}
        self.optimizers = {name: Keeping(network.parameters()) for name, network in self.networks.items()}
        self.device = CPU
        return self

    def latent(self, n, rng):
        return rng.standard_normal((n, 3))

    def zero_grad(self, *names):
        for name in names:
            self.optimizers[name].zero_grad()

    def update(self, *names):
        for name in names:
            self.optimizers[name].step()


def sketch(name, *members, **values):
    """A class of the page with what it leaves out."""
    own = {"critic_step": SKETCHES["critic_step"]}
    bases = (SKETCHES[name], Small) if name == "LAPGAN" else (Small, SKETCHES[name])
    return type(name, bases, own | dict(zip(("latent",), members, strict=False)) | values)()


def pictures(n, *shape):
    return np.tanh(np.random.default_rng(n).standard_normal((n, *shape)))


def lapgan():
    model = sketch("LAPGAN", half=AvgPool2D(2), double=Upsample(2), loss=Minimax())
    model.sizes, model.noise_shapes, model.latent_dim = (2, 4), ((3,), (4, 4, 1)), 19
    model.noise = lambda k, n, rng: rng.standard_normal((n, *model.noise_shapes[k]))
    model.set_games()
    D0, D1 = Sequential(*dense(4, 5, 1)), Sequential(*dense(16, 5, 1))
    model.ready(G0=maker(3, (2, 2, 1)), D0=D0, G1=convolution(2, 1), D1=D1)
    assert model.generate(np.zeros((2, 19))).shape == (2, 4, 4, 1)
    wanted = {f"{net}{k}": [{f"{net.lower()}{k}_loss": 1}] for net in "GD" for k in (0, 1)}
    return model, {"real": pictures(3, 4, 4, 1)}, wanted


def progressive():
    model = sketch("ProgressiveGAN", half=AvgPool2D(2), double=Upsample(2), top=1)
    model.loss, model.penalty = Wasserstein(), GradientPenalty(10.0)
    model.ready(G=Beside(maker(3, (8, 8, 1))), D=Beside(Sequential(*dense(64, 5, 1))))
    model.set_phases(100)
    assert [model.level_at(s) for s in (0, 99, 100, 125, 150, 500)] == [0, 0, 0, 0.5, 1, 1]
    wanted = {"D": [{"d_loss": 1, "penalty": 1, "drift": 1e-3}], "G": [{"g_loss": 1}]}
    return model, {"real": pictures(3, 8, 8, 1)}, wanted


def stylegan2():
    model = sketch("StyleGAN2", loss=Minimax())
    model.n_layers, model.w_mean, model.path_mean = 3, np.zeros(4), np.full((), 0.3).view(Constant)
    model.fakes = lambda n, rng, now: model.networks["synthesis"].output(model.styles(n, rng, now)[0], rng=rng)
    synthesis = Sequential(Reshape(12), Dense(12, 7, rng=CPU_RNG), Tanh(), Dense(7, 16, rng=CPU_RNG), Reshape(4, 4, 1))
    model.ready(mapping=Sequential(*dense(3, 5, 4)), synthesis=synthesis, D=Sequential(*dense(16, 5, 1)))
    generator = [{"g_loss": 1}, {"path_length": 4}]
    wanted = {"mapping": generator, "synthesis": generator, "D": [{"d_loss": 1}, {"r1": 16}]}
    return model, {"real": pictures(4, 4, 4, 1)}, wanted


def vae_gan():
    model = sketch("VAEGAN", lambda self, n, rng: rng.standard_normal((n, 2)), loss=Minimax(saturating=True), gamma=0.1)
    parts = [Sequential(*dense(16, 6, 4)), maker(2, (4, 4, 1)), Sequential(*dense(16, 6)), Sequential(*dense(6, 1))]
    parts[2] = Sequential(*parts[2].layers, LeakyReLU(0.2))
    model.ready(**dict(zip(SKETCHES["NAMES"], parts, strict=True)))
    D = [{"d_loss": 1}]
    wanted = {"encoder": [{"kl": 1, "likeness": 1}], "decoder": [{"likeness": 0.1, "g_loss": 1}]}
    return model, {"real": pictures(3, 4, 4, 1)}, wanted | {"features": D, "verdict": D}


def ganomaly():
    model = sketch("GANomaly")
    encoder, second = (Sequential(*dense(16, 6, 3)) for _ in range(2))
    model.ready(encoder=encoder, decoder=maker(3, (4, 4, 1)), second=second, features=Sequential(*dense(16, 5)))
    model.step = lambda next_batch, rng, now: model.generator_step(next_batch()["real"], rng)
    loss = [{"likeness": 1, "picture": 50, "latent": 1}]
    return model, {"real": pictures(3, 4, 4, 1)}, dict.fromkeys(("encoder", "decoder", "second"), loss)


def r3gan():
    model = sketch("R3GAN")
    model.signs = np.zeros(())
    model.ready(G=maker(3, (4, 4, 1)), D=Sequential(Augment(), *dense(16, 5, 1)))
    wanted = {"D": [{"d_loss": 1, "r1": 1, "r2": 1}], "G": [{"g_loss": 1}]}
    return model, {"real": pictures(3, 4, 4, 1)}, wanted


MODELS = [lapgan, progressive, stylegan2, vae_gan, ganomaly, r3gan]
NAMES = ["LAPGAN", "progressive", "StyleGAN2"]
NAMES += ["VAE-GAN", "GANomaly", "R3GAN"]


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_each_network_gets_the_gradient_of_what_it_minimizes(make):
    model, batch, wanted = make()

    def step():
        for optimizer in model.optimizers.values():
            optimizer.reset()
        now = Now(16, 125, np.random.default_rng(1), 0.25)
        return model.step(lambda: batch, Double(2), now)

    step()
    kept = {name: list(model.optimizers[name].kept) for name in wanted}
    for name, losses in wanted.items():
        assert len(kept[name]) == len(losses), name
        values = model.networks[name].parameters().values
        direction = np.random.default_rng(3).standard_normal(len(values))
        for weights, gradient in zip(losses, kept[name], strict=True):

            def loss(h, values=values, direction=direction, weights=weights):
                before = values.copy()
                values += h * direction
                measured = step()
                values[...] = before
                return sum(weight * float(measured[measure]) for measure, weight in weights.items())

            h = 1e-5
            numeric = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
            assert gradient @ direction == pytest.approx(numeric, rel=1e-6, abs=1e-9), (name, weights)
            assert abs(numeric) > 1e-6, f"{name} learns nothing here"


def test_ganomalys_area_under_the_curve_and_threshold():
    model, _, _ = ganomaly()
    model.score = lambda x: x[:, 0, 0, 0]
    scores, labels = [0.1, 0.2, 0.3, 0.25, 0.4], [0, 0, 0, 1, 1]
    items = [{"real": np.full((1, 2, 2, 1), s), "label": np.array([y])} for s, y in zip(scores, labels, strict=True)]
    judged = model.judge(items, None)
    assert judged["auc"] == pytest.approx(5 / 6)  # of six pairs, 0.25 < 0.3 is the wrong one
    assert judged["threshold"] == pytest.approx(np.quantile(scores[:3], 0.95))


def test_adas_probability_follows_the_signs():
    model, _, _ = r3gan()
    p = model.networks["D"][0].p
    for step in range(8):
        model.adapt(np.full((100, 1), 1.0 if step < 4 else -1.0), Now(step, 0, None))
        if step == 3:
            assert p == pytest.approx(0.5 + 400 / 500_000)
    assert p == pytest.approx(0.5)


def test_an_optimizer_on_two_processes_steps_by_the_mean():
    class Processes:
        n, rank = 2, 1

        def sum(self, array):
            array += 3.0  # the other's gradient

        def broadcast(self, array):
            array[...] = 7.0

    model = Small().ready(G=Dense(2, 1, rng=CPU_RNG))
    SKETCHES["share"](model, Processes())
    shared = model.optimizers["G"]
    assert model.networks["G"].parameters().values.tolist() == [7.0] * 3
    shared.parameters.grads[:] = 1.0
    shared.lr = 0.5
    shared.step()
    assert shared.optimizer.kept[0].tolist() == [2.0] * 3 and shared.optimizer.lr == 0.5
    assert SKETCHES["part_of_batch"]({"real": np.arange(6)}, Processes())["real"].tolist() == [1, 3, 5]

"""A user's own model with an `apply`: it learns what the noise in a picture is, by the mean square."""

from minigan.backend import get_device
from minigan.layers import Conv2D, LeakyReLU, Sequential
from minigan.model import PICTURE, Measure, Model
from minigan.optim import Adam


class Denoiser(Model):
    arrays = {"real": PICTURE}
    batch_size = 16
    applied, multiple = ("F",), 1
    measures = {"loss": Measure("mean square", "loss", "positive")}

    def __init__(self, shape, width: int = 8, lr: float = 2e-3, *, rng, device="cpu"):
        self.device = get_device(device)
        c = shape[-1]
        sizes = ((c, width), (width, width), (width, c))
        first, second, last = (Conv2D(a, b, 3, padding=1, rng=rng) for a, b in sizes)
        layers = (first, LeakyReLU(), second, LeakyReLU(), last)
        self.networks = {"F": Sequential(*layers).to(self.device)}
        self.optimizers = {"F": Adam(self.networks["F"].parameters(), lr)}

    def step(self, next_batch, rng, now):
        real = next_batch()["real"]
        noise = 0.3 * rng.standard_normal(real.shape, dtype="float32")
        network = self.networks["F"]
        network.parameters().grads.fill(0)
        y, cache = network.forward(real + noise)
        error = y - noise
        network.backward(2 * error / error.size, cache)
        self.optimizers["F"].step()
        return {"loss": (error * error).mean()}

    def apply(self, x):
        return x - self.networks["F"].output(x, train=False)

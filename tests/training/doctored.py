"""Doctors of the GANs that ship, and records of runs that go well and of runs that don't."""

import math
from dataclasses import replace

import numpy as np

from minigan.data import open_dataset
from minigan.gans import MODELS
from minigan.losses import Minimax
from minigan.model import Exhibit
from minigan.options import arguments_of
from minigan.training.doctor import Doctor
from minigan.training.settings import RunConfig

SMALL = {"latent_dim": 3, "features": 2}
DENSE = ("gan", "cgan")
OWN = {
    name: ({} if name in DENSE else SMALL) | ({"n_classes": 2} if "label" in cls.arrays else {})
    for name, cls in MODELS.items()
}
OWN["biggan"] = {"latent_dim": 4, "features": 1}
SHAPES = dict.fromkeys(DENSE, (2,)) | {"biggan": (32, 32, 1)}  # the dense networks for pictures are large
DIGITS = open_dataset("digits", limit=128)
REAL, OTHERS = DIGITS.batch(np.arange(64)), DIGITS.batch(np.arange(64, 128))
KINDS = ("saturated", "vanishing", "silent", "weights", "loss", "penalty")


def make(model="dcgan", real=REAL, device="cpu", shape=None, batch_size=64, changes=None, **given):
    """A doctor of a GAN; the configuration holds every option, as that of the command line does."""
    shape = shape or SHAPES.get(model, (16, 16, 1))
    args = {name: argument.default for name, argument in arguments_of(MODELS[model]).items()}
    args |= OWN.get(model, SMALL) | given
    gan = MODELS[model](shape, **args, rng=np.random.default_rng(0), device=device)
    config = RunConfig(model, args, "digits", {"real": shape}, {"data": 1000}, batch_size, 20_000)
    return doctor_of(gan, replace(config, **changes or {}), real)


def doctor_of(model, config, real=None):
    """A doctor that is given these real samples for each exhibit, or none. Each network has been updated once."""
    for optimizer in model.optimizers.values():
        optimizer.t = 1
    return Doctor(model, config, None if real is None else lambda array, n: real[:n])


def healthy(step, doctor, noise=0.0):
    """A record like those of runs that go well, of any of these GANs."""
    probability = isinstance(doctor.context.model.games[0].objective, Minimax)
    return {
        "step": step,
        "d_loss": 0.9 * math.exp(noise),
        "g_loss": 1.2 * math.exp(-noise),
        "d_real": 0.7 if probability else 0.6,
        "d_fake": 0.3 if probability else -0.6,
        "gradients": dict.fromkeys(places(doctor), 0.05 * math.exp(noise)),
        "weights": {name: rms * math.exp(abs(noise)) for name, rms in doctor.context.initial.items()},
        "penalty": math.exp(noise),
    }


def places(doctor):
    """The layers that have parameters."""
    return [place for place, layer in doctor.context.layers() if layer.parameter_names]


def sick(record, what):
    """The record, with one thing wrong."""
    layers = record["gradients"]
    wrong = {
        "saturated": {"d_loss": 1e-6, "d_real": 0.9999, "d_fake": 1e-5},
        "vanishing": {"gradients": {place: norm * (1e-6 if place[0] == "G" else 1) for place, norm in layers.items()}},
        "silent": {"gradients": layers | {next(iter(layers)): 0.0}},
        "weights": {"weights": record["weights"] | {"D": 500.0}},
        "loss": {"d_loss": 1e7},
        "penalty": {"penalty": 1e5},
    }
    return record | wrong[what]


def say(doctor, records):
    """What is said of records, with the step."""
    return [(record["step"], note) for record in records for note in doctor.check(record)]


def exhibit(samples):
    """What these GANs show."""
    return {"samples": Exhibit(samples, like="real")}


def look(doctor, *samples, start=100):
    """Diversity, or NaN, and notes for samples at every hundredth step."""
    found = [doctor.inspect(start + 100 * i, exhibit(x)) for i, x in enumerate(samples)]
    return [(numbers.get("diversity", math.nan), notes) for numbers, notes in found]


def said(found):
    """The notes of `look`."""
    return [note for _, notes in found for note in notes]


def gray(amount):
    """An untrained generator: the same for all z, but for a little of everything."""
    return np.float32(amount) * (OTHERS - OTHERS.mean(axis=0)) - 0.5

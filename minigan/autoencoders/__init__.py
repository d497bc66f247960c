"""Models that encode pictures, one file each. `MODELS` maps each command-line name to its class."""

from typing import Any

from minigan.autoencoders.ganomaly import GANomaly
from minigan.autoencoders.vae import VAE
from minigan.autoencoders.vaegan import VAEGAN

MODELS: dict[str, type[Any]] = {"vae": VAE, "vaegan": VAEGAN, "ganomaly": GANomaly}

__all__ = ["MODELS", "VAE", "VAEGAN", "GANomaly"]

"""One file per published GAN. `MODELS` maps the name on the command line to the class."""

from minigan.gans.dcgan import DCGAN
from minigan.gans.gan import GAN

MODELS = {"gan": GAN, "dcgan": DCGAN}

__all__ = ["DCGAN", "GAN", "MODELS"]

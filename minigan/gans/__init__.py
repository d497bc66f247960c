"""One file per published GAN. `MODELS` maps the name on the command line to the class."""

from minigan.gans.dcgan import DCGAN
from minigan.gans.gan import GAN
from minigan.gans.lsgan import LSGAN
from minigan.gans.wgan import WGAN

MODELS = {
    "gan": GAN,
    "dcgan": DCGAN,
    "lsgan": LSGAN,
    "wgan": WGAN,
}

__all__ = ["DCGAN", "GAN", "LSGAN", "MODELS", "WGAN"]

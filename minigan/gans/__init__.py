"""The GANs, one file per paper. `MODELS` maps each command-line name to its class."""

from typing import Any

from minigan.gans.biggan import BigGAN
from minigan.gans.cdcgan import CDCGAN
from minigan.gans.cgan import CGAN
from minigan.gans.dcgan import DCGAN
from minigan.gans.gan import GAN
from minigan.gans.lapgan import LAPGAN
from minigan.gans.lsgan import LSGAN
from minigan.gans.progan import ProGAN
from minigan.gans.sngan import SNGAN
from minigan.gans.stylegan import StyleGAN
from minigan.gans.stylegan2 import StyleGAN2
from minigan.gans.wgan import WGAN
from minigan.gans.wgan_gp import WGANGP

MODELS: dict[str, type[Any]] = {  # Any: their constructors differ
    "gan": GAN,
    "dcgan": DCGAN,
    "lsgan": LSGAN,
    "wgan": WGAN,
    "wgan-gp": WGANGP,
    "sngan": SNGAN,
    "biggan": BigGAN,
    "cgan": CGAN,
    "cdcgan": CDCGAN,
    "lapgan": LAPGAN,
    "progan": ProGAN,
    "stylegan": StyleGAN,
    "stylegan2": StyleGAN2,
}

__all__ = [
    "BigGAN",
    "CDCGAN",
    "CGAN",
    "DCGAN",
    "GAN",
    "LAPGAN",
    "LSGAN",
    "MODELS",
    "ProGAN",
    "SNGAN",
    "StyleGAN",
    "StyleGAN2",
    "WGAN",
    "WGANGP",
]

"""Models that make pictures of pictures, one file each. `MODELS` maps each command-line name to its class."""

from typing import Any

from minigan.translators.cyclegan import CycleGAN
from minigan.translators.pix2pix import Pix2Pix
from minigan.translators.restore import Restore
from minigan.translators.srgan import SRGAN
from minigan.translators.srresnet import SRResNet

MODELS: dict[str, type[Any]] = {
    "pix2pix": Pix2Pix,
    "cyclegan": CycleGAN,
    "restore": Restore,
    "srresnet": SRResNet,
    "srgan": SRGAN,
}

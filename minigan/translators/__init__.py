"""Models that make pictures of pictures, one file each. `MODELS` maps each command-line name to its class."""

from typing import Any

from minigan.translators.cyclegan import CycleGAN
from minigan.translators.pix2pix import Pix2Pix
from minigan.translators.restore import Restore

MODELS: dict[str, type[Any]] = {"pix2pix": Pix2Pix, "cyclegan": CycleGAN, "restore": Restore}

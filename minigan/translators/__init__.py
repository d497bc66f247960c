"""Models that make pictures of pictures, one file each. `MODELS` maps each command-line name to its class."""

from typing import Any

from minigan.translators.cyclegan import CycleGAN

MODELS: dict[str, type[Any]] = {"cyclegan": CycleGAN}

"""All models of the package: `MODELS` maps each command-line name to its class."""

from typing import Any

from minigan import autoencoders, gans, translators

MODELS: dict[str, type[Any]] = {**gans.MODELS, **translators.MODELS, **autoencoders.MODELS}

"""A trained network that ships with the package: `minigan apply enlarge photo.jpg` makes a photo twice as large.

It is `srresnet --scale 2 --preset small`. examples/train_enlarger.py trained it on photographs of sunflowers whose
license, Creative Commons Attribution 2.0, allows this; enlarge_attribution.txt names the photographers.
docs/super-resolution.md has its scores.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import Device
from minigan.errors import CheckpointError
from minigan.metrics.classifier import read_weights
from minigan.translators.srresnet import SRResNet

NAME = "enlarge"
SIDE = 48  # pixels of the crops of training
OPTIONS: dict[str, Any] = {"scale": 2, "preset": "small"}
MAKER = "examples/train_enlarger.py"


def is_ready(run: Path) -> bool:
    """Whether the name of a run is that of the network that ships. A folder of this name comes first."""
    return str(run) == NAME and not run.exists()


def enlarger(device: Device | str = "cpu", weights: str | os.PathLike | None = None) -> SRResNet:
    """Return a model whose `apply` makes pictures (N, H, W, 1 or 3) twice as high and wide.

    weights: a file that examples/train_enlarger.py wrote, by default the one in the package

    Raises CheckpointError if the file is missing or damaged, or has the weights of another network.
    """
    path = files("minigan.apply") / "enlarge.npz" if weights is None else Path(weights)
    model = SRResNet((SIDE, SIDE, 3), **OPTIONS, rng=np.random.default_rng(0), device=device)
    try:
        model.networks["G"].load_state_dict(read_weights(path, "the enlarging network", MAKER))
    except CheckpointError as error:
        raise CheckpointError(f"{path} can't be used: {error}") from error
    return model

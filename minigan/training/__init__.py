"""The training loop: progress, records, exhibits, checkpoints, and resuming a run."""

from minigan.training.build import build_model, open_model
from minigan.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from minigan.training.folder import RunFolder
from minigan.training.run import Run
from minigan.training.session import train
from minigan.training.settings import RunConfig, TrainingError

__all__ = [
    "Checkpoint",
    "Run",
    "RunConfig",
    "RunFolder",
    "TrainingError",
    "build_model",
    "load_checkpoint",
    "open_model",
    "save_checkpoint",
    "train",
]

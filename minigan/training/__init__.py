"""The loop around a GAN: progress, records, pictures, checkpoints, and going on where a run stopped."""

from minigan.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from minigan.training.run import RunConfig, RunFolder, TrainingError
from minigan.training.trainer import Trainer

__all__ = [
    "Checkpoint",
    "RunConfig",
    "RunFolder",
    "Trainer",
    "TrainingError",
    "load_checkpoint",
    "save_checkpoint",
]

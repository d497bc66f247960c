"""How good are the samples."""

from minigan.metrics.inception_score import InceptionScore
from minigan.metrics.kernel_distance import kernel_distance
from minigan.metrics.manifold import nearest, precision_recall
from minigan.metrics.mixture import modes_and_quality
from minigan.metrics.moments import Moments, frechet_distance
from minigan.metrics.similarity import psnr, ssim

__all__ = [
    "InceptionScore",
    "Moments",
    "frechet_distance",
    "kernel_distance",
    "modes_and_quality",
    "nearest",
    "precision_recall",
    "psnr",
    "ssim",
]

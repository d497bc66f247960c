"""How good are the samples."""

from minigan.metrics.mixture import modes_and_quality

__all__ = ["modes_and_quality"]

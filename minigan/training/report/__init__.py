"""The page of a run, report.html: one self-contained file that shows the state of the training."""

from minigan.training.report.page import Report, Status

__all__ = ["Report", "Status"]

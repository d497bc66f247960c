"""The page of a run, report.html: one file that tells how training goes, and needs nothing else."""

from minigan.training.report.page import Report, Status

__all__ = ["Report", "Status"]

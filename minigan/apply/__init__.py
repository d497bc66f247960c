"""Applies a trained network to pictures of any size and kind: the implementation of `minigan apply`, and its API."""

from minigan.apply.applier import Applier
from minigan.apply.batch import Job, Outcome, apply_all, apply_one, jobs
from minigan.apply.picture import Picture, read_picture, write_picture
from minigan.apply.reach import NotLocal, cut

__all__ = [
    "Applier",
    "Job",
    "NotLocal",
    "Outcome",
    "Picture",
    "apply_all",
    "apply_one",
    "cut",
    "jobs",
    "read_picture",
    "write_picture",
]

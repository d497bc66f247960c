"""Pictures of any size, kind and number through a trained network: `minigan apply`, and the same in Python."""

from minigan.apply.applier import Applier
from minigan.apply.output import write_picture
from minigan.apply.picture import Picture, read_picture
from minigan.apply.places import Job, jobs
from minigan.apply.reach import NotLocal, cut
from minigan.apply.work import Outcome, apply_all, apply_one

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

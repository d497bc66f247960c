"""Cheap checks while a model trains, which say in one sentence what is wrong and what to try.

The loss of a GAN doesn't fall as it gets better, so a run that has gone wrong looks like one that goes well. But some
things are sure signs, and cost next to nothing to look for: the norms of the gradients, the size of the weights, what a
critic makes of real and of generated data, and how different the samples are from one another.

A false alarm is worse than a late one. So a sign has to stay for a number of records before it is reported; it is
reported once, and again only when it has been gone for a while. The bounds are where no run of any model with its
defaults came near (tests/training/test_doctor_runs.py).

table.py has the list of all rules. To add one: write what it looks at, and a line in that list.
"""

from minigan.training.doctor.doctor import Doctor
from minigan.training.doctor.rule import Note, Sign

__all__ = ["Doctor", "Note", "Sign"]

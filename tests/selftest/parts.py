"""A part of a self-test on the stand-in for a GPU."""

import time

from minigan.selftest.part import Part
from minigan.testing import STRICT


def a_part(out=None, seconds=60.0, device=STRICT):
    return Part(device, time.monotonic() + seconds, out)

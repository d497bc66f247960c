"""Hypothesis profiles, and the devices that device tests run on.

HYPOTHESIS_PROFILE=thorough draws many more cases. In CI the cases are the same every time, so that a red build means a
changed program; elsewhere they are new ones, so that every run looks somewhere else.
"""

import os
import re
import signal
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings

from minigan.testing import devices_under_test

# Some tests press Ctrl-C or close the terminal, which a shell's background jobs and nohup ignore
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

FOLDERS = count()
DETERMINISTIC = bool(os.environ.get("CI"))
settings.register_profile(
    "default",
    max_examples=10,
    deadline=None,
    derandomize=DETERMINISTIC,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=300, derandomize=False)
# for faults that are planted (tests/faults): no time is spent on making a failing case smaller
settings.register_profile("faults", settings.get_profile("default"), phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session", autouse=True)
def files_are_not_flushed():
    """Writing doesn't wait for the disk, which only a power failure would show: a tenth of the time of all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        yield


@pytest.fixture
def tmp_path(request, tmp_path_factory):
    """An empty folder. pytest's own looks through all folders of the session for a free name, 3 ms after 3,000."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    return tmp_path_factory.mktemp(f"{next(FOLDERS)}-{name}", numbered=False)


@pytest.fixture(params=devices_under_test(), ids=str)
def device(request):
    """The host, the strict stand-in for a GPU, and a GPU if there is one."""
    return request.param

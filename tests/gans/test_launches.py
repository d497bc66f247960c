"""How often a step asks a device for something: each time costs the host some microseconds, and a GPU may wait."""

import pytest

from minigan.bench.workloads import WORKLOADS
from minigan.testing import STRICT
from minigan.testing.transfers import transfers

MOST = {"dcgan-16": 505, "wgan-gp-64": 537, "gan-28": 369, "norm-16": 49}


@pytest.mark.parametrize("name", MOST)
def test_a_step_asks_for_no_more_than_it_did(name):
    workload = WORKLOADS[name]
    step = workload.ready(workload.build(STRICT), 2, STRICT)
    step()  # Adam's vectors and the like
    before = transfers.launches
    step()
    assert transfers.launches - before <= MOST[name]

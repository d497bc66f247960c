"""Runs of the four small models that are killed at random end bit for bit like unbroken ones."""

import pytest
from trainings import DATA, training, try_training


@pytest.mark.slow
@pytest.mark.parametrize("model", DATA)
def test_twenty_kills_leave_no_trace(model):
    tally = try_training(training(model), kills=20)
    assert tally.problems == []
    assert tally.kills == 20

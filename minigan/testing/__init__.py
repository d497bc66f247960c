"""Tests for gradients: of minigan's layers, and of your own.

`check_layer`, `check_network`, `check_through` and `check_loss` compare hand-written gradients with finite differences.
`minigan.testing.strategies`, which needs Hypothesis, draws layers, geometries and inputs; `STRICT` stands in for a GPU.
"""

from minigan.testing.differences import GradientError
from minigan.testing.gradcheck import GradientReport, check_adjoint, check_layer, check_loss
from minigan.testing.networks import check_network, check_through
from minigan.testing.points import shake, smooth_point
from minigan.testing.promises import check_promises
from minigan.testing.report import check_cases, standard_cases
from minigan.testing.strict import STRICT, devices_under_test
from minigan.testing.transfers import forbid_transfers

__all__ = [
    "STRICT",
    "GradientError",
    "GradientReport",
    "check_adjoint",
    "check_cases",
    "check_layer",
    "check_loss",
    "check_network",
    "check_promises",
    "check_through",
    "devices_under_test",
    "forbid_transfers",
    "shake",
    "smooth_point",
    "standard_cases",
]

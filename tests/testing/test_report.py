"""The table that `minigan gradcheck` prints."""

import pytest

from minigan import layers
from minigan.errors import MiniganError
from minigan.layers import Layer
from minigan.testing import check_cases, standard_cases


def test_every_layer_has_a_case():
    every_layer = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    every_layer = {name for name in every_layer if issubclass(getattr(layers, name), Layer)}
    assert {type(case.layer).__name__ for case in standard_cases()} == every_layer - {"Layer", "Activation"}


@pytest.mark.slow
def test_every_gradient_is_exact():
    rows = list(check_cases())
    assert {row.name for row in rows} == {case.name for case in standard_cases()}
    assert all(row.first is None or row.first <= 1e-7 for row in rows)
    assert all(row.second <= 1e-6 for row in rows)
    assert all((row.first is None) == row.array.startswith("dy") for row in rows)


def test_layers_can_be_chosen_by_name():
    names = {row.name.split("(")[0] for row in check_cases(["Tanh", "Dense"])}
    assert names == {"Tanh", "Dense"}


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(MiniganError, match="no layer is called Conv3D: choose from .*BatchNorm, .*Conv2D"):
        list(check_cases(["Conv3D"]))

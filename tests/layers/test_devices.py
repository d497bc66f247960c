"""The same source on every array library: all three verbs of every layer, as on the host, without copying there."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigan.backend import CPU, array_module, to_numpy
from minigan.layers import Dropout, NoiseBias, Reparametrize
from minigan.testing import STRICT, devices_under_test, forbid_transfers
from minigan.testing.several import each, entries, is_float
from minigan.testing.strategies import LAYERS, networks


def three_verbs(layer, x, device, train, dtype):
    """y, dx, ddy, dx2, gradients and state of a layer on a device, copied to the host at the end."""
    layer = copy.deepcopy(layer).to(device, dtype)
    to_device = lambda a: device.array(a, dtype if is_float(a) else None)  # noqa: E731
    x = each(to_device, x)
    rng = np.random.default_rng(0)
    layer.parameters().zero_grad()
    with forbid_transfers():
        y, cache = layer.forward(x, train, device.rng(0))
        draw = lambda a: to_device(rng.standard_normal(a.shape)) if is_float(a) else None  # noqa: E731
        dy, ddx = each(draw, y), each(draw, x)
        dx = layer.backward(dy, cache)
        layer.backward(dy, cache, wrt="params")
        layer.backward(dy, cache, wrt="input")
        ddy, dx2 = layer.double_backward(ddx, dy, cache)
        results = {"grads": layer.parameters().grads}
    for name, result in {"y": y, "dx": dx, "ddy": ddy, "dx2": dx2}.items():
        results |= entries(name, result)
    for name, array in results.items():
        assert array is None or array_module(array) is device.xp, name
        assert array is None or array.dtype == dtype or not is_float(array), name
    results |= layer.state_dict()
    return {name: None if array is None else to_numpy(array) for name, array in results.items()}


def check_same_as_on_the_host(case, device, train, dtype=np.float64, tolerance=1e-12):
    draws = isinstance(case.layer, NoiseBias) or (train and isinstance(case.layer, (Dropout, Reparametrize)))
    if draws and device not in (CPU, STRICT):
        return  # another library draws other numbers
    host = three_verbs(case.layer, case.x, CPU, train, dtype)
    there = three_verbs(case.layer, case.x, device, train, dtype)
    assert host.keys() == there.keys()
    for name, array in host.items():
        if array is None:
            assert there[name] is None
        elif array.size:
            np.testing.assert_allclose(there[name], array, rtol=0, atol=tolerance * max(1, abs(array).max()))


other_devices = pytest.mark.parametrize("device", [one for one in devices_under_test() if one is not CPU], ids=str)


@other_devices
@pytest.mark.parametrize("name", LAYERS)
@given(data=st.data(), train=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_layer(name, device, data, train):
    check_same_as_on_the_host(data.draw(LAYERS[name]), device, train)


@other_devices
@given(case=networks(), train=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_network_in_float32(device, case, train):
    check_same_as_on_the_host(case, device, train, np.float32, 2e-3)


@given(case=networks())
def test_there_and_back_again(case):
    before = case.layer.state_dict()
    network = copy.deepcopy(case.layer).to(STRICT)
    assert array_module(network.parameters().values) is STRICT.xp
    twin = copy.deepcopy(network)
    network.load_state_dict(before)
    for moved in (network, twin.to(CPU)):
        assert all(np.array_equal(array, before[name]) for name, array in moved.state_dict().items())

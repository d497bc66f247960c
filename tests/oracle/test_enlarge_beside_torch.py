"""The network that examples/enlarge_beside_torch.py follows with PyTorch's functions is the one of minigan."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

SPEC = spec_from_file_location(
    "enlarge_beside_torch", Path(__file__).resolve().parents[2] / "examples" / "enlarge_beside_torch.py"
)
example = module_from_spec(SPEC)
SPEC.loader.exec_module(example)


def test_pytorchs_pass_is_that_of_minigan():
    """All weights, biases and slopes are large, so that each of them counts, and differ by channel."""
    model, rng = example.model(), np.random.default_rng(0)
    G = model.networks["G"]
    before = G.parameters().values.copy()
    G.parameters().values[...] += 0.05 * rng.standard_normal(before.shape).astype(np.float32)
    x = rng.uniform(-0.3, 0.3, (1, 9, 9, 3)).astype(np.float32)
    theirs = example.in_torch(G, 9)(x)
    np.testing.assert_allclose(theirs, model.apply(x), atol=2e-5)
    assert theirs.shape == (1, 36, 36, 3)
    G.parameters().values[...] = before
    assert np.abs(model.apply(x) - theirs).max() > 0.1

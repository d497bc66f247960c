"""failure.npz: the state before the step that failed, and its batches."""

from dataclasses import asdict

import numpy as np
import pytest
from failing import ARGS, SHAPE, N, build, data, layers, with_nan

from minigan.backend import to_numpy
from minigan.errors import CheckpointError
from minigan.testing import STRICT
from minigan.training import RunConfig
from minigan.training.npz_files import load_failure, save_failure

CONFIG = RunConfig("cdcgan", ARGS["cdcgan"], "digits", {"real": SHAPE}, {"data": 64}, N, 10)


def save(path, gan, batches, **more):
    state = {
        "model": CONFIG.model,
        "step": 6,
        "samples": 24,
        "phase": "whole",
        "seconds": 1.5,
        "config": asdict(CONFIG),
    }
    save_failure(path, gan, state | more, batches)


def test_a_failure_file_holds_the_state_and_the_batches_in_order(tmp_path):
    gan = build("cdcgan")
    batch = data(gan)()
    save(tmp_path / "failure.npz", gan, [batch | {"real": with_nan(batch["real"])}, batch])
    checkpoint, batches = load_failure(tmp_path / "failure.npz")
    other = build("cdcgan")
    layers(other)["G", "3"].W[...] = 0
    checkpoint.restore(other)
    assert np.array_equal(layers(other)["G", "3"].W, layers(gan)["G", "3"].W)
    assert checkpoint.state["config"]["model"] == "cdcgan"
    assert [np.isnan(one["real"]).sum() for one in batches] == [1, 0]
    assert all(np.array_equal(one["label"], batch["label"]) for one in batches)


@pytest.mark.parametrize("n", [1, 12])
def test_batches_of_any_arrays_in_any_number(tmp_path, n):
    """Ten and more of them, masks of bytes, arrays whose names have dots in them; from a device as well."""
    gan, rng = build("dcgan", STRICT), np.random.default_rng(0)
    batches = [
        {
            "a.b": rng.random((2, 3)),
            "mask": np.uint8(rng.integers(2, size=(2, 4))),
            "x": STRICT.array(rng.random(i + 1)),
        }
        for i in range(n)
    ]
    save(tmp_path / "failure.npz", gan, batches, model="dcgan")
    found = load_failure(tmp_path / "failure.npz")[1]
    assert len(found) == n
    for one, other in zip(found, batches, strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], to_numpy(other[name])) for name in one)
        assert one["mask"].dtype == np.uint8


def test_a_checkpoint_without_batches_is_refused(tmp_path):
    save(tmp_path / "some.npz", build("cdcgan"), [])
    with pytest.raises(CheckpointError, match="holds no batches: it is a checkpoint, but not of a step that failed"):
        load_failure(tmp_path / "some.npz")

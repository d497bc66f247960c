"""--init-from a run of another model: the networks that both have are copied, others begin anew."""

import numpy as np
import pytest
from translators import Enlarger, waves

from minigan.errors import CheckpointError
from minigan.layers import Conv2D, Sequential
from minigan.optim import Adam
from minigan.training import load_checkpoint, train

SHORT = {"n_steps": 2, "batch_size": 2, "img_size": 8, "quiet": True}
PICTURES = {"high": (127.5 * (1 + waves(6, 0, 12, 3))).astype(np.uint8)}


class Second(Enlarger):
    """An enlarger with one more network, which may begin with the weights of an `Enlarger`."""

    begins_with = ("translators.py:Enlarger",)

    def __init__(self, high_shape, colors: int = 3, *, rng, device="cpu"):
        super().__init__((8, 8, colors), rng=rng, device=device)
        self.networks["D"] = Sequential(Conv2D(3, 1, 3, rng=rng)).to(self.device)
        self.optimizers["D"] = Adam(self.networks["D"].parameters(), 1e-2)

    def step(self, next_batch, rng, now):
        return {"l1": next_batch()["high"].mean()}  # trains nothing


@pytest.fixture
def first(tmp_path):
    train(Enlarger, PICTURES, tmp_path / "first", **SHORT)
    return tmp_path / "first"


def test_shared_networks_are_copied_and_others_begin_anew(first, tmp_path):
    alone = train(Second, PICTURES, tmp_path / "alone", **SHORT).model
    run = train(Second, PICTURES, tmp_path / "second", init_from=first, **SHORT)
    saved = load_checkpoint(sorted((first / "checkpoints").iterdir())[-1]).arrays
    for name, a in run.model.networks["G"].state_dict().items():
        np.testing.assert_array_equal(a, saved[f"networks.G.{name}"])
    for name, a in run.model.networks["D"].state_dict().items():
        np.testing.assert_array_equal(a, alone.networks["D"].state_dict()[name])
    assert "first/checkpoints" in run.config.init_from


def test_the_same_model_has_all_of_its_networks(first, tmp_path):
    train(Second, PICTURES, tmp_path / "second", **SHORT)
    third = train(Second, PICTURES, tmp_path / "third", init_from=tmp_path / "second", **SHORT).model
    saved = load_checkpoint(sorted((tmp_path / "second" / "checkpoints").iterdir())[-1]).arrays
    np.testing.assert_array_equal(third.networks["D"].state_dict()["0.W"], saved["networks.D.0.W"])


def test_other_runs_are_refused(first, tmp_path):
    class Third(Second):
        begins_with = ("other.py:Other",)

    with pytest.raises(CheckpointError, match="is a checkpoint of translators.py:Enlarger, not of .* or other.py:Othe"):
        train(Third, PICTURES, tmp_path / "third", init_from=first, **SHORT)
    with pytest.raises(CheckpointError, match="of another model or size"):
        train(Second, PICTURES, tmp_path / "fourth", init_from=first, colors=1, **SHORT)

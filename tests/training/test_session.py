"""Training in a program: a model and arrays, in a folder."""

import json

import numpy as np
import pytest
from odd import DATA, Odd
from tiny import arrays_of, assert_same

from minigan.data import open_dataset
from minigan.errors import MiniganError
from minigan.gans import DCGAN, SNGAN
from minigan.training import RunFolder, train

TINY = {"features": 2, "latent_dim": 4, "batch_size": 8, "quiet": True}


def pictures(n=24, size=16):
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 1), dtype=np.uint8)


def test_a_class_and_an_array_are_enough(tmp_path):
    run = train(DCGAN, pictures(), tmp_path / "run", n_steps=3, **TINY)
    samples = run.model.generate(run.model.latent(5, run.model.device.rng(0)))
    assert samples.shape == (5, 16, 16, 1)
    config = RunFolder(tmp_path / "run").config()
    assert (config.model, config.shapes, config.samples) == ("dcgan", {"real": (16, 16, 1)}, {"data": 24})
    assert run.record["step"] == 3


@pytest.mark.parametrize("data", ["digits", {"real": pictures(), "label": np.arange(24) % 3}, None])
def test_data_is_a_name_a_dict_of_arrays_or_a_data_set(tmp_path, data):
    data = open_dataset("digits", limit=40) if data is None else data
    run = train(SNGAN, data, tmp_path / "run", labels=True, n_steps=1, img_size=16, augment=["crop"], **TINY)
    assert (run.folder.config().img_size, run.folder.config().augment) == ((16, 16), ("crop",))
    assert run.model.n_classes == (3 if isinstance(data, dict) else 10)


def test_a_run_that_goes_on_ends_like_an_unbroken_one(tmp_path):
    train(DCGAN, pictures(), tmp_path / "parts", n_steps=3, **TINY)
    parts = train(DCGAN, pictures(), tmp_path / "parts", n_steps=7, quiet=True, resume=True)
    whole = train(DCGAN, pictures(), tmp_path / "whole", n_steps=7, **TINY)
    assert_same(arrays_of(parts), arrays_of(whole))


def test_rules_of_thumb_are_printed_first_unless_quiet(tmp_path, capsys):
    class Explained(DCGAN):
        def heuristics(self, batch_size):
            return [f"`lr` is small, for batches of {batch_size}"]

    for quiet, said in ((False, "note: `lr` is small, for batches of 8\n"), (True, "")):
        train(Explained, pictures(), tmp_path / str(quiet), n_steps=1, **TINY | {"quiet": quiet})
        out = capsys.readouterr().out
        assert out.startswith(said) and bool(out) == bool(said)


def test_a_models_file_is_its_name(tmp_path):
    train(Odd, DATA, tmp_path / "run", n_steps=12, batch_size=4, quiet=True)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"] == "odd.py:Odd"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_step": 3}, "has no `n_step`: it takes"),
        ({"n_steps": 0}, "`n_steps` 0 is less than 1"),
        ({"n_steps": 2.5}, "`n_steps` 2.5 is not a number"),
        ({"lr_decay": "cosin"}, "`lr_decay` cosin is none of none, linear, half, cosine"),
        ({"augment": ("flop",)}, r"no augmentation 'flop': did you mean flip\?"),
        ({"lr": -1.0}, "`lr` -1.0 is not a number greater than 0"),
        ({"eval_samples": 50}, "add `eval_interval`"),
        ({"n_classes": 3}, "dcgan has no `n_classes`"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(tmp_path, given, said):
    with pytest.raises(MiniganError, match=said):
        train(DCGAN, pictures(), tmp_path / "run", **(TINY | {"n_steps": 1} | given))
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_run_is_refused(tmp_path):
    train(DCGAN, pictures(), tmp_path / "run", n_steps=1, **TINY)
    with pytest.raises(MiniganError, match="holds a run already"):
        train(DCGAN, pictures(), tmp_path / "run", n_steps=1, **TINY)

"""Exhibits, judgements and what a model can do besides leave every array as it was."""

import numpy as np
import pytest
import small_models
from small_models import Restorer, TwoSizes

from minigan.common.small_models import moments, random_batch
from minigan.data import HeldOut, hold_out, open_feeds
from minigan.model import Model, can
from minigan.training.checkpoint import model_arrays

SHAPES = {"ToTarget": (8, 8, 1), "Unpaired": (8, 8, 1), "TwoSizes": (8, 8, 1), "Restorer": (12, 8, 1)}
DATA = {"ToTarget": "pairs", "Unpaired": "unpaired", "TwoSizes": "pictures", "Restorer": "tall"}


def trained(name):
    """A model after a step in each phase, and four held-out items."""
    cls = getattr(small_models, name)
    shapes = dict.fromkeys(cls.arrays, SHAPES[name])
    given = {"shape": SHAPES[name]} if cls is TwoSizes else {f"{array}_shape": shape for array, shape in shapes.items()}
    model = cls(**given, rng=np.random.default_rng(0))
    batch = random_batch(model, shapes, 6, np.random.default_rng(1))
    for now in moments(model):
        model.step(lambda: batch, np.random.default_rng(2), now)
    sources = open_feeds(getattr(small_models, DATA[name])(), model.arrays)
    _, kept = hold_out(sources, 0)
    return model, HeldOut(kept, model.arrays, model.device, 0, getattr(model, "damage", None))


@pytest.mark.parametrize("name", SHAPES)
def test_looking_changes_nothing_and_is_the_same_every_time(name):
    model, held_out = trained(name)
    before = {key: np.copy(array) for key, array in model_arrays(model).items()}
    looks = []
    for _ in range(2):
        found = [exhibit.samples for exhibit in model.show(held_out, np.random.default_rng(3)).values()]
        found += list(model.judge(held_out, np.random.default_rng(3)).values())
        if can(model, "apply"):
            found.append(model.apply(next(iter(held_out[0].values()))))
        if can(model, "generate"):
            found.append(model.generate(model.latent(3, np.random.default_rng(4))))
        looks.append(found)
    for one, other in zip(*looks, strict=True):
        np.testing.assert_array_equal(one, other)
    after = model_arrays(model)
    assert before.keys() == after.keys()
    for key, array in before.items():
        np.testing.assert_array_equal(array, after[key], err_msg=key)


def test_held_out_items_keep_their_damage():
    _, held_out = trained("Restorer")
    assert len(held_out) == 4
    for i, item in enumerate(held_out):
        assert {key: array.shape for key, array in item.items()} == {
            "target": (1, 12, 8, 1),
            "input": (1, 12, 8, 1),
            "mask": (1, 12, 8, 1),
        }
        assert item["mask"].dtype == np.uint8 and item["mask"].sum() == 80
        np.testing.assert_array_equal(item["input"], held_out[i]["input"])
    assert len({held_out[i]["mask"].tobytes() for i in range(4)}) > 1


def test_what_isnt_written_is_left_out():
    assert [verb for verb in ("generate", "apply", "score") if can(Restorer, verb)] == ["apply"]
    assert [verb for verb in ("generate", "apply", "score") if can(Model, verb)] == []

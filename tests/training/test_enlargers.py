"""Models that enlarge: their judgements beside a baseline, their tables with stages, and cuts of both sizes."""

import numpy as np
import pytest
from test_translation_judges import JUDGED, held_out
from translators import Enlarger, waves

from minigan.data import ArrayDataset, Crops, HeldOut, open_feeds
from minigan.metrics import psnr
from minigan.training.translation import cut
from minigan.training.translation_judges import translation_judges
from minigan.training.translation_tables import translation_tables


def enlarger(n=3, size=17):
    """Held-out pictures of an odd size, of which `damage` cuts the last row and column."""
    model = Enlarger((size, size, 3), rng=np.random.default_rng(0))
    return model, held_out(model, {"high": waves(n, 1, size, 3)})


def test_the_baseline_takes_the_place_of_the_source():
    model, items = enlarger()
    (judge,) = translation_judges(model, items, JUDGED)
    found = judge(model)
    assert items[0]["high"].shape == (1, 16, 16, 3) and items[0]["low"].shape == (1, 8, 8, 3)
    of = [psnr(model.baseline(item)["high"], item["high"], 2)[0] for item in items]
    assert found["source_psnr"] == pytest.approx(np.mean(of), rel=1e-5)
    assert judge.judgements["source_psnr"].words == "PSNR of repeated" and not judge.judgements["source_psnr"].better


def test_a_table_has_low_baseline_stages_and_high():
    model, items = enlarger()
    (exhibit,) = translation_tables(model, items).values()
    assert exhibit.captions == ("low", "repeated", "half", "whole", "high")
    repeated = model.baseline(items[0])["high"]
    wanted = (repeated, repeated, 0.5 * model.output(items[0]["low"]), model.output(items[0]["low"]), items[0]["high"])
    for shown, x in zip(exhibit.samples, wanted, strict=False):
        np.testing.assert_array_equal(shown, x[0].clip(-1, 1))


def test_a_table_of_large_pictures_shows_one_place_in_all_columns(monkeypatch):
    monkeypatch.setattr("minigan.training.translation_tables.MOST_SIDE", 7)
    model, items = enlarger(2, 24)
    (exhibit,) = translation_tables(model, items).values()
    assert exhibit.samples.shape == (10, 6, 6, 3)
    np.testing.assert_array_equal(exhibit.samples[4], items[0]["high"][0, 8:14, 8:14])
    np.testing.assert_array_equal(exhibit.samples[1], items[0]["low"][0, 4:7, 4:7].repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(("array", "most", "low"), [("high", 12, (9, 13)), ("high", 13, (8, 12)), ("low", 4, (9, 13))])
def test_a_cut_keeps_the_same_part_of_both_sizes(array, most, low):
    high = np.arange(3 * 22 * 3 * 22).reshape(1, 66, 66, 1)
    item = {"high": high, "low": high[:, ::3, ::3], "other": np.zeros((1, 5, 7, 1)), "label": np.zeros(1)}
    found = cut(item, array, most, most)
    np.testing.assert_array_equal(found["low"], item["low"][:, slice(*low), slice(*low)])
    np.testing.assert_array_equal(found["low"], found["high"][:, ::3, ::3])
    assert found["other"].shape == (1, 5, 7, 1) and found["label"].shape == (1,)


def test_held_out_items_are_whole_pictures_and_training_sees_crops():
    model, _ = enlarger()
    data = Crops(ArrayDataset("high", waves(4, 2, 22, 3)), (8, 8))
    sources = open_feeds(data, model.arrays)
    assert HeldOut(sources, model.arrays, None, 0, model.damage)[0]["low"].shape == (1, 11, 11, 3)

"""Crops: where they are cut, that all arrays of a feed are cut alike, and that held-out items are whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minigan.data import ArrayDataset, Crops, Feeds, HeldOut, folder, hold_out, open_dataset, open_feeds
from minigan.errors import DataError
from minigan.model import MASK, PICTURE, POINTS

REAL = {"real": PICTURE}
PAIR = {"input": PICTURE, "target": PICTURE}


def marked(height, width, picture=0):
    """A picture whose pixel (i, j) has the color (i, j, picture), so that a crop shows where it is from."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, picture)], axis=-1).astype(np.uint8)


def places(batch):
    """Return (top, left, picture) of each crop, after checking that it is a window of one picture."""
    found = np.rint((batch + 1) * 127.5).astype(int)
    first = found[:, :1, :1]
    rows, columns = np.mgrid[: batch.shape[1], : batch.shape[2]]
    np.testing.assert_array_equal(found - first, np.broadcast_to(np.stack([rows, columns, 0 * rows], -1), found.shape))
    return [tuple(corner) for corner in first[:, 0, 0].tolist()]


@pytest.fixture
def pictures(tmp_path):
    for k, size in enumerate([(30, 50), (64, 33), (24, 20)]):
        Image.fromarray(marked(*size, k)).save(tmp_path / f"{k}.png")
    return tmp_path


def test_crops_keep_the_scale_and_reach_every_corner(pictures):
    sources = open_feeds(pictures, REAL, img_size=(24, 20), crops=True)
    with Feeds(sources, REAL, 300) as feeds:
        found = places(feeds.next(3000)["real"])
    for k, (down, across) in enumerate([(6, 30), (40, 13), (0, 0)]):
        corners = np.array([place[:2] for place in found if place[2] == k])
        assert corners.min(axis=0).tolist() == [0, 0] and corners.max(axis=0).tolist() == [down, across]
        middle = corners.mean(axis=0) - (down / 2, across / 2)
        assert (abs(middle) < 0.1 + 0.05 * np.array([down, across])).all()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 25))
def test_a_crop_depends_on_the_sample_only(cuts, start):
    data = np.stack([marked(9, 8, k) for k in range(4)])
    sources = open_feeds(data, REAL, img_size=5, crops=True)
    with Feeds(sources, REAL, 5, 1) as whole, Feeds(sources, REAL, 3, 1, position=start) as cut:
        expected = whole.next(start + sum(cuts))["real"][start:]
        np.testing.assert_array_equal(np.concatenate([cut.next(n)["real"] for n in cuts]), expected)


def test_every_epoch_has_other_crops():
    sources = open_feeds(marked(200, 200)[None], REAL, img_size=5, crops=True)
    with Feeds(sources, REAL, 20) as feeds:
        assert len(set(places(feeds.next()["real"]))) == 20


def test_arrays_of_a_feed_are_cut_at_the_same_places():
    data = np.stack([marked(12, 17, k) for k in range(6)])
    sources = open_feeds((data, data[:, ::-1, ::-1]), PAIR, img_size=8, crops=True)
    with Feeds(sources, PAIR, 30) as feeds:
        batch = feeds.next()
    one = places(batch["input"])
    other = places(batch["target"][:, ::-1, ::-1])  # turned by 180 degrees: the corner is the one opposite
    assert other == [(12 - 8 - top, 17 - 8 - left, k) for top, left, k in one]
    assert len(set(one)) > 15


def test_held_out_items_are_whole_and_of_both_arrays():
    data = np.stack([marked(12, 17, k) for k in range(6)])
    training, kept = hold_out(open_feeds((data, data), PAIR, img_size=8, crops=True), 0)
    (item,) = HeldOut(kept, PAIR)
    assert item["input"].shape == (1, 12, 17, 3)
    np.testing.assert_array_equal(item["input"], item["target"])
    assert training["data"].shapes["input"] == kept["data"].shapes["input"] == (8, 8, 3)


def test_without_generators_crops_are_at_the_center(pictures):
    dataset = open_dataset(pictures, (24, 20), crops=True)
    assert places(dataset.batch(np.array([1, 0]))) == [(20, 7, 1), (3, 15, 0)]
    assert places(dataset.item(1)) == [(0, 0, 1)]
    assert dataset.item(1).shape == (1, 64, 33, 3)


def test_a_selection_has_the_crops_of_its_pictures(pictures):
    dataset = open_dataset(pictures, (24, 20), crops=True)
    dataset.batch(np.arange(3))
    some = dataset.select(np.array([2, 0]))
    assert (len(some), places(some.batch(np.arange(2)))) == (2, [(0, 0, 2), (3, 15, 0)])


def test_pictures_beyond_the_budget_are_decoded_again(pictures, monkeypatch):
    monkeypatch.setattr(folder, "CACHE_BUDGET", 64 * 33 * 3 + 24 * 20 * 3)
    dataset = open_dataset(pictures, (24, 20), crops=True)
    dataset.pictures._wholes.clear()
    for _ in range(2):
        assert [x.shape for x in dataset.pictures.wholes(np.array([1, 0, 1, 2]))] == [
            (64, 33, 3),
            (30, 50, 3),
            (64, 33, 3),
            (24, 20, 3),
        ]
    assert sum(x.nbytes for x in dataset.pictures._wholes.values()) <= folder.CACHE_BUDGET


def test_a_folder_s_note_says_what_is_cut(pictures, monkeypatch):
    (note,) = open_dataset(pictures, (24, 20), crops=True).notes
    assert note.startswith("training takes random crops of 24x20, of the pictures (30x50 to 64x33 in height x width)")
    assert not note.endswith("`limit`")
    monkeypatch.setattr(folder, "CACHE_BUDGET", 3000)
    (note,) = open_dataset(pictures, (24, 20), crops=True).notes
    assert note.endswith(
        "the rest is decoded again for every crop, which is slow: shrink them, or use fewer by `limit`"
    )
    assert open_dataset(pictures, (24, 20)).notes[0].startswith("2 of 3 pictures (30x50 to 64x33")


def test_points_and_named_sets_have_crops_if_any():
    assert open_feeds("ring", {"p": POINTS}, crops=True)["data"].shapes == {"p": (2,)}
    shapes = open_dataset("shapes", 24, crops=True)
    np.testing.assert_array_equal(shapes.item(3), open_dataset("shapes", 24).item(3))
    assert open_dataset("digits", 8, crops=True).shape == (8, 8, 1)
    assert open_dataset("digits", 8, crops=True).item(0).shape == (1, 16, 16, 1)
    assert open_dataset("digits", crops=True).shape == (16, 16, 1)


def test_pictures_that_are_smaller_than_the_crop_are_passed_over_with_a_count(pictures):
    dataset = open_dataset(pictures, (30, 30), crops=True)
    assert len(dataset) == 2 and {path.name for path in dataset.pictures.paths} == {"0.png", "1.png"}
    note = "1 of 3 pictures is passed over, smaller than crops of 30x30: a smaller `img_size` uses it"
    assert note in dataset.notes
    assert dataset.batch(np.array([0, 1])).shape == (2, 30, 30, 3)
    with pytest.raises(DataError, match="smaller than 30x30"):  # resized, not cut: a picture isn't enlarged
        open_dataset(pictures, (30, 30))


@pytest.mark.parametrize(
    ("open_it", "sentence"),
    [
        (lambda root: open_dataset(root, 40, crops=True), "smaller than 40x40: use `img_size` 30 or less"),
        (lambda root: open_dataset("digits", 20, crops=True), "digits has pictures of 16x16, and no crops of 20x20"),
        (
            lambda root: open_feeds(np.zeros((3, 8, 8), np.uint8), {"m": MASK}, 4, crops=True),
            "is a mask, and masks can't be cut into crops",
        ),
        (
            lambda root: Crops(ArrayDataset("mine", np.zeros((2, 8, 8), np.uint8)), (9, 4)).batch(np.array([1])),
            "mine: a picture of 8x8 has no crop of 9x4",
        ),
    ],
)
def test_pictures_smaller_than_the_crop_are_refused(pictures, open_it, sentence):
    with pytest.raises(DataError, match=sentence):
        open_it(pictures)

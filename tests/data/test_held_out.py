"""Items that training doesn't see: which they are, that they are whole, and what is drawn for them."""

import numpy as np
import pytest
from PIL import Image

from minigan.data import Feeds, HeldOut, hold_out, open_feeds, open_own_parts
from minigan.errors import DataError
from minigan.model import LABEL, PICTURE, SAMPLES, Kind

NUMBERS = Kind("numbers")
KINDS = {"x": NUMBERS, "other": Kind("numbers", "other")}
REAL = {"real": SAMPLES}


def numbered(x=100, other=30):
    return open_feeds((np.arange(x), np.arange(other)), KINDS)


def numbers(source, array):
    return source.read(np.arange(len(source)))[array].astype(int).tolist()


def test_a_tenth_of_each_feed_is_taken_out_of_training():
    sources = numbered()
    training, held_out = hold_out(sources, seed=0)
    for array, feed, n in (("x", "data", 100), ("other", "other", 30)):
        assert len(held_out[feed]) == n // 10
        assert sorted(numbers(training[feed], array) + numbers(held_out[feed], array)) == list(range(n))
    again, other = hold_out(numbered(), 0)[1], hold_out(numbered(), 1)[1]
    assert numbers(held_out["data"], "x") == numbers(again["data"], "x") != numbers(other["data"], "x")


def test_what_is_given_is_held_out_instead():
    sources, given = numbered(), numbered(7, 5)
    training, held_out = hold_out(sources, 0, {"other": given["other"]})
    assert (training["other"], held_out["other"]) == (sources["other"], given["other"])
    assert len(held_out["data"]) == 10


def test_of_few_samples_one_is_held_out_and_of_one_none_can_be():
    training, held_out = hold_out(numbered(2, 3), 0)
    assert [len(source) for source in (*training.values(), *held_out.values())] == [1, 2, 1, 1]
    with pytest.raises(DataError, match="arrays has a single sample, and one has to be held out"):
        hold_out(numbered(1, 3), 0)


def test_items_are_batches_of_one_and_shorter_feeds_begin_again():
    items = HeldOut(numbered(5, 2), KINDS)
    assert [(int(item["x"][0]), int(item["other"][0])) for item in items] == [(0, 0), (1, 1), (2, 0), (3, 1), (4, 0)]
    assert items[-1]["x"].shape == (1,)
    assert [item["x"].tolist() for item in items[1:3]] == [[1], [2]]
    with pytest.raises(IndexError, match="there are 5 held-out items, and item 5 is none of them"):
        items[5]
    assert len(HeldOut({}, KINDS)) == 0


def test_damage_of_an_item_is_always_the_same_and_not_that_of_training():
    def noise(item, rng):
        return {"noise": rng.standard_normal(3)}

    sources = numbered(4, 4)
    items = HeldOut(sources, KINDS, seed=5, damage=noise)
    drawn = [item["noise"] for item in items]
    assert drawn[0].shape == (1, 3) and drawn[0].dtype == np.float32
    assert len(np.unique(np.concatenate(drawn), axis=0)) == 4
    np.testing.assert_array_equal(items[2]["noise"], drawn[2])
    with Feeds(sources, KINDS, 4, seed=5, damage=noise) as feeds:
        assert not np.isin(feeds.next()["noise"], np.concatenate(drawn)).any()


def test_items_go_to_the_device(device):
    item = HeldOut(numbered(), KINDS, device)[3]
    assert {type(x) for x in item.values()} == {type(device.array(np.zeros(1)))}


def save(root, names, size=(48, 40)):
    for k, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (10 * k, 0, 0)).save(path)
    return root


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train/0.png", "test/1.png", "test/2.png", "val/3.png"], 1),
        (["train/0.png", "test/1.png", "test/2.png"], 2),
        (["0.png", "1.png"], None),
    ],
)
def test_a_set_s_own_part_is_val_or_else_test(tmp_path, names, expected):
    found = open_own_parts(save(tmp_path / "set", names), {"real": PICTURE}, img_size=32, crops=True)
    assert {feed: len(source) for feed, source in found.items()} == ({} if expected is None else {"data": expected})
    for source in found.values():
        assert HeldOut(found, {"real": PICTURE})[0]["real"].shape == (1, 40, 48, 3)
        assert source.shapes["real"] == (32, 32, 3)


def test_own_parts_of_arrays_names_and_several_feeds(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.zeros((9, 8, 8), np.uint8), x_test=np.zeros((4, 8, 8), np.uint8))
    np.savez(tmp_path / "b.npz", x=np.zeros((9, 8, 8), np.uint8))
    kinds = {"a": Kind("picture", "a"), "b": Kind("picture", "b")}
    found = open_own_parts({"a": tmp_path / "a.npz", "b": tmp_path / "b.npz"}, kinds)
    assert {feed: len(source) for feed, source in found.items()} == {"a": 4}
    pair = {"input": PICTURE, "target": PICTURE}
    assert len(open_own_parts({"input": tmp_path / "a.npz", "target": tmp_path / "a.npz"}, pair)["data"]) == 4
    assert open_own_parts({"input": tmp_path / "a.npz", "target": tmp_path / "b.npz"}, pair) == {}
    assert open_own_parts("digits", REAL) == {}
    assert open_own_parts(np.zeros((9, 8, 8), np.uint8), REAL) == {}
    drawn = open_own_parts("shapes", REAL, seed=1)["data"].read(np.arange(8))["real"]
    assert (drawn != open_feeds("shapes", REAL, seed=1)["data"].read(np.arange(8))["real"]).any()


def test_a_single_idx_file_is_of_one_part(tmp_path):
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (6, 8, 8))
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(header + bytes(6 * 64))
    assert open_own_parts(tmp_path / "train-images-idx3-ubyte", REAL) == {}
    assert len(open_own_parts(tmp_path, REAL)["data"]) == 6


def test_a_damaged_own_part_is_not_passed_over(tmp_path):
    save(tmp_path, ["train/0.png", "val/1.png"])
    (tmp_path / "val" / "1.png").write_text("no picture")
    with pytest.raises(DataError, match="1.png is not a picture"):
        open_own_parts(tmp_path, {"real": PICTURE, "label": LABEL})

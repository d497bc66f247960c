import numpy as np
import pytest

from minigan.data.dataset import ArrayDataset
from minigan.data.pictures import fit_array
from minigan.errors import DataError


def test_bytes_become_the_unit_range_exactly():
    values = np.array([0, 255, 51], np.uint8).reshape(3, 1, 1, 1)
    x = ArrayDataset("a", values).batch(np.arange(3))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.ravel(), [-1, 1, -0.6], atol=1e-7)


def test_a_batch_is_a_copy():
    dataset = ArrayDataset("a", np.zeros((3, 2), np.float32))
    dataset.batch(np.arange(3))[:] = 1
    assert not dataset.samples.any()


def test_select_keeps_samples_and_labels_together():
    pictures = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    chosen = ArrayDataset("a", pictures, np.arange(5)).select(np.array([3, 1]))
    assert chosen.samples.ravel().tolist() == chosen.labels.tolist() == [3, 1]


def test_describe():
    pictures = np.zeros((1200, 4, 4, 3), np.uint8)
    assert ArrayDataset("a", pictures, classes=["x", "y"]).describe() == "a: 1,200 pictures of 4x4x3, 2 classes"
    assert ArrayDataset("b", np.zeros((3, 2), np.float32)).describe() == "b: 3 points of 2 coordinates"


@pytest.mark.parametrize(
    ("samples", "labels", "what"),
    [
        (np.zeros((0, 2, 2, 1), np.uint8), None, "no samples"),
        (np.zeros((3, 2, 2, 1), np.uint8), np.zeros(2), r"3 samples want as many labels, got shape \(2,\)"),
        (np.zeros((3, 7, 8, 5)), None, "expected pictures"),
    ],
)
def test_what_is_no_data_set_is_refused(samples, labels, what):
    with pytest.raises(DataError, match=what):
        ArrayDataset("a", samples, labels)


def test_fit_makes_squares_from_the_center():
    wide = np.zeros((1, 8, 16, 1), np.uint8)
    wide[:, :, 4:12] = 200  # the middle half is all that a square keeps
    square = fit_array(wide, 4, None, "a")
    assert square.shape == (1, 4, 4, 1)
    np.testing.assert_allclose(square, 200, atol=10)  # the filter sees a little of what is cut off


def test_gray_becomes_color_without_memory_and_color_becomes_luma():
    gray = np.full((2, 4, 4, 1), 7, np.uint8)
    color = fit_array(gray, None, 3, "a")
    assert color.shape == (2, 4, 4, 3)
    assert (color == 7).all()
    assert np.shares_memory(color, gray)
    green = np.zeros((1, 2, 2, 3), np.uint8)
    green[..., 1] = 255
    assert (fit_array(green, None, 1, "a") == 150).all()  # 0.587 * 255


def test_fit_refuses_what_memory_cannot_hold():
    many = np.broadcast_to(np.uint8(0), (60_000, 28, 28, 3))
    with pytest.raises(DataError, match="takes 43.9 GiB of memory: use a smaller `img_size`"):
        fit_array(many, 512, None, "a")

"""Where results go, and that no input is ever written over."""

import os
from pathlib import Path

import numpy as np
import pytest
from appliers import photo, save

from minigan.apply import jobs
from minigan.errors import DataError


@pytest.fixture(autouse=True)
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.jpg", "photos/cats/b.png", "photos/cats/.hidden.png", "one.png"):
        save(Path(name), photo(8, 8))
    np.save("photos/c.npy", np.zeros((2, 2), np.float32))
    Path("photos/notes.txt").write_text("no picture")


def planned(*inputs, out):
    work, notes = jobs([Path(name) for name in inputs], Path(out))
    return {str(job.source): str(job.target) for job in work}, notes


def test_folders_keep_their_structure():
    work, notes = planned("photos", "one.png", out="out")
    assert work == {
        "photos/a.jpg": "out/a.png",
        "photos/c.npy": "out/c.npy",
        "photos/cats/b.png": "out/cats/b.png",
        "one.png": "out/one.png",
    }
    assert notes == ("1 file is passed over: 1 .txt",)


def test_one_file_becomes_one_file_or_goes_into_a_folder():
    assert planned("one.png", out="two.tif")[0] == {"one.png": "two.tif"}
    assert planned("one.png", out="two")[0] == {"one.png": "two/one.png"}
    assert planned("photos/a.jpg", out="photos")[0] == {"photos/a.jpg": "photos/a.png"}


def test_results_inside_of_the_folder_are_no_inputs():
    save(Path("photos/out/a.png"), photo(8, 8))
    assert "photos/out/a.png" not in planned("photos", out="photos/out")[0]
    assert planned("photos/cats", out="photos")[0] == {"photos/cats/b.png": "photos/b.png"}


def test_an_input_is_never_written_over():
    with pytest.raises(DataError, match="is the input one.png, which is never overwritten"):
        planned("one.png", out="one.png")
    with pytest.raises(DataError, match="never overwritten"):
        planned("one.png", out=".")
    with pytest.raises(DataError, match="where the pictures are"):
        planned("photos", out="./photos/../photos")


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_nor_by_a_link(link):
    link(os.path.abspath("one.png"), "link.png")
    with pytest.raises(DataError, match="never overwritten"):
        planned("one.png", out="link.png")
    os.symlink(os.path.abspath("photos"), "other")
    with pytest.raises(DataError, match="where the pictures are"):
        planned("photos", out="other")


def test_two_inputs_with_one_output_are_refused():
    save(Path("photos/a.png"), photo(8, 8))
    with pytest.raises(DataError, match=r"photos/a.* and photos/a.* would both become out/a\.png"):
        planned("photos", out="out")
    save(Path("upper/ONE.png"), photo(8, 8))
    with pytest.raises(DataError, match="would both become"):
        planned("one.png", "upper/ONE.png", out="out")


@pytest.mark.parametrize(
    "inputs, out, why",
    [
        (["photos", "one.png"], "one.png", "is a file"),
        (["photos"], "one.png", "is a file"),
        (["photos"], "new.png", "is the name of a file"),
        (["missing.png"], "out", "there is no file missing.png"),
        (["one.png"], "out.gif", r"out.gif can't be written: call it .png"),
        (["empty"], "out", "no pictures in empty"),
    ],
)
def test_refusals(inputs, out, why):
    Path("empty").mkdir()
    with pytest.raises(DataError, match=why):
        planned(*inputs, out=out)
    assert not Path("out").exists()

"""Real pictures and the nearest training pictures: they are found, written by a run, and on its page."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conditional import TinyConditional
from pages import Page
from tiny import CONFIG, make_run, train

from minigan.data.decode import decode_whole
from minigan.training.memorization import Memorization, nearest


@pytest.mark.parametrize("size", [8, 70])  # 70 pixels are reduced to 23
def test_planted_copies_are_found_and_a_picture_is_not_its_own_neighbor(size):
    rng = np.random.default_rng(0)
    data = rng.uniform(-1, 1, (700, size, size, 3)).astype(np.float32)  # more than are compared at once
    samples = np.concatenate([data[[600, 3]], rng.uniform(-1, 1, (2, size, size, 3))])
    found, distances, real = nearest(samples, lambda at: data[at], len(data), 0)
    assert list(found[:2]) == [600, 3] and (distances[:2] == 0).all()
    assert len(real) == 4 and (real > 0.1).all() and (distances[2:] > 0.1).all()


def test_distances_are_those_of_the_nearest():
    rng = np.random.default_rng(1)
    data, samples = rng.uniform(-1, 1, (9, 6, 5, 1)), rng.uniform(-1, 1, (20, 6, 5, 1))
    between = np.sqrt(np.square(samples[:, None] - data).mean(axis=(2, 3, 4)))
    found, distances, real = nearest(samples, lambda at: data[at], 9, 0)
    assert list(found) == list(between.argmin(axis=1))
    np.testing.assert_allclose(distances, between.min(axis=1), rtol=1e-5)
    among = np.sqrt(np.square(data[:, None] - data).mean(axis=(2, 3, 4))) + np.diag(np.full(9, 9.0))
    np.testing.assert_allclose(np.sort(real), np.sort(among.min(axis=1)), rtol=1e-5)


def test_a_finished_run_has_them_beside_its_samples(tmp_path):
    run = make_run(tmp_path / "r")
    train(run)
    found = Memorization.read(run.folder.memorization)
    assert (found.step, found.shown, found.compared, found.of) == (12, 16, 64, 64)
    assert 0 < found.real < found.samples < 2
    columns = (
        decode_whole(run.folder.nearest, 1)[2:, 2:].reshape(4, 66, 8, 66).transpose(0, 2, 1, 3)[:, :, :64:4, :64:4]
    )
    samples, pictures = columns[::2].reshape(16, 256) / 127.5 - 1, columns[1::2].reshape(16, 256) / 127.5 - 1
    data = run.gallery.real("real", 64).reshape(64, 256)
    assert all(np.abs(data - picture).max(axis=1).min() < 0.01 for picture in pictures)  # they are of the data
    distances = np.sqrt(np.square(samples - pictures).mean(axis=1))
    assert (np.diff(distances) > -0.01).all()  # the nearest first
    page = Page(run.folder.report.read_text(encoding="utf-8"))
    assert [image["alt"] for image in page.all("img")][1:3] == [
        "real pictures",
        "samples, and below each the nearest training picture",
    ]
    assert "Median distance from the nearest of all 64 training pictures" in page.text
    assert any(given.get("class") == "main beside" for given in page.all("div"))


def test_real_pictures_of_a_conditional_run_stand_in_the_column_of_their_class(tmp_path):
    config = replace(CONFIG, model="tiny.py:TinyConditional", model_args={"n_classes": 10}, limit=300)
    run = make_run(tmp_path / "r", config, cls=TinyConditional)
    train(run)
    columns = decode_whole(run.folder.real, 1)[2:, 2:].reshape(8, 66, 10, 66).transpose(0, 2, 1, 3)[:, :, :64:4, :64:4]
    rows = columns.reshape(80, 16, 16, 1) / 127.5 - 1
    (data,) = run.feeds.sources.values()
    every = data.read(np.arange(300))
    nearest_to = [np.square(every["real"] - row).sum(axis=(1, 2, 3)).argmin() for row in rows]
    assert list(every["label"][nearest_to]) == 8 * list(range(10))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"step": 1}', "\xff"])
def test_a_damaged_file_is_left_out(tmp_path, text):
    (tmp_path / "nearest.json").write_text(text, encoding="latin-1")
    assert Memorization.read(tmp_path / "nearest.json") is None
    good = Memorization(1, 2, 3, 4, 0.5, 0.25)
    (tmp_path / "nearest.json").write_text(good.text())
    assert Memorization.read(tmp_path / "nearest.json") == good
    (tmp_path / "nearest.json").write_text(json.dumps(json.loads(good.text()) | {"real": float("nan")}))
    assert Memorization.read(tmp_path / "nearest.json") is None

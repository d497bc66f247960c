"""The data of a run: one set or one for each feed, what is held out, and what must not change."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from odd import DATA, ODD, Odd
from PIL import Image
from tiny import CONFIG

from minigan.backend import get_device
from minigan.data.palette import distinct_colors
from minigan.errors import DataError
from minigan.layers import Dense
from minigan.model import MAP, PICTURE, Model
from minigan.optim import SGD
from minigan.training import TrainingError, train
from minigan.training.settings import parse_config
from minigan.training.sources import IN_MEMORY, absolute, by_feed, check_sources, open_data, open_sources


class Holding(Odd):
    holds_out = True


def test_data_may_be_given_feed_by_feed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("summer=hot").mkdir()
    assert by_feed("a=summer,b=winter") == {"a": "summer", "b": "winter"}
    assert by_feed("summer=hot") == "summer=hot"  # a folder
    assert by_feed("digits") == "digits"
    assert absolute("a=./x,b=digits") == f"a={tmp_path}/x,b=digits"
    assert absolute("my_data.py:make") == "my_data.py:make"
    sources = open_data(replace(ODD, data="first=ring,second=grid", limit=30), Odd)
    assert {feed: source.name for feed, source in sources.items()} == {"first": "ring", "second": "grid"}


def test_a_tenth_is_held_out_where_a_model_wants_it():
    assert open_sources(ODD, Odd, DATA)[1] == {}
    training, kept = open_sources(ODD, Holding, DATA)
    assert {feed: (len(training[feed]), len(kept[feed])) for feed in kept} == {"first": (9, 1), "second": (21, 2)}
    more = {name: rows[:3] for name, rows in DATA.items()}
    training, kept = open_sources(ODD, Holding, DATA, more)
    assert {feed: (len(training[feed]), len(kept[feed])) for feed in kept} == {"first": (10, 3), "second": (23, 3)}


@pytest.mark.parametrize("data", [IN_MEMORY, "my_data.py:make"])
def test_data_that_only_a_program_has_is_asked_for(data):
    with pytest.raises(TrainingError, match="hand"):
        open_data(replace(CONFIG, data=data))


def test_samples_of_another_shape_are_refused():
    sources = open_data(CONFIG)
    check_sources(CONFIG, sources)
    with pytest.raises(TrainingError, match=r"samples of shape \(16, 16, 1\), but this run began with \(8, 8, 1\)"):
        check_sources(replace(CONFIG, shapes={"real": (8, 8, 1)}), sources)


def test_an_array_that_is_missing_is_named():
    with pytest.raises(DataError, match='has no array "two"'):
        open_data(ODD, Odd, {"one": np.zeros((3, 2), np.float32)})


class Mapping(Model):
    """Takes pictures and their class maps, and does nothing with them."""

    arrays = {"input": PICTURE, "target": MAP}
    holds_out = True

    def __init__(self, input_shape, target_shape, target_colors, *, rng, device="cpu"):
        self.device, self.target_shape, self.target_colors = get_device(device), target_shape, target_colors
        network = Dense(1, 1, rng=rng)
        self.networks, self.optimizers = {"G": network}, {"G": SGD(network.parameters(), 0.1)}

    def step(self, next_batch, rng, now):
        self.batch = next_batch()
        return {}


@pytest.fixture
def maps(tmp_path):
    for k in range(10):
        classes = np.full((12, 12), 7 * (k % 3), np.uint8)
        classes[:4, :4] = [0, 7, 14, 21]
        save_pair(tmp_path / "data", f"{'film' if k < 3 else 'walk'}_{k}", classes)
    return tmp_path


def save_pair(root, name, classes):
    for folder, pixels in (("photos", np.stack([classes * 10] * 3, axis=-1)), ("labels", classes)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / f"{name}.png")


def mapping_run(root, out, **settings):
    return train(Mapping, root / "data", root / out, ignore="21", img_size=12, quiet=True, **settings)


def test_a_model_of_class_maps_knows_their_number_and_colors(maps):
    run = mapping_run(maps, "run", n_steps=2, batch_size=2)
    assert run.model.target_shape == (12, 12, 3)
    assert run.model.target_colors.tolist() == distinct_colors()[[0, 7, 14]].tolist()
    assert run.model.batch["target"].shape == (2, 12, 12, 3)
    config = run.folder.config()
    assert config.palettes["target"].values == (0, 7, 14) and config.palettes["target"].unknown == (21,)
    assert config.ignore == ("21",)


def test_a_resumed_run_keeps_its_classes(maps):
    mapping_run(maps, "run", n_steps=1)
    for path in (maps / "data" / "labels").iterdir():
        Image.fromarray(np.where(np.asarray(Image.open(path)) == 7, np.uint8(14), np.asarray(Image.open(path)))).save(
            path
        )
    run = train(Mapping, maps / "data", maps / "run", resume=True, quiet=True, n_steps=3)
    assert run.model.target_shape == (12, 12, 3)
    with pytest.raises(TrainingError, match="`ignore` 14 doesn't fit this run, which began with 21"):
        train(Mapping, maps / "data", maps / "run", resume=True, quiet=True, ignore="14")


def test_what_is_held_out_may_be_named(maps, monkeypatch):
    run = mapping_run(maps, "one", n_steps=1, held_out="film*")
    assert len(run.gallery.held_out) == 3 and run.config.samples == {"data": 7}
    shutil.copytree(maps / "data", maps / "other")
    monkeypatch.chdir(maps)
    run = mapping_run(maps, "two", n_steps=1, held_out="other")
    assert len(run.gallery.held_out) == 10 and run.config.samples == {"data": 10}
    assert run.config.held_out == str(maps / "other")
    monkeypatch.chdir("/")
    resumed = train(Mapping, maps / "data", maps / "two", resume=True, quiet=True, n_steps=2)
    assert len(resumed.gallery.held_out) == 10


def test_held_out_maps_have_the_classes_of_training(maps):
    save_pair(maps / "other", "1", np.array([[0, 7]] * 2, np.uint8).repeat(6, 0).repeat(6, 1))
    run = mapping_run(maps, "run", n_steps=1, held_out=maps / "other")
    assert run.gallery.held_out[0]["target"].shape == (1, 12, 12, 3)


@pytest.mark.parametrize(
    ("held_out", "sentence"),
    [
        (
            "tree*",
            r"`held_out` tree\* matches none of 10 files, and some are needed: names of files in data are film_0,",
        ),
        ("walk*,film*", r"`held_out` walk\*,film\* matches all of 10 files"),
    ],
)
def test_names_that_hold_out_nothing_or_everything(maps, held_out, sentence):
    with pytest.raises(DataError, match=sentence):
        mapping_run(maps, "run", held_out=held_out)


def test_names_of_files_need_files_and_a_model_that_holds_out():
    with pytest.raises(DataError, match=r"`held_out` a\* are names of files, and digits isn't in files"):
        open_sources(replace(ODD, held_out="a*"), Holding, DATA)
    with pytest.raises(TrainingError, match=r"`held_out` a\* isn't used, since .* holds nothing out"):
        open_sources(replace(ODD, held_out="a*"), Odd, DATA)


GOOD = {"form": "index", "values": [0, 1], "colors": [[0, 0, 0], [9, 9, 9]], "unknown": []}


@pytest.mark.parametrize(
    "palette",
    [
        GOOD | {"colors": [[0, 0, 0]]},
        GOOD | {"form": "odd"},
        GOOD | {"values": [0, True]},
        GOOD | {"colors": [[0, 0, 256]] * 2},
        GOOD | {"colors": [[0, 0]] * 2},
        GOOD | {"values": [0], "colors": [[0, 0, 0]]},
        GOOD | {"unknown": [-1]},
        {"form": "index"},
        [],
        None,
    ],
)
def test_a_palette_that_no_run_wrote_is_refused(palette):
    config = json.loads(json.dumps(asdict(ODD)))
    assert parse_config(config | {"palettes": {"target": GOOD}}).palettes["target"].values == (0, 1)
    with pytest.raises((ValueError, TypeError, KeyError)):
        parse_config(config | {"palettes": {"target": palette}})

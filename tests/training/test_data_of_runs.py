"""The data of a run: one set or one for each feed, what is held out, and what must not change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from odd import DATA, ODD, Odd
from tiny import CONFIG

from minigan.errors import DataError
from minigan.training import TrainingError
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

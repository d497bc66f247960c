"""Hypothesis spoils files for every reader, and makes up others: they are read, or refused in one sentence."""

import random

import pytest
from hostile_case import recorded, time_limit
from hostile_readers import READERS, attempt, spoiled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EVERY = pytest.mark.parametrize("name", READERS)
USUAL = settings(suppress_health_check=list(HealthCheck), deadline=None)
MANY = settings(USUAL, max_examples=1000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "fuzz"


def give(reader, data, folder):
    executed = []
    with recorded(executed), time_limit(20):
        accepted = attempt(reader, data, folder)
    assert not executed
    return accepted


@EVERY
def test_good_files_are_accepted(name, folder):
    for data in READERS[name].good():
        assert give(READERS[name], data, folder)


@EVERY
@USUAL
@given(data=st.data())
def test_spoiled_files(name, folder, data):
    draw = random.Random(data.draw(st.integers(0, 2**64), "seed"))
    give(READERS[name], spoiled(draw, READERS[name]), folder)


@EVERY
@USUAL
@given(junk=st.binary(max_size=200), keep=st.integers(0, 40))
def test_junk_behind_a_good_beginning(name, folder, junk, keep):
    give(READERS[name], READERS[name].good()[0][:keep] + junk, folder)


@pytest.mark.slow
@EVERY
@MANY
@given(seed=st.integers(0, 2**64))
def test_many_spoiled_files(name, folder, seed):
    give(READERS[name], spoiled(random.Random(seed), READERS[name]), folder)


@pytest.mark.slow
@EVERY
@MANY
@given(junk=st.binary(max_size=600), keep=st.integers(0, 100))
def test_much_junk(name, folder, junk, keep):
    give(READERS[name], READERS[name].good()[0][:keep] + junk, folder)

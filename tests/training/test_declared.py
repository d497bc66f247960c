import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saying import GAN, THREE

from minigan.layers import Dense, ReLU, Sequential
from minigan.losses import Minimax
from minigan.model import Game, Model
from minigan.training.declared import Declared
from minigan.training.progress import abridge, describe

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def some_model(games, *names):
    model = Model()
    model.networks = {name: Sequential(Dense(2, 3), ReLU()) for name in names}
    model.games = tuple(Game(Minimax(), *pair) for pair in games)
    return model


def test_layers_are_named_as_records_name_them():
    declared = Declared.of(some_model([], "one", "two"))
    assert list(declared.layers) == ["one.0", "one.1", "two.0", "two.1"]
    assert declared.layers["two.0"] == repr(Dense(2, 3)) and declared.networks == {"one": "one", "two": "two"}


def test_networks_of_one_game_are_called_by_their_parts_in_it_and_critics_come_first():
    assert Declared.of(some_model([("D", "G")], "G", "D")).networks == {"D": "Discriminator", "G": "Generator"}
    several = Declared.of(some_model([("Dx", "Gx"), ("Dy", "Gy")], "Gx", "Gy", "Dx", "Dy")).networks
    assert list(several.items()) == [(name, name) for name in ("Dx", "Dy", "Gx", "Gy")]


@pytest.mark.parametrize("declared", [GAN, THREE])
def test_what_is_written_is_read_back(tmp_path, declared):
    declared.write(tmp_path / "declared.json")
    assert Declared.read(tmp_path / "declared.json") == declared


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'{"measures": {}}', b"\xff" * 9, b"[" * 100_000])
def test_a_damaged_file_declares_nothing(tmp_path, damage):
    assert Declared.read(tmp_path / "declared.json") == Declared()
    (tmp_path / "declared.json").write_bytes(damage)
    assert Declared.read(tmp_path / "declared.json") == Declared()


@given(st.sampled_from(["measures", "judgements", "networks", "layers", "exhibits"]), JSON, st.booleans())
def test_whatever_stands_in_the_file_it_is_read(tmp_path_factory, part, value, deep):
    """It declares something of the right kinds, or nothing."""
    path = tmp_path_factory.getbasetemp() / "declared.json"
    values = asdict(THREE)
    values[part] = {"name": value} | values[part] if deep and isinstance(values[part], dict) else value
    path.write_text(json.dumps(values))
    found = Declared.read(path)
    assert all(type(text) is str for text in [*found.layers.values(), *found.networks.values(), *found.exhibits])
    assert all(type(m.words) is type(m.chart) is type(m.note) is str for m in found.measures.values())


RECORD = {
    "d_loss": 1.2345,
    "g_loss": 0.5,
    "d_real": 0.876,
    "d_fake": 0.1,
    "penalty": 3.0,
    "pictures_per_second": 1234.5,
}


def test_a_gan_in_a_line():
    line = "D loss 1.234  G loss 0.500  D(x) 0.88  D(G(z)) 0.10  1,234 samples/s"
    assert describe(RECORD, GAN) == line
    assert abridge(RECORD, GAN) == "D 1.23 G 0.50 D(x) 0.88 D(G(z)) 0.10"
    assert abridge(RECORD, GAN, "FID 12.34") == "D 1.23 G 0.50 FID 12.34"


def test_a_line_has_what_came_and_no_more_than_there_is_room_for():
    record = {"encoder": 1.0, "kl": 2e6, "critic": -3.5, "pictures_per_second": 10.0}
    assert describe(record, THREE) == "encoder loss 1.000  critic loss -3.500  KL divergence 2e+06  10 samples/s"
    assert abridge(record, THREE) == "encoder 1.00 critic -3.50"
    many = Declared({f"m{i}": replace(GAN.measures["d_loss"], words=f"measure {i}") for i in range(50)})
    record = {f"m{i}": 1.0 for i in range(50)} | {"pictures_per_second": 10.0}
    assert len(describe(record, many)) < 130 and len(abridge(record, many, "modes 7 of 8")) <= 42
    assert describe(record, Declared()) == "10 samples/s" and abridge(record, many, 60 * "a") == 60 * "a"

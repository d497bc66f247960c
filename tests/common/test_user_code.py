"""A user's own files: what is loaded, what is remembered of them, and what is said of mistakes in them."""

import hashlib
import re
import sys
from pathlib import Path

import pytest
from command_line import in_an_empty_folder  # noqa: F401

from minigan.common.user_code import (
    OwnError,
    is_own,
    load_own,
    locate_data_errors,
    own_data,
    own_model,
    place_in_own,
    short_name,
)
from minigan.errors import DataError

GAN = """
from parts_of_it import A
from minigan.model import Model

class MyGAN(Model):
    number = A

def train():
    return 1

def fails():
    return 1 / 0
"""


@pytest.fixture(autouse=True)
def files(in_an_empty_folder):  # noqa: F811
    Path("my_gan.py").write_text(GAN)
    Path("parts_of_it.py").write_text("A = 3")


def test_a_class_is_loaded_once_with_the_checksums_of_its_file_and_of_what_it_imports_beside_it():
    cls, checksums = own_model("my_gan.py:MyGAN")
    assert cls.number == 3
    assert cls is load_own(f"{Path.cwd()}/my_gan.py:MyGAN")[0]
    assert checksums["my_gan.py"] == hashlib.sha256(GAN.encode()).hexdigest()
    Path("my_gan.py").write_text(GAN + "\n# changed\n")
    other, changed = own_model("my_gan.py:MyGAN")
    assert other is not cls
    assert changed["my_gan.py"] != checksums["my_gan.py"]


def test_words_that_name_something_of_a_file():
    assert is_own("my_gan.py:MyGAN") and is_own("/a/b.py:C")
    assert not any(map(is_own, ("dcgan", "a/b.py", "photos")))
    assert [short_name(word) for word in ("a/my_gan.py:MyGAN", "dcgan")] == ["MyGAN", "dcgan"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("my_gna.py:MyGAN", "my_gna.py can't be read (No such file or directory): did you mean my_gan.py?"),
        ("my_gan.py:MyGna", "there is no 'MyGna' in my_gan.py: did you mean MyGAN?"),
        ("my_gan.py:", "there is no '' in my_gan.py: it has MyGAN, train, fails"),
        ("my_gan.py:train", "my_gan.py, line 8: train is no model: make it a class that inherits from"),
        ("hints.py:X", "hints.py, line 4: the annotations of its constructor can't be read: NameError: name 'Nowhere'"),
        ("syntax.py:X", "syntax.py, line 2: "),
        ("importing.py:X", "importing.py, line 3: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("leaving.py:X", "leaving.py, line 1: SystemExit: 3"),
    ],
)
def test_what_can_not_be_a_model_is_one_sentence(word, said):
    lines = ["from minigan.model import Model", "", "class X(Model):", "    def __init__(self, a: 'Nowhere' = 1): pass"]
    Path("hints.py").write_text("\n".join(lines))
    Path("syntax.py").write_text("x = 1\ndef f(:\n")
    Path("importing.py").write_text("\n\nimport nowhere_to_be_found\n")
    Path("leaving.py").write_text("raise SystemExit(3)")
    with pytest.raises(OwnError, match=re.escape(said)):
        own_model(word)


DATA = """
import numpy as np

def good():
    from parts_of_it import A
    return np.full((2, 4, 4, 1), A)

def fails():
    return 1 / 0

def asks(n):
    return n

def silent():
    pass

LIST = [1]
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fails", "my_data.py, line 9, in fails: ZeroDivisionError: division by zero"),
        ("asks", "my_data.py, line 11: asks is called without arguments: missing a required argument: 'n'"),
        ("silent", "my_data.py, line 14: silent returns nothing: return an array"),
        ("LIST", "my_data.py: LIST is no function: write def LIST() that returns"),
    ],
)
def test_what_can_not_be_data_is_one_sentence(name, said):
    Path("my_data.py").write_text(DATA)
    assert own_data("my_data.py:good")[0].sum() == 96
    with pytest.raises(OwnError, match=re.escape(said)):
        own_data(f"my_data.py:{name}")


def test_an_error_about_data_begins_with_the_place_of_the_function():
    Path("my_data.py").write_text(DATA)
    with pytest.raises(OwnError, match="^my_data.py, line 4: no pictures$"), locate_data_errors("my_data.py:good"):
        raise DataError("no pictures")
    with pytest.raises(DataError, match="^no pictures$"), locate_data_errors("digits"):
        raise DataError("no pictures")


def test_the_place_of_an_exception_is_the_last_line_of_the_users_file():
    function, _ = load_own("my_gan.py:fails")
    try:
        try:
            function()
        except ZeroDivisionError as error:
            raise ValueError("something else") from error
    except ValueError as error:
        assert place_in_own(error) == "my_gan.py, line 12, in fails"
    assert place_in_own(ValueError()) == ""


def test_the_place_can_be_in_a_file_that_the_users_file_imports():
    Path("parts_of_it.py").write_text("A = 3\n\ndef divide():\n    return 1 / 0\n")
    load_own("my_gan.py:MyGAN")
    try:
        sys.modules["parts_of_it"].divide()
    except ZeroDivisionError as error:
        assert place_in_own(error) == "parts_of_it.py, line 4, in divide"

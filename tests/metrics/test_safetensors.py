"""Reading .safetensors files, written here by hand; and what is damaged or hostile ends in one sentence."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.errors import MiniganError
from minigan.metrics.safetensors import read_safetensors

A = np.arange(6, dtype="<f4").reshape(2, 3)
B = np.array([-1, 2], "<i8")
HEADER = {
    "__metadata__": {"format": "pt"},
    "b": {"dtype": "I64", "shape": [2], "data_offsets": [24, 40]},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
}
BODY = A.tobytes() + B.tobytes()


def written(header, body=BODY):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def read(folder, data):
    path = folder / "w.safetensors"
    path.write_bytes(data)
    return read_safetensors(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("safetensors")


def test_arrays_by_name(folder):
    found = read(folder, written(HEADER))
    assert found.keys() == {"a", "b"}
    for name, array in (("a", A), ("b", B)):
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_small_numbers_and_none_at_all(folder):
    header = {
        "half": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]},
        "brain": {"dtype": "BF16", "shape": [2], "data_offsets": [2, 6]},
        "none": {"dtype": "F64", "shape": [0, 3], "data_offsets": [6, 6]},
        "one": {"dtype": "BOOL", "shape": [], "data_offsets": [6, 7]},
    }
    found = read(folder, written(header, b"\x00\x3e" + b"\xc0\x3f\x00\xc0" + b"\x01"))
    assert found["half"].tolist() == [1.5]
    assert found["brain"].tolist() == [1.5, -2.0]
    assert found["brain"].dtype == np.float32
    assert found["none"].shape == (0, 3)
    assert found["one"].tolist() == 1


def changed(name="a", **entries):
    return written(HEADER | {name: HEADER["a"] | entries})


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no header, or is cut off"),
        (b"\x02\x00", "no header, or is cut off"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "no header, or is cut off"),
        (written(b"{"), "its header is not JSON"),
        (written(b'{"a": 1, "a": 1}'), "its header is not JSON"),
        (written(b"[" * 100_000), "its header is not JSON"),
        (written(b"\xff"), "its header is not JSON"),
        (written(b"9" * 10_000), "its header is not JSON"),
        (written([]), "its header is not a dictionary"),
        (written({"a": 3}, b""), "nothing usable of 'a'"),
        (changed(dtype="F8_E4M3"), "nothing usable of 'a'"),
        (changed(dtype=[]), "nothing usable of 'a'"),
        (changed(shape=7), "nothing usable of 'a'"),
        (changed(data_offsets=[0]), "nothing usable of 'a'"),
        (changed(shape=[2, 4]), "shape, dtype and place of 'a' don't agree"),
        (changed(shape=[-2, -3]), "don't agree"),
        (changed(shape=[2.0, 3]), "don't agree"),
        (changed(shape=[True, 6]), "don't agree"),
        (changed(shape=[1] * 40 + [6]), "don't agree"),
        (changed(data_offsets=[24, 0]), "don't agree"),
        (changed(data_offsets=[8, 32]), "a gap or an overlap before"),
        (changed("c"), "a gap or an overlap before"),
        (written({"b": HEADER["b"]}), "a gap or an overlap before 'b'"),
        (written(HEADER, BODY[:-1]), "describes 40 bytes, but 39 are there"),
        (written(HEADER, BODY + b"x"), "describes 40 bytes, but 41 are there"),
    ],
)
def test_what_is_damaged_or_hostile_is_refused(folder, data, complaint):
    with pytest.raises(MiniganError, match=complaint) as caught:
        read(folder, data)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MiniganError, match="cannot read .*none.safetensors: No such file"):
        read_safetensors(tmp_path / "none.safetensors")


@given(st.data())
def test_damage_never_ends_in_another_exception(folder, data):
    damaged = bytearray(written(HEADER))
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MiniganError):
        read(folder, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))

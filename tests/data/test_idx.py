import contextlib
import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigan.data.idx import read_idx
from minigan.errors import DataError

arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5))
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def idx_bytes(values, kind=8):
    return bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@same_folder
@given(values=arrays, compressed=st.booleans())
def test_round_trip(tmp_path, values, compressed):
    data = idx_bytes(values)
    (tmp_path / "f").write_bytes(gzip.compress(data) if compressed else data)
    np.testing.assert_array_equal(read_idx(tmp_path / "f", values.ndim), values)


@same_folder
@given(values=arrays, compressed=st.booleans(), data=st.data())
def test_every_truncation_is_refused(tmp_path, values, compressed, data):
    whole = gzip.compress(idx_bytes(values)) if compressed else idx_bytes(values)
    cut = data.draw(st.integers(0, len(whole) - 1))
    (tmp_path / "f").write_bytes(whole[:cut])
    with pytest.raises(DataError, match="/f "):
        read_idx(tmp_path / "f", values.ndim)


@same_folder
@given(junk=st.binary(max_size=60))
def test_junk_never_ends_in_another_exception(tmp_path, junk):
    for data in (junk, gzip.compress(junk), b"\x1f\x8b" + junk, b"\0\0\x08\x01" + junk):
        (tmp_path / "f").write_bytes(data)
        with contextlib.suppress(DataError):
            read_idx(tmp_path / "f", 1)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (idx_bytes(np.zeros((2, 3), np.uint8)) + b"x", "something follows the 2x3 values"),
        (idx_bytes(np.zeros((2, 3), np.uint8), kind=13), "begins with 00000d02 instead of 00000802"),
        (idx_bytes(np.zeros(6, np.uint8)), "begins with 00000801 instead of 00000802"),
        (idx_bytes(np.zeros((0, 3), np.uint8)), "promises 0x3 values"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "promises 4294967295x4294967295 values"),
        (b"", "begins with nothing"),
    ],
)
def test_each_fault_has_its_sentence(tmp_path, data, what, compressed):
    (tmp_path / "f").write_bytes(gzip.compress(data) if compressed else data)
    with pytest.raises(DataError, match=what):
        read_idx(tmp_path / "f", 2)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_lying_header_allocates_nothing(tmp_path, compressed):
    data = b"\0\0\x08\x01" + struct.pack(">I", 1 << 30) + b"abc"
    (tmp_path / "f").write_bytes(gzip.compress(data) if compressed else data)
    tracemalloc.start()
    with pytest.raises(DataError, match="3 of 1073741824 values"):
        read_idx(tmp_path / "f", 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_gzip_bomb_stops_after_the_promised_bytes(tmp_path):
    (tmp_path / "f").write_bytes(gzip.compress(idx_bytes(np.zeros(10, np.uint8)) + bytes(100 << 20), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="something follows"):
        read_idx(tmp_path / "f", 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot read .*nothing: No such file"):
        read_idx(tmp_path / "nothing", 1)

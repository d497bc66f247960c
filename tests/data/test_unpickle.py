import collections
import contextlib
import io
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.data.unpickle import load_plain

ROWS = np.arange(12, dtype=np.uint8).reshape(2, 6)
BATCH = {b"data": ROWS, b"labels": [3, 1], b"batch_label": b"one", "text": "x"}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reads_what_python_writes(protocol, order):
    loaded = load_plain(pickle.dumps({**BATCH, b"data": np.array(ROWS, order=order)}, protocol))
    np.testing.assert_array_equal(loaded[b"data"], ROWS)
    assert loaded[b"labels"] == [3, 1]


def test_reads_strings_of_python_2_as_bytes():
    assert load_plain(b"\x80\x02}U\x04dataU\x03\xff\x00as.") == {b"data": b"\xff\x00a"}


called = []


class Trap:
    def __reduce__(self):
        return spring, ()


def spring():
    called.append(True)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "value", [Trap(), eval, print, collections.OrderedDict(), np.float64(1), io.BytesIO, np.load, pickle.loads]
)
def test_every_other_name_is_refused(protocol, value):
    with pytest.raises(pickle.UnpicklingError, match="which no data needs"):
        load_plain(pickle.dumps({b"data": value}, protocol))
    assert not called


@pytest.mark.parametrize("dtype", [np.float32, np.int64, object])
def test_arrays_hold_bytes_only(dtype):
    with pytest.raises(pickle.UnpicklingError, match="unsigned bytes"):
        load_plain(pickle.dumps({b"data": np.ones((2, 2), dtype)}, 2))


def test_attributes_of_allowed_names_cannot_be_reached():
    with pytest.raises(pickle.UnpicklingError):
        load_plain(b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__class__\x93.")


def test_a_large_memo_index_allocates_nothing():
    with pytest.raises(pickle.UnpicklingError, match="not plain data"):
        load_plain(b"\x80\x02}r" + struct.pack("<I", 2**31) + b".")


def test_nested_tuples_cost_no_exponential_time():
    with pytest.raises(pickle.UnpicklingError, match="not plain data"):
        load_plain(b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s.")  # {t: 1} with t = (t', t'), t' = (t'', t''), ...


@given(st.binary(max_size=80))
def test_random_bytes_never_end_in_another_exception(junk):
    with contextlib.suppress(pickle.UnpicklingError):
        load_plain(b"\x80\x02" + junk + b".")


@given(st.data())
def test_damaged_batches_never_end_in_another_exception(data):
    damaged = bytearray(pickle.dumps(BATCH, 2))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(pickle.UnpicklingError):
        load_plain(bytes(damaged))

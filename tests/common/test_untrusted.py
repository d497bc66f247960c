"""What NumPy writes is read as NumPy reads it; tests/hostile has all that is refused."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigan.common.untrusted import Unreadable, open_file, read_npy, read_npz

dtypes = st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.boolean_dtypes())
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))


@given(arrays=st.lists(arrays, max_size=4), fortran=st.booleans(), packed=st.booleans())
def test_arrays_come_back_as_numpy_wrote_them(arrays, fortran, packed):
    named = {f"a.{i}": np.asfortranarray(array) if fortran and array.ndim else array for i, array in enumerate(arrays)}
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **named)
    found = read_npz(file)
    assert list(found) == list(named)
    for name, array in named.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype.newbyteorder("=")


def test_a_file_that_is_none_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        open_file(tmp_path)


@pytest.mark.parametrize("name", [b"<f5", b"<i7", b"<u0"])
def test_a_type_that_numpy_does_not_have_is_damage(name):
    file = io.BytesIO()
    np.save(file, np.zeros(3, "<f8"))
    with pytest.raises(Unreadable, match="it is damaged: its numbers are of no type of NumPy's"):
        read_npy(io.BytesIO(file.getvalue().replace(b"<f8", name)))

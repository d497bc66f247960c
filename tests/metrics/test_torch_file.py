"""Files that PyTorch writes, made here by hand and without it; and what is damaged or hostile ends in one sentence."""

import contextlib
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.errors import MiniganError
from minigan.metrics.torch_file import LEGACY, read_torch_file

DICTIONARY = b"ccollections\nOrderedDict\n)R"


def plain(value):
    """The instructions that push a number, text or a tuple of them."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(key, kind, numel, offset, shape, strides):
    storage = b"(" + plain("storage") + b"ctorch\n" + kind.encode() + b"Storage\n" + plain(key) + plain("cpu")
    view = plain(offset) + plain(shape) + plain(strides) + b"\x89" + DICTIONARY
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + plain(numel) + b"tQ" + view + b"tR"


def dictionary(**tensors):
    return b"\x80\x02" + DICTIONARY + b"(" + b"".join(plain(name) + t for name, t in tensors.items()) + b"u."


def archive(data, storages, byteorder=None, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        zipped.writestr("net/data.pkl", data)
        if byteorder:
            zipped.writestr("net/byteorder", byteorder)
        for key, raw in storages.items():
            zipped.writestr(f"net/data/{key}", raw)
    return file.getvalue()


def stream(data, storages, byteorder="little", version=1001):
    order = "<" if byteorder == "little" else ">"
    system = {"protocol_version": 1001, "little_endian": byteorder == "little", "type_sizes": {"int": 4}}
    start = LEGACY + pickle.dumps(version, 2) + pickle.dumps(system, 2)
    raw = b"".join(struct.pack(order + "q", NUMEL.get(key, 0)) + numbers for key, numbers in storages.items())
    return start + data + pickle.dumps(list(storages), 2) + raw


NUMEL = {"0": 6, "1": 2}
STORAGES = {"0": np.arange(6, dtype="<f4").tobytes(), "1": np.array([1.5, -2.0], "<f2").tobytes()}
TENSORS = {
    "whole": tensor("0", "Float", 6, 0, (2, 3), (3, 1)),
    "transposed": tensor("0", "Float", 6, 0, (3, 2), (1, 3)),
    "corner": tensor("0", "Float", 6, 4, (1, 2), (3, 1)),
    "number": tensor("1", "Half", 2, 1, (), ()),
    "nothing": tensor("1", "Half", 2, 2, (0, 3), (3, 1)),
    "parameter": b"ctorch._utils\n_rebuild_parameter\n(" + tensor("1", "Half", 2, 0, (2,), (1,)) + b"\x88}tR",
}
FORMS = pytest.mark.parametrize("form", [archive, stream])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("torch")


def read(folder, data):
    path = folder / "w.pth"
    path.write_bytes(data)
    return read_torch_file(path)


def refuse(folder, data, complaint="w.pth is not a usable file of PyTorch weights: "):
    with pytest.raises(MiniganError, match=complaint) as caught:
        read(folder, data)
    assert "\n" not in str(caught.value)


@FORMS
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_tensors_are_views_of_their_storages(folder, form, byteorder):
    storages = STORAGES
    if byteorder == "big":
        storages = {
            k: np.frombuffer(raw, f"<{c}").astype(f">{c}").tobytes()
            for (k, raw), c in zip(STORAGES.items(), ("f4", "f2"), strict=True)
        }
    found = read(folder, form(dictionary(**TENSORS), storages, byteorder))
    whole = np.arange(6.0).reshape(2, 3)
    for name, expected in {
        "whole": whole,
        "transposed": whole.T,
        "corner": [[4, 5]],
        "number": -2,
        "nothing": np.zeros((0, 3)),
        "parameter": [1.5, -2],
    }.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == (np.float32 if name in ("whole", "transposed", "corner") else np.float16)
        assert found[name].dtype.isnative
        assert not found[name].flags.writeable
    assert list(found) == list(TENSORS)
    assert np.may_share_memory(found["whole"], found["corner"])


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("Double", struct.pack("<d", 0.1), 0.1),
        ("BFloat16", b"\xc0\x3f", 1.5),
        ("Long", struct.pack("<q", -(2**62)), -(2**62)),
        ("Int", struct.pack("<i", -7), -7),
        ("Short", struct.pack("<h", -7), -7),
        ("Char", b"\xff", -1),
        ("Byte", b"\xff", 255),
        ("Bool", b"\x01", 1),
    ],
)
def test_numbers_of_every_type(folder, kind, raw, expected):
    assert read(folder, archive(dictionary(x=tensor("0", kind, 1, 0, (), ())), {"0": raw}))["x"] == expected


called = []


class Trap:
    def __reduce__(self):
        return called.append, (True,)


@FORMS
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [Trap(), os.system, eval, np.float64(1), {"x": Trap()}],
    ids=["trap", "os.system", "eval", "a number", "trap in a dictionary"],
)
def test_nothing_is_executed(folder, form, protocol, value):
    refuse(folder, form(pickle.dumps(value, protocol), {}), "no dictionary of tensors needs|other than a dictionary")
    assert not called


@FORMS
@pytest.mark.parametrize(
    "call",
    [
        b"cos\nsystem\n" + plain(("touch /tmp/x",)) + b"R",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"ctorch._utils\n_rebuild_tensor_v2\n" + plain((1, 0, (), ())) + b"R",
        b"ctorch._utils\n_rebuild_tensor_v3\n)R",
        b"ccollections\nOrderedDict\n" + plain((1,)) + b"R",
        b"c__torch__.net\nNet\n)R",
        plain("torch") + b")R",
        b"(ios\nsystem\n",
        b"(cos\nsystem\no",
        b"cos\nsystem\n)\x81",
        b"\x82\x01",
    ],
)
def test_every_other_call_is_refused(folder, form, call):
    refuse(
        folder, form(b"\x80\x02}" + plain("x") + call + b"s.", STORAGES), "not a dictionary of tensors|which no dict"
    )


@FORMS
@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (2, 3), (3, 1)),
        (7, (), ()),
        (-1, (2,), (1,)),
        (0, (6,), (2,)),
        (0, (2, 4), (0, 1)),
        (5, (2,), (-1,)),
        (0, (-1, -6), (1, 1)),
        (0, (2**62, 2**62), (0, 0)),
        (0, (0, 2**80), (0, 0)),
        (0, (2,), (1, 1)),
        (0, (True, 6), (1, 1)),
        (0, (1,) * 40, (1,) * 40),
        (2**70, (1,), (1,)),
    ],
)
def test_views_stay_inside_of_their_storage(folder, form, offset, shape, strides):
    refuse(folder, form(dictionary(x=tensor("0", "Float", 6, offset, shape, strides)), {"0": STORAGES["0"]}))


@FORMS
@pytest.mark.parametrize(
    "data",
    [
        dictionary(x=tensor("7", "Float", 6, 0, (6,), (1,))),
        dictionary(x=tensor("0", "Float", 5, 0, (5,), (1,))),
        dictionary(x=tensor("0", "Float", -1, 0, (), ())),
        dictionary(x=tensor("0", "Float", 2**60, 0, (6,), (1,))),
        dictionary(x=tensor("0", "Double", 6, 0, (6,), (1,))),
        dictionary(x=tensor("0", "Float", 6, 0, (6,), (1,)), y=tensor("0", "Int", 6, 0, (6,), (1,))),
        dictionary(x=tensor("0", "ComplexFloat", 6, 0, (6,), (1,))),
        dictionary(x=plain(3)),
        dictionary(x=b"ctorch\nFloatStorage\n"),
        b"\x80\x02" + TENSORS["whole"] + b".",
        b"\x80\x02}q\x00" + plain("x") + b"h\x00s.",
        b"\x80\x02}" + plain(3) + TENSORS["whole"] + b"s.",
        b"\x80\x02" + plain(("storage", "torch FloatStorage", "0", "cpu", 6)) + b"Q.",
        b"\x80\x02)b.",
        b"\x80\x02.",
        b"\x80\x02tu.",
    ],
)
def test_storages_are_those_that_are_there(folder, form, data):
    refuse(folder, form(data, {"0": STORAGES["0"]}))


@FORMS
def test_numbers_of_other_types_and_views_of_storages_are_named(folder, form):
    for odd in (tensor("0", "ComplexFloat", 6, 0, (), ()), TENSORS["whole"].replace(b"tQ", plain(("1", 0, 6)) + b"tQ")):
        refuse(folder, form(dictionary(x=odd), STORAGES), "numbers of the type 'torch .*Storage', or a view of them")


NESTED = b")" + b"q\x01h\x01\x86" * 60  # t = (t', t'), t' = (t'', t''), …: 2^60 entries for whoever hashes or prints it


@FORMS
def test_nested_tuples_and_large_numbers_cost_nothing(folder, form):
    refuse(folder, form(b"\x80\x02}" + NESTED + b"K\x01s.", {}), "not a dictionary of tensors")
    refuse(folder, form(b"\x80\x02" + NESTED + b"Q.", {}), "not a storage")
    refuse(folder, form(b"\x80\x02cos\nsystem\n" + NESTED + b"R.", {}), "it calls 'os system'")
    refuse(folder, form(b"\x80\x02" + NESTED + b".", {}), "other than a dictionary")
    refuse(folder, form(dictionary(x=tensor("0", "Float", 6, 0, (6,), (1,)).replace(plain((6,)), NESTED)), {}))
    refuse(folder, form(b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b"X" + struct.pack("<I", 2**32 - 1), {}))
    refuse(folder, form(b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1), {}))


def test_keys_of_a_stream_are_text(folder):
    start = stream(dictionary(**TENSORS), {}).removesuffix(pickle.dumps([], 2))
    refuse(folder, start + b"\x80\x02]" + NESTED + b"a.", "its storages are not those of its tensors")
    refuse(folder, stream(dictionary(**TENSORS), STORAGES, version=1000), "its version is unknown")


def test_an_archive_is_as_pytorch_writes_it(folder):
    data = dictionary(**TENSORS)
    refuse(folder, archive(data, STORAGES, compression=zipfile.ZIP_DEFLATED), "its archive is compressed")
    refuse(folder, archive(data, STORAGES | {"../data.pkl": data}), "has no data.pkl, or several")
    refuse(folder, archive(data, STORAGES, "middle"), "its byte order is unknown")
    refuse(folder, archive(data, STORAGES).replace(b"data.pkl", b"data.pkk"), "has no data.pkl, or several")
    refuse(folder, archive(data, STORAGES).replace(STORAGES["0"], b"\x00" * 24), "damaged or cut off")  # its checksum


def test_the_parts_of_an_archive_do_not_overlap(folder):
    """The second storage lies inside of the first; with many in each other a small file would become a large one."""
    inner = zipfile.ZipInfo("net/data/1")
    with zipfile.ZipFile(alone := io.BytesIO(), "w") as zipped:
        zipped.writestr(inner, bytes(5000))
        raw = alone.getvalue()
    with zipfile.ZipFile(file := io.BytesIO(), "w") as zipped:
        zipped.writestr("net/data.pkl", dictionary(**TENSORS))
        zipped.writestr("net/data/0", raw)
        inner.header_offset = file.tell() - len(raw)
        zipped.filelist.append(inner)
    refuse(folder, file.getvalue(), "the parts of its archive overlap")


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04", LEGACY, LEGACY[:-1], b"\x89PNG\r\n", pickle.dumps({})])
def test_other_files_are_refused(folder, data):
    refuse(folder, data, "w.pth is not a usable file of PyTorch weights: it ")


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(MiniganError, match="cannot read .*none.pth: No such file"):
        read_torch_file(tmp_path / "none.pth")
    with pytest.raises(MiniganError, match="cannot read .*: Is a directory"):
        read_torch_file(tmp_path)


@FORMS
@given(st.data())
def test_damage_never_ends_in_another_exception(folder, form, data):
    damaged = bytearray(form(dictionary(**TENSORS), STORAGES))
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MiniganError):
        read(folder, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


@FORMS
@given(st.binary(max_size=80), st.binary(max_size=20))
def test_random_programs_never_end_in_another_exception(folder, form, program, between):
    start, _, rest = dictionary(**TENSORS).partition(plain("corner"))
    for data in (b"\x80\x02" + program + b".", start + between + plain("corner") + rest):
        with contextlib.suppress(MiniganError):
            read(folder, form(data, STORAGES))

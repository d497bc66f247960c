"""Every case of the corpus: one sentence, nothing executed, nothing left behind, memory and time bounded."""

import mmap
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bad_runs import NEWEST, flipped, good_arrays, good_run
from corpus import FAMILIES
from hostile_case import CANARY, Case, complaints, meet, recorded
from payloads import gadgets

import minigan
from minigan.errors import MAX_LENGTH, CheckpointError, DataError, MiniganError, printable
from minigan.training import load_checkpoint

EVERY = 7  # case is in the default run, the others in the slow one
CASES = [
    pytest.param(case, id=f"{family}: {case.name}", marks=[pytest.mark.slow] if i % EVERY else [])
    for family, cases in FAMILIES.items()
    for i, case in enumerate(cases)
]


@pytest.mark.parametrize("case", CASES)
def test_bad_input_ends_in_one_sentence(case, tmp_path):
    outcome = meet(case, tmp_path)
    assert not complaints(case, outcome), outcome.sentence


def test_the_corpus_is_as_large_as_it_says():
    assert sum(map(len, FAMILIES.values())) >= 150
    for family, cases in FAMILIES.items():
        assert len(cases) >= 20, family
        twice = [name for name, n in Counter(case.name for case in cases).items() if n > 1]
        assert not twice, f"{family}: {twice}"


LIVE = ["os.system", "posix.system, protocol 0", "subprocess.Popen", "builtins.eval", "builtins.exec, protocol 5"]
LIVE += [
    "INST",
    "OBJ",
    "getattr of an import",
    "a path of names",
    "SETITEM of a global",
    "a nested pickle",
    "numpy.f2py",
]


@pytest.mark.parametrize("name", LIVE)
def test_the_payloads_are_live(name, tmp_path, monkeypatch):
    """Python's own machine does execute them; so that nothing was executed is worth something."""
    monkeypatch.chdir(tmp_path)
    executed, data = [], gadgets()[name]
    with recorded(executed):
        try:
            pickle.loads(data)
        except Exception as error:  # it was stopped, or fails after it was executed
            print(error)
    assert executed or Path(CANARY).exists()


@pytest.mark.parametrize(
    ("says", "read", "wrong"),
    [
        ("x is bad", lambda folder: None, "it was not refused"),
        ("x is bad", lambda folder: fail("x is good"), "the sentence should have"),
        (None, lambda folder: fail("x is bad"), "it was refused"),
        ("x", lambda folder: (os.environ.__setitem__("MINIGAN_CANARY", "1"), fail("x")), "executed"),
        ("x", lambda folder: ((folder / "x.part").write_text(""), fail("x")), "changed"),
        ("x", lambda folder: ((folder / CANARY).write_text(""), fail("x")), "a payload has made its file"),
        ("x", lambda folder: (fill(400 << 20), fail("x")), "it took"),
    ],
)
def test_whatever_a_case_forbids_is_noticed(tmp_path, says, read, wrong):
    case = Case("planted", lambda folder: None, read, says)
    assert any(found.startswith(wrong) for found in complaints(case, meet(case, tmp_path)))


def fill(size):
    """Use memory that no array before it has had."""
    fresh = mmap.mmap(-1, size)
    np.frombuffer(fresh, np.uint8)[:] = 1


def fail(sentence):
    raise DataError(sentence)


def test_a_reader_that_hangs_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("hostile_case.SECONDS", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TimeoutError):
        meet(Case("a pipe", lambda folder: None, lambda folder: (folder / "pipe").read_bytes(), "pipe"), tmp_path)


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "\r", "\x9b", "\u202e", "\ud800", "\u2028", "\x7f", "a" * 9999])
def test_sentences_are_for_terminals(text):
    for error in (MiniganError(text), DataError(text), CheckpointError(f"{text}: no")):
        assert str(error).isprintable()
        assert len(str(error)) < MAX_LENGTH + 9
    assert printable("ein Größenverhältnis von 3 × 4 ²") == "ein Größenverhältnis von 3 × 4 ²"


def one_bit(path, bit):
    data = bytearray((good_run().parent / NEWEST).read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    try:
        arrays = load_checkpoint(path, "dcgan").arrays
    except CheckpointError as error:
        assert str(path) in str(error)
        return True
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, good_arrays()[name])
    return False


def test_whichever_bit_is_turned_a_checkpoint_is_refused_or_the_same(tmp_path):
    """Names and numbers have checksums; what has none, such as the date of a member, says nothing."""
    size = 8 * (good_run().parent / NEWEST).stat().st_size
    refused = [one_bit(tmp_path / "x.npz", bit) for bit in np.random.default_rng(0).integers(size, size=150)]
    assert sum(refused) > 100
    assert flipped(0) != flipped(1)


@pytest.mark.slow
def test_every_turned_byte(tmp_path):
    size = (good_run().parent / NEWEST).stat().st_size
    for byte in range(size):
        one_bit(tmp_path / "x.npz", 8 * byte + byte % 8)


BOMBS = ("unpacks to 950 MB", "archive: 800 MB", "iCCP", "300 MB of zeros, packed", "million pixels in")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory are those of Linux")
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_in_a_process_that_may_not_have_more(tmp_path, bomb):
    """The same in a process of its own, which the system would refuse more than a gigabyte of addresses."""
    cases = [case for cases in FAMILIES.values() for case in cases if bomb in case.name and isinstance(case.read, str)]
    assert cases
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        case.make(folder)
        path = {"PYTHONPATH": str(Path(minigan.__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
        line = f"ulimit -v 1500000; exec {sys.executable} -m minigan {case.read}"
        done = subprocess.run(["bash", "-c", line], cwd=folder, env=os.environ | path, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert case.says in done.stderr
        assert done.stderr.count("\n") == 1

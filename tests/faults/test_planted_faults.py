"""The script that plants faults, on a few of them: it finds what changes something, and says what was not found."""

import subprocess
import sys
from pathlib import Path

import pytest
from rooms import engine_files

from minigan.kernels import elementwise

HERE = Path(__file__).parent
sys.path.append(str(HERE))


def run(*arguments):
    command = [sys.executable, HERE / "plant.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def test_a_fault_is_a_small_change_with_a_name():
    from mutations import faults

    source = "def f(x, b):\n    y = -x * 2\n    y += b\n    return y, x\n"
    found = {fault.change: fault.code for fault in faults(source, "f.py")}
    assert len(found) == 9
    namespace = {}
    exec(source, namespace)
    f = namespace["f"]
    expected = {
        "-x * 2 → its left side": (0, 1),
        "y += b → left out": (-2, 1),
        "return (y, x) → None for number 1": (-1, None),
    }
    for change, values in expected.items():
        f.__code__ = found[change]
        assert f(1, 1) == values


@pytest.mark.slow
def test_planted_faults_are_found():
    result = run("minigan/losses.py", "minigan/layers/dense.py", "--sample", "40")
    assert result.returncode == 0, result.stdout
    assert "40 of 40 faults found; 0 more change nothing" in result.stdout


@pytest.mark.slow
def test_every_fault_that_is_listed_as_changing_nothing_exists():
    import plant
    from equivalent import EQUIVALENT

    names = {(file, ".".join(f.path), f.change) for file in plant.TESTS for f in plant._faults(file)}
    assert [name for name in EQUIVALENT if name not in names and name[2] != "*"] == []


def test_every_file_of_the_engine_gets_faults_or_has_a_reason_not_to():
    import plant

    files = {file for file in engine_files() if not file.endswith("__init__.py")}
    assert plant.TESTS.keys() | plant.NO_DERIVATIVE.keys() == files
    assert plant.TESTS.keys() & plant.NO_DERIVATIVE.keys() == set()
    missing = {test for tests in plant.TESTS.values() for test in tests if not (HERE.parent / test).is_file()}
    assert missing == set()


def test_a_fault_in_a_reference_kernel_is_planted_below_the_decorator():
    import plant

    function = plant._function("minigan.kernels.elementwise", ("product",))
    assert function is elementwise.product.reference
    assert [plant.is_reference(f"{place}elementwise.py") for place in ("kernels/", "kernels/fast/")] == [True, False]


@pytest.mark.slow
def test_files_are_listed_with_how_many_faults_and_which_tests():
    listed = run("--list", "minigan/kernels/normalize.py", "minigan/losses.py").stdout.splitlines()
    assert [line.split(":")[0].split(maxsplit=1)[1] for line in listed] == [
        "kernels/normalize.py (with reference kernels)",
        "losses.py",
    ]
    assert all(int(line.split()[0]) > 0 for line in listed)


def test_a_file_without_tests_is_refused():
    result = run("minigan/commands/cli.py")
    assert (result.returncode, "has no tests here" in result.stderr) == (2, True)

"""The tables of what NumPy and CuPy share, against NumPy and, where it is installed, CuPy; that needs no GPU."""

import inspect

import numpy as np
import pytest

from minigan.testing.cupy_subset import DRAWS, FUNCTIONS, METHODS, UFUNCS, positions, signature


def names(function):
    return list(inspect.signature(function).parameters)


def has_in_this_order(library, name, arguments):
    """Whether a function of a library takes the arguments of a table's entry, by position as far as they have one."""
    known = signature(arguments).parameters.values()
    theirs = names(getattr(library, name))
    free = [p.name for p in known if p.kind is p.POSITIONAL_OR_KEYWORD]
    return set(free) <= set(theirs) and sorted(free, key=theirs.index) == free


def described(library):
    """The entries whose functions say which arguments they take."""
    for name, arguments in FUNCTIONS.items():
        try:
            inspect.signature(getattr(library, name))
        except ValueError:
            continue
        if "*" not in arguments:
            yield name, arguments


def test_functions_are_numpys():
    for name in (*FUNCTIONS, *UFUNCS.split()):
        assert hasattr(np, name)
    for name in METHODS:
        assert hasattr(np.ndarray, name)
    for name in DRAWS:
        assert hasattr(np.random.Generator, name)
    assert len(list(described(np))) > 20
    assert [name for name, arguments in described(np) if not has_in_this_order(np, name, arguments)] == []
    assert not has_in_this_order(np, "sum", "axis a")
    assert not has_in_this_order(np, "sum", "a device")


def test_functions_are_cupys():
    cupy = pytest.importorskip("cupy")
    from cupy.random import Generator

    for name in (*FUNCTIONS, *UFUNCS.split()):
        assert hasattr(cupy, name), name
    for name in METHODS:
        assert hasattr(cupy.ndarray, name), name
    for name in DRAWS:
        assert hasattr(Generator, name), name
    assert [name for name, arguments in described(cupy) if not has_in_this_order(cupy, name, arguments)] == []


def test_signatures():
    known = signature("subscripts / *operands dtype")
    assert positions(known, 3) == ["subscripts", "operands", "operands"]
    known.bind_partial("ab", 1, 2, dtype=3)
    with pytest.raises(TypeError):
        known.bind_partial("ab", subscripts="ab")
    known = signature("x1 x2 / * out")
    with pytest.raises(TypeError):
        known.bind_partial(1, 2, 3)
    assert positions(signature("a axis"), 1) == ["a"]

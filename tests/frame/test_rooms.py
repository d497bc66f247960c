"""The package in rooms: no circle of imports, files that fit a few screens, and no model's names outside of gans/."""

import ast
from pathlib import Path

import pytest

import minigan

PACKAGE = Path(minigan.__file__).parent
FILES = {path.relative_to(PACKAGE.parent).as_posix(): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
ROOMS = [name for name in FILES if name.startswith(("minigan/training/", "minigan/commands/"))]


def module_of(name):
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(name): name for name in FILES}


def imports(tree):
    """The modules that a file imports while it is loaded itself: not those in functions, nor for type checkers."""
    found, nodes = set(), list(tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.If, ast.Try, ast.With)) and "TYPE_CHECKING" not in ast.dump(node):
            nodes += node.body
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & MODULES.keys()) or {node.module}
    return found & MODULES.keys()


def test_no_module_imports_itself_by_a_detour():
    """A package's __init__ that gathers names is no step of a way: its modules are named one by one."""
    graph = {module: imports(FILES[name]) for module, name in MODULES.items() if "__init__" not in name}
    done, way = set(), []

    def walk(module):
        assert module not in way, " → ".join([*way[way.index(module) :], module])
        if module in done or module not in graph:
            return
        way.append(module)
        for other in sorted(graph[module]):
            walk(other)
        done.add(way.pop())

    for module in sorted(graph):
        walk(module)


@pytest.mark.parametrize("name", ROOMS)
def test_files_have_at_most_250_lines_and_functions_60(name):
    lines = (PACKAGE.parent / name).read_text().splitlines()
    functions = [node for node in ast.walk(FILES[name]) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    long = [f"{node.name}: {node.end_lineno - node.lineno + 1}" for node in functions]
    assert len(lines) <= 250
    assert [entry for entry in long if int(entry.split()[1]) > 60] == []


def test_training_and_commands_know_no_network_by_its_name():
    spelt = {
        name: [
            node.lineno for node in ast.walk(FILES[name]) if isinstance(node, ast.Constant) and node.value in ("G", "D")
        ]
        for name in ROOMS
    }
    assert {name: lines for name, lines in spelt.items() if lines} == {}

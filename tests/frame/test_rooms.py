"""The package in rooms: imports go down, without a circle; functions and files fit a few screens."""

import ast

import pytest
from rooms import FILES, HEIGHT, MODULES, PACKAGE, all_imports, imports, room_of

FRAME = [name for name in FILES if name.startswith(("minigan/training/", "minigan/commands/"))]


def test_every_module_has_its_place_in_the_order():
    assert {room_of(module) for module in MODULES} == {"", *HEIGHT}


def test_imports_go_down():
    """Also those in functions and for type checkers. `import minigan` itself, for the version, is allowed anywhere."""
    upward = [
        f"{module} imports {other}"
        for module, name in MODULES.items()
        for other in all_imports(FILES[name]) & MODULES.keys() - {"minigan"}
        if room_of(module) != room_of(other) and HEIGHT[room_of(module)] <= HEIGHT[room_of(other)]
    ]
    assert upward == []


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


def test_layers_losses_penalties_optimizers_and_gans_know_nothing_of_threads():
    readers = ("layers", "losses", "penalties", "optim", "model", "options", "gans")
    found = {m: all_imports(FILES[name]) for m, name in MODULES.items() if room_of(m) in readers}
    assert {m for m, others in found.items() if any(room_of(other) == "threads" for other in others)} == set()


def test_reference_kernels_have_no_threads_and_fast_kernels_no_reference():
    for module, name in MODULES.items():
        if room_of(module) == "kernels":
            others = {other for other in all_imports(FILES[name]) if room_of(other) in ("kernels", "threads")}
            if module.startswith("minigan.kernels.fast"):
                wrong = {
                    other
                    for other in others
                    if other.startswith("minigan.kernels")
                    and not other.startswith(("minigan.kernels.fast", "minigan.kernels.geometry"))
                }
            else:
                wrong = {other for other in others if other.startswith("minigan.threads")}
            assert wrong == set(), module


@pytest.mark.parametrize("name", FILES)
def test_functions_have_at_most_60_lines(name):
    functions = [node for node in ast.walk(FILES[name]) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    lengths = {f"{node.name}, line {node.lineno}": node.end_lineno - node.lineno + 1 for node in functions}
    assert {function: length for function, length in lengths.items() if length > 60} == {}


@pytest.mark.parametrize("name", FRAME)
def test_files_of_training_and_commands_have_at_most_250_lines(name):
    assert len((PACKAGE.parent / name).read_text().splitlines()) <= 250


def test_training_and_commands_know_no_network_by_its_name():
    spelled = {
        name: [
            node.lineno for node in ast.walk(FILES[name]) if isinstance(node, ast.Constant) and node.value in ("G", "D")
        ]
        for name in FRAME
    }
    assert {name: lines for name, lines in spelled.items() if lines} == {}

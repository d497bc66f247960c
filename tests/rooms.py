"""The rooms of the package, bottom to top, and what its files import. docs/architecture.md draws the same order."""

import ast
from pathlib import Path

import minigan

PACKAGE = Path(minigan.__file__).parent

# A room imports from the rows below its own, and nothing else
ENGINE = (
    ("errors",),
    ("backend", "threads"),
    ("kernels",),
    ("layers",),
    ("losses", "penalties", "optim"),
    ("model", "options"),
    ("gans",),
    ("translators", "autoencoders"),
    ("models",),
)
WORKSHOP = (
    ("common",),
    ("data",),
    ("metrics", "testing"),
    ("training",),
    ("apply", "bench"),
    ("selftest",),
    ("commands",),
    ("__main__",),
)
ROWS = (*ENGINE, *WORKSHOP)
HEIGHT = {room: height for height, row in enumerate(ROWS) for room in row}

FILES = {path.relative_to(PACKAGE.parent).as_posix(): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
MODULES = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in FILES}


def room_of(module):
    """`layers` of minigan.layers.conv; the empty string of minigan itself, which imports nothing."""
    return module.partition(".")[2].partition(".")[0]


def engine_files():
    """The paths of the engine's files, relative to the package's folder."""
    rooms = {room for row in ENGINE for room in row}
    inside = {name: name.removeprefix("minigan/") for module, name in MODULES.items() if room_of(module) in rooms}
    return sorted(inside.values())


def imported(nodes):
    """The names of the modules that these nodes import, of this package and of others."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & MODULES.keys()) or {node.module}
    return found


def imports(tree):
    """The modules that a file imports while it is loaded itself: not those in functions, nor for type checkers."""
    loaded, nodes = [], list(tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.If, ast.Try, ast.With)) and "TYPE_CHECKING" not in ast.dump(node):
            nodes += node.body
        loaded.append(node)
    return imported(loaded) & MODULES.keys()


def all_imports(tree):
    """The modules that a file imports anywhere."""
    return imported(ast.walk(tree))


def lines_of(source):
    """How many lines of a Python file are (code, docstrings). Blank lines and comments are neither."""
    tree, documented = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(
            node
        ):
            documented |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = source.splitlines()
    filled = {i for i, line in enumerate(lines, 1) if line.strip() and not line.strip().startswith("#")}
    return len(filled - documented), len(filled & documented)

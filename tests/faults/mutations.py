"""The faults that are planted: small changes to one function, of the kinds that people make in a derivative.

Each is made in the syntax tree of a whole module, so that line numbers and closures stay what they are.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

OPPOSITE = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
WORDS = {"input": "both", "params": "input"}  # of wrt
UNTOUCHED = {"__repr__", "macs", "reach"}  # no derivative depends on them


@dataclass(frozen=True)
class Fault:
    """A change to one function. `path` is its name, such as ("Dense", "backward"); `code` what it then runs."""

    path: tuple[str, ...]
    line: int
    change: str
    code: CodeType

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}, line {self.line}: {self.change}"


def faults(source: str, filename: str) -> Iterator[Fault]:
    """Every fault that can be planted into a module."""
    tree, whole = ast.parse(source), compile(source, filename, "exec")
    for path, function in _functions(tree):
        seen: Counter = Counter()
        for node in _nodes(function):
            for change, put in _changes(node):
                undo = put()
                changed = _code_of(compile(ast.fix_missing_locations(copy.deepcopy(tree)), filename, "exec"), path)
                undo()
                if (
                    changed.co_freevars == _code_of(whole, path).co_freevars
                ):  # else the only super() is gone, and the closure differs
                    seen[change] += 1
                    nth = f" ({seen[change]})" if seen[change] > 1 else ""  # so that each has a name of its own
                    yield Fault(path, node.lineno, change + nth, changed)


def _functions(tree: ast.Module) -> Iterator[tuple[tuple[str, ...], ast.FunctionDef]]:
    """Functions and methods; what is defined inside of one belongs to it."""
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = (node.name,) if isinstance(node, ast.ClassDef) else ()
        for member in members:
            if isinstance(member, ast.FunctionDef) and member.name not in UNTOUCHED:
                yield (*prefix, member.name), member


def _nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """All that stands in the body: without annotations, docstrings, and what only words an error."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Assert)):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        yield node
        if isinstance(node, ast.AnnAssign):
            waiting += [node.value] if node.value is not None else []
        elif isinstance(node, ast.FunctionDef):
            waiting += node.body
        elif _is_minus_one(node):
            continue  # reshape treats −2 as it does −1
        else:
            waiting += ast.iter_child_nodes(node)


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Yield `(in words, put)` for each fault at a node; put() changes the tree and returns how to undo it."""
    old = ast.unparse(node).split("\n")[0]
    if isinstance(node, ast.BinOp) and type(node.op) in OPPOSITE:
        if not _is_text(node):
            yield f"{old} → its left side", _become(node, node.left)
            yield f"{old} → with the opposite operation", _set(node, "op", OPPOSITE[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield f"{old} → without its sign", _become(node, node.operand)
    elif isinstance(node, ast.AugAssign) and type(node.op) in OPPOSITE:
        yield f"{old} → with the opposite operation", _set(node, "op", OPPOSITE[type(node.op)]())
        yield f"{old} → left out", _become(node, ast.Pass())
        yield f"{old} → overwrites", _become(node, ast.Assign([node.target], node.value))
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPPOSITE:
        yield f"{old} → with the opposite comparison", _set(node, "ops", [OPPOSITE[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.BoolOp):
        yield f"{old} → with the opposite operation", _set(node, "op", OPPOSITE[type(node.op)]())
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield f"{old} → the opposite condition", _set(node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield f"{old} → left out", _become(node, ast.Pass())
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        for i in (i for i, element in enumerate(node.value.elts) if getattr(element, "value", 0) is not None):
            others = [ast.Constant(None) if k == i else element for k, element in enumerate(node.value.elts)]
            yield f"{old} → None for number {i}", _set(node, "value", ast.Tuple(others, ast.Load()))
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        new = node.value + 1 if isinstance(node.value, int) else 2 * node.value + 0.5
        yield f"{old} → {new}", _set(node, "value", new)
    elif isinstance(node, ast.keyword) and node.arg == "wrt" and getattr(node.value, "value", None) in WORDS:
        yield f"{old} → {WORDS[node.value.value]!r}", _set(node, "value", ast.Constant(WORDS[node.value.value]))


def _is_minus_one(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant) and node.operand.value == 1


def _is_text(node: ast.BinOp) -> bool:
    return any(isinstance(n, ast.JoinedStr) or isinstance(getattr(n, "value", 0), str) for n in ast.walk(node))


def _set(node: ast.AST, field: str, value: object) -> object:
    def put() -> object:
        old = getattr(node, field)
        setattr(node, field, value)
        return lambda: setattr(node, field, old)

    return put


def _become(node: ast.AST, other: ast.AST) -> object:
    """Let a node be another one: its class and its fields are exchanged."""

    def put() -> object:
        kind, fields = node.__class__, dict(vars(node))
        place = {name: fields[name] for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")}
        new = dict(vars(other))
        node.__class__ = other.__class__
        vars(node).clear()
        vars(node).update(new | place)

        def undo() -> None:
            node.__class__ = kind
            vars(node).clear()
            vars(node).update(fields)

        return undo

    return put


def _code_of(code: CodeType, path: tuple[str, ...]) -> CodeType:
    for name in path:
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
    return code

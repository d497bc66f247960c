"""Loads a user's own model, layer or data: `my_gan.py:MyGAN` is a name in a Python file.

Loading a file runs it. Therefore only names from the command line or from a program are loaded, never names from a file
such as config.json. The path is relative to the working directory; the file can import modules in its folder.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any

from minigan.common.words import near
from minigan.errors import DataError, MiniganError
from minigan.model import Model
from minigan.options import arguments_of

MARK = ".py:"
# Cached by path and checksum, so that a name always refers to the same class
_loaded: dict[tuple[Path, str], ModuleType] = {}


class OwnError(MiniganError):
    """A problem in a user's own file; the message has the file, and the line if there is one."""


def is_own(word: str) -> bool:
    """Whether a word refers to a user's file, and not to a built-in model or data set."""
    return MARK in word


def short_name(word: str) -> str:
    """Return the name without the file: MyGAN for my_gan.py:MyGAN. Other words are returned unchanged."""
    return word.rpartition(MARK)[2]


def load_own(word: str) -> tuple[Any, dict[str, str]]:
    """Return the object `file.py:name`, and the SHA-256 of the file and of the imported modules in its folder, by name.

    Raises OwnError if the file or the name doesn't exist, or if running the file raises an exception.
    """
    file, _, name = word.rpartition(":")
    path = Path(file).expanduser().absolute()
    module = _load(path)
    if not name or not hasattr(module, name):
        there = [n for n, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        like = near(name, there)
        hint = f"did you mean {like}?" if like else f"it has {', '.join(there) or 'no class and no function'}"
        raise OwnError(f"there is no {name!r} in {file}: {hint}")
    return getattr(module, name), {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, *_imported_siblings(path))
    }


def own_model(word: str) -> tuple[type[Model], dict[str, str]]:
    """Return a user's own model class, and checksums like `load_own`. Raises OwnError if it isn't a Model."""
    cls, checksums = load_own(word)
    if not isinstance(cls, type) or not issubclass(cls, Model) or cls is Model:
        raise OwnError(
            f"{definition(cls, word)}: {short_name(word)} is no model: make it a class that inherits from "
            "minigan.model.Model"
        )
    try:
        arguments_of(cls)
    except Exception as error:
        what = f"the annotations of its constructor can't be read: {type(error).__name__}: {error}"
        raise OwnError(f"{definition(cls.__init__, word)}: {what}") from error
    return cls, checksums


def own_data(word: str) -> tuple[Any, dict[str, str]]:
    """Call a user's own function without arguments; return its result, and checksums like `load_own`.

    Raises OwnError if it isn't a function, needs arguments, raises an exception, or returns None.
    """
    function, checksums = load_own(word)
    place, name = definition(function, word), short_name(word)
    if not inspect.isroutine(function):
        raise OwnError(f"{place}: {name} is no function: write def {name}() that returns an array or a dict of arrays")
    with _siblings_importable(Path(function.__code__.co_filename if hasattr(function, "__code__") else word).parent):
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            raise OwnError(f"{place}: {name} is called without arguments: {error}") from error
        try:
            data = function()
        except (Exception, SystemExit) as error:
            raise OwnError(_problem(error, place)) from error
    if data is None:
        raise OwnError(f"{place}: {name} returns nothing: return an array, a dict of arrays, or a data set")
    return data, checksums


@contextmanager
def locate_data_errors(word: str | None) -> Iterator[None]:
    """Context manager: add the place of the user's function that returned the data to the message of a DataError."""
    try:
        yield
    except DataError as error:
        if not word or not is_own(word):
            raise
        raise OwnError(f"{definition(load_own(word)[0], word)}: {error}") from error


def definition(value: Any, word: str) -> str:
    """Return where an object in a user's file is defined, such as `my_gan.py, line 12`; without a line if unknown."""
    try:
        return f"{Path(inspect.getsourcefile(value) or '').name}, line {inspect.getsourcelines(value)[1]}"
    except (TypeError, OSError):
        return Path(word.rpartition(":")[0]).name


def place_in_own(error: BaseException | None) -> str:
    """Return the innermost position of an exception in a user's files, such as `my_gan.py, line 34, in step`, or ""."""
    files = {str(path) for path, _ in _loaded}
    files |= {str(file) for file in _imported_from({path.parent for path, _ in _loaded})}
    place = ""
    while error is not None and not place:
        for frame, line in walk_tb(error.__traceback__):
            if frame.f_code.co_filename in files:
                place = f"{Path(frame.f_code.co_filename).name}, line {line}, in {frame.f_code.co_name}"
        error = error.__cause__ or error.__context__
    return place.removesuffix(", in <module>")


def _load(path: Path) -> ModuleType:
    """Run a file as a module. Raises OwnError."""
    try:
        source = path.read_bytes()
    except OSError as error:
        like = near(path.name, (one.name for one in path.parent.glob("*.py"))) if path.parent.is_dir() else None
        hint = f"did you mean {like}?" if like else "give the path of a Python file and a name in it, my_gan.py:MyGAN"
        raise OwnError(f"{path} can't be read ({error.strerror}): {hint}") from error
    key = (path, hashlib.sha256(source).hexdigest())
    if key in _loaded:
        return _loaded[key]
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_{key[1][:8]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # needed by dataclasses, and by modules in the folder that import this one
    _loaded[key] = module
    _unload_namesakes(path.parent)
    try:
        with _siblings_importable(path.parent):
            exec(compile(source, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        what = _problem(error, path.name)
        del sys.modules[name], _loaded[key]
        raise OwnError(what) from error
    return module


def _unload_namesakes(folder: Path) -> None:
    """Unload modules from the folders of other user files that have the same name as a file in `folder`."""
    others = {path.parent for path, _ in _loaded} - {folder}
    for file in folder.glob("*.py"):
        if Path(_file(sys.modules.get(file.stem)) or "/").parent in others:
            del sys.modules[file.stem]


@contextmanager
def _siblings_importable(folder: Path) -> Iterator[None]:
    """Context manager: make the modules in a folder importable."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _imported_siblings(path: Path) -> list[Path]:
    """Return the imported modules in the folder of a user's file, except the file itself."""
    return sorted(_imported_from({path.parent}) - {path})


def _imported_from(folders: set[Path]) -> set[Path]:
    """Return the files of all imported modules in these folders."""
    names, modules = {str(folder) for folder in folders}, list(sys.modules.items())
    files = (file for name, m in modules if name != "__main__" and isinstance(file := _file(m), str))
    return {Path(file) for file in files if os.path.dirname(file) in names}


def _file(module: Any) -> str | None:
    return getattr(module, "__file__", None)


def _problem(error: BaseException, otherwise: str) -> str:
    """Format an exception in a user's file, preceded by its place."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{Path(error.filename).name}, line {error.lineno}: {error.msg}"
    text = str(error) if isinstance(error, MiniganError) else f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"{place_in_own(error) or otherwise}: {text}"

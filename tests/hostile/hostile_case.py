"""What a case of the corpus is, and what must be true when minigan meets it.

A case writes its files into an empty folder, and then a command line or a reader gets them. Whatever they are, it must
end in one sentence that names the file; nothing of theirs is executed, nothing is left behind, memory and time stay
bounded, and the sentence holds nothing that a terminal would obey.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import io
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigan.commands.cli import COMMANDS, main
from minigan.errors import MiniganError

for module, _ in COMMANDS.values():
    importlib.import_module(module)  # now, and not while what is executed is recorded: importing executes a lot

MEMORY = 300 << 20  # bytes above what was there before
SECONDS = 8.0  # of the processor; what waits for something is stopped after four times as many on the clock
CANARY = "executed"  # a file that only a payload would make


@dataclass(frozen=True)
class Case:
    """One bad input.

    `make(folder)` writes it. `read` is a command line, run in that folder, or a function of the folder. `says` is a
    piece of the sentence that is expected; None for what looks odd but is fine, and must work. `warns`: the command
    does its work without the bad file, and says so.
    """

    name: str
    make: Callable[[Path], Any]
    read: str | Callable[[Path], Any]
    says: str | None
    warns: bool = False


@dataclass
class Outcome:
    """What happened: whether it was refused, what was said, and all that a hostile file may not bring about."""

    refused: bool = False
    sentence: str = ""
    executed: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    memory: int = 0
    seconds: float = 0.0


def meet(case: Case, folder: Path) -> Outcome:
    """Write the files of a case into an empty folder, hand them over, and see what comes of it."""
    case.make(folder)
    before, outcome, here = listing(folder), Outcome(), Path.cwd()
    os.chdir(folder)
    forget_peak()
    base, start = memory_now(), time.process_time()
    try:
        with recorded(outcome.executed), time_limit(4 * SECONDS):
            met = command(case.read) if isinstance(case.read, str) else reader(case.read, folder)
            outcome.refused, outcome.sentence = met
    finally:
        os.chdir(here)
    outcome.seconds, outcome.memory = time.process_time() - start, memory_peak() - base
    after = listing(folder)
    outcome.left_behind = sorted(f"{path}: {after.get(path)}" for path in before.items() ^ after.items())
    return outcome


def complaints(case: Case, outcome: Outcome) -> list[str]:
    """What should not have happened."""
    said, expected = outcome.sentence, case.says is not None and not case.warns
    wrong = [] if outcome.refused == expected else [f"it was {'' if outcome.refused else 'not '}refused"]
    if case.says is None and said:
        wrong.append("something was said")
    if (case.says or "") not in said:
        wrong.append(f"the sentence should have {case.says!r} in it")
    if not said.isprintable():
        wrong.append("it holds what a terminal would obey")
    if expected and outcome.left_behind:
        wrong.append(f"changed: {outcome.left_behind}")
    if outcome.executed:
        wrong.append(f"executed: {outcome.executed}")
    if any(CANARY in path for path in outcome.left_behind):
        wrong.append("a payload has made its file")
    if outcome.memory > MEMORY:
        wrong.append(f"it took {outcome.memory >> 20} MiB")
    if outcome.seconds > SECONDS:
        wrong.append(f"it took {outcome.seconds:.1f} s")
    return wrong


def reader(read: Callable[[Path], Any], folder: Path) -> tuple[bool, str]:
    """Call a reader. Any exception but a MiniganError goes on upwards, and fails the test."""
    try:
        read(folder)
    except MiniganError as error:
        return True, str(error)
    return False, ""


def command(line: str) -> tuple[bool, str]:
    """Run a command in this process; return whether it refuses, and the one line that it says on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(line.split())
    said = err.getvalue()
    assert all(line.isprintable() for line in out.getvalue().splitlines()), out.getvalue()
    if status == 0:
        return False, said.removesuffix("\n")
    assert (status, out.getvalue()) == (2, ""), (status, out.getvalue(), said)
    assert said.startswith("minigan: error: "), said
    assert said.endswith("\n"), said
    return True, said.removesuffix("\n")


def listing(folder: Path) -> dict[str, tuple]:
    """Every name in a folder with its kind, size and time of writing; links are not followed."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            status = os.lstat(os.path.join(root, name))
            size = None if os.path.isdir(os.path.join(root, name)) else (status.st_size, status.st_mtime_ns)
            found[os.path.relpath(os.path.join(root, name), folder)] = (status.st_mode, size)
    return found


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer, as opening a pipe would."""

    def too_long(*_: Any) -> None:
        raise TimeoutError(f"not finished after {seconds} s")

    old = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


# Of what Python's audit hooks tell, that which no reader of a file has any business with
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")
_watched: list[list[str]] = []  # a hook can't be taken away again: it is idle while this is empty


def _hook(event: str, arguments: tuple) -> None:
    if _watched and event in FORBIDDEN:
        _watched[-1].append(f"{event} {arguments!r:.200}")
        raise AssertionError(f"{event} in the reader of a file")


sys.addaudithook(_hook)


@contextlib.contextmanager
def recorded(executed: list[str]) -> Iterator[None]:
    """Write down what is executed in this block, and refuse it."""

    def refuse(name: str, original: Callable) -> Callable:
        def called(*args: Any, **options: Any) -> Any:
            if name in ("builtins.eval", "builtins.exec") and not isinstance(args[0], (str, bytes)):
                return original(*args, **options)  # code that was compiled before: `typing` reads its hints so
            executed.append(f"{name}{args!r:.200}")
            raise AssertionError(f"{name} was called")

        return called

    targets = [(os, "system"), (os, "popen"), (subprocess, "Popen"), (builtins, "eval"), (builtins, "exec")]
    originals = [(module, name, getattr(module, name)) for module, name in targets]
    _watched.append(executed)
    os.environ.pop("MINIGAN_CANARY", None)
    try:
        for module, name, original in originals:
            setattr(module, name, refuse(f"{module.__name__}.{name}", original))
        yield
    finally:
        _watched.pop()
        for module, name, original in originals:
            setattr(module, name, original)
        if os.environ.pop("MINIGAN_CANARY", None):
            executed.append("the variable MINIGAN_CANARY was set")


def memory_now() -> int:
    """Bytes of memory that this process has."""
    return _status("VmRSS")


def memory_peak() -> int:
    """The most that it had since `forget_peak`; elsewhere than on Linux since it began, which tells nothing."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Begin anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))

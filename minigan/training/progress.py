"""What the user sees of a run: a bar on a terminal, a plain line now and then elsewhere. And Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm import tqdm

from minigan.terminal import is_terminal

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def describe(record: dict) -> str:
    """The measures of a record in one line."""
    return (
        f"D loss {record['d_loss']:.3f}  G loss {record['g_loss']:.3f}  D(x) {record['d_real']:.2f}  "
        f"D(G(z)) {record['d_fake']:.2f}  {record['pictures_per_second']:,.0f} samples/s"
    )


def abridge(record: dict, note: str = "") -> str:
    """The same so short that a bar has room beside it in 80 columns: the losses, and the note or D's opinions."""
    losses = f"D {record['d_loss']:.2f} G {record['g_loss']:.2f}"
    return f"{losses} {note}" if note else f"{losses} D(x) {record['d_real']:.2f} D(G(z)) {record['d_fake']:.2f}"


def count_steps(n: int) -> str:
    """Such as `1 step` or `2 steps`."""
    return "1 step" if n == 1 else f"{n} steps"


def say(line: str) -> None:
    """Print a line at once. If its reader has gone, as `head` does, training goes on without being heard."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def resume_command(folder: Path) -> str:
    """What to type to go on with a run."""
    return f"minigan train --resume {shlex.quote(str(folder))}"


def peak_bytes() -> int | None:
    """The most memory that this process has had so far; None where the system doesn't say."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Progress:
    """Show how far training is: a bar if stderr is a terminal, otherwise one plain line for each call of `line`.

    `note` is what the trainer found out last, beyond the measures of a record.
    """

    def __init__(self, total: int, start: int = 0, quiet: bool = False) -> None:
        self.total, self.quiet, self.note = total, quiet, ""
        self._bar: Any = None
        if is_terminal(sys.stderr) and not quiet:
            layout = "{percentage:3.0f}% {bar} {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
            self._bar = tqdm(total=total, initial=start, bar_format=layout, dynamic_ncols=True, mininterval=0.2)

    def advance(self) -> None:
        """One more step is done."""
        if self._bar is not None:
            self._bar.update()

    def go_back(self, step: int) -> None:
        """The run goes on from an earlier step."""
        if self._bar is not None:
            self._bar.n = step
            self._bar.refresh()

    def say(self, line: str) -> None:
        """Print a line beside the bar, or as one of the plain lines."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        elif not self.quiet:
            say(line)

    def warn(self, step: int, sentence: str) -> None:
        """Print what the doctor has to say."""
        self.say(f"step {step}: {sentence}")

    def show(self, record: dict) -> None:
        """Show the measures of a record in the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(abridge(record, self.note), refresh=False)

    def line(self, record: dict) -> None:
        """Print the measures of a record, where there is no bar."""
        if self._bar is None and not self.quiet:
            note = f"  {self.note}" if self.note else ""
            say(f"step {record['step']}/{self.total}  epoch {record['epoch']}  {describe(record)}{note}")

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


class Interrupts:
    """Within this block Ctrl-C, or the TERM signal, only asks for an end: `signal` is its number, or 0.

    A second one acts as ever. In a thread other than the main one, where Python has no signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._ask) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self.__exit__()

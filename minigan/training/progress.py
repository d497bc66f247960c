"""What the user sees of a run: a bar on a terminal, a plain line now and then elsewhere. And Ctrl-C."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm import tqdm

from minigan.common.terminal import is_terminal
from minigan.training.declared import LOSSES, Declared

LINE, BAR = 100, 42  # characters for the measures in a plain line, and beside a bar
HUGE = 1e5  # a value from which on digits behind the point don't count
TELL_AFTER_S = 2.0  # of steps: how long a run takes is told as soon as these are measured

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def describe(record: dict, declared: Declared) -> str:
    """The measures of the first two charts, as many as there is room for, and the speed."""
    parts = _told(record, declared, (3, 2), LINE, " loss")
    return "  ".join([*parts, f"{record['pictures_per_second']:,.0f} samples/s"])


def abridge(record: dict, declared: Declared, note: str = "") -> str:
    """The same so short that a bar has room beside it in 80 columns; with a note, the first chart and the note."""
    return " ".join(_told(record, declared, (2,) if note else (2, 2), BAR - len(note)) + ([note] if note else []))


def _told(record: dict, declared: Declared, digits: tuple[int, ...], room: int, loss: str = "") -> list[str]:
    """Such as `D loss 1.234`: words up to a comma, and the value with so many digits, of each chart's measures."""
    parts = []
    for chart, n in zip(declared.charts, digits, strict=False):
        for name in [name for name in chart.curves if name in record]:
            words, value = chart.curves[name].partition(",")[0] + loss * (chart.title == LOSSES), record[name]
            parts.append(f"{words} {value:.{n}f}" if abs(value) < HUGE else f"{words} {value:.3g}")
    while parts and sum(map(len, parts)) + len(parts) > room:
        parts.pop()
    return parts


def count_steps(n: int) -> str:
    """Such as `1 step` or `2 steps`."""
    return "1 step" if n == 1 else f"{n:,} steps"


def say(line: str, stream: Any = None) -> None:
    """Print a line at once. If its reader has gone, as `head` or a closed terminal, training goes on without it."""
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def duration(seconds: float) -> str:
    """A time for people, in its two largest units: 40 s, 12 min, 3 h 20 min, 2 d 7 h."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if hours else f"{minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def resume_command(folder: Path) -> str:
    """What to type to go on with a run."""
    return f"minigan train --resume {shlex.quote(str(folder))}"


def peak_bytes() -> int | None:
    """The most memory that this process has had so far; None where the system doesn't say."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forecast(steps: int, seconds: float, steps_per_epoch: float | None = None) -> str:
    """How long so many steps take, in a line."""
    epochs = steps / steps_per_epoch if steps_per_epoch else 0
    passes = f" ({epochs:.2g} epochs)" if 0 < epochs < 10 else f" ({epochs:,.0f} epochs)" if epochs else ""
    pace = f"{seconds:.2g} s a step" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms a step"
    return f"{pace}, measured on this machine: {count_steps(steps)}{passes} will take about {duration(steps * seconds)}"


class Progress:
    """Show how far training is: a bar if stderr is a terminal, otherwise one plain line for each call of `line`.

    `declared` has the words for measures; `note`, which the run sets, is what was found out last besides. How long it
    will take is told once, after some seconds, and in every plain line: from all steps but the first, with the pictures
    and checkpoints between them. `steps_per_epoch` is for people, too.
    """

    def __init__(
        self,
        total: int,
        start: int = 0,
        quiet: bool = False,
        steps_per_epoch: float | None = None,
        declared: Declared | None = None,
    ) -> None:
        self.total, self.quiet, self.note, self.declared = total, quiet, "", declared or Declared()
        self.steps_per_epoch, self.step = steps_per_epoch, start
        self._measured = (start, 0.0)  # from which step on, and its time
        self._told = False
        self._plain = quiet or not is_terminal(sys.stderr)
        layout = "{percentage:3.0f}% {bar} {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        how: Any = {"bar_format": layout, "dynamic_ncols": True, "mininterval": 0.2, "disable": self._plain}
        self._bar = tqdm(total=total, initial=start, **how)

    def advance(self) -> None:
        """One more step is done."""
        self.step += 1
        if not self._measured[1]:  # the first one also makes what is made only once
            self._measured = (self.step, time.perf_counter())
        elif not self._told and time.perf_counter() - self._measured[1] > TELL_AFTER_S:
            self._told = True
            seconds, left = self.seconds_a_step() or 0.0, self.total - self.step
            if seconds * left > TELL_AFTER_S:
                self.say(forecast(left, seconds, self.steps_per_epoch))
        self._bar.update()

    def seconds_a_step(self) -> float | None:
        """As this process has measured them; None after fewer than two steps."""
        step, then = self._measured
        return (time.perf_counter() - then) / (self.step - step) if self.step > step else None

    def go_back(self, step: int) -> None:
        """The run goes on from an earlier step."""
        self.step, self._measured = step, (step, 0.0)
        if not self._plain:
            self._bar.n = step
            self._bar.refresh()

    def say(self, line: str) -> None:
        """Print a line beside the bar, or as one of the plain lines."""
        if not self._plain:
            self._bar.clear()
            say(line, sys.stderr)
            self._bar.refresh()
        elif not self.quiet:
            say(line)

    def warn(self, step: int, sentence: str) -> None:
        """Print what the doctor has to say."""
        self.say(f"step {step}: {sentence}")

    def show(self, record: dict) -> None:
        """Show the measures of a record in the bar."""
        if not self._plain:
            self._bar.set_postfix_str(abridge(record, self.declared, self.note), refresh=False)

    def line(self, record: dict) -> None:
        """Print the measures of a record, where there is no bar."""
        if self._plain and not self.quiet:
            seconds, left = self.seconds_a_step(), self.total - record["step"]
            more = [self.note] if self.note else []
            more += [f"{duration(seconds * left)} left"] if seconds and left else []
            place = f"step {record['step']}/{self.total}  epoch {record['epoch']}"
            say("  ".join([place, describe(record, self.declared), *more]))

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class Interrupts:
    """Within this block Ctrl-C, TERM or the hang-up of a terminal only asks for an end: `signal` is its number, or 0.

    A second one acts as ever. What is ignored when the block begins stays so, as the hang-up is after `nohup`. In a
    thread other than the main one, where Python has no signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            asking = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
            heard = [n for n in asking if signal.getsignal(n) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._ask) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self.__exit__()

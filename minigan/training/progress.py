"""Progress output of a run: a bar on a terminal, otherwise occasional plain lines. Also handles Ctrl-C."""

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
HUGE = 1e5  # values from here on are shown in exponential form
FORECAST_AFTER_S = 2.0  # seconds of training before the duration of the run is estimated

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def describe(record: dict, declared: Declared) -> str:
    """Format the speed and as many measures of the first two charts as fit into LINE characters."""
    parts = _measure_texts(record, declared, (3, 2), LINE, " loss")
    return "  ".join([*parts, f"{record['pictures_per_second']:,.0f} samples/s"])


def abridge(record: dict, declared: Declared, note: str = "") -> str:
    """Format as many measures as fit beside a bar in 80 columns; with a note, those of the first chart and the note."""
    return " ".join(
        _measure_texts(record, declared, (2,) if note else (2, 2), BAR - len(note)) + ([note] if note else [])
    )


def _measure_texts(record: dict, declared: Declared, digits: tuple[int, ...], room: int, loss: str = "") -> list[str]:
    """Return texts such as `D loss 1.234` for the measures of each chart, as many as fit into `room` characters.

    `digits` are the decimal places for each chart, and `loss` is appended to the names of losses.
    """
    parts = []
    for chart, n in zip(declared.charts, digits, strict=False):
        for name in [name for name in chart.curves if name in record and name in declared.measures]:
            words, value = chart.curves[name].partition(",")[0] + loss * (chart.title == LOSSES), record[name]
            parts.append(f"{words} {value:.{n}f}" if abs(value) < HUGE else f"{words} {value:.3g}")
    while parts and sum(map(len, parts)) + len(parts) > room:
        parts.pop()
    return parts


def count_steps(n: int) -> str:
    """Return `1 step`, `2 steps` and so on."""
    return "1 step" if n == 1 else f"{n:,} steps"


def say(line: str, stream: Any = None) -> None:
    """Print a line unbuffered. If the reader has closed the stream (`head`, a closed terminal), discard all output."""
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def duration(seconds: float) -> str:
    """Format a time in its two largest units: 40 s, 12 min, 3 h 20 min, 2 d 7 h."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if hours else f"{minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def resume_command(folder: Path) -> str:
    """Return the command that resumes a run."""
    return f"minigan train --resume {shlex.quote(str(folder))}"


def peak_bytes() -> int | None:
    """Return the peak memory of this process so far; None if the operating system doesn't report it."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forecast(steps: int, seconds: float, steps_per_epoch: float | None = None) -> str:
    """Describe in one line how long `steps` steps take, given the seconds of one."""
    epochs = steps / steps_per_epoch if steps_per_epoch else 0
    passes = f" ({epochs:.2g} epochs)" if 0 < epochs < 10 else f" ({epochs:,.0f} epochs)" if epochs else ""
    pace = f"{seconds:.2g} s a step" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms a step"
    return f"{pace}, measured on this machine: {count_steps(steps)}{passes} will take about {duration(steps * seconds)}"


class Progress:
    """Shows progress: a bar if stderr is a terminal, otherwise one plain line for each call of `line`.

    `declared` has the display names of measures. The run sets `note` to its latest evaluation. The remaining time is
    printed once, after some seconds, and in every plain line. It is estimated from all steps except the first one,
    including the pictures and checkpoints between them. `steps_per_epoch` adds the number of epochs to the estimate.
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
        self._measured = (start, 0.0)  # the first step of the measurement, and its time
        self._forecast_printed = False
        self._plain = quiet or not is_terminal(sys.stderr)
        layout = "{percentage:3.0f}% {bar} {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        how: Any = {"bar_format": layout, "dynamic_ncols": True, "mininterval": 0.2, "disable": self._plain}
        self._bar = tqdm(total=total, initial=start, **how)

    def advance(self) -> None:
        """Count one step."""
        self.step += 1
        if not self._measured[1]:  # the first step includes one-time setup
            self._measured = (self.step, time.perf_counter())
        elif not self._forecast_printed and time.perf_counter() - self._measured[1] > FORECAST_AFTER_S:
            self._forecast_printed = True
            seconds, left = self.seconds_a_step() or 0.0, self.total - self.step
            if seconds * left > FORECAST_AFTER_S:
                self.say(forecast(left, seconds, self.steps_per_epoch))
        self._bar.update()

    def seconds_a_step(self) -> float | None:
        """Return the measured seconds per step; None after fewer than two steps."""
        step, then = self._measured
        return (time.perf_counter() - then) / (self.step - step) if self.step > step else None

    def go_back(self, step: int) -> None:
        """Continue from an earlier step, after a rollback."""
        self.step, self._measured = step, (step, 0.0)
        if not self._plain:
            self._bar.n = step
            self._bar.refresh()

    def say(self, line: str) -> None:
        """Print a line above the bar, or as a plain line."""
        if not self._plain:
            self._bar.clear()
            say(line, sys.stderr)
            self._bar.refresh()
        elif not self.quiet:
            say(line)

    def warn(self, step: int, sentence: str) -> None:
        """Print a note of the doctor."""
        self.say(f"step {step}: {sentence}")

    def show(self, record: dict) -> None:
        """Show the measures of a record in the bar."""
        if not self._plain:
            self._bar.set_postfix_str(abridge(record, self.declared, self.note), refresh=False)

    def line(self, record: dict) -> None:
        """Print the measures of a record if there is no bar."""
        if self._plain and not self.quiet:
            seconds, left = self.seconds_a_step(), self.total - record["step"]
            more = [self.note] if self.note else []
            more += [f"{duration(seconds * left)} left"] if seconds and left else []
            place = f"step {record['step']}/{self.total}  epoch {record['epoch']}"
            say("  ".join([place, describe(record, self.declared), *more]))

    def close(self) -> None:
        """Close the bar, which stays on the screen."""
        self._bar.close()


class Interrupts:
    """Context manager: defers the first SIGINT, SIGTERM or SIGHUP. `signal` becomes its number, and is 0 before.

    A second signal has its usual effect. Signals that are ignored on entry stay ignored, such as SIGHUP under `nohup`.
    Outside of the main thread, where Python can't handle signals, nothing is changed.
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

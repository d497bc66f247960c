"""What the parts of a self-test share: the device, the time limit, and continuing after a failure."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from minigan.backend import Device, get_device
from minigan.errors import DeviceError
from minigan.testing import STRICT

TRACEBACKS = 20  # shown at most: after one failure a GPU may fail at everything


@dataclass
class Part:
    """A running part. `end` is the time, on the monotonic clock, by which it should end."""

    device: Device
    end: float
    out: Path
    failures: int = field(default=0)

    @property
    def rehearsal(self) -> bool:
        """Whether the device is the stand-in for a GPU: then parts are short, and skip what needs a GPU."""
        return self.device.name == "strict"

    @property
    def workers(self) -> int:
        """Processes that may share the work: up to four on a GPU, for which memory and cores suffice, otherwise one."""
        return max(1, min(4, (os.cpu_count() or 1) // 2)) if self.device.name.startswith("cuda") else 1

    def tf32_or_not(self) -> list[bool]:
        """Return the values of `tf32` to try: False, and True if the device supports it."""
        try:
            self.device.allow_tf32(True)
            return [False, True]
        except DeviceError:
            return [False]
        finally:
            self.device.allow_tf32(False)

    def left(self) -> float:
        """Return the seconds until the end."""
        return self.end - time.monotonic()

    def say(self, line: str) -> None:
        """Print a line, and flush it."""
        print(line, flush=True)

    def fail(self, sentence: str) -> None:
        """Print what is wrong, and count it."""
        self.failures += 1
        self.say(f"FAILED: {sentence}")

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Count an exception in this block as a failure of `what`, print its traceback, and continue after it."""
        try:
            yield
        except Exception as error:
            self.fail(f"{what}: {type(error).__name__}: {error}")
            if self.failures <= TRACEBACKS:
                self.say(traceback.format_exc(limit=-4))


def device_called(name: str) -> Device:
    """Return the device; "strict" is the stand-in for a GPU. Raises DeviceError if there is no such device."""
    return STRICT if name == "strict" else get_device(name)

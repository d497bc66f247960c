"""What the parts of a self-test share: where they run, how long they may take, and going on after a failure."""

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

TRACEBACKS = 20  # that are shown: a GPU that has failed once may fail at everything after it


@dataclass
class Part:
    """One part under way. `end` is the moment, on the monotonic clock, at which it should have ended."""

    device: Device
    end: float
    out: Path
    failures: int = field(default=0)

    @property
    def rehearsal(self) -> bool:
        """Whether this is the stand-in for a GPU: then little is enough, and what needs a card is left out."""
        return self.device.name == "strict"

    @property
    def workers(self) -> int:
        """Processes that may share the work: some on a GPU, as long as it has memory for each, and the host cores."""
        return max(1, min(4, (os.cpu_count() or 1) // 2)) if self.device.name.startswith("cuda") else 1

    def tf32_or_not(self) -> list[bool]:
        """Without TF32, and with it where the device has it."""
        try:
            self.device.allow_tf32(True)
            return [False, True]
        except DeviceError:
            return [False]
        finally:
            self.device.allow_tf32(False)

    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()

    def say(self, line: str) -> None:
        """Print a line at once."""
        print(line, flush=True)

    def fail(self, sentence: str) -> None:
        """Say what is wrong, and count it."""
        self.failures += 1
        self.say(f"FAILED: {sentence}")

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Count an exception in this block as a failure of `what`, show where it came from, and go on after it."""
        try:
            yield
        except Exception as error:
            self.fail(f"{what}: {type(error).__name__}: {error}")
            if self.failures <= TRACEBACKS:
                self.say(traceback.format_exc(limit=-4))


def device_called(name: str) -> Device:
    """The device; "strict" is the stand-in for a GPU. Raises DeviceError if it isn't there."""
    return STRICT if name == "strict" else get_device(name)

"""Counters for copies between host and device, and a block in which waiting for the device is an error."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext


class HiddenCopy(TypeError):
    """An operation that implicitly copies an array, to the host or on the device."""


class ForbiddenTransfer(RuntimeError):
    """`get()` called inside a `forbid_transfers` block."""


class Transfers:
    """Counts array copies to the host and to the device, and kernel launches, of the strict stand-in.

    `launches` counts operations that write numbers; making a view is free. CuPy launches at least one kernel for each,
    which costs some microseconds of host time. While `forbidden` is set, copies to the host raise ForbiddenTransfer.
    """

    def __init__(self) -> None:
        self.to_host = self.to_device = self.launches = 0
        self.forbidden = False


transfers = Transfers()


@contextmanager
def forbid_transfers() -> Iterator[None]:
    """Make `get()`, and any other wait for a GPU, raise ForbiddenTransfer inside this block. Run training steps in it.

    Copies to the device stay allowed: a step uploads its batch, and that does not block the host.
    """
    before, transfers.forbidden = transfers.forbidden, True
    try:
        with _no_cupy_synchronization() if "cupy" in sys.modules else nullcontext():
            yield
    finally:
        transfers.forbidden = before


@contextmanager
def _no_cupy_synchronization() -> Iterator[None]:
    """Make CuPy raise where it synchronizes. Its warning, that other libraries may synchronize unseen, is silenced."""
    import cupyx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        allowing = cupyx.allow_synchronize(False)
        allowing.__enter__()
    try:
        yield
    except cupyx.DeviceSynchronized as error:
        raise ForbiddenTransfer("this waits for the device: not inside a step") from error
    finally:
        allowing.__exit__(None, None, None)

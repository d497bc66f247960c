"""Compare every layer, loss, penalty and optimizer, and a step of every model, on the device with NumPy.

The reference is NumPy in float64. Each item is computed four times from the same numbers: by NumPy and by the device,
each in float64 and float32. In float64 the device must agree to `LIMIT`. In float32 its error may be ten times that of
NumPy's float32, because sums in another order round differently.

Most of the time is spent on compiling kernels, one for each dtype and number of axes. So on a GPU a few processes share
the items.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from concurrent.futures.process import BrokenProcessPool
from itertools import repeat
from multiprocessing import get_context

import numpy as np

from minigan.backend import CPU
from minigan.selftest.items import ORDERS, Found, every_item
from minigan.selftest.part import Part, device_called

LIMIT = 1e-9  # of differences in float64, relative to the largest number in an array
Row = dict[str, tuple[float, float, float]]  # {order: errors of NumPy in float32, of the device in float32, float64}


def run(part: Part) -> None:
    """Print a row for every item: the largest differences from NumPy's float64."""
    if part.device.name.startswith("cuda"):
        with part.attempt("CuPy's configuration"):
            part.device.xp.show_config()
    part.say("largest differences from NumPy in float64, relative to the largest number of the array:")
    part.say(f"{'':62}" + "".join(f"{order:>27}" for order in ORDERS))
    part.say(f"{'':62}" + f"{'NumPy32':>9}{'device32':>9}{'device64':>9}" * len(ORDERS))
    names, worst, done = [name for name, _ in every_item()], dict.fromkeys(ORDERS, 0.0), 0
    for name, row in zip(names, rows(part), strict=False):
        done += 1
        if isinstance(row, str):
            part.fail(f"{name}: {row}")
            continue
        cells = ("".join(f"{error:9.1e}" for error in row[order]) if order in row else " " * 27 for order in ORDERS)
        part.say(f"{name[:60]:62}{''.join(cells)}".rstrip())
        for order, (numpy32, device32, device64) in row.items():
            worst[order] = max(worst[order], device64)
            if not (device64 <= LIMIT and device32 <= 1e-4 + 10 * numpy32):
                part.fail(f"{name}: the {order} differs")
    if done < len(names):
        part.fail(f"no time left for {len(names) - done} of {len(names)} items, from {names[done]} on")
    part.say(f"{done} items; largest in float64: " + ", ".join(f"{o} {e:.1e}" for o, e in worst.items()))


def rows(part: Part) -> Iterator[Row | str]:
    """Yield the rows of all items in order, until the time is over; for an item that failed, the reason."""
    count, done, device = len(every_item()), 0, part.device.name
    while part.workers == 1 and done < count and part.left() > 0:
        yield compared(done, device)
        done += 1
    while part.workers > 1 and done < count and part.left() > 0:
        executor = ProcessPoolExecutor(part.workers, get_context("spawn"))
        try:
            for row in executor.map(compared, range(done, count), repeat(device), timeout=part.left()):
                yield row
                done += 1
        except BrokenProcessPool:
            yield "a process died here, or at one of the next few"
            done += 1
        except OutOfTime:
            return
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def compared(number: int, device_name: str) -> Row | str:
    """Return the errors of an item, given by its number, or the traceback of an exception."""
    _, compute = every_item()[number]
    device = device_called(device_name)
    device.allow_tf32(False)
    try:
        exact = compute(CPU, np.float64)
        others = [compute(*how) for how in ((CPU, np.float32), (device, np.float32), (device, np.float64))]
    except Exception:
        return traceback.format_exc(limit=-4)
    orders = dict.fromkeys(order for order, _ in exact)
    return {order: tuple(_error(other, exact, order) for other in others) for order in orders}


def _error(found: Found, exact: Found, order: str) -> float:
    """Return the largest relative difference in the arrays of an order; NaN for a missing array or another shape.

    Differences are relative to the largest entry of the array, or to 1/1000 of the order's largest entry if that is
    more, as for a gradient that vanishes.
    """
    arrays = {key: array for key, array in exact.items() if key[0] == order and array.size}
    if any(key not in found or found[key].shape != array.shape for key, array in arrays.items()):
        return float("nan")
    largest = max((np.abs(array).max() for array in arrays.values()), default=1.0)
    errors = [np.abs(found[k] - a).max() / max(np.abs(a).max(), 1e-3 * largest, 1e-30) for k, a in arrays.items()]
    return float(np.max(errors, initial=0.0))

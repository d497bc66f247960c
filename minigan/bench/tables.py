"""Results as text: a table for each measurement, and Markdown tables of all of them."""

from __future__ import annotations

from statistics import median
from typing import Any

MIB = 2**20
NOTHING = "there is no PyTorch for this device, so there is nothing to compare with: pip install torch"


def table(result: dict[str, Any]) -> str:
    """Return the results of one measurement as a table."""
    medians = {contender: median(times) for contender, times in result["seconds"].items()}
    floor = result["floor_s"]
    arithmetic = (
        f"{_gflop(result)} GFLOP a {result['step']}; "
        f"the floor is {_ms(floor)} ms at {2 * result['gmac_per_second']:.0f} GFLOP/s"
        if floor
        else f"no matrix products in a {result['step']}"
    )
    where = f"{result['device']}{', TF32' if result.get('tf32') else ''}"
    lines = [
        "",
        f"{result['workload']}, batch {result['batch_size']}, {where}: {arithmetic}",
        f"{'':20}{'median':>10}{'fastest':>10}{'slowest':>10}{'samples/s':>12}{'× floor':>9}"
        f"{'peak memory':>14}{'before':>12}{'a sample':>12}{'threads':>9}",
    ]
    for contender, times in result["seconds"].items():
        peak, before, sample = memory(result, contender)
        lines.append(
            f"{contender:20}{_ms(medians[contender]):>7} ms{_ms(min(times)):>7} ms{_ms(max(times)):>7} ms"
            f"{result['batch_size'] / medians[contender]:12,.0f}{_times(medians[contender], floor):>9}"
            f"{_mib(peak):>10} MiB{_mib(before):>8} MiB{_mib(sample, 2):>8} MiB{result['threads'][contender] or '?':>9}"
        )
    compared = ratio(result)
    if compared is None:
        lines.append(NOTHING)
    else:
        best, middle, low, high = compared
        lines.append(f"{best} ÷ minigan: {middle:.2f} (median of the rounds' ratios, {low:.2f} to {high:.2f})")
    threads = result["threads"]
    if None not in threads.values() and len(set(threads.values())) > 1:
        lines.append("the numbers of threads differ: OMP_NUM_THREADS sets both, OPENBLAS_NUM_THREADS only minigan's")
    return "\n".join(lines)


def summary(results: list[dict[str, Any]]) -> str:
    """Return all measurements as two Markdown tables, for time and memory."""
    contenders = list(dict.fromkeys(name for result in results for name in result["seconds"]))
    times = [
        ["workload", "batch", "GFLOP", "floor, ms", *(f"{c}, ms" for c in contenders), "PyTorch ÷ minigan", "× floor"]
    ]
    needs = [["workload", "batch", *(f"{c}, MiB" for c in contenders), *(f"{c}, MiB a sample" for c in contenders)]]
    for result in results:
        name, floor = [result["workload"], str(result["batch_size"])], result["floor_s"]
        medians = {contender: median(result["seconds"].get(contender, [0.0])) for contender in contenders}
        compared = ratio(result)
        times.append(
            [
                *name,
                _gflop(result) if floor else "–",
                _ms(floor) if floor else "–",
                *(_ms(medians[c]) if medians[c] else "–" for c in contenders),
                "–" if compared is None else "{1:.2f} ({2:.2f} to {3:.2f})".format(*compared),
                _times(medians["minigan"], floor),
            ]
        )
        found = [memory(result, c) if medians[c] else (None, None, None) for c in contenders]
        needs.append([*name, *(_mib(peak) for peak, _, _ in found), *(_mib(sample, 2) for _, _, sample in found)])
    return (
        f"\n{markdown(times)}\n\n"
        "PyTorch in its faster layout, with the range of the rounds' ratios in brackets. × floor is for minigan.\n\n"
        f"{markdown(needs)}\n\n"
        "Memory: the peak, and the part of it that the steps added, divided by the batch size. Steps allocate some\n"
        "arrays only once, such as the optimizer's state, so small batches seem to need more per sample."
    ) + growth(results, contenders)


def growth(results: list[dict[str, Any]], contenders: list[str]) -> str:
    """Return a table of how much one more sample adds to the peak, from the smallest batch to the largest, or ""."""
    rows = [["workload", "batches", *(f"{c}, MiB" for c in contenders)]]
    for name in dict.fromkeys(result["workload"] for result in results):
        of_name = sorted((r for r in results if r["workload"] == name), key=lambda r: r["batch_size"])
        small, large = of_name[0], of_name[-1]
        samples = large["batch_size"] - small["batch_size"]
        if samples:
            peaks = [[r["peak_bytes"].get(c) for r in (small, large)] for c in contenders]
            slopes = (_mib(None if None in (a, b) else (b - a) / samples, 2) for a, b in peaks)
            rows.append([name, f"{small['batch_size']} to {large['batch_size']}", *slopes])
    return f"\n\n{markdown(rows)}\n\nMemory: how much one more sample adds to the peak." if len(rows) > 1 else ""


def ratio(result: dict[str, Any]) -> tuple[str, float, float, float] | None:
    """Return PyTorch's faster layout, and the median, minimum and maximum over rounds of its time ÷ minigan's."""
    others = {name: median(times) for name, times in result["seconds"].items() if name != "minigan"}
    if not others:
        return None
    best = min(others, key=others.__getitem__)
    ratios = [a / b for a, b in zip(result["seconds"][best], result["seconds"]["minigan"], strict=True)]
    return best, median(ratios), min(ratios), max(ratios)


def memory(result: dict[str, Any], contender: str) -> tuple[float | None, float | None, float | None]:
    """Return the peak in bytes, the memory before the first step, and (peak − before)/batch; None where unknown.

    The last one is at least 0: a step may need less than what was released before it.
    """
    peak, before = result["peak_bytes"][contender], result["before_bytes"][contender]
    return peak, before, None if None in (peak, before) else max(0, peak - before) / result["batch_size"]


def markdown(rows: list[list[str]]) -> str:
    """Return a Markdown table that is aligned in a terminal, too: words to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [rows[0], rule, *rows[1:]]
    return "\n".join(
        "| " + " | ".join(f"{cell:{'>' if i else '<'}{widths[i]}}" for i, cell in enumerate(line)) + " |"
        for line in lines
    )


def _gflop(result: dict[str, Any]) -> str:
    """Format two operations per multiply-add, with three significant digits or more."""
    gflop = 2 * result["gmac"]
    return f"{gflop:.1f}" if gflop >= 10 else f"{gflop:.3g}"


def _ms(seconds: float) -> str:
    """Format milliseconds with three significant digits or more."""
    ms = 1e3 * seconds
    return f"{ms:.{0 if ms >= 1000 else 1 if ms >= 10 else 2 if ms >= 1 else 3}f}"


def _times(seconds: float, floor: float) -> str:
    return f"{seconds / floor:.2f}" if floor else "–"


def _mib(size: float | None, digits: int = 0) -> str:
    return "?" if size is None else f"{size / MIB:,.{digits}f}"

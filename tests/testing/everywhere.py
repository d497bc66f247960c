"""`minigan gradcheck` on other processors' kernels, with other seeds, and with noise: what is right must pass.

    python tests/testing/everywhere.py layers sngan --kernels Haswell SkylakeX --threads 1 2 --seeds 20 --noise 4

NAME is a layer, a model, "layers" or "models"; default: all. Each line of the table is a process of its own. Afterwards
a fault is planted in every entry that is compared alone, of a millionth of the gradient's largest entry at first order
and of a hundred-thousandth at second, upwards and downwards: all must be found. (Where a gradient is nothing but
rounding, it is a millionth of what it is measured against.) Exit status 1 if anything is amiss.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from minigan.commands.gradcheck import checks
from minigan.gans import MODELS
from minigan.testing import GradientError, standard_cases
from minigan.testing.rounding import Written
from minigan.threads.blas import describe

COLUMNS = ("kernels", "threads", "noise", "seeds", "compared", "wrong", "first", "second", "planted", "found", "cpu s")


class Faults:
    """Stands in for `Written.judge`: judges as it does, and then again with a fault."""

    def __init__(self) -> None:
        self.compared = self.planted = self.found = 0

    def judge(self, written: Written, name: str, where: str, by_hand: float, *rest: Any) -> float:
        error = self.original(written, name, where, by_hand, *rest)
        self.compared += 1
        fault = 10 * written.tolerance * written.visible(name)
        for planted in (-fault, fault) if fault and where.startswith("at") else ():
            self.planted += 1
            try:
                self.original(written, name, where, by_hand + planted, *rest)
            except GradientError:
                self.found += 1
        return error

    def __enter__(self) -> Faults:
        self.original, faults = Written.judge, self
        Written.judge = lambda written, *args: faults.judge(written, *args)
        return self

    def __exit__(self, *exception: object) -> None:
        Written.judge = self.original


def measure(names: list[str], seeds: list[int], noise: float) -> dict[str, Any]:
    """Check everything with every seed, in this process."""
    from noise import noisy_products  # it lies beside this file

    worst, wrong = [0.0, 0.0], 0
    with Faults() as faults, noisy_products(noise) if noise else nullcontext():
        for seed in seeds:
            for check in checks(names, seed):
                try:
                    worst = [max([w, *errors.values()]) for w, errors in zip(worst, check.run(), strict=True)]
                except GradientError as error:
                    wrong += 1
                    print(f"seed {seed}, {check.title}: {error}", file=sys.stderr)
    counts = {"compared": faults.compared, "wrong": wrong, "planted": faults.planted, "found": faults.found}
    errors = {"first": f"{worst[0]:.1e}", "second": f"{worst[1]:.1e}"}
    return counts | errors | {"kernels": describe().kernels, "cpu s": round(time.process_time())}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=["layers", "models"])
    parser.add_argument("--kernels", nargs="+", default=[""], help="of OpenBLAS; default: those of this processor")
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--seeds", type=int, default=1, metavar="N")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N")
    parser.add_argument("--noise", type=float, default=0.0, metavar="ULPS", help="in every product")
    parser.add_argument("--measure", action="store_true", help="print one line as JSON, with the kernels at hand")
    args = parser.parse_args()
    layers = sorted({type(case.layer).__name__ for case in standard_cases()})
    names = [one for name in args.names for one in {"layers": layers, "models": list(MODELS)}.get(name, [name])]
    if args.measure:
        print(json.dumps(measure(names, list(range(args.first_seed, args.first_seed + args.seeds)), args.noise)))
        return 0
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    bad = False
    for kernels in args.kernels:
        for threads in args.threads:
            row = _in_a_process(kernels, threads, names, args)
            bad |= bool(row["wrong"]) or row["found"] < row["planted"]
            print("| " + " | ".join(str(row[column]) for column in COLUMNS) + " |", flush=True)
    return int(bad)


def _in_a_process(kernels: str, threads: int, names: list[str], args: argparse.Namespace) -> dict[str, Any]:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    environment |= {"OPENBLAS_CORETYPE": kernels} if kernels else {}
    numbers = ["--seeds", args.seeds, "--first-seed", args.first_seed, "--noise", args.noise]
    command = [sys.executable, str(Path(__file__).resolve()), *names, *map(str, numbers), "--measure"]
    line = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    row = json.loads(line) | {"threads": threads, "noise": args.noise, "seeds": args.seeds}
    if kernels not in ("", row["kernels"]):  # OpenBLAS may have several names for the same ones
        row["kernels"] = f"{kernels} ({row['kernels']})"
    return row


if __name__ == "__main__":
    sys.exit(main())

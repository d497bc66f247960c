"""The corpus of bad input, by family: `python tests/hostile/corpus.py` prints how many cases there are, or all of them.

python tests/hostile/corpus.py [--all]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bad_archives
import bad_cifar
import bad_configs
import bad_idx
import bad_pictures
import bad_runs
import bad_weights
from hostile_case import Case

FAMILIES: dict[str, list[Case]] = {
    "pictures in a folder": bad_pictures.CASES,
    "archives of pictures, and arrays": bad_archives.CASES,
    "IDX files": bad_idx.CASES,
    "CIFAR-10 batches and archives": bad_cifar.CASES,
    "checkpoints": bad_runs.CHECKPOINTS,
    "frozen networks": bad_runs.FROZEN,
    "config.json and metrics.jsonl": bad_configs.CONFIGS,
    "weights and statistics": bad_weights.CASES,
}


def main() -> None:
    """Print the table."""
    print(f"{'family':32} {'cases':>6} {'refused':>8} {'passed over':>12} {'fine, and must work':>20}")
    rows = []
    for family, cases in FAMILIES.items():
        fine, over = sum(case.says is None for case in cases), sum(case.warns for case in cases)
        rows.append((len(cases), len(cases) - fine - over, over, fine))
        print(f"{family:32} {rows[-1][0]:6} {rows[-1][1]:8} {rows[-1][2]:12} {rows[-1][3]:20}")
        if "--all" in sys.argv:
            print("".join(f"    {case.name}\n" for case in cases))
    total = [sum(column) for column in zip(*rows, strict=True)]
    print(f"{'all':32} {total[0]:6} {total[1]:8} {total[2]:12} {total[3]:20}")


if __name__ == "__main__":
    main()

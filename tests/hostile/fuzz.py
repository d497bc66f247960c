"""Spoil files until the time is over, and see that every reader takes or refuses them.

    python tests/hostile/fuzz.py --seconds 60 [READER ...]

prints for each reader how many files it was given, how many it refused with a sentence and accepted, and everything
else that happened, which should be nothing: another exception, more than 300 MB of memory, more than 5 seconds of the
processor. A file with which something happened is kept in --keep, under its SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from hostile_case import MEMORY, memory_now, recorded, time_limit
from hostile_readers import READERS, Reader, attempt, spoiled

SECONDS = 5.0  # of the processor, for one file


def run(reader: Reader, seconds: float, seed: int, keep: Path | None = None) -> Counter:
    """Fuzz one reader; count what happened."""
    found, generator, end = Counter(), random.Random(seed), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            data = spoiled(generator, reader)
            what = outcome(reader, data, Path(folder) / "fuzz")
            found["tried"] += 1
            found[what] += 1
            if keep and what not in ("accepted", "refused"):
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{hashlib.sha256(data).hexdigest()[:12]}-{reader.file}").write_bytes(data)
    return found


def outcome(reader: Reader, data: bytes, folder: Path) -> str:
    """Give one file to a reader: "accepted", "refused", or what else happened."""
    executed: list[str] = []
    highest, base, start = most_memory(), memory_now(), time.process_time()
    try:
        with recorded(executed), time_limit(4 * SECONDS), warnings.catch_warnings():
            warnings.simplefilter("error")  # a warning would be a second sentence
            what = "accepted" if attempt(reader, data, folder) else "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.200}"
    if executed:
        return f"executed {executed}"
    if most_memory() - max(base, highest - MEMORY) > MEMORY:
        return "too much memory"
    return "too slow" if time.process_time() - start > SECONDS else what


def most_memory() -> int:
    """The most memory that this process has ever had. Asking for it is quick, as setting it back is not."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Fuzz, and print a table; the exit status is 1 if something happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", nargs="*", choices=[[], *READERS], help=f"any of {', '.join(READERS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="for each reader (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="what is spoiled, and how (default: 0)")
    parser.add_argument("--keep", type=Path, help="folder for files with which something happened (default: none)")
    args = parser.parse_args()
    print(f"{'reader':14} {'tried':>9} {'refused':>9} {'accepted':>9}  else")
    bad = 0
    for name in args.reader or READERS:
        found = run(READERS[name], args.seconds, args.seed, args.keep)
        tried, refused, accepted = (found.pop(key, 0) for key in ("tried", "refused", "accepted"))
        bad += sum(found.values())
        print(f"{name:14} {tried:9,} {refused:9,} {accepted:9,}  {sum(found.values())}", flush=True)
        for what, n in found.most_common():
            print(f"{'':14} {n:9,} × {what}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m minigan.selftest PART DEVICE SECONDS FOLDER`: one part, in this process. `report.py` starts it."""

import sys
from pathlib import Path

from minigan.selftest.report import run_here

if __name__ == "__main__":
    name, device, seconds, folder = sys.argv[1:]
    sys.exit(1 if run_here(name, device, float(seconds), Path(folder)) else 0)

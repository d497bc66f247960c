"""The four small models as runs of `minigan train`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))  # for kills.py

from kills import Training, outcome, try_training  # noqa: E402, F401

FILE = Path(__file__).with_name("small_models.py")
DATA = {"ToTarget": "pairs", "Unpaired": "unpaired", "TwoSizes": "pictures", "Restorer": "tall"}
MORE = {"ToTarget": ("--ema", "0.9"), "Restorer": ("--lr-decay", "cosine")}


def training(model):
    """The words that begin a run of a model, and those that go on with it."""
    own = f"{FILE}:{model}"
    data = ("--data", f"{FILE}:{DATA[model]}")
    return Training((own, *data, *MORE.get(model, ())), ("--model", own, *data))

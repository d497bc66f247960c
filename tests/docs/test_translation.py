"""docs/translation.md: its picture is up to date."""

import runpy
from pathlib import Path

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"


def test_the_picture_is_up_to_date():
    draw = runpy.run_path(str(PICTURES / "cyclegan.py"))["draw"]
    assert draw() == (PICTURES / "cyclegan.svg").read_text(encoding="utf-8"), "run docs/pictures/cyclegan.py"

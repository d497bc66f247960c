"""The picture of the imports on docs/architecture.md is the one that its script draws, in the order that is tested."""

import re
import runpy
from pathlib import Path

from rooms import ENGINE, HEIGHT, PACKAGE, WORKSHOP

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
PAGE = (PICTURES.parent / "architecture.md").read_text(encoding="utf-8")
SCRIPT = runpy.run_path(str(PICTURES / "imports.py"))


def test_the_picture_is_up_to_date():
    assert SCRIPT["draw"]() == (PICTURES / "imports.svg").read_text(encoding="utf-8"), "run docs/pictures/imports.py"


def test_the_rows_of_the_picture_are_those_that_imports_are_tested_against():
    drawn = [set(row) for row in (*SCRIPT["WORKSHOP"], *SCRIPT["ENGINE"])]
    rows = [set(row) for row in (*ENGINE, *WORKSHOP) if row != ("__main__",)]
    assert drawn == rows[::-1]
    written = re.findall(r"^(?:workshop|engine)    +(.+)$", PAGE, re.MULTILINE)
    assert [set(row.split()) for row in " / ".join(written).split(" / ")] == drawn


def test_every_arrow_leads_down():
    arrows = SCRIPT["without_detours"](SCRIPT["imports"]())
    assert len(arrows) >= len(HEIGHT) - 2  # each part but errors and commands' caller is reached by one
    assert [(a, b) for a, b in arrows if HEIGHT[a] <= HEIGHT[b]] == []


def test_an_arrow_that_follows_from_others_is_left_out():
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert SCRIPT["without_detours"](graph) == [("a", "b"), ("b", "c")]


def test_every_file_that_is_named_exists():
    named = set(re.findall(r"[\w/]+\.py\b", PAGE))
    files = [f"/{path.relative_to(PACKAGE.parent).as_posix()}" for path in PACKAGE.parent.rglob("*.py")]
    assert len(named) > 50
    assert {name for name in named if not any(file.endswith(f"/{name}") for file in files)} == set()

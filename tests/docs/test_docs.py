"""Run the pages: every ```python block of README.md and docs/*.md, from top to bottom, one namespace a page.

What a block prints must be what the ```text block right below it shows, if there is one. And links must lead somewhere.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.exists()]
LONG = [ROOT / "docs" / "objectives.md"]  # it trains
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


@dataclass
class Block:
    """A piece of code on a page, and the output that is shown below it (None: nothing is shown)."""

    code: str
    line: int
    output: str | None


def blocks(text):
    fences = list(FENCE.finditer(text))
    found = []
    for fence, after in pairwise([*fences, None]):
        if fence[1] == "python":
            shown = after is not None and after[1] == "text" and not text[fence.end() : after.start()].strip()
            line = text.count("\n", 0, fence.start()) + 1
            found.append(Block(fence[2], line, after[2] if shown else None))
    return found


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [pytest.param(p, marks=[pytest.mark.slow] * (p in LONG)) for p in PAGES], ids=name_of)
def test_code_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    with np.printoptions():  # a page may set its own
        for block in blocks(page.read_text(encoding="utf-8")):
            code = compile(
                "\n" * block.line + block.code, str(page), "exec"
            )  # so that a traceback has the page's lines
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(code, namespace)
            if block.output is not None:
                assert printed.getvalue().rstrip() == block.output.rstrip(), f"{page.name}, line {block.line}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page):
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing, f"{page.name} links to {missing}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_of_the_repository_that_a_page_names_exist(page):
    parts = "minigan|tests|examples|layers|kernels|threads|gans|common|data|metrics|training|testing|apply|commands"
    named = re.findall(rf"(?<![\w./-])(?:{parts})/[\w/]+\.py\b", page.read_text(encoding="utf-8"))
    files = [f"/{path.relative_to(ROOT).as_posix()}" for path in ROOT.rglob("*.py")]
    assert [name for name in named if not any(file.endswith(f"/{name}") for file in files)] == []


def test_blocks_are_told_from_their_output():
    text = "a\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\nx = 2\n```\n\nb\n\n```text\nno output\n```\n"
    first, second = blocks(text)
    assert (first.code, first.line, first.output) == ("print(1)\n", 3, "1\n")
    assert (second.code, second.output) == ("x = 2\n", None)


def test_a_wrong_output_is_noticed(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1)\n```\n\n```text\n2\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md, line 1"):
        test_code_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch)

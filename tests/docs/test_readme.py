"""What the README states about the source: a GAN step that it quotes, and how long the engine is."""

import re
import textwrap
from pathlib import Path

import pytest
from rooms import PACKAGE, engine_files, lines_of

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUOTED = re.compile(r"<!-- from (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_code_that_is_quoted_stands_in_the_source():
    quotes = QUOTED.findall(README)
    assert [file for file, _ in quotes] == ["minigan/gans/dcgan.py"]
    for file, code in quotes:
        assert textwrap.indent(code, "    ") in (ROOT / file).read_text(encoding="utf-8")


def test_the_stated_length_of_the_engine_is_right_within_2_percent():
    stated = re.search(r"The engine has ([\d,]+) lines of code and ([\d,]+) lines of docstrings", README)
    counts = [lines_of((PACKAGE / file).read_text(encoding="utf-8")) for file in engine_files()]
    code, docstrings = (sum(column) for column in zip(*counts, strict=True))
    assert int(stated[1].replace(",", "")) == pytest.approx(code, rel=0.02)
    assert int(stated[2].replace(",", "")) == pytest.approx(docstrings, rel=0.02)


def test_code_docstrings_comments_and_blank_lines_are_told_apart():
    source = '"""One.\n\nTwo.\n"""\n\nx = 1  # code\n# no code\n\n\ndef f():\n    """Three."""\n    return """four"""\n'
    assert lines_of(source) == (3, 4)

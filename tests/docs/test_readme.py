"""What the README states about the source: a GAN step that it quotes, and how long the engine is."""

import re
import textwrap
from pathlib import Path

from rooms import lines_of

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUOTED = re.compile(r"<!-- from (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_code_that_is_quoted_stands_in_the_source():
    quotes = QUOTED.findall(README)
    assert [file for file, _ in quotes] == ["minigan/gans/dcgan.py"]
    for file, code in quotes:
        assert textwrap.indent(code, "    ") in (ROOT / file).read_text(encoding="utf-8")


def test_code_docstrings_comments_and_blank_lines_are_told_apart():
    source = '"""One.\n\nTwo.\n"""\n\nx = 1  # code\n# no code\n\n\ndef f():\n    """Three."""\n    return """four"""\n'
    assert lines_of(source) == (3, 4)

"""One spelling in all text and code: American, as the identifiers of the field have it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("minigan", "tests", "docs", "examples")
KINDS = (".py", ".md", ".js", ".css", ".html")

VERBS = (  # those that the field uses; noise, raise, promise and precise end like them and are no such verbs
    "optim|normal|initial|minim|maxim|penal|regular|recogn|memor|parametr|synchron|general|organ|real|summar|emphas|"
    "character|standard|special|util|visual|local|categor|custom|final|ideal|random|serial|vector|discret|quant|"
    "linear|critic|equal|factor|stabil|whiten"
)
BRITISH = re.compile(
    rf"colour|behaviour|neighbour|favour|honour|centre|centring|(?<![a-z])grey|catalogue|defence|offence|licence|"
    rf"labell(ed|ing)|modell(ed|ing)|cancell(ed|ing)|signall(ed|ing)|levell(ed|ing)|travell|analys(e|ed|ing)\b|"
    rf"learnt\b|spelt\b|spoilt|artefact|(?:{VERBS})is(?:e|ed|es|ing|er|ers|ation|ations|able)(?![a-z])",
    re.IGNORECASE,
)
# `judgements` is a public name of models; files of statistics hold "grey, bilinear", which is compared on reading
EXCEPTIONS = ("grey, bilinear",)


def british(text):
    """The words of a text, with their lines, that are spelled the British way."""
    for exception in EXCEPTIONS:
        text = text.replace(exception, "")
    if not BRITISH.search(" ".join(set(text.split()))):  # each word once: a quarter of the time
        return []
    return [f"line {text.count(chr(10), 0, found.start()) + 1}: {found[0]}" for found in BRITISH.finditer(text)]


def test_all_text_is_spelled_the_american_way():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in KINDS]
    files += ROOT.glob("*.md")
    assert len(files) > 400
    found = {path.relative_to(ROOT).as_posix(): british(path.read_text(encoding="utf-8")) for path in files}
    del found[Path(__file__).relative_to(ROOT).as_posix()]
    assert {name: words for name, words in found.items() if words} == {}


def test_no_file_has_a_british_name():
    paths = [path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    names = [path.as_posix() for path in paths if "__pycache__" not in path.parts]
    assert [name for name in names if BRITISH.search(name)] == []


def test_british_words_are_found_and_words_like_them_are_not():
    text = "Its colours are\nnormalised by an Optimiser at the centre_of grey, _neighbour"
    assert british(text) == [
        "line 1: colour",
        "line 2: normalised",
        "line 2: Optimiser",
        "line 2: centre",
        "line 2: grey",
        "line 2: neighbour",
    ]
    assert british("noise, raise, promised, precise, otherwise, judgements, central, analysis, realistic") == []

"""Words in sentences for people: what a mistyped name may have meant, a list with its "or", an argument as a flag."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

NAMED = re.compile(r"`([a-z]\w*)`")  # how a sentence of the library names an argument


def near(word: str, known: Iterable[str]) -> str | None:
    """The most similar of the known names, or None if none is similar."""
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, 1, 0.5)
    return by_lower[found[0]] if found else None


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Suggest the most similar of the known names; if none is, all of them, or what to do otherwise."""
    known = list(known)
    name = near(word, known)
    return f"did you mean {name}?" if name else otherwise or f"use {', '.join(known)}"


def either(words: Iterable[str]) -> str:
    """Such as `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def every(words: Iterable[str]) -> str:
    """Such as `a, b and c`."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def flag(name: str) -> str:
    """Spell an argument as an option of the command line: latent_dim becomes --latent-dim."""
    return "--" + name.replace("_", "-")


def with_flags(sentence: str, options: Collection[str] | None = None) -> str:
    """Spell the arguments in a sentence, such as `batch_size`, as options; only those of `options`, if it is given."""
    known = (lambda option: True) if options is None else options.__contains__
    return NAMED.sub(lambda match: flag(match[1]) if known(flag(match[1])) else match[0], sentence)

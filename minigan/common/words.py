"""Wording of messages: suggestions for misspelled names, enumerations, arguments as command-line options."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

NAMED = re.compile(r"`([a-z]\w*)`")  # the notation of arguments in messages


def near(word: str, known: Iterable[str]) -> str | None:
    """Return the most similar of the known names, or None if none is similar."""
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, 1, 0.5)
    return by_lower[found[0]] if found else None


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Suggest the most similar of the known names. If none is similar, return `otherwise`, or else list all of them."""
    known = list(known)
    name = near(word, known)
    return f"did you mean {name}?" if name else otherwise or f"use {', '.join(known)}"


def either(words: Iterable[str]) -> str:
    """Join words as in `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def every(words: Iterable[str]) -> str:
    """Join words as in `a, b and c`."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def flag(name: str) -> str:
    """Convert an argument to a command-line option: latent_dim becomes --latent-dim."""
    return "--" + name.replace("_", "-")


def with_flags(sentence: str, options: Collection[str] | None = None) -> str:
    """Replace arguments in a sentence, such as `batch_size`, by options; only those in `options`, if that is given."""
    known = (lambda option: True) if options is None else options.__contains__
    return NAMED.sub(lambda match: flag(match[1]) if known(flag(match[1])) else match[0], sentence)

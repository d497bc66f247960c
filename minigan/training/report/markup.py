"""Builds HTML with automatic escaping: plain strings are text, and only `tag` returns markup. Also formats numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

VOID = {"img", "meta", "link", "input"}  # elements without content and end tag
# Replaced in text: control characters, lone surrogates, and bidirectional formatting marks
UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
THOUSAND, MILLION, MILLIONTH = 1e3, 1e6, 1e-3


class Html(str):
    """Markup. All other strings are text."""


def escape(text: str) -> Html:
    """Convert text to markup; markup is returned unchanged."""
    if isinstance(text, Html):
        return text
    text = UNWANTED.sub("\ufffd", text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(character, entity)
    return Html(text)


def tag(name: str, *inside: str, **attributes: str | bool | None) -> Html:
    """Return an element. Text in its content and its attributes is escaped; markup isn't.

    Attribute names that are Python keywords get a trailing underscore (`class_`), and dashes become underscores
    (`aria_label`). None omits an attribute, True writes it without a value.
    """
    shown = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            shown.append(f" {key}")
        elif value is not None and value is not False:
            shown.append(f' {key}="{escape(str(value))}"')
    start = f"<{name}{''.join(shown)}>"
    return Html(start if name in VOID else f"{start}{join(inside)}</{name}>")


def table(titles: Iterable[str], rows: Iterable[Html], *foot: Html, **attributes: str) -> Html:
    """Return a table with a header row."""
    head = tag("thead", tag("tr", *(tag("th", title, scope="col") for title in titles)))
    return tag("table", head, tag("tbody", *rows), *foot, **attributes)


def join(parts: Iterable[str]) -> Html:
    """Concatenate parts; text is escaped."""
    return Html("".join(map(escape, parts)))


def script_data(value: Any) -> Html:
    """Return JSON for a <script> element, escaped so that no text in it can end the element or start a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(text)


def number(value: float) -> str:
    """Format a measured number with about four significant digits, like `number` in page.js."""
    size = abs(value)
    if size >= MILLION or 0 < size < MILLIONTH:
        mantissa, exponent = f"{value:.2e}".split("e")
        shown = f"{mantissa}e{int(exponent)}"
    else:
        shown = f"{value:,.0f}" if size >= THOUSAND else f"{value:.4g}"
    return shown.replace("-", "−")


def tick(value: float) -> str:
    """Format the number at an axis: 2,000, 50k, 1.5M, 2e−5."""
    size = abs(value)
    if MILLION <= size < 1e3 * MILLION:
        shown = f"{value / MILLION:.6g}M"
    elif 1e4 <= size < MILLION:
        shown = f"{value / THOUSAND:.6g}k"
    else:
        mantissa, _, exponent = f"{value:,.6g}".partition("e")
        shown = f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return shown.replace("-", "−")


def when(time: datetime | str) -> str:
    """Format a time; text that isn't an ISO time is returned unchanged."""
    try:
        time = datetime.fromisoformat(time) if isinstance(time, str) else time
    except ValueError:
        return str(time)
    return f"{time:%Y-%m-%d %H:%M}{' UTC' * (time.utcoffset() == timedelta(0))}"


def memory(size: float) -> str:
    """Format a number of bytes in MiB or GiB."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"

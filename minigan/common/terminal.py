"""Progress bars, which are shown on terminals only."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal; False if it is closed, None, or any object without `isatty`."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # a closed file raises the latter
        return False


def bar(*args: Any, **kwargs: Any) -> tqdm:
    """Return a tqdm progress bar that is cleared at the end, and disabled unless stderr is a terminal."""
    return tqdm(*args, **{"leave": False, "disable": not is_terminal(sys.stderr)} | kwargs)

"""Whether somebody is looking: progress is drawn for a terminal, and for nothing else."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal; not so if it is None, closed, or another object without `isatty`."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # a closed file raises the latter
        return False


def bar(*args: Any, **kwargs: Any) -> tqdm:
    """A progress bar on stderr, which goes when it has ended; nothing is drawn where stderr is no terminal.

    The arguments are those of tqdm.
    """
    return tqdm(*args, **{"leave": False, "disable": not is_terminal(sys.stderr)} | kwargs)

"""`minigan download`: downloads the weights of Inception, which don't ship with the package."""

from __future__ import annotations

import argparse

from minigan.commands.cli import Parser
from minigan.errors import printable
from minigan.metrics.inception import download_inception


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.usage = "minigan download inception"
    what = "inception: the 96 MB of weights that FID is defined by, into minigan's cache folder ($MINIGAN_CACHE)"
    parser.add_argument("what", choices=("inception",), metavar="WHAT", help=what)


def main(args: argparse.Namespace) -> int:
    """Download the file, and print its path. A download that was interrupted goes on; the checksum is verified."""
    print(printable(str(download_inception())))
    return 0

"""The command line: parse, call one library function, print."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `motionkit` command."""
    from motionkit.cli.app import run

    sys.exit(run(sys.argv[1:]))

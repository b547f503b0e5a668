"""The command line: parse, call one library function, print."""


def main() -> None:
    """Entry point of the `motionkit` command."""
    raise SystemExit("motionkit: no command is wired yet")

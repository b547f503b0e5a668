"""The Typer application, its global options, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from motionkit import __version__
from motionkit.cli.console import Console, default_workspace
from motionkit.errors import MotionkitError

app = typer.Typer(
    name="motionkit",
    help=(
        "Turns videos into training-ready text-motion data sets, and trains models on them.\n\n"
        "Start with: motionkit run people --source VIDEOS   (or: motionkit demo)"
    ),
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage. The global options may stand anywhere.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # brackets in help texts are text
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: What newer Typers make of Ctrl-C, without a word.
_INTERRUPTED = 130
_WITH_VALUE = ("--workspace", "-w")
_FLAGS = ("--json", "--quiet", "--debug")


def _version(asked: bool) -> None:
    if asked:
        print(f"motionkit {__version__}")
        raise typer.Exit


@app.callback()
def _globals(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(
            "--workspace",
            "-w",
            help="Folder that holds all state [default: ./motion, or MOTIONKIT_WORKSPACE].",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON on standard output.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    context.obj = Console(workspace or default_workspace(), as_json, quiet, debug)


def hoist(arguments: Sequence[str]) -> list[str]:
    """Move the global options to the front, so that they may stand after a command too."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _WITH_VALUE:
            value = next(words, None)
            front += [word] if value is None else [word, value]
        elif word in _FLAGS or word.startswith("--workspace="):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code and prints every error."""
    import motionkit.cli.commands  # noqa: F401 - registers the commands

    words = hoist(arguments)
    wrong_usage = typer.BadParameter.__mro__[2]  # ClickException, wherever this Typer keeps it
    console = Console(
        default_workspace(), json="--json" in words, quiet="--quiet" in words,
        debug="--debug" in words,
    )  # fmt: skip
    try:
        code = app(words, prog_name="motionkit", standalone_mode=False)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except MotionkitError as error:
        if console.debug:
            traceback.print_exc()
        console.error(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort) as error:
        said = str(error) or "interrupted; what is finished is kept, run it again to go on."
        print(f"motionkit: {said}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of a pipe went away
        sys.stderr.close()
        return 1
    except OSError as error:  # a full disk, no right to write, a file where a folder should be
        if console.debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        console.error(
            MotionkitError(
                f"{where}{error.strerror or error}",
                hint="is it there, is there room, and may it be written? --debug says where",
            )
        )
        return 1
    except Exception as error:
        if isinstance(error, wrong_usage):
            # no_args_is_help arrives as a usage error whose text is the help itself
            message = error.format_message()  # type: ignore[attr-defined]
            context = getattr(error, "ctx", None)
            path = context.command_path if context else "motionkit"
            help_asked = type(error).__name__ == "NoArgsIsHelpError"
            if help_asked:
                print(message)
                return 2
            from motionkit.errors import UsageError

            console.error(UsageError(message, hint=f"{path} --help"))
            return 2
        if console.debug:
            raise
        print(
            f"motionkit: unexpected {type(error).__name__}: {error}\n"
            "  try: the same command with --debug, and report what it prints",
            file=sys.stderr,
        )
        return 1

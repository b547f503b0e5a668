"""The one exception tree. Every message says what, which value, and what to do next.

MotionkitError
├── UsageError         wrong option, missing file or empty workspace   (exit code 2)
├── InputError         one input file is bad; carries a stable ``code`` (recorded, never fatal)
├── MissingExtraError  an optional package is absent; names the command that installs it
├── WorkspaceError     the workspace folder is unreadable or of another version
├── ShardError         a shard or manifest is damaged or of another version
└── TrainingError      training stopped: non-finite loss, unusable data, refused settings
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable


class MotionkitError(Exception):
    """Base of every error that motionkit raises on purpose.

    ``hint`` is the next thing to try; the command line prints it on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MotionkitError):
    """The request cannot be carried out as written; nothing was done."""

    exit_code = 2


class InputError(MotionkitError):
    """One input is bad. ``code`` is stable, documented and counted (docs/codes.md)."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:  # crosses process borders with its code
        return (_input_error, (self.code, self.message, self.hint))


def _input_error(code: str, message: str, hint: str | None) -> InputError:
    return InputError(code, message, hint=hint)


class MissingExtraError(MotionkitError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, *, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package '{package}', which is not installed.",
            hint=f"install it with: pip install 'motionkit[{extra}]'",
        )
        self.package = package
        self.extra = extra

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_message, (type(self), self.message, self.hint))


def _rebuild_message(cls: type[MotionkitError], message: str, hint: str | None) -> MotionkitError:
    error = cls.__new__(cls)
    MotionkitError.__init__(error, message, hint=hint)
    return error


class WorkspaceError(MotionkitError):
    """The workspace cannot be read or written."""


class ShardError(MotionkitError):
    """A shard set is damaged, incomplete or of an unknown version."""


class TrainingError(MotionkitError):
    """Training cannot start or cannot go on."""


def need_packages(packages: Iterable[str], extra: str, needed_for: str) -> None:
    """MissingExtraError for the first of ``packages`` that is not installed; imports nothing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, extra, needed_for=needed_for)

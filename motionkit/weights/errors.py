"""What can be wrong with a model's files."""

from __future__ import annotations

from motionkit.errors import MotionkitError, _rebuild_message


class ModelMissing(MotionkitError):
    """The model's files are not on this machine, or not all of them."""

    def __init__(self, spec: str, message: str) -> None:
        super().__init__(message, hint=f"on a machine with network: motionkit models fetch {spec}")
        self.spec = spec

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_message, (type(self), self.message, self.hint))


class ModelChanged(MotionkitError):
    """A file of the model is not what was recorded of it."""


class FetchError(MotionkitError):
    """A model could not be fetched; nothing of it was put in place."""

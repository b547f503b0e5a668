"""Answers that were paid for, by the name of their request: a crash never pays twice.

    cache/captions/ab/abcdef….json

One file an answer, renamed into place and flushed before any row is written from it, so that a
run which was killed goes on with what it had. Keys and addresses are never part of it. Deleting
the folder is safe: it only costs what asking again costs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from motionkit.backends.captioners import Answer
from motionkit.errors import MotionkitError

_FORMAT: Final = 1
_MAX_BYTES: Final = 1 << 20


class DamagedAnswerWarning(UserWarning):
    """A stored answer could not be read; its request is asked again."""


class RequestCache:
    """Answers under ``folder``. Safe for the threads of one process; several processes may share
    a folder, and then ask the same at most once each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._guard = threading.Lock()
        self._busy: dict[str, tuple[threading.Lock, int]] = {}

    def check(self) -> None:
        """Make the folder. MotionkitError where nothing can be written: an answer that cannot be
        kept must not be paid for."""
        probe = self.folder / f".{os.getpid()}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise MotionkitError(
                f"answers cannot be kept in {self.folder}: {error.strerror or error}",
                hint="make room, or choose another --workspace",
            ) from error

    def answer(
        self, key: str, ask: Callable[[], Answer], about: dict[str, Any] | None = None
    ) -> Answer:
        """The stored answer of ``key``, else what ``ask`` gives, stored first.

        Of several threads with one key (the same film twice) one asks and the others wait.
        ``about`` is kept beside the answer, for people. What ``ask`` raises is not stored.
        """
        with self._alone(key):
            found = self.get(key)
            if found is None:
                found = ask()
                self.put(key, found, about or {})
            return found

    def get(self, key: str) -> Answer | None:
        """The stored answer, or None. A file that is no answer of this key is renamed to
        ``.damaged``, with a warning."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        try:
            data = json.loads(text)
            if data["format"] != _FORMAT or data["key"] != key:
                raise ValueError("it is of another request or format")
            return Answer(**data["answer"])
        except (ValueError, KeyError, TypeError) as error:
            aside = path.with_name(path.name + ".damaged")
            path.replace(aside)
            warnings.warn(
                f"{aside} is no stored caption ({error}): the request is asked again",
                DamagedAnswerWarning,
                stacklevel=2,
            )
            return None

    def put(self, key: str, answer: Answer, about: dict[str, Any]) -> None:
        """Store an answer, whole or not at all."""
        data = {"format": _FORMAT, "key": key, "request": about}
        data["answer"] = dataclasses.asdict(answer)
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(json.dumps(data, indent=1, sort_keys=True))
                file.flush()
                # First the name, which outlives a kill, and then the disk, which is slow: a file
                # that a power cut leaves empty is found damaged, and asked again.
                partial.replace(path)
                os.fsync(file.fileno())
        finally:
            partial.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        with self._guard:
            lock, users = self._busy.get(key, (threading.Lock(), 0))
            self._busy[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._busy[key]
                if users == 1:
                    del self._busy[key]
                else:
                    self._busy[key] = lock, users - 1

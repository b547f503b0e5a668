"""Files on their way: written under a temporary name, resumed, checked, and renamed."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from motionkit.sources.faults import Fault

BLOCK: Final = 1 << 18


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a download may take. 0 means no limit."""

    rate_bytes_s: float = 0.0
    max_bytes: int = 0
    timeout_s: float = 30.0


class Part:
    """The unfinished file of one download, ``.ID.part``, and beside it what it is a part of."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f".{name}.part"
        self._marker = folder / f".{name}.part.json"

    def begin(self, version: str | None) -> int:
        """Bytes that can be kept: those of the same ``version`` (an ETag or a date) of the
        remote file; 0 where it has none, or changed, and then the part starts anew."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if version is not None and size and self.version() == version:
            return size
        self.path.unlink(missing_ok=True)
        self._marker.unlink(missing_ok=True)
        if version is not None:
            self._marker.write_text(json.dumps({"version": version}), "utf-8")
        return 0

    def version(self) -> str | None:
        """The version of the remote file that the bytes here are of; None where there are none."""
        try:
            found = json.loads(self._marker.read_text("utf-8"))["version"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if isinstance(found, str) and self.path.exists() else None

    def append(
        self,
        blocks: Iterator[bytes],
        limits: Limits,
        address: str,
        *,
        total: int | None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> int:
        """Write ``blocks`` behind what is there; the size afterwards.

        Raises Fault: `too-large`; `network` where fewer or more than ``total`` bytes came;
        `cannot-write` for a full disk and the like.
        """
        size = self.path.stat().st_size if self.path.exists() else 0
        self._refuse_large(total, limits, address)
        began, came = time.monotonic(), 0
        with _writable(self.path) as file:
            for block in blocks:
                _write(file, block)
                size, came = size + len(block), came + len(block)
                self._refuse_large(size, limits, address)
                if limits.rate_bytes_s:
                    early = came / limits.rate_bytes_s - (time.monotonic() - began)
                    if early > 0:
                        sleep(early)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and size != total:
            if size > total:
                self.remove()
            raise Fault("network", f"{address}: the connection ended after {size} of {total} bytes")
        return size

    def publish(self, target: Path) -> None:
        """Give the whole file its name."""
        self.path.replace(target)
        self._marker.unlink(missing_ok=True)

    def remove(self) -> None:
        """Throw away what is there."""
        self.path.unlink(missing_ok=True)
        self._marker.unlink(missing_ok=True)

    def _refuse_large(self, size: int | None, limits: Limits, address: str) -> None:
        if limits.max_bytes and size is not None and size > limits.max_bytes:
            self.remove()
            raise Fault(
                "too-large", f"{address}: more than {limits.max_bytes} bytes (max_filesize)"
            )


def _writable(path: Path) -> BinaryIO:
    try:
        return path.open("ab")
    except OSError as error:
        raise Fault("cannot-write", f"{path}: {error.strerror or error}") from error


def _write(file: BinaryIO, block: bytes) -> None:
    try:
        file.write(block)
    except OSError as error:
        raise Fault("cannot-write", f"{file.name}: {error.strerror or error}") from error

"""What was recorded of a model: where it is from, and the size, time and SHA-256 of every file."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from motionkit.file_hash import sha256_of
from motionkit.weights.errors import ModelChanged
from motionkit.weights.places import Place

VERSION: Final = 1


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """One file. ``mtime_ns`` only saves reading it again; it is no part of the model's hash."""

    bytes: int
    mtime_ns: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Record:
    """A model's record. ``files`` by name inside the folder ("" where the model is one file)."""

    spec: str
    source: str
    files: dict[str, FileRecord]

    @property
    def sha256(self) -> str:
        """Over all files: a single file's own, else over the sorted names and hashes."""
        if set(self.files) == {""}:
            return self.files[""].sha256
        total = hashlib.sha256()
        for name, file in sorted(self.files.items()):
            total.update(f"{file.sha256}  {name}\n".encode())
        return total.hexdigest()


def make(place: Place, files: list[str], source: str) -> Record:
    """Hash every file. ``source`` says where they are from."""
    return Record(place.spec, source, {name: _file(place.path / name) for name in files})


def read(place: Place) -> Record | None:
    """What was recorded; None where nothing was. `ModelChanged` where the record is unreadable."""
    try:
        data = json.loads(place.record.read_text("utf-8"))
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']}, not {VERSION}")
        files = {str(name): FileRecord(**file) for name, file in data["files"].items()}
        return Record(str(data["spec"]), str(data["source"]), files)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelChanged(
            f"the record of {place.spec} cannot be read: {place.record} ({error})",
            hint=f"motionkit models verify {place.spec} --accept",
        ) from error


def looks_same(kept: Record, place: Place, files: list[str]) -> bool:
    """Whether names, sizes and times are those recorded; reads no file."""
    if set(files) != set(kept.files):
        return False
    for name in files:
        now = (place.path / name).stat()
        if (now.st_size, now.st_mtime_ns) != (kept.files[name].bytes, kept.files[name].mtime_ns):
            return False
    return True


def compare(place: Place, files: list[str], kept: Record, *, every: bool = False) -> Record:
    """Read the files again and compare; the record with the times of now.

    ``every`` reads them all, not only those whose size or time differs. `ModelChanged` names the
    first file that is not as recorded.
    """
    problems = differences(place, files, kept, every=every)
    if problems:
        raise ModelChanged(
            f"the model {place.spec} is not what was recorded: {problems[0]}",
            hint=f"motionkit models fetch {place.spec} --again, or, where the change is yours, "
            f"motionkit models verify {place.spec} --accept",
        )
    now = {
        name: dataclasses.replace(file, mtime_ns=(place.path / name).stat().st_mtime_ns)
        for name, file in kept.files.items()
    }
    return dataclasses.replace(kept, files=now)


def differences(place: Place, files: list[str], kept: Record, *, every: bool) -> list[str]:
    """What differs from the record, a sentence for each file."""
    problems = [f"{_shown(place, name)} is gone" for name in sorted(set(kept.files) - set(files))]
    problems += [f"{_shown(place, name)} is new" for name in sorted(set(files) - set(kept.files))]
    for name in sorted(set(files) & set(kept.files)):
        path, was = place.path / name, kept.files[name]
        now = path.stat()
        if now.st_size != was.bytes:
            problems.append(f"{_shown(place, name)} has {now.st_size} bytes, not {was.bytes}")
        elif (every or now.st_mtime_ns != was.mtime_ns) and sha256_of(path) != was.sha256:
            problems.append(f"{_shown(place, name)} has another SHA-256 than was recorded")
    return problems


def write(place: Place, record: Record) -> None:
    """Put the record beside the model, all of it or nothing."""
    data: dict[str, Any] = {
        "version": VERSION,
        "spec": record.spec,
        "source": record.source,
        "sha256": record.sha256,
        "files": {name: dataclasses.asdict(file) for name, file in sorted(record.files.items())},
    }
    handle, temporary = tempfile.mkstemp(prefix=".record-", dir=place.record.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(place.record)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def write_if_possible(place: Place, record: Record) -> bool:
    """`write`; False where the folder is not ours to write (a shared, read-only store)."""
    try:
        write(place, record)
    except PermissionError:
        return False
    except OSError as error:
        if error.errno != 30:  # EROFS: a file system that is read-only
            raise
        return False
    return True


def _file(path: Path) -> FileRecord:
    stat = path.stat()
    return FileRecord(stat.st_size, stat.st_mtime_ns, sha256_of(path))


def _shown(place: Place, name: str) -> str:
    return name or place.path.name

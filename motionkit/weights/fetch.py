"""Fetching a model: into a temporary folder beside its place, checked, then put there at once.

A fetch that was killed leaves a folder ``.fetch-…`` and no model; the next one goes on with it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from motionkit.errors import UsageError
from motionkit.weights import http, hub, record
from motionkit.weights.errors import FetchError, ModelMissing
from motionkit.weights.places import Place, place_of
from motionkit.weights.remote import RemoteFile, check_content, check_name, wanted
from motionkit.weights.sources import Archive, Hub, Url, hub_endpoint, source_of

#: (what, bytes that arrived, bytes in all or 0 where that is not known)
Progress = Callable[[str, int, int], None]
#: Room that a fetch leaves on the disk.
_SPARE: Final = 64 << 20
#: More than a checkout of code ever is.
_ARCHIVE_LIMIT: Final = 256 << 20


def is_offline() -> bool:
    """Whether ``MOTIONKIT_OFFLINE`` or ``HF_HUB_OFFLINE`` forbids the network."""
    names = ("MOTIONKIT_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").lower() in ("1", "true", "yes", "on") for name in names)


def fetch(
    spec: str,
    *,
    revision: str | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> bool:
    """Put the model ``spec`` in its place and record the SHA-256 of its files.

    False where it was there already (and is whole); ``again`` replaces it. ``revision`` is a
    branch, tag or commit of the Hub, or a release; the commit that it named is recorded. Raises
    FetchError, after which nothing of the model is in place, and UsageError for a spec that
    cannot be fetched or in offline mode.
    """
    place = place_of(spec)
    source = source_of(place.spec, revision)
    if not again and place.exists():
        kept = record.read(place)
        if kept is not None and _stands(place, kept):
            return False
    if not again and place.exists() and record.read(place) is None:
        raise UsageError(
            f"{place.path} is there, but was not put there by a fetch: nothing was changed.",
            hint=f"motionkit models verify {place.spec}, or fetch it with --again to replace it",
        )
    if is_offline():
        raise UsageError(
            "offline mode is on (MOTIONKIT_OFFLINE or HF_HUB_OFFLINE): nothing is fetched.",
            hint=f"fetch {place.spec} on a connected machine and copy its folder to {place.path}",
        )
    try:
        place.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(place) as folder:
            name = _fill(place, source, folder, progress)
            _put(place, folder, name)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"the disk is full: {place.spec} was not fetched"
            hint = f"make room below {place.path.parent}, or set MOTIONKIT_MODELS elsewhere"
        else:
            message = f"{place.spec} could not be written: {error}"
            hint = "check the folder's rights, or set MOTIONKIT_MODELS elsewhere"
        raise FetchError(message, hint=hint) from error
    return True


def _stands(place: Place, kept: record.Record) -> bool:
    """Whether the model is there as recorded; False where files of it are gone."""
    try:
        record.compare(place, place.files(), kept)
    except ModelMissing:
        return False
    return True


@contextlib.contextmanager
def _alone(place: Place) -> Iterator[Path]:
    """The temporary folder, held by one fetch at a time; the system frees it when that dies."""
    import fcntl

    folder = place.path.with_name(f".fetch-{place.path.name}")
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = not (folder.exists() and os.path.samestat(os.fstat(handle), folder.stat()))
        except BlockingIOError:
            taken = True
        if taken:
            raise FetchError(f"{place.spec} is being fetched by another process")
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _fill(
    place: Place, source: Hub | Url | Archive, folder: Path, progress: Progress | None
) -> str:
    """Everything into ``folder``; returns where it is from, with the commit."""
    if isinstance(source, Hub):
        commit, files = hub.listing(source)
        if source.file is None:
            files = wanted(files, source.repo)
        else:
            files = [file for file in files if file.name == source.file]
            if not files:
                raise FetchError(f"{source.repo} has no file {source.file} at {commit}")
        # What an earlier fetch of another commit left would be mixed with this one's.
        _keep_only_of(folder, commit)
        total = sum(file.size or 0 for file in files)
        _check_room(folder, total, files)
        hub.fetch_files(source.repo, commit, files, folder, _teller(place, total, progress))
        for file in files:
            check_content(folder / file.name, file.name)
        return f"{hub_endpoint()}/{source.repo}@{commit}"
    _keep_only_of(folder, source.url)
    target = folder / "download"
    http.download(source.url, target, headers={}, told=_teller(place, 0, progress))
    if isinstance(source, Url):
        check_content(target, place.path.name)
        target.rename(folder / place.path.name)
    else:
        _unpack(target, folder, source)
        target.unlink()
    return source.url


def _teller(place: Place, total: int, progress: Progress | None) -> Callable[[int], None]:
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(place.spec, done, total)

    return told


def _keep_only_of(folder: Path, version: str) -> None:
    """Empty the folder unless what is in it was begun from the same version."""
    mark = folder / ".version"
    if not mark.exists() or mark.read_text("utf-8") != version:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        mark.write_text(version, "utf-8")


def _check_room(folder: Path, total: int, files: list[RemoteFile]) -> None:
    there = sum(
        (folder / file.name).stat().st_size for file in files if (folder / file.name).is_file()
    )
    free = shutil.disk_usage(folder).free
    if total - there + _SPARE > free:
        raise OSError(errno.ENOSPC, f"{total / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB free")


def _unpack(archive: Path, folder: Path, source: Archive) -> None:
    """The wanted regular files of a tar.gz, without its first folder."""
    pattern = re.compile(source.files)
    size = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.partition("/")[2]
                if not member.isreg() or not pattern.fullmatch(name):
                    continue
                check_name(name, source.url)
                size += member.size
                stream = tar.extractfile(member)
                if size > _ARCHIVE_LIMIT or stream is None:
                    raise FetchError(f"{source.url} is larger than code can be: not unpacked")
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as out:
                    shutil.copyfileobj(stream, out)
    except (tarfile.TarError, EOFError, ValueError) as error:
        archive.unlink()
        raise FetchError(f"what came from {source.url} is no readable archive: {error}") from error


def _put(place: Place, folder: Path, source: str) -> None:
    """Record and rename, so that a kill at any point leaves no half model."""
    (folder / ".version").unlink()
    single = folder / place.path.name
    fetched = single if single.is_file() else folder
    staged = Place(place.spec, place.kind, place.name, fetched)
    kept = record.make(staged, staged.files(), source)
    for path in [fetched] if fetched.is_file() else sorted(fetched.rglob("*")):
        _sync(path)
    old = place.path.with_name(f".old-{place.path.name}")
    _remove(old)
    if place.exists():
        place.path.rename(old)
    # The record first: files without one would count as placed by hand.
    record.write(place, kept)
    fetched.rename(place.path)
    _sync(place.path.parent)
    _remove(old)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

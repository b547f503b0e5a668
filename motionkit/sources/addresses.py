"""Addresses: which we take, what id each gets, and the files below a remote folder or pattern."""

from __future__ import annotations

import functools
import hashlib
import urllib.parse
from typing import Any, Final

from motionkit.errors import InputError, MissingExtraError, UsageError
from motionkit.sources.faults import Fault, fault_of

#: What counts as a video by its name's ending.
EXTENSIONS: Final = frozenset(
    {
        ".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".ogv", ".gif",
        ".ts", ".mts", ".m2ts", ".mpg", ".mpeg",
    }
)  # fmt: skip
WEB: Final = frozenset({"http", "https"})
#: Remote file systems that fsspec can open. Its local, cached, archive and chained ones are not
#: among them: an address must never read a file of this machine.
REMOTE: Final = frozenset(
    {
        "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "oss", "oci", "sftp", "ssh",
        "hdfs", "webhdfs", "memory",
    }
)  # fmt: skip
_LONGEST: Final = 4096


def is_address(source: str) -> bool:
    """Whether a source is an address (has a scheme and ``://``), rather than a path."""
    scheme, separator, _ = source.partition("://")
    return bool(separator) and scheme.isascii() and scheme.replace("+", "").isalnum()


def scheme_of(address: str) -> str:
    """The scheme in small letters."""
    return address.partition("://")[0].lower()


def check_address(address: str) -> None:
    """Raises InputError `unsupported-address` for what we do not take: other schemes (file: among
    them), chained addresses, control characters, no host, more than 4096 characters."""
    scheme = scheme_of(address) if is_address(address) else ""
    if scheme not in WEB | REMOTE:
        raise InputError(
            "unsupported-address",
            f"{address[:200]!r}: addresses begin with http://, https:// or a remote file "
            f"system's name ({', '.join(sorted(REMOTE))})",
        )
    if "::" in address:
        raise InputError("unsupported-address", f"{address[:200]!r}: chained addresses are refused")
    if len(address) > _LONGEST or not address.isprintable() or " " in address:
        raise InputError(
            "unsupported-address", f"{address[:200]!r} has blanks or control characters, or no end"
        )
    try:
        host = urllib.parse.urlsplit(address).hostname
    except ValueError:
        host = None
    if scheme in WEB and not host:
        raise InputError("unsupported-address", f"{address[:200]!r} names no host")


def item_id(address: str) -> str:
    """The id of an address, which is also the name of its file: 18 letters and digits."""
    return f"dl{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def extension_of(address: str) -> str:
    """The ending of the address's path if it is a video's, else an empty text."""
    path = urllib.parse.urlsplit(address).path
    name = path.rsplit("/", 1)[-1].lower()
    ending = "." + name.rsplit(".", 1)[-1] if "." in name else ""
    return ending if ending in EXTENSIONS else ""


@functools.lru_cache(maxsize=16)  # a run lists its items twice; a bucket is listed once
def expand(address: str) -> tuple[str, ...]:
    """The addresses that ``address`` stands for: itself, or the videos below a remote folder
    (``s3://bucket/folder/``) or of a remote pattern (``s3://bucket/*.mp4``), sorted.

    Raises UsageError where a folder or pattern holds no video or cannot be listed.
    """
    scheme = scheme_of(address)
    pattern = any(c in address for c in "*[")
    if scheme not in REMOTE or not (pattern or address.endswith("/")):
        return (address,)
    check_address(address)
    system = file_system(address)
    place = system._strip_protocol(address)
    try:
        names = system.glob(place) if pattern else system.find(place)
    except Exception as error:
        fault = fault_of(error, address)
        raise UsageError(f"{address} cannot be listed: {fault.message}") from error
    found = sorted(f"{scheme}://{name.lstrip('/')}" for name in names)
    videos = tuple(name for name in found if extension_of(name))
    if not videos:
        raise UsageError(f"{address} holds no video")
    return videos


def file_system(address: str) -> Any:
    """fsspec's file system for an address. MissingExtraError without fsspec; Fault where the
    package for this kind of address is missing or its settings are wrong."""
    try:
        import fsspec  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("fsspec", "web", needed_for="reading remote files") from error
    try:
        return fsspec.filesystem(scheme_of(address))
    except ImportError as error:
        raise Fault("unsupported-address", f"{address}: {error}") from error
    except (ValueError, OSError) as error:
        raise fault_of(error, address) from error

"""The Hugging Face Hub: what a repository holds at a revision, and its files, fetched either
through the package huggingface_hub or, where it is absent, with the standard library."""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motionkit.errors import MotionkitError
from motionkit.file_hash import sha256_of
from motionkit.weights import http
from motionkit.weights.errors import FetchError
from motionkit.weights.remote import RemoteFile
from motionkit.weights.sources import Hub, hub_endpoint


def has_library() -> bool:
    """Whether huggingface_hub is installed."""
    return importlib.util.find_spec("huggingface_hub") is not None


def listing(source: Hub) -> tuple[str, list[RemoteFile]]:
    """The commit that ``source.revision`` names now, and the files there."""
    quoted = urllib.parse.quote(source.revision, safe="")
    url = f"{hub_endpoint()}/api/models/{source.repo}/revision/{quoted}?blobs=true"
    data = http.get_json(url, _headers())
    try:
        commit = str(data["sha"])
        files = [
            RemoteFile(
                str(entry["rfilename"]),
                entry.get("size"),
                (entry.get("lfs") or {}).get("sha256"),
            )
            for entry in data["siblings"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise FetchError(f"{url} does not answer as the Hub does") from error
    if not commit.isalnum():
        raise FetchError(f"{url} gives no commit: {commit!r}")
    return commit, files


def fetch_files(
    repo: str, commit: str, files: list[RemoteFile], folder: Path, told: Callable[[int], None]
) -> None:
    """All ``files`` into ``folder``, by their names; those that are there and whole are kept."""
    missing = []
    for file in files:
        if _is_whole(folder / file.name, file):
            told((folder / file.name).stat().st_size)
        else:
            missing.append(file)
    if missing and has_library():
        _by_library(repo, commit, missing, folder)
        told(sum(file.size or 0 for file in missing))
    elif missing:
        for file in missing:
            path = urllib.parse.quote(file.name)
            http.download(
                f"{hub_endpoint()}/{repo}/resolve/{commit}/{path}",
                folder / file.name,
                headers=_headers(),
                size=file.size,
                sha256=file.sha256,
                told=told,
            )
    for file in files:
        if not _is_whole(folder / file.name, file):
            (folder / file.name).unlink(missing_ok=True)
            raise FetchError(
                f"{file.name} of {repo} is not what the Hub says it is (size or SHA-256)",
                hint="fetch it again; if it stays so, do not trust the source",
            )


def _by_library(repo: str, commit: str, files: list[RemoteFile], folder: Path) -> None:
    # Nothing about this machine is reported, and the bars are the command line's.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    disable_progress_bars()
    try:
        huggingface_hub.snapshot_download(
            repo,
            revision=commit,
            local_dir=folder,
            endpoint=hub_endpoint(),
            token=_token(),
            allow_patterns=[glob.escape(file.name) for file in files],
        )
    except MotionkitError:
        raise
    except OSError as error:
        if error.errno is not None and not _is_network(error):
            raise  # the disk's, not the Hub's
        raise _refused(repo, error) from error
    except Exception as error:  # its HTTP library's errors share no base with anything
        raise _refused(repo, error) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def _is_network(error: OSError) -> bool:
    return isinstance(error, ConnectionError) or hasattr(error, "response")


def _refused(repo: str, error: BaseException) -> FetchError:
    first = str(error).strip().splitlines()
    return FetchError(
        f"{repo} could not be fetched: {first[0] if first else type(error).__name__}",
        hint="run the same command again: what has arrived is kept",
    )


def _is_whole(path: Path, file: RemoteFile) -> bool:
    if not path.is_file() or (file.size is not None and path.stat().st_size != file.size):
        return False
    return file.sha256 is None or sha256_of(path) == file.sha256


def _token() -> Any:
    """The user's token, only from the environment; False: none, whatever a login left on disk."""
    return os.environ.get("HF_TOKEN") or False


def _headers() -> dict[str, str]:
    token = os.environ.get("HF_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}

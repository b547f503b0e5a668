"""Publish a folder by rename: readers see the old folder or the new one, each whole."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

from motionkit.errors import ShardError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_BUILDING = ".building-"
_REPLACED = ".replaced-"


def building_folder(out: Path) -> Path:
    """A new, empty folder beside ``out`` to build in. Clears what killed builds left."""
    out.parent.mkdir(parents=True, exist_ok=True)
    _recover(out)
    for left in out.parent.glob(f".{out.name}{_BUILDING}*"):
        if not _alive(left.name.rsplit("-", 1)[-1]):
            shutil.rmtree(left)
    folder = out.with_name(f".{out.name}{_BUILDING}{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def publish_folder(built: Path, out: Path) -> None:
    """Put the finished folder ``built`` at ``out``, replacing a set that is there.

    On Linux the two folders change names in one step. Where the system cannot do that there
    is a moment between two renames without ``out``; the next build puts the old set back.
    """
    for file in sorted(built.rglob("*")):
        if file.is_file():
            _flush(file)
    if not out.exists():
        built.replace(out)
        return
    if not (out / "manifest.json").is_file() and any(out.iterdir()):
        raise ShardError(
            f"{out} holds files that are no shard set; nothing was replaced.",
            hint="choose another --out folder",
        )
    if _exchange(built, out):
        shutil.rmtree(built)
        return
    old = out.with_name(f".{out.name}{_REPLACED}{os.getpid()}")
    out.replace(old)
    built.replace(out)
    shutil.rmtree(old)


def _recover(out: Path) -> None:
    """Finish or undo a replacement that was killed between its two renames."""
    for old in sorted(out.parent.glob(f".{out.name}{_REPLACED}*")):
        if out.exists():
            shutil.rmtree(old)
        else:
            old.replace(out)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two folders in one step; False where the system or file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE)
    return bool(done == 0)


def _flush(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _alive(pid: str) -> bool:
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""Folders of exports: built beside, published whole, never over something else."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import motionkit
from motionkit.errors import UsageError
from motionkit.file_hash import sha256_of
from motionkit.shards.from_samples import check_replaceable
from motionkit.shards.publish import building_folder, publish_folder

FORMAT: Final = "motionkit-export"
VERSION: Final = 1


@contextlib.contextmanager
def export_folder(
    out: Path, kind: str, made_from: Path, facts: Mapping[str, Any]
) -> Iterator[Path]:
    """A new folder to write into; after the block it is at ``out``, with a manifest.json that
    holds ``facts`` (read after the block) and the size and SHA-256 of every file.

    An older export of the same ``kind`` is replaced. UsageError where ``out`` holds anything
    else or lies within ``made_from`` or around it.
    """
    out, source = Path(out), Path(made_from)
    check_apart(out, source)
    check_replaceable(out, FORMAT, kind)
    folder = building_folder(out)
    try:
        yield folder
        files = [
            {"path": p.relative_to(folder).as_posix(), "bytes": p.stat().st_size,
             "sha256": sha256_of(p)}
            for p in sorted(folder.rglob("*")) if p.is_file()
        ]  # fmt: skip
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "origin": {"kind": kind},
            "writer": {"motionkit": motionkit.__version__},
            "files": files,
            **facts,
        }
        text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / "manifest.json").write_text(text, "utf-8")
        publish_folder(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_apart(out: Path, source: Path) -> None:
    """UsageError where one of the two folders is the other or lies in it."""
    a, b = out.resolve(), source.resolve()
    if a == b or a in b.parents or b in a.parents:
        raise UsageError(
            f"{out} and {source} lie in each other.", hint="choose an --out folder apart from it"
        )

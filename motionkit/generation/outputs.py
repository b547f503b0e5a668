"""Names, files and the list of what was generated."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from motionkit.bodies.motion import BodyMotion
from motionkit.errors import UsageError

FORMATS = ("npz", "bvh", "glb", "mp4")
DEFAULT_FORMATS = ("npz", "bvh", "mp4")
#: One JSON object a motion or failed prompt, beside the files.
MANIFEST = "generated.jsonl"


def check_formats(formats: Sequence[str]) -> None:
    """UsageError for a format that is not written."""
    unknown = [f for f in formats if f not in FORMATS]
    if unknown:
        raise UsageError(
            f"unknown format {unknown[0]!r}.", hint=f"choose from: {', '.join(FORMATS)}"
        )


def slug(text: str, limit: int = 48) -> str:
    """A safe file name: lower-case ASCII letters, digits and hyphens, never empty."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:limit].strip("-")
    return name or "motion"


def stem_of(texts: Sequence[str], seed: int, asked: Mapping[str, Any]) -> str:
    """The files' name without its ending: the same for the same request, another for another.

    "a person walks" with seed 1 is ``a-person-walks-1``. Where these words do not say it all (a
    text with other signs, a long one, or anything in ``asked``, which holds what was asked for
    beyond text and seed), ``x`` and a digest of the request follow. So no text reaches into
    another folder or replaces another's files.
    """
    name = slug(texts[0])
    if len(texts) == 1 and not asked and name.replace("-", " ") == texts[0]:
        return f"{name}-{seed}"
    request = json.dumps([list(texts), asked], sort_keys=True)
    return f"{name}-{seed}-x{hashlib.sha256(request.encode()).hexdigest()[:10]}"


def write_motion(
    motion: BodyMotion,
    out: Path,
    stem: str,
    formats: Sequence[str],
    *,
    text: str,
    extra: Mapping[str, NDArray[Any]],
) -> tuple[Path, ...]:
    """Writes ``motion`` as ``out``/``stem``.FORMAT, in the order of ``formats``.

    ``extra`` arrays go into the .npz.
    """
    from motionkit.bodies.export import write_bvh, write_npz

    out.mkdir(parents=True, exist_ok=True)
    paths = tuple(out / f"{stem}.{name}" for name in formats)
    for name, path in zip(formats, paths, strict=True):
        if name == "npz":
            write_npz(motion, path, text=text, extra=extra)
        elif name == "bvh":
            write_bvh(motion, path)
        elif name == "glb":
            from motionkit.bodies.gltf import write_glb

            write_glb(motion, path, text=text)
        else:
            from motionkit.bodies.render_motion import write_mp4

            write_mp4(motion.joints(), path, fps=motion.fps, title=text)
    return paths


def check_folder(out: Path) -> None:
    """Make the folder ``out``. UsageError where it cannot be made or written into, so that it is
    told before anything is computed."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        taken = error.errno in (errno.EEXIST, errno.ENOTDIR)
        there = "a file stands there" if taken else error.strerror or str(error)
        raise UsageError(
            f"nothing can be written into {str(out)[:200]}: {there}.",
            hint="name another folder with --out",
        ) from error


class Manifest:
    """generated.jsonl: a row is there as soon as its files are, and once when all is done.

    A motion made again replaces its row; failures are those of the last call.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / MANIFEST
        self.rows: dict[str, str] = {}
        self.failures: list[str] = []
        out.mkdir(parents=True, exist_ok=True)
        # of a list that something else damaged, the lines that can be read stay
        old = self.path.read_text("utf-8", errors="replace") if self.path.exists() else ""
        lines = old.split("\n")
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # empty, or cut in two by a kill
            if isinstance(row, dict) and isinstance(row.get("name"), str):
                self.rows[row["name"]] = line
        self._stream = self.path.open("a", encoding="utf-8")
        self._stream.write("\n")  # what was cut in two stands alone

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a row: of a motion, where it has a ``name``, or of a failure."""
        line = json.dumps(row, sort_keys=True, ensure_ascii=False, default=str)
        if "name" in row:
            self.rows[str(row["name"])] = line
        else:
            self.failures.append(line)
        self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Leaves one row a motion."""
        self._stream.close()
        part = self.path.with_name(self.path.name + ".part")
        lines = [*self.rows.values(), *self.failures]
        part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        os.replace(part, self.path)  # noqa: PTH105

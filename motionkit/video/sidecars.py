"""Captions and licence from text files beside a video.

- ``NAME.txt``: one caption a line.
- ``NAME.json``: ``{"captions": ["…", …]}`` or ``{"caption": "…"}``, and ``"licence"`` (or
  ``"license"``).
- ``captions.csv`` or ``metadata.csv`` in the same folder: columns ``file`` (the video's name, or
  its name without extension) and ``caption``, perhaps ``licence``; several rows add up.

UTF-8, at most `MAX_BYTES` a file. Control characters are taken out, blanks joined, texts cut at
`MAX_CHARACTERS`; a text that comes twice counts once. A sidecar that cannot be read is left out
and reported, never fatal.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import unicodedata
from pathlib import Path
from typing import Any, Final

#: Larger sidecars are refused: no caption file of one video or folder is.
MAX_BYTES: Final = 16 * 2**20
MAX_CHARACTERS: Final = 1000
MAX_CAPTIONS: Final = 64
#: Tables of captions for all videos of their folder.
TABLE_NAMES: Final = ("captions.csv", "metadata.csv")


@dataclasses.dataclass(frozen=True)
class Sidecars:
    """``captions`` as rows of `records.CAPTION`, ``licence`` or None; ``bad``: at least one
    sidecar could not be read."""

    captions: list[dict[str, str]]
    licence: str | None
    bad: bool


def read_sidecars(path: str) -> Sidecars:
    """What the text files beside the video at ``path`` say."""
    video = Path(path)
    texts: list[tuple[str, str, str]] = []  # text, file, key
    licences: list[str] = []
    bad = False
    readers = [(video.with_suffix(".txt"), _from_text), (video.with_suffix(".json"), _from_json)]
    readers += [(video.with_name(name), _from_table) for name in TABLE_NAMES]
    for file, reader in readers:
        if file == video or not file.is_file():
            continue
        try:
            found, licence = reader(_read(file), video)
        except (OSError, ValueError, csv.Error, RecursionError):
            bad = True
            continue
        texts += [(text, file.name, key) for text, key in found]
        licences += [licence] if licence else []
    captions: dict[str, dict[str, str]] = {}
    for text, name, key in texts:
        clean = clean_text(text)
        if clean and clean not in captions and len(captions) < MAX_CAPTIONS:
            detail = json.dumps({"file": name, "key": key}, ensure_ascii=False)
            captions[clean] = {"text": clean, "source": "sidecar", "detail": detail}
    licence_text = next((c for c in map(clean_text, licences) if c), None)
    return Sidecars(list(captions.values()), licence_text, bad)


def clean_text(text: str) -> str:
    """One line of printable text: control and format characters out, blanks joined, cut."""
    if text.isascii() and text.isprintable():  # nearly all: a list may hold a million
        return " ".join(text.split())[:MAX_CHARACTERS].rstrip()
    spaced = (" " if c.isspace() else c for c in text)
    kept = "".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return unicodedata.normalize("NFC", " ".join(kept.split()))[:MAX_CHARACTERS].rstrip()


_Found = tuple[list[tuple[str, str]], str | None]


def _read(file: Path) -> str:
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file.name} is larger than {MAX_BYTES} bytes")
    return file.read_text(encoding="utf-8-sig")


def _from_text(text: str, video: Path) -> _Found:
    return [(line, str(number)) for number, line in enumerate(text.splitlines(), 1)], None


def _from_json(text: str, video: Path) -> _Found:
    data: Any = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("not an object")
    found: list[tuple[str, str]] = []
    for key in ("captions", "caption"):
        value = data.get(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise ValueError(f"{key} is not text")
        found += [(v, key) for v in values]
    licence = data.get("licence", data.get("license"))
    if licence is not None and not isinstance(licence, str):
        raise ValueError("licence is not text")
    return found, licence


def _from_table(text: str, video: Path) -> _Found:
    rows = _rows(text)
    found = rows.get(video.name, []) + rows.get(video.stem, [])
    licence = next((licence for _, _, licence in found if licence), None)
    return [(caption, key) for caption, key, _ in found], licence


@functools.lru_cache(maxsize=2)  # one table serves all videos of a folder
def _rows(text: str) -> dict[str, list[tuple[str, str, str]]]:
    """File name → its captions, with the row's line and licence."""
    rows = csv.DictReader(io.StringIO(text), strict=True)
    if not {"file", "caption"} <= set(rows.fieldnames or ()):
        raise ValueError("the columns file and caption are missing")
    out: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        licence = row.get("licence") or row.get("license") or ""
        entry = (row["caption"] or "", f"line {rows.line_num}", licence)
        out.setdefault(row["file"] or "", []).append(entry)
    return out

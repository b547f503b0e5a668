"""HumanML3D-style folders for 2D keypoints.

    OUT/joints2d/NAME.npy   float32 [F, 18, 3]: x, y in pixels, confidence; last (width, height, 1)
    OUT/texts/NAME.txt      caption#word/OTHER word/OTHER#0.0#0.0, one line a caption
    OUT/train.txt val.txt test.txt all.txt    names, one a line
    OUT/Mean.npy Std.npy    float32 [17, 2] of the train split's seen keypoints
    OUT/index.csv           name, sample_id and what else the format cannot hold

A word's part of speech is written as ``OTHER``: no tagger runs here.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from motionkit.arrays import read_npy_file
from motionkit.errors import InputError
from motionkit.exchange.folders import export_folder
from motionkit.exchange.rows import imported_lineage, rows_of, safe_name
from motionkit.exchange.webdataset import plain_row
from motionkit.measures import SEEN, split_words
from motionkit.shards.reader import ShardSet
from motionkit.shards.schema import SPLITS

KIND: Final = "humanml3d"
_INDEX: Final = (
    "name", "sample_id", "split", "clip_id", "video_id", "group_id", "source", "page_url",
    "licence", "t0_s", "t1_s", "first", "last", "fps", "width", "height", "caption_sources",
    "lineage",
)  # fmt: skip
_WHOLE: Final = ("first", "last", "width", "height")
_FLOATS: Final = ("t0_s", "t1_s", "fps")
#: Longer names and texts in a foreign folder are refused.
_LONGEST_NAME: Final = 200
_MOST_TEXT: Final = 1 << 20


def export_humanml(shards: ShardSet, out: Path, *, split: str | None = None) -> dict[str, Any]:
    """Write the clips of persons; returns counts. Clips of objects, tracks and masks are left out;
    a ``#`` within a caption, which the line format cannot hold, becomes a blank."""
    facts: dict[str, Any] = {"splits": {}, "left_out": {}}
    chosen = SPLITS if split is None else (split,)
    with export_folder(out, KIND, shards.path, facts) as folder:
        for name in ("joints2d", "texts"):
            (folder / name).mkdir()
        spread = _Spread()
        with (folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
            index = csv.writer(stream, lineterminator="\n")
            index.writerow(_INDEX)
            for home in SPLITS:
                names = _split_files(shards, home, folder, index, spread, facts, home in chosen)
                lines = "".join(f"{name}\n" for name in names)
                (folder / f"{home}.txt").write_text(lines, "utf-8")
        joined = "".join((folder / f"{s}.txt").read_text("utf-8") for s in SPLITS)
        (folder / "all.txt").write_text(joined, "utf-8")
        mean, std = spread.result()
        np.save(folder / "Mean.npy", mean, allow_pickle=False)
        np.save(folder / "Std.npy", std, allow_pickle=False)
    return facts


def _split_files(
    shards: ShardSet,
    split: str,
    folder: Path,
    index: Any,
    spread: _Spread,
    facts: dict[str, Any],
    chosen: bool,
) -> Iterator[str]:
    """Writes the files of a split and gives their names."""
    count = 0
    for row in rows_of(shards, split) if chosen else ():
        if row["kind"] != "person":
            facts["left_out"]["object"] = facts["left_out"].get("object", 0) + 1
            continue
        name = safe_name(row["sample_id"])
        captions = row["captions"] or []
        np.save(folder / "joints2d" / f"{name}.npy", row["m2d"], allow_pickle=False)
        lines = "".join(text_line(c["text"]) + "\n" for c in captions)
        (folder / "texts" / f"{name}.txt").write_text(lines, "utf-8")
        sources = "|".join((c["source"] or "").replace("|", " ") for c in captions)
        values = {**row, "name": name, "caption_sources": sources}
        index.writerow(["" if values[n] is None else values[n] for n in _INDEX])
        if split == "train":
            spread.add(row["m2d"])
        count += 1
        yield name
    if count:
        facts["splits"][split] = {"samples": count}


def text_line(caption: str) -> str:
    """A line of a HumanML3D text: caption, tokens, start and end (0.0: all of the clip)."""
    plain = " ".join(caption.replace("#", " ").split())
    tokens = " ".join(f"{word.lower()}/OTHER" for word in split_words(plain))
    return f"{plain}#{tokens}#0.0#0.0"


class _Spread:
    """Mean and standard deviation of the seen keypoints, in one pass."""

    def __init__(self) -> None:
        self._count = np.zeros((17, 1))
        self._sum = np.zeros((17, 2))
        self._squares = np.zeros((17, 2))

    def add(self, m2d: Any) -> None:
        points = m2d[:, :17].astype(np.float64)
        seen = points[:, :, 2:] > SEEN
        self._count += seen.sum(0)
        self._sum += (points[:, :, :2] * seen).sum(0)
        self._squares += (points[:, :, :2] ** 2 * seen).sum(0)

    def result(self) -> tuple[Any, Any]:
        """Both float32 [17, 2]; where a keypoint is never seen 0 and 1."""
        count = np.maximum(self._count, 1)
        mean = self._sum / count
        std = np.sqrt(np.maximum(self._squares / count - mean**2, 0))
        std = np.where((self._count > 0) & (std > 0), std, 1.0)
        return mean.astype(np.float32), std.astype(np.float32)


def humanml_files(source: Path) -> list[Path]:
    """The files that say what is in a folder."""
    found = [source / name for name in ("index.csv", *(f"{s}.txt" for s in SPLITS), "all.txt")]
    return [path for path in found if path.is_file()]


def read_humanml(
    source: Path, left_out: Counter[str], *, fps: float | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of every name in train.txt, val.txt and test.txt (else all.txt, without a split).

    ``index.csv`` gives ids and rates where it is there; a foreign folder needs ``fps``. Raises
    InputError 'humanml-unreadable' where the lists or the folders are missing.
    """
    if not (source / "joints2d").is_dir():
        raise InputError(
            "humanml-unreadable",
            f"{source.name} has no folder joints2d",
            hint="2D keypoints are read; 3D motions (new_joint_vecs) are not",
        )
    index = _index(source / "index.csv")
    lists: dict[str | None, Path] = {
        s: source / f"{s}.txt" for s in SPLITS if (source / f"{s}.txt").is_file()
    }
    found = False
    for split, path in (lists or {None: source / "all.txt"}).items():
        for name in _names(path):
            found = True
            try:
                yield _row(source, name, split, index.get(name, {}), fps)
            except InputError as error:
                left_out[error.code] += 1
    if not found:
        raise InputError("humanml-unreadable", f"{source.name} lists no names")


def _names(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as stream:
            yield from filter(None, (line.strip() for line in stream))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("humanml-unreadable", f"{path.name}: {error}") from error


def _index(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return {row["name"]: row for row in csv.DictReader(stream)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise InputError("humanml-unreadable", f"{path.name}: {error}") from error


def _row(
    source: Path, name: str, split: str | None, about: Mapping[str, str], fps: float | None
) -> dict[str, Any]:
    # The name comes from a file: it must not lead out of the folder.
    if (
        len(name) > _LONGEST_NAME
        or Path(name).name != name
        or "\\" in name
        or not name.isprintable()
    ):
        raise InputError("bad-name", f"{name[:80]!r} is no file name")
    m2d = read_npy_file(source / "joints2d" / f"{name}.npy")
    known: dict[str, Any] = {n: about.get(n) or None for n in _INDEX if n != "name"}
    sources = (known.pop("caption_sources") or "").split("|")
    try:
        known.update({n: int(known[n]) for n in _WHOLE if known[n] is not None})
        known.update({n: float(known[n]) for n in _FLOATS if known[n] is not None})
    except ValueError as error:
        raise InputError("malformed-sample", f"{name}: {error}") from error
    captions = list(_captions(source / "texts" / f"{name}.txt"))
    for caption, origin in zip(captions, sources, strict=False):
        caption["source"] = origin or "imported"
    known["lineage"] = imported_lineage(known.get("lineage"), KIND, source)
    plain = {k: v for k, v in known.items() if v is not None}
    row = plain_row(name, {**plain, "m2d": m2d}, name, fps)
    return {"split": split, "source": source.name, "captions": captions, **row}


def _captions(path: Path) -> Iterator[dict[str, Any]]:
    """Captions of a text file; one that speaks of a part of the clip says so in its detail."""
    if not path.is_file():
        return
    try:
        if path.stat().st_size > _MOST_TEXT:
            raise InputError("malformed-sample", f"{path.name} is larger than a text")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("malformed-sample", f"{path.name}: {error}") from error
    for line in lines:
        text, *rest = line.split("#")
        span = [_seconds(value) for value in rest[1:3]]
        if not text.strip():
            continue
        caption = {"text": text.strip(), "source": "imported", "detail": "{}"}
        if len(span) == 2 and span[1] > 0:
            caption["detail"] = f'{{"start_s":{span[0]},"end_s":{span[1]}}}'
        yield caption


def _seconds(value: str) -> float:
    try:
        found = float(value)
    except ValueError:
        return 0.0
    return found if math.isfinite(found) else 0.0  # the original has nan here and there

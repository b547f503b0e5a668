"""Write a shard set of samples that come from elsewhere: another set, or another format.

The samples come in any order and keep their split; they wait on the disk (`Spill`), so that
memory holds ids and one row group. The set is what `build_shards` would write: sorted, checked,
with manifest, groups.csv and data card, published whole.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from motionkit.errors import InputError, UsageError
from motionkit.file_hash import sha256_of
from motionkit.records import PIXEL_STEP, SAMPLE
from motionkit.shards.card import data_card
from motionkit.shards.cuts import segment_key, segments
from motionkit.shards.manifest import build_manifest, write_groups
from motionkit.shards.publish import building_folder, publish_folder
from motionkit.shards.schema import FORMAT, SPLITS, rounded, rounded_m2d
from motionkit.shards.spill import Spill
from motionkit.shards.split import DEFAULT_SALT, SplitShares, assign
from motionkit.shards.statistics import Totals
from motionkit.shards.write import Limits, file_form, write_segment

#: Columns that travel as arrays.
ARRAYS: Final = ("m2d", "track_points", "track_visible")
_TRACKS: Final = ("track_frames", "track_first", "track_grid", "track_points", "track_visible")
#: Larger coordinates are damage, and overflow when they are rounded.
_FARTHEST: Final = 1e9
#: Adds files to a finished folder and entries to its manifest; returns text for the data card.
Finish = Callable[[Path, dict[str, Any]], str]


@dataclasses.dataclass(frozen=True)
class SetSummary:
    """What was written. ``left_out`` counts the samples that were not, by reason; ``parted`` the
    groups that came in several splits and went to the strictest."""

    path: Path
    samples: dict[str, int]  # by split
    videos: int
    captions: int
    hours: float
    shards: int
    bytes: int
    parted: int
    left_out: dict[str, int]
    manifest_hash: str


def write_set(
    rows: Iterable[Mapping[str, Any]],
    out: Path,
    *,
    origin: Mapping[str, Any],
    lineage: Mapping[str, Any] | None = None,
    left_out: Counter[str] | None = None,
    rows_per_shard: int = 4096,
    max_bytes: int | None = None,
    shares: SplitShares | None = None,
    salt: str = DEFAULT_SALT,
    finish: Finish | None = None,
) -> SetSummary:
    """Write ``rows`` (columns of `records.SAMPLE`; arrays of any shape) as the shard set ``out``.

    A row needs ``sample_id``, ``frames``, ``fps``, ``width``, ``height`` and its payload; what
    else is missing gets the plainest value (`checked_row`). Rows without a split get one from
    ``shares`` and ``salt`` by their group; a group that comes in several splits goes to the
    strictest. ``origin`` says in the manifest where the samples come from; its ``kind`` guards
    against replacing a set of another origin. Rows that are malformed or come twice are left out
    and counted in ``left_out``, which the source of the rows may count in too.

    Raises UsageError where ``out`` holds something else, or no sample is left.
    """
    out = Path(out)
    check_replaceable(out, FORMAT, origin["kind"])
    left_out = Counter() if left_out is None else left_out
    folder = building_folder(out)
    try:
        with Spill(folder / "samples.spill") as spill:
            about = _spilled(rows, spill, left_out)
            if not about:
                raise UsageError(
                    f"there is no sample to write; left out: {dict(left_out) or 'nothing'}.",
                    hint="see docs/exchange.md for what each format has to hold",
                )
            summary = _write(
                folder, spill, about, origin, lineage or {}, left_out,
                Limits(rows_per_shard, max_bytes), shares, salt, finish,
            )  # fmt: skip
        publish_folder(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return dataclasses.replace(summary, path=out)


def check_replaceable(out: Path, form: str, kind: str) -> None:
    """UsageError unless ``out`` is free, empty, or a folder of the same format and kind."""
    if not out.exists():
        return
    problem = f"{out} holds something else; nothing was written."
    hint = "choose another --out folder"
    if not out.is_dir():
        raise UsageError(f"{out} is a file.", hint=hint)
    if not any(out.iterdir()):
        return
    try:
        manifest = json.loads((out / "manifest.json").read_bytes())
        same = manifest["format"] == form and manifest["origin"]["kind"] == kind
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(problem, hint=hint) from error
    if not same:
        raise UsageError(problem, hint=hint)


def checked_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with every column of a sample, in the stored precision, arrays flat.

    Raises InputError 'malformed-sample' where a number or an array does not fit.
    """
    unknown = set(row) - set(SAMPLE.names)
    if unknown:
        raise AssertionError(f"no columns of a sample: {sorted(unknown)}")
    made: dict[str, Any] = {**dict.fromkeys(SAMPLE.names), **row}
    name = made["sample_id"]
    if not isinstance(name, str) or not name or not name.isprintable():
        raise InputError("malformed-sample", f"{str(name)[:80]!r} is no id of a sample")
    _check_types(made, name)
    for column in ("frames", "width", "height"):
        made[column] = _whole(made[column], column, name)
    fps = made["fps"]
    if not isinstance(fps, (int, float)) or not math.isfinite(fps) or not 0 < fps <= 1000:
        raise InputError("malformed-sample", f"{name}: fps is {fps!r}")
    _default(made)
    if made["kind"] == "person":
        made["m2d"] = _m2d(made, name)
    elif made["kind"] == "object":
        made["m2d"] = None
    else:
        raise InputError("malformed-sample", f"{name}: kind is {str(made['kind'])[:40]!r}")
    if made["masks"] is not None and len(made["masks"]) != made["frames"]:
        raise InputError("malformed-sample", f"{name}: {len(made['masks'])} masks")
    _tracks(made, name)
    return made


def _check_types(made: Mapping[str, Any], name: str) -> None:
    """InputError where a plain column holds another type than the schema's, or no finite number."""
    for field in SAMPLE:
        value = made[field.name]
        if value is None or pa.types.is_list(field.type):
            continue
        if pa.types.is_string(field.type):
            fits = _is_text(value)
        elif isinstance(value, bool):
            fits = False
        elif pa.types.is_integer(field.type):
            fits = isinstance(value, (int, np.integer)) and bool(0 <= value < 2**31)
        else:
            fits = isinstance(value, (int, float, np.number)) and math.isfinite(value)
        if not fits:
            raise InputError("malformed-sample", f"{name}: {field.name} is {str(value)[:40]!r}")
    masks = made["masks"]
    if masks is not None and not all(mask is None or _is_text(mask) for mask in masks):
        raise InputError("malformed-sample", f"{name}: masks that are no run lengths")
    try:
        sound = isinstance(json.loads(made["lineage"] or "{}"), dict)
    except (ValueError, RecursionError):
        sound = False
    if not sound:
        raise InputError("malformed-sample", f"{name}: lineage that is no JSON object")


def _is_text(value: Any) -> bool:
    """Text that UTF-8 can hold: JSON may bring halves of surrogate pairs."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _caption(given: Any, name: str) -> dict[str, Any]:
    """A caption as the schema has it; a text alone will do."""
    found = {"text": given} if isinstance(given, str) else given
    if not isinstance(found, Mapping):
        raise InputError("malformed-sample", f"{name}: a caption is {type(given).__name__}")
    plain = {"text": "", "source": "imported", "detail": "{}"}
    made = {key: found.get(key) or default for key, default in plain.items()}
    if not all(map(_is_text, made.values())):
        raise InputError("malformed-sample", f"{name}: a caption that is no text")
    return made


def _whole(value: Any, column: str, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError("malformed-sample", f"{name}: {column} is {value!r}")
    if not 0 < value < 2**31:
        raise InputError("malformed-sample", f"{name}: {column} is {value}")
    return int(value)


def _default(made: dict[str, Any]) -> None:
    made["kind"] = made["kind"] or "person"
    made["clip_id"] = made["clip_id"] or made["sample_id"]
    made["video_id"] = made["video_id"] or made["clip_id"]
    made["group_id"] = made["group_id"] or made["video_id"]
    made["first"] = 0 if made["first"] is None else made["first"]
    made["last"] = made["frames"] - 1 if made["last"] is None else made["last"]
    made["t0_s"] = 0.0 if made["t0_s"] is None else made["t0_s"]
    if made["t1_s"] is None:
        made["t1_s"] = made["t0_s"] + made["frames"] / made["fps"]
    captions = [_caption(given, made["sample_id"]) for given in made["captions"] or ()]
    made["captions"] = [caption for caption in captions if caption["text"].strip()]
    made["lineage"] = made["lineage"] or "{}"
    if made["split"] not in (None, *SPLITS):
        raise InputError("malformed-sample", f"{made['sample_id']}: split {made['split']!r}")


def _m2d(made: Mapping[str, Any], name: str) -> Any:
    m2d = np.asarray(made["m2d"] if made["m2d"] is not None else [], np.float32).ravel()
    if m2d.size != made["frames"] * 54:
        raise InputError(
            "malformed-sample", f"{name}: keypoints do not fit {made['frames']} frames"
        )
    if not (np.abs(m2d) <= _FARTHEST).all():  # nan is not either
        raise InputError("malformed-sample", f"{name}: keypoints out of every range")
    return rounded_m2d(m2d)


def _tracks(made: dict[str, Any], name: str) -> None:
    if made["track_frames"] is None:
        made.update(dict.fromkeys(_TRACKS))
        return
    shown = made["track_frames"] * (made["track_grid"] or 0) ** 2
    points = np.asarray(made["track_points"], np.float32).ravel()
    visible = np.asarray(made["track_visible"], np.bool_).ravel()
    if points.size != shown * 2 or visible.size != shown or not (np.abs(points) <= _FARTHEST).all():
        raise InputError("malformed-sample", f"{name}: tracks that do not fit their grid")
    made["track_first"] = made["track_first"] or 0
    made["track_points"], made["track_visible"] = rounded(points, PIXEL_STEP), visible


def _spilled(
    rows: Iterable[Mapping[str, Any]], spill: Spill, left_out: Counter[str]
) -> dict[str, tuple[str, str, str | None]]:
    """Sample id → video, group, split; the rows themselves are in ``spill``."""
    about = {}
    for given in rows:
        try:
            row = checked_row(given)
        except InputError as error:
            left_out[error.code] += 1
            continue
        name = row["sample_id"]
        if name in spill:
            left_out["duplicate-sample"] += 1
            continue
        arrays = {n: row[n] for n in ARRAYS if row[n] is not None}
        spill.put(name, {n: v for n, v in row.items() if n not in ARRAYS}, arrays)
        about[name] = (row["video_id"], row["group_id"], row["split"])
    return about


def _write(
    folder: Path,
    spill: Spill,
    about: Mapping[str, tuple[str, str, str | None]],
    origin: Mapping[str, Any],
    lineage: Mapping[str, Any],
    left_out: Counter[str],
    limits: Limits,
    shares: SplitShares | None,
    salt: str,
    finish: Finish | None,
) -> SetSummary:
    official: dict[str, set[str]] = {}
    for _, group, home in about.values():
        if home:
            official.setdefault(group, set()).add(home)
    groups = (group for _, group, _ in about.values())
    assignment = assign(groups, shares, salt=salt, official=official)
    totals, shards = Totals(), []
    (folder / "data").mkdir()
    for split in SPLITS:
        ids = sorted(n for n, (_, group, _) in about.items() if assignment.split_of[group] == split)
        shards += _write_split(folder, split, ids, spill, limits, lineage, totals)
    manifest = build_manifest(
        shards, totals, assignment,
        options={"rows_per_shard": limits.rows, "max_shard_bytes": limits.size},
        lineage=lineage, recipe=None, left_out=left_out, dropped={},
        groups=write_groups(folder, totals),
    )  # fmt: skip
    manifest["origin"] = dict(origin)
    manifest["split_rule"]["official"].update(
        map={split: split for split in SPLITS},
        text="samples keep the split that they came with; a group in several goes as a whole to "
        "the strictest of them (test, then val)",
    )
    card = finish(folder, manifest) if finish else ""
    (folder / "README.md").write_text(data_card(manifest) + card, "utf-8")
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")
    return SetSummary(
        path=folder,
        samples={s: manifest["splits"][s]["samples"] for s in SPLITS},
        videos=manifest["totals"]["videos"],
        captions=manifest["totals"]["captions"],
        hours=manifest["totals"]["hours"],
        shards=len(shards),
        bytes=sum(s["bytes"] for s in shards),
        parted=assignment.parted,
        left_out=dict(sorted(left_out.items())),
        manifest_hash=sha256_of(folder / "manifest.json"),
    )


def _write_split(
    folder: Path,
    split: str,
    ids: list[str],
    spill: Spill,
    limits: Limits,
    lineage: Mapping[str, Any],
    totals: Totals,
) -> list[dict[str, Any]]:
    """The manifest's entries of a split's files."""

    def rows(start: int, end: int) -> Iterator[dict[str, Any]]:
        for name in ids[start:end]:
            row = {**dict.fromkeys(ARRAYS), **spill.get(name), "split": split}
            totals.add({**row, "models": models_of(row["lineage"])})
            yield row

    form = file_form(lineage, limits, split)
    entries: list[dict[str, Any]] = []
    for start, end in segments(ids, limits.rows):
        key = segment_key(ids[start:end], spill.digest, form)
        stub = folder / "data" / f"{split}-{start}"
        entries += write_segment(stub, rows(start, end), key, limits)
    named = []
    for number, entry in enumerate(entries):
        path = folder / "data" / f"{split}-{number:05d}-of-{len(entries):05d}.parquet"
        entry.pop("file").replace(path)
        named.append({"path": path.relative_to(folder).as_posix(), "split": split, **entry})
    return named


def models_of(lineage: str) -> list[str]:
    """The backends that a sample's lineage (JSON) names."""
    entries = json.loads(lineage).values()
    found = [entry.get("backend") for entry in entries if isinstance(entry, dict)]
    return sorted({name for name in found if isinstance(name, str) and name})

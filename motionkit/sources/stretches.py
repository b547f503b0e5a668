"""What a manifest's rows say about one video: its ranges, texts, licence and further columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from motionkit.errors import InputError
from motionkit.video.sidecars import MAX_CAPTIONS

#: An end may lie this far behind the video's before it is remarked on: lists round their times.
_SLACK_S: Final = 1.0


def apply_rows(video: dict[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add to a row of `videos` what the manifest's ``rows`` say of it.

    Each of ``rows`` has the fields of `manifest.Row` and ``manifest``, the manifest's name. Rows
    with the same stretch become one range. A stretch that begins behind the video's end is left
    out (problem `bad-range`), one that ends behind it is cut (problem `range-cut` where it is
    more than a second). The manifest's licence and the row's first texts count before those of
    files beside the video. Raises InputError `bad-range` where no stretch is left: the whole
    video is not what was asked for.
    """
    duration = float(video["duration_s"])
    ranges: dict[tuple[float | None, float | None], dict[str, Any]] = {}
    problems: set[str] = set()
    whole: dict[str, Any] = {"captions": [], "extra": {}}
    asked = 0
    for row in rows:
        start, end = row["start_s"], row["end_s"]
        if start is None and end is None:
            _add(whole, row)
            continue
        asked += 1
        if start is not None and start >= duration:
            problems.add("bad-range")
            continue
        if end is not None and end > duration:
            if end > duration + _SLACK_S:
                problems.add("range-cut")
            end = duration
        _add(ranges.setdefault((start, end), {"captions": [], "extra": {}}), row)
    if asked and not ranges:
        raise InputError(
            "bad-range",
            f"every stretch the manifest names begins behind the end of the video ({duration:g} s)",
        )
    video["problems"] = [*video["problems"], *sorted(problems)]
    video["captions"] = _joined([*whole["captions"], *(video["captions"] or [])])
    video["licence"] = next((r["licence"] for r in rows if r["licence"]), video.get("licence"))
    video["extra"] = _json(whole["extra"])
    order = sorted(
        ranges, key=lambda pair: (pair[0] or 0.0, duration if pair[1] is None else pair[1])
    )
    video["ranges"] = [
        {
            "start_s": start,
            "end_s": end,
            "captions": _joined(ranges[start, end]["captions"]),
            "extra": _json(ranges[start, end]["extra"]),
        }
        for start, end in order
    ]


def _add(place: dict[str, Any], row: Mapping[str, Any]) -> None:
    detail = json.dumps({"file": row["manifest"], "key": f"line {row['line']}"}, ensure_ascii=False)
    place["captions"] += [
        {"text": text, "source": "sidecar", "detail": detail} for text in row["captions"]
    ]
    for key, value in (json.loads(row["extra"]) if row["extra"] else {}).items():
        place["extra"].setdefault(key, value)


def _joined(captions: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Each text once, the first MAX_CAPTIONS."""
    found: dict[str, dict[str, str]] = {}
    for caption in captions:
        found.setdefault(caption["text"], caption)
    return list(found.values())[:MAX_CAPTIONS]


def _json(values: Mapping[str, Any]) -> str | None:
    return json.dumps(values, sort_keys=True) if values else None

"""What `evaluate lang2motion` measured on a split (evaluation-SPLIT.json), as a card."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from motionkit.report.charts import bars, number

#: Key in the file, what it is called here, what it is.
_WAYS: Final = (
    ("model", "this model", "generated from the sentence and the first frame"),
    ("static", "standing still", "every point stays where it starts"),
    ("mean motion", "mean motion", "the average motion of the training set"),
    ("nearest text", "nearest sentence", "the motion of the training sentence most like it"),
    ("random", "random motion", "that of any training trajectory"),
    (
        "teacher forcing",
        "told the truth",
        "teacher forcing: the true trajectory is read in and every step corrected; nothing is "
        "generated",
    ),
)
_NOT_GENERATED: Final = "teacher forcing"
_COLUMNS: Final = (
    ("ade_px", 1),
    ("fde_px", 1),
    ("average_jaccard", 3),
    ("occlusion_accuracy", 3),
    ("smoothness", 3),
    ("similarity", 3),
)
_DIRECTIONS: Final = (
    ("text_to_trajectory", "a sentence finds its trajectory"),
    ("trajectory_to_text", "a trajectory finds its sentence"),
)
#: Larger files are none of ours.
_LARGEST: Final = 1 << 20


def frame_size_of(card: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """The frame that a card's errors are stated for."""
    return None if card is None or card.get("warning") else card["frame_size"]


def scores_card(path: Path, shards_hash: str | None = None) -> dict[str, Any]:
    """Values for the template, or a ``warning`` that says why the file cannot be used.

    ``shards_hash`` is that of the shards shown on the page; another one is told."""
    name = f"{path.parent.name}/{path.name}"
    try:
        if path.stat().st_size > _LARGEST:
            return {"warning": f"{name} is too large for an evaluation and is left out."}
        found = json.loads(path.read_bytes())
    except OSError as error:
        return {"warning": f"{name} cannot be read: {error.strerror or error}"}
    except (ValueError, RecursionError):
        return {"warning": f"{name} is no JSON and is left out."}
    try:
        return _card(found, name, shards_hash)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        return {"warning": f"{name} is no evaluation of Lang2Motion and is left out: {error!r}"}


def _card(found: Mapping[str, Any], name: str, shards_hash: str | None) -> dict[str, Any]:
    table = found["generation"]
    ways = [(*way, table[way[0]]) for way in _WAYS if way[0] in table]
    width, height = (int(n) for n in found["frame_size"])
    if not 0 < min(width, height) <= max(width, height) <= 100_000 or not _finite(
        table["model"]["ade_px"]
    ):
        raise ValueError("its numbers are none")
    rows = [
        (label, _float(row["ade_px"]), "kept" if key == "model" else "middle")
        for key, label, _, row in ways
        if key != _NOT_GENERATED  # a bar beside the others would look like the best of them
    ]
    old = shards_hash is not None and found["shards"] != shards_hash
    return {
        "warning": "",
        "old": f"{name} was measured on another shard set than the one shown here." if old else "",
        "split": str(found["split"]),
        "trajectories": f"{int(found['items']):,}",
        "sentences": f"{int(found['sentences']):,}",
        "frame": f"{width}×{height}",
        "frame_size": (width, height),
        "chart": bars(
            rows,
            title="Mean error (ADE) of generated trajectories beside baselines",
            x_label=f"ADE, pixels of a {width}×{height} frame",
            label_width=125,
        ),
        "says": _says(table),
        "rows": [
            {
                "label": label,
                "note": note,
                "us": key == "model",
                "cells": [_text(row.get(column), digits) for column, digits in _COLUMNS],
            }
            for key, label, note, row in ways
        ],
        "searches": [_search(found["retrieval"], key, title) for key, title in _DIRECTIONS],
    }


def _search(retrieval: Mapping[str, Any], key: str, title: str) -> dict[str, Any]:
    own = retrieval["model"][key]
    ks = sorted(own["at"], key=int)
    rows = [("this model", own["at"], True)]
    if "nearest text" in retrieval:
        rows.append(("nearest sentence", retrieval["nearest text"][key]["at"], False))
    rows.append(("chance", own["chance"], False))
    return {
        "title": title,
        "queries": f"{int(own['queries']):,}",
        "gallery": f"{int(own['gallery']):,}",
        "ks": [int(k) for k in ks],
        "rows": [
            {"label": label, "us": us, "cells": [f"{100 * _float(at[k]):.1f} %" for k in ks]}
            for label, at, us in rows
        ],
    }


def _says(table: Mapping[str, Any]) -> str:
    own = _float(table["model"]["ade_px"])
    said = [f"On average a generated point is {number(own)} pixels from where it should be"]
    for key, what in (("static", "standing still"), ("nearest text", "the nearest sentence")):
        other = _float(table[key]["ade_px"]) if key in table else math.nan
        if math.isfinite(other) and other > 0:
            share = 1 - own / other
            way = "less" if share >= 0 else "more"
            said.append(f"{100 * abs(share):.0f} % {way} than {what}")
    return ": ".join([said[0], " and ".join(said[1:])]) + "." if said[1:] else said[0] + "."


def _finite(value: Any) -> bool:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    return good and math.isfinite(value)


def _float(value: Any) -> float:
    return float(value) if _finite(value) else math.nan


def _text(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if _finite(value) else "–"

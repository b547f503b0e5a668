"""The section on trajectories: held-out prompts drawn, searches, and the evaluation, as values for
the template."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from motionkit.metrics.trajectories import FRAME_SIZE
from motionkit.report.own_trajectories import MOST, own_trajectories
from motionkit.report.trails import picture, sketch, view_of
from motionkit.report.trajectories import Drawn, Search, Trajectories, look_at
from motionkit.report.trajectory_scores import frame_size_of, scores_card

#: Longer prompts are cut on the page.
_LONGEST: Final = 240
#: Errors that differ by less than this share are called equal.
_CLEAR: Final = 0.1
_MEASURED_ON: Final = ("test", "val")


def trajectory_section(
    model: Path | None,
    shards: Path | None,
    shards_hash: str | None = None,
    own: Sequence[Path] = (),
) -> dict[str, Any]:
    """Everything the section shows. ``model`` is the folder of a trained Lang2Motion, ``shards``
    a shard set, ``shards_hash`` the hash of its manifest, ``own`` are trajectories that
    `generate lang2motion` wrote (.npz)."""
    card = _card(model, shards_hash)
    found = look_at(model, shards, frame_size_of(card) or FRAME_SIZE)
    width, height = found.frame_size
    return {
        "problem": found.problem,
        "command": found.command,
        "remarks": found.remarks,
        "split": found.split,
        "frames": found.frames,
        "points": found.grid * found.grid,
        "grid": found.grid,
        "frame": f"{width}×{height}",
        "among": _among(found),
        "mean": _mean(found),
        "drawn": [_drawn(one, found) for one in found.drawn],
        "searches": [_search(one, found) for one in found.searches],
        "own": own_trajectories(own, _cut),
        "own_says": _own_says(len(own)),
        "scores": card,
        "glossary": _GLOSSARY,
    }


def _own_says(count: int) -> str:
    many = f"The first {MOST} of {count:,} files" if count > MOST else "Files"
    return f"{many} that motionkit generate lang2motion wrote into the folder trajectories."


def _card(model: Path | None, shards_hash: str | None) -> dict[str, Any] | None:
    if model is None:
        return None
    paths = (model / f"evaluation-{split}.json" for split in _MEASURED_ON)
    path = next((path for path in paths if path.is_file()), None)
    return None if path is None else scores_card(path, shards_hash)


def _among(found: Trajectories) -> str:
    items = "1 trajectory" if found.items == 1 else f"{found.items:,} trajectories"
    if found.videos == found.of_videos:
        return f"all {items} of the {found.split} split"
    return (
        f"{items} of {found.videos:,} of the {found.of_videos:,} videos of the {found.split} split"
    )


def _mean(found: Trajectories) -> str:
    pairs = [
        (one.ade_px, one.still_px)
        for one in found.drawn
        if math.isfinite(one.ade_px) and math.isfinite(one.still_px)
    ]
    if not pairs:
        return ""
    own, still = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    return (
        f"Over these {len(pairs)} sentences the generated points are {own:.0f} pixels off on "
        f"average, and standing still would be {still:.0f} pixels off."
    )


def _drawn(one: Drawn, found: Trajectories) -> dict[str, Any]:
    prompt = _cut(one.prompt)
    values: dict[str, Any] = {"prompt": prompt, "problem": one.problem}
    if one.problem:
        return values
    view = view_of([one.true, one.made], one.size)
    width = found.frame_size[0]
    most = max([v for v in (one.ade_px, one.still_px) if math.isfinite(v)], default=0.0) or 1.0
    return values | {
        "frames": len(one.true),
        "true": picture(
            one.true,
            found.grid,
            view,
            label=f"True trajectory of: {prompt}",
            visible=one.visible,
            bar_px=width,
        ),
        "made": picture(
            one.made,
            found.grid,
            view,
            label=f"Trajectory generated for: {prompt}",
            ghost=one.true,
        ),
        "errors": [
            _error("generated", one.ade_px, most, "kept"),
            _error("standing still", one.still_px, most, "middle"),
        ],
        "verdict": _verdict(one.ade_px, one.still_px),
    }


def _error(label: str, value: float, most: float, style: str) -> dict[str, Any]:
    known = math.isfinite(value)
    share = 100 * value / most if known else 0.0
    return {
        "label": label,
        "text": f"{value:.1f} px off" if known else "not measured: no point is seen",
        "share": f"{share:.1f}",
        "style": style,
    }


def _verdict(own: float, still: float) -> dict[str, Any] | None:
    if not (math.isfinite(own) and math.isfinite(still) and still > 0):
        return None
    share = 1 - own / still
    if share >= _CLEAR:
        return {"text": f"{100 * share:.0f} % less than standing still", "style": "good"}
    if share > -_CLEAR:
        return {"text": "about as far off as standing still", "style": "soft"}
    return {"text": f"{-100 * share:.0f} % more: standing still is better", "style": "bad"}


def _search(one: Search, found: Trajectories) -> dict[str, Any]:
    best = "found first" if one.rank == 1 else f"comes {_nth(one.rank)} of {found.items:,}"
    return {
        "prompt": _cut(one.prompt),
        "first": one.rank == 1,
        "says": f"the right one {best}",
        "answers": [
            {
                "place": place,
                "right": answer.right,
                "said": _cut(answer.said),
                "svg": sketch(
                    answer.points,
                    found.grid,
                    answer.size,
                    label=f"Trajectory found, number {place}: {_cut(answer.said)}",
                ),
            }
            for place, answer in enumerate(one.answers, 1)
        ],
    }


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _nth(rank: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank:,}{'th' if rank % 100 in (11, 12, 13) else ending}"


_GLOSSARY: Final[tuple[tuple[str, str], ...]] = (
    (
        "ADE, average displacement error",
        "For every point and every frame after the first: how far the generated point is from "
        "where it truly was, in pixels; then the mean of all of these. 0 is a perfect copy. Points "
        "that are hidden in the video do not count. Half as large is twice as good, but only "
        "beside the same prompt: a fast object makes large errors easy.",
    ),
    (
        "standing still",
        "The ADE of points that never move. It says how much motion there was to get right, so an "
        "ADE below it means the sentence helped, and one above it that the motion went the wrong "
        "way or too far.",
    ),
    (
        "FDE, final displacement error",
        "The same distance in the last frame alone, where mistakes have added up.",
    ),
    (
        "R@1, R@5 …",
        "Recall: of all searches, the share in which a right answer is first, or among the first "
        "five. Chance is what shuffling would give.",
    ),
    (
        "nearest sentence",
        "A baseline that understands no motion: take the training sentence most like the prompt, "
        "and copy its motion. A model that is not better has only learned to look up.",
    ),
    (
        "AJ and OA",
        "Average Jaccard and occlusion accuracy, as the TAP-Vid benchmark of point trackers "
        "defines them, 0 to 1. AJ is strict: it counts points within 1 to 16 pixels of 256. The "
        "model does not predict which points are hidden, so OA only says how many are visible.",
    ),
    (
        "smoothness",
        "1 less the mean change of speed from frame to frame: near 1 is smooth. Standing still is "
        "perfectly smooth, so by itself it means little.",
    ),
    (
        "similarity",
        "How well the model itself thinks that trajectory and sentence go together, −1 to 1.",
    ),
)

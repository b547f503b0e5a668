"""The README of a world: what a sentence's words mean in numbers, written from the tables."""

from __future__ import annotations

from collections.abc import Mapping

from motionkit.synth.objects import courses, views
from motionkit.synth.objects.motions import MOTIONS
from motionkit.synth.objects.relations import RELATED
from motionkit.synth.objects.spec import SPLITS, WORLD_VERSION, WorldSpec

_HEAD = """# A world of moving objects

Rendered by `motionkit synth --kind objects` (world {version}, seed {seed}): {width} × {height}
pixels, {frames} frames a video, {fps:g} frames a second. Licence: CC0-1.0. The layout is MeViS'.

| split | videos | sentences | masks |
|---|---|---|---|
{splits}

`SPLIT/truth/VIDEO.npz` holds what is true: `points` [objects, frames, 36, 2] in pixels, `hidden`
[objects, frames, 36] (0 visible, 1 outside the frame, 2 on the side turned away, 3 behind another
object), `transform` [objects, frames, 6] (centre x, y, angle, size, turn, camera's scale), motion,
direction, speed, `deforming`. The way of any other point:
`motionkit.synth.objects.truth.load_truth(path).truth_of(points)`.

In the file of sentences `motion`, `direction`, `speed` and `held_out` (words that no training
sentence has) stand beside MeViS' own keys.

## What speed words mean

Shares of the width for sideways motion, of the height for up and down; a diagonal takes 0.75 of
both. No word: normal.

| table | slow | normal | fast | unit |
|---|---|---|---|---|
{speeds}

## Motions

What a sentence does not say is the same in every video:

| motion | rule |
|---|---|
{rules}

The camera stands still in {still:.0%} of the videos. Where it pans ({pan[0]}-{pan[1]} of the
width a second) or zooms (by exp({zoom[0]}-{zoom[1]}) a second) every sentence says so; where it
shakes (about {shake} of the width), none does. {deforming:.0%} of the objects breathe, squash or
wobble.
"""

_TABLES = {
    "LINEAR": (courses.LINEAR, "shares of the side a second"),
    "CYCLES": (courses.CYCLES, "a second"),
    "TURNS": (courses.TURNS, "degrees a second"),
    "GROWTH": (courses.GROWTH, "logarithm of the size a second"),
    "FALLS": (courses.FALLS, "seconds"),
}


def readme(spec: WorldSpec, counts: Mapping[str, int], sentences: Mapping[str, int]) -> str:
    """The text."""
    splits = [
        f"| {name} | {count} | {sentences[name]} | {'yes' if SPLITS[name] else 'no'} |"
        for name, count in counts.items()
    ]
    speeds = [
        f"| `{name}` | "
        + " | ".join(f"{low:g}-{high:g}" for low, high in table.values())
        + f" | {unit} |"
        for name, (table, unit) in _TABLES.items()
    ]
    rules = [f"| {m.name} | {m.rule} |" for m in MOTIONS.values()]
    rules += [f"| {r.name} | {r.rule} |" for r in RELATED.values()]
    return _HEAD.format(
        version=WORLD_VERSION, seed=spec.seed, width=spec.width, height=spec.height,
        frames=spec.frames, fps=spec.fps, splits="\n".join(splits), speeds="\n".join(speeds),
        rules="\n".join(rules), still=1 - spec.camera, pan=views.PAN, zoom=views.ZOOM,
        shake=views.SHAKE, deforming=spec.deforming,
    )  # fmt: skip

"""The masks of persons, from the table `masks` to the samples."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from motionkit.shards.spill import Spill
from motionkit.stage import Tables

#: Sources of masks that are models of their own: points that start in such a mask come of them.
MODELS: Final = ("sam2", "yolo-seg", "grabcut")


def read_person_masks(tables: Tables, persons: Spill, masks: Spill) -> set[str]:
    """Put the masks of every clip of ``persons`` that has some into ``masks``; returns the clips
    whose masks do not fit their keypoints (another number of frames, or another size)."""
    malformed = set()
    columns = ["clip_id", "width", "height", "frames", "masks", "backend"]
    wanted: Container[str] = persons
    for row in tables.rows("masks", columns, only=("clip_id", wanted)):
        clip = row["clip_id"]
        found: list[Any] = [] if row["masks"] is None else list(row["masks"])
        person = persons.values(clip)
        same = all(row[name] == person[name] for name in ("width", "height", "frames"))
        if not same or len(found) != person["frames"]:
            malformed.add(clip)
        elif any(mask is not None for mask in found):
            masks.put(clip, {"masks": found, "backend": row["backend"]})
    return malformed

"""The mask that a clip's grid of points is laid in: the one of its first frame.

Tracks of persons start where the clip starts, so a mask of a later frame is of no use: a clip whose
person the mask stage did not find in the first frame falls back on the other sources, or is
dropped with that as its reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.masks import find_masks, object_of_person, person_mask
from motionkit.errors import InputError
from motionkit.rle import decode_rle
from motionkit.stage import Dropped, Early

Mask = NDArray[np.bool_]
#: Where masks of persons may come from; the order of auto is that of the others.
MASKS = ("auto", "stage", "file", "person")


def first_mask(data: dict[str, Any], ordinal: int, allowed: str) -> tuple[Mask, str] | None:
    """The person's mask on the clip's first frame (source frame ``ordinal``) and its source; None
    where there is none. ``allowed`` is one of `MASKS`; ``data`` that of the item of `track`.

    Raises `Early` with the reason no-mask-at-start where the mask must be the stage's, which has
    the clip, and not its person in the first frame.
    """
    keypoints = np.asarray(data["keypoints"], dtype=np.float64).reshape(17, 3)
    width, height = int(data["width"]), int(data["height"])
    made = data.get("made")
    if made is not None and allowed in ("auto", "stage"):
        counts, source = made
        if counts is not None:
            return _decoded(data, counts), source
        if allowed == "stage":
            raise Early(Dropped("no-mask-at-start"))
    if allowed in ("auto", "file"):
        files = find_masks(data["path"])
        objects = [] if files is None else files.objects(ordinal, width, height)
        mask = object_of_person(objects, keypoints)
        if mask is not None:
            return mask, "file"
    if allowed in ("auto", "person"):
        mask = person_mask(keypoints, width, height)
        if mask is not None:
            return mask, "person-keypoints"
    return None


def made_mask(row: dict[str, Any], ordinal: int) -> tuple[str | None, str]:
    """From a clip's row of the table `masks`: the run lengths on source frame ``ordinal``, None
    where the person is not seen in it, and where the masks are from."""
    at = np.flatnonzero(np.asarray(row["ordinals"]) == ordinal)
    counts = row["masks"][int(at[0])] if len(at) else None
    return (None if counts is None else str(counts)), str(row["mask_source"])


def own_mask(data: dict[str, Any]) -> tuple[Mask, str] | None:
    """The mask of an expression's objects on the first frame that shows them."""
    if data["counts"] is None:
        return None
    return _decoded(data, data["counts"]), "expression"


def _decoded(data: dict[str, Any], counts: str) -> Mask:
    try:
        return decode_rle({"size": [int(data["height"]), int(data["width"])], "counts": counts})
    except ValueError as error:
        raise InputError("mask-unreadable", f"{data['clip_id']}: {error}") from error

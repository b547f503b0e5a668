"""`track`: a grid of points on the person, followed through the start of every clip.

Lang2Motion's trajectories: G×G points inside the mask on the clip's first frame, followed over
T frames at the clip's own rate. The objects of an expression are followed in the same way, from
the first frame that shows them on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.masks import find_masks, object_of_person, person_mask
from motionkit.backends.tracking import MaskTooSmall, PointTracker, grid_in_mask, open_tracker
from motionkit.errors import InputError, UsageError
from motionkit.rle import decode_rle
from motionkit.stage import Dropped, Item, Kept, Lookup, Outcome, Tables, digest, has_run

Frame = NDArray[np.uint8]
MASKS = ("auto", "file", "person")


@dataclasses.dataclass(frozen=True)
class Track:
    """Follow a grid of points on the person, or on the objects of an expression."""

    grid: int = 6
    """Points a side: grid * grid points."""
    frames: int = 30
    """Frames to follow; a shorter clip is followed to its end."""
    backend: str = "lucas-kanade"
    """The point tracker, 'name' or 'name:model'."""
    mask: str = "auto"
    """'file': the mask file beside the video; 'person': drawn from the keypoints; 'auto': the
    file where it has this person in this frame, else drawn. The row says which it was. The objects
    of an expression always start from their own mask."""

    name: ClassVar[str] = "track"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "tracks"
    reads: ClassVar[tuple[str, ...]] = ("videos", "keypoints", "expressions")

    def __post_init__(self) -> None:
        if self.grid < 1:
            raise UsageError(f"--grid must be at least 1, not {self.grid}")
        if self.frames < 2:
            raise UsageError(f"--frames must be at least 2, not {self.frames}")
        if self.mask not in MASKS:
            raise UsageError(f"--mask must be one of {', '.join(MASKS)}, not '{self.mask}'")
        open_tracker(self.backend)  # a wrong name or a missing package is told at once

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, the tracker's own identity, and the keypoints. A mask file is a clip's own
        input, and so is an expression: its stamp."""
        persons = has_run(tables, "keypoints") or not has_run(tables, "expressions")
        return {
            "grid": self.grid,
            "frames": self.frames,
            "mask": self.mask,
            "backend": open_tracker(self.backend).identity(),
            "keypoints": tables.fingerprint("keypoints") if persons else None,
        }

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """The clips that have keypoints; the stamp is that of the mask file beside the video.
        Then the clips of expressions; the stamp is that of the expression."""
        if has_run(tables, "keypoints"):
            stamps = self._stamps(tables)
            for row in tables.rows("keypoints", ["video_id"]):
                yield row["item_id"], stamps.get(row["video_id"])
        if has_run(tables, "expressions"):
            read = tables.fingerprint("expressions")
            for row in tables.rows("expressions", ["clip_id", "stamp"]):
                yield row["clip_id"], digest([read, row["stamp"]], 16)

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted clips, with the keypoints or the mask of their first frame."""
        videos = tables.lookup("videos", "video_id", ["path", "decoder", "fps"])
        if has_run(tables, "keypoints"):
            yield from self._persons(tables, wanted, videos)
        if has_run(tables, "expressions"):
            yield from self._objects(tables, wanted, videos)

    def _persons(
        self, tables: Tables, wanted: Container[str] | None, videos: Lookup
    ) -> Iterator[Item]:
        stamps = self._stamps(tables)
        only = None if wanted is None else ("item_id", wanted)
        columns = ["video_id", "clip_id", "fps", "width", "height", "ordinals", "m2d"]
        for row in tables.rows("keypoints", columns, only=only):
            first = np.asarray(row["m2d"], dtype=np.float64)[: 18 * 3].reshape(18, 3)
            data = {k: row[k] for k in ("video_id", "clip_id", "fps", "width", "height")}
            data.update(_place(videos, row["video_id"]))
            data["ordinals"] = np.asarray(row["ordinals"])[: self.frames]
            data["keypoints"] = first[:17]
            yield Item(row["clip_id"], data, stamps.get(row["video_id"]))

    def _objects(
        self, tables: Tables, wanted: Container[str] | None, videos: Lookup
    ) -> Iterator[Item]:
        """Expressions, from the first frame with a mask on; without any, from no frame."""
        read = tables.fingerprint("expressions")
        only = None if wanted is None else ("clip_id", wanted)
        columns = ["video_id", "clip_id", "width", "height", "frames", "masks", "stamp"]
        for row in tables.rows("expressions", columns, only=only):
            masks = [] if row["masks"] is None else list(row["masks"])
            first = next((i for i, mask in enumerate(masks) if mask is not None), None)
            data = {k: row[k] for k in ("video_id", "clip_id", "width", "height")}
            data.update(_place(videos, row["video_id"]))
            video = videos.get(row["video_id"])
            data["fps"] = video["fps"] if video else None
            start, stop = (0, 0) if first is None else (first, int(row["frames"]))
            data["ordinals"] = np.arange(start, stop, dtype=np.int32)[: self.frames]
            data["counts"] = None if first is None else masks[first]
            yield Item(row["clip_id"], data, digest([read, row["stamp"]], 16))

    def _stamps(self, tables: Tables) -> dict[str, str]:
        """Video id → digest of its mask file, where there is one and it is asked for."""
        stamps: dict[str, str] = {}
        if self.mask != "person":
            for row in tables.rows("videos", ["video_id", "path"]):
                found = find_masks(row["path"])
                if found is not None:
                    stamps.setdefault(row["video_id"], digest(found.digest(), 16))
        return stamps

    def setup(self) -> None:
        """Nothing to load: the tracker opens where it is used."""

    def process(self, item: Item) -> Outcome:
        """Lay the grid, decode each source frame once, follow the points."""
        data = item.data
        if data["path"] is None:
            raise InputError(
                "video-missing",
                f"the videos table has no kept row of {data['video_id']}",
                hint="ingest the video again, then run track",
            )
        ordinals = np.asarray(data["ordinals"], dtype=np.int32)
        found = _own_mask(data) if "counts" in data else self._mask(data, int(ordinals[0]))
        if found is None:
            return Dropped("no-mask")
        mask, source = found
        try:
            points = grid_in_mask(mask, self.grid)
        except MaskTooSmall as small:
            return Dropped("mask-too-small", measured=small.pixels, threshold=small.needed)
        queries = np.concatenate([np.zeros((len(points), 1), np.float32), points], axis=1)
        # 25 frames shown at 30 a second repeat some: each is decoded and followed once.
        unique, shown = np.unique(ordinals, return_inverse=True)
        tracker: PointTracker = open_tracker(self.backend)
        tracks = tracker.track(_frames(data["path"], data["decoder"], unique), queries)
        if len(tracks.points) != len(unique):
            raise InputError(
                "frames-missing",
                f"{len(unique)} frames were asked of {data['path']}, {len(tracks.points)} came",
            )
        return Kept(
            {
                "video_id": data["video_id"],
                "clip_id": data["clip_id"],
                "fps": data["fps"],
                "width": data["width"],
                "height": data["height"],
                "frames": len(ordinals),
                "grid": self.grid,
                "ordinals": ordinals,
                "points": tracks.points[shown],
                "visible": tracks.visible[shown],
                "confidence": tracks.confidence[shown],
                "mask_source": source,
                "backend": self.backend,
            }
        )

    def _mask(self, data: dict[str, Any], ordinal: int) -> tuple[NDArray[np.bool_], str] | None:
        """The person's mask on the first frame and its source; None where there is none."""
        keypoints = np.asarray(data["keypoints"], dtype=np.float64).reshape(17, 3)
        width, height = int(data["width"]), int(data["height"])
        if self.mask != "person":
            files = find_masks(data["path"])
            objects = [] if files is None else files.objects(ordinal, width, height)
            mask = object_of_person(objects, keypoints)
            if mask is not None:
                return mask, "file"
        if self.mask != "file":
            mask = person_mask(keypoints, width, height)
            if mask is not None:
                return mask, "person-keypoints"
        return None


def _place(videos: Lookup, video_id: str) -> dict[str, Any]:
    video = videos.get(video_id)
    return {key: video[key] if video else None for key in ("path", "decoder")}


def _own_mask(data: dict[str, Any]) -> tuple[NDArray[np.bool_], str] | None:
    """The mask of an expression's objects on the first frame that shows them."""
    if data["counts"] is None:
        return None
    rle = {"size": [int(data["height"]), int(data["width"])], "counts": data["counts"]}
    try:
        return decode_rle(rle), "expression"
    except ValueError as error:
        raise InputError("mask-unreadable", f"{data['clip_id']}: {error}") from error


def _frames(path: str, decoder: str | None, ordinals: NDArray[np.int32]) -> Iterator[Frame]:
    from motionkit.video.decode import read_frames

    for chunk in read_frames(path, decoder=decoder, ordinals=ordinals.tolist()):
        yield from chunk.frames

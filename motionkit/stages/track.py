"""`track`: a grid of points on the person, followed through the start of every clip.

Lang2Motion's trajectories: G×G points inside the mask on the clip's first frame, followed over
T frames at the clip's own rate.
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
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables, digest

Frame = NDArray[np.uint8]
MASKS = ("auto", "file", "person")


@dataclasses.dataclass(frozen=True)
class Track:
    """Follow a grid of points on the person."""

    grid: int = 6
    """Points a side: grid * grid points."""
    frames: int = 30
    """Frames to follow; a shorter clip is followed to its end."""
    backend: str = "lucas-kanade"
    """The point tracker, 'name' or 'name:model'."""
    mask: str = "auto"
    """'file': the mask file beside the video; 'person': drawn from the keypoints; 'auto': the
    file where it has this person in this frame, else drawn. The row says which it was."""

    name: ClassVar[str] = "track"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "tracks"
    reads: ClassVar[tuple[str, ...]] = ("videos", "keypoints")

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
        input: its stamp."""
        return {
            "grid": self.grid,
            "frames": self.frames,
            "mask": self.mask,
            "backend": open_tracker(self.backend).identity(),
            "keypoints": tables.fingerprint("keypoints"),
        }

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """The clips that have keypoints; the stamp is that of the mask file beside the video."""
        stamps = self._stamps(tables)
        for row in tables.rows("keypoints", ["video_id"]):
            yield row["item_id"], stamps.get(row["video_id"])

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted clips, with the keypoints of their first frame."""
        stamps = self._stamps(tables)
        videos = tables.lookup("videos", "video_id", ["path", "decoder"])
        only = None if wanted is None else ("item_id", wanted)
        columns = ["video_id", "clip_id", "fps", "width", "height", "ordinals", "m2d"]
        for row in tables.rows("keypoints", columns, only=only):
            video = videos.get(row["video_id"]) or {"path": None, "decoder": None}
            first = np.asarray(row["m2d"], dtype=np.float64)[: 18 * 3].reshape(18, 3)
            data = {k: row[k] for k in ("video_id", "clip_id", "fps", "width", "height")}
            data["path"], data["decoder"] = video["path"], video["decoder"]
            data["ordinals"] = np.asarray(row["ordinals"])[: self.frames]
            data["keypoints"] = first[:17]
            yield Item(row["clip_id"], data, stamps.get(row["video_id"]))

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
        found = self._mask(data, int(ordinals[0]))
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


def _frames(path: str, decoder: str | None, ordinals: NDArray[np.int32]) -> Iterator[Frame]:
    from motionkit.video.decode import read_frames

    for chunk in read_frames(path, decoder=decoder, ordinals=ordinals.tolist()):
        yield from chunk.frames

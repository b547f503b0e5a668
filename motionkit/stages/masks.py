"""`masks`: the outline of the person in the frames of every clip.

The mask says which pixels are the person, where keypoints say only where the joints are: `track`
lays its grid inside it, and shards may carry it. Who made it stands in every row; nothing is
filled in from another source. Each source frame is decoded and looked at once, however often the
output rate shows it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit import devices
from motionkit.backends.masks import find_masks
from motionkit.backends.segmentation import Counts, MaskClip, open_segmenter
from motionkit.errors import InputError, UsageError
from motionkit.records import unflatten
from motionkit.stage import Chunk, Dropped, Item, Kept, Outcome, Tables, digest

#: How many pieces of a clip's frames name the person in the table keypoints.
_JOINTS = 17


@dataclasses.dataclass(frozen=True)
class Masks:
    """Outline the person of every clip."""

    backend: str = "grabcut"
    """Who draws the masks: 'sam2:REPOSITORY', 'yolo-seg:NAME', 'file' (masks beside the video) or
    'grabcut' (no model; a rough fallback). docs/masks.md compares them."""
    every: int = 1
    """A mask on every k-th output frame, the others stay null; 0: on the first frame that shows
    the person only, which is all that tracks need."""
    beyond_boxes: bool = False
    """sam2 only: keep masks of frames in which the second pass found nobody, too, where the model
    says it sees the person, also before the first box. Else there is no mask without a box."""
    max_height: int = 1080
    """Higher pictures are shrunk to this many pixels before they are looked at; masks have the
    video's size all the same."""

    name: ClassVar[str] = "masks"
    version: ClassVar[int] = 1
    table: ClassVar[str] = "masks"
    reads: ClassVar[tuple[str, ...]] = ("videos", "keypoints")

    def __post_init__(self) -> None:
        if self.every < 0:
            raise UsageError(f"--every counts frames: 0 or more, not {self.every}")
        if self.max_height < 64:
            raise UsageError(f"max_height is at least 64 pixels, not {self.max_height}")
        sam2 = self.backend.partition(":")[0] == "sam2"
        if self.beyond_boxes and not sam2:
            raise UsageError(f"beyond_boxes is for sam2; '{self.backend}' needs the person's box")
        settings = {"beyond_boxes": self.beyond_boxes} if sam2 else {}
        object.__setattr__(self, "_segmenter", open_segmenter(self.backend, **settings))

    @property
    def segmenter(self) -> Any:
        """The backend; its model is loaded by `setup` only."""
        return getattr(self, "_segmenter")  # noqa: B009 - not a field: it is no parameter

    @property
    def mode(self) -> str:
        """See `motionkit.stage`; by the backend."""
        return str(self.segmenter.mode)

    def check(self) -> None:
        """MissingExtraError or `weights.ModelMissing` where the backend cannot work here."""
        self.segmenter.identity()

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, the backend's own identity, and the keypoints. A mask file is a clip's own
        input: its stamp."""
        return {
            **dataclasses.asdict(self),
            "backend": {"spec": self.backend, **self.segmenter.identity()},
            "videos": tables.fingerprint("videos"),
            "keypoints": tables.fingerprint("keypoints"),
        }

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """The clips that have keypoints; for 'file' the stamp is that of the file."""
        stamps = self._stamps(tables)
        for row in tables.rows("keypoints", ["video_id"]):
            yield row["item_id"], stamps.get(row["video_id"])

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted clips, with the person's box and keypoints in each frame."""
        stamps = self._stamps(tables)
        videos = tables.lookup("videos", "video_id", ["path", "decoder"])
        only = None if wanted is None else ("item_id", wanted)
        columns = ["video_id", "clip_id", "width", "height", "ordinals", "boxes", "m2d"]
        for row in tables.rows("keypoints", columns, only=only):
            video = videos.get(row["video_id"]) or {"path": None, "decoder": None}
            data = {k: row[k] for k in ("video_id", "clip_id", "width", "height", "ordinals")}
            data.update(path=video["path"], decoder=video["decoder"])
            data["boxes"] = unflatten(row["boxes"], -1, 5)[:, :4]
            data["keypoints"] = unflatten(row["m2d"], -1, _JOINTS + 1, 3)[:, :_JOINTS]
            yield Item(row["clip_id"], data, stamps.get(row["video_id"]))

    def _stamps(self, tables: Tables) -> dict[str, str]:
        """Video id → digest of its mask file, where there is one and it counts."""
        stamps: dict[str, str] = {}
        if self.segmenter.source == "file":
            for row in tables.rows("videos", ["video_id", "path"]):
                found = find_masks(row["path"])
                if found is not None:
                    stamps.setdefault(row["video_id"], digest(found.digest(), 16))
        return stamps

    def setup(self) -> None:
        """Load the model."""
        self.segmenter.setup()

    def setup_reader(self) -> None:
        """What `read` needs of the backend; no weights."""
        self.segmenter.setup_reader()

    def process(self, item: Item) -> Outcome:
        """The whole clip, by a backend without a model. Raises as `MaskClip.pictures`, InputError
        ``video-missing``, and for bad mask files ``mask-unreadable`` and ``mask-size``."""
        return self._outcome(item, self.segmenter.segment(self._clip(item)))

    def read(self, item: Item) -> Iterator[Chunk]:
        """Model input of the frames that the backend wants to see. Raises as `process`."""
        yield from self.segmenter.read(self._clip(item))

    def infer(self, units: Chunk) -> list[Counts]:
        """A mask, or None, for each unit."""
        found: list[Counts] = self.segmenter.infer(units)
        return found

    def finish(self, item: Item, results: list[Any]) -> Outcome:
        """The clip's masks, from those of the frames that were read."""
        clip = self._clip(item)
        masks: list[Counts] = [None] * len(clip.ordinals)
        for place, mask in zip(self.segmenter.places(clip), results, strict=True):
            masks[place] = mask
        return self._outcome(item, masks)

    def follow(self, item: Item, chunks: Iterator[Chunk]) -> Outcome:
        """The clip's masks, by a backend that follows the person through it."""
        return self._outcome(item, self.segmenter.follow(self._clip(item), chunks))

    def _clip(self, item: Item) -> MaskClip:
        """The clip as backends see it: each source frame once."""
        data = item.data
        if data["path"] is None:
            raise InputError(
                "video-missing",
                f"the videos table has no kept row of {data['video_id']}",
                hint="ingest the video again, then run masks",
            )
        ordinals = np.asarray(data["ordinals"], np.int32)
        boxes = np.asarray(data["boxes"], np.float32)
        unique, first = np.unique(ordinals, return_index=True)
        wanted = np.zeros(len(ordinals), bool)
        wanted[self._wanted(boxes)] = True
        return MaskClip(
            path=data["path"],
            decoder=data["decoder"],
            width=int(data["width"]),
            height=int(data["height"]),
            max_height=self.max_height,
            ordinals=unique,
            boxes=boxes[first],
            keypoints=np.asarray(data["keypoints"], np.float32)[first],
            wanted=np.isin(unique, ordinals[wanted]),
        )

    def _wanted(self, boxes: NDArray[np.float32]) -> NDArray[np.int_]:
        """Output frames whose mask is asked for."""
        if self.every:
            return np.arange(0, len(boxes), self.every)
        seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return np.flatnonzero(seen)[:1]

    def _outcome(self, item: Item, masks: list[Counts]) -> Outcome:
        """The row; Dropped('no-mask') where no frame has one."""
        data = item.data
        ordinals = np.asarray(data["ordinals"], np.int32)
        place = np.unique(ordinals, return_inverse=True)[1]
        shown: list[Counts] = [None] * len(ordinals)
        for frame in self._wanted(np.asarray(data["boxes"], np.float32)):
            shown[frame] = masks[place[frame]]
        row = {
            **{k: data[k] for k in ("video_id", "clip_id", "width", "height")},
            "frames": len(ordinals),
            "ordinals": ordinals,
            "masks": shown,
            "mask_source": self.segmenter.source,
            "backend": self.backend,
            "precision": None if self.mode == "items" else devices.current().precision,
        }
        if not any(shown):
            return Dropped("no-mask", row=row)
        return Kept(row)

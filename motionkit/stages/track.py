"""`track`: a grid of points on the person, followed through the start of every clip.

Lang2Motion's trajectories: G×G points inside the mask on the clip's first frame, followed over
T frames at the clip's own rate. The objects of an expression are followed in the same way, from
the first frame that shows them on.

The tracker says how items are worked on: Lucas–Kanade takes a clip at a time, CoTracker3 batches
of clips where a clip fits the memory, else one clip as a stream of windows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit import devices
from motionkit.backends.masks import find_masks
from motionkit.backends.tracking import (
    MaskTooSmall,
    Tracks,
    Workload,
    grid_in_mask,
    open_tracker,
)
from motionkit.errors import InputError, UsageError
from motionkit.stage import (
    Chunk,
    Dropped,
    Early,
    Item,
    Kept,
    Lookup,
    Outcome,
    Tables,
    digest,
    has_run,
)
from motionkit.stages._first_mask import MASKS, first_mask, made_mask, own_mask

Frame = NDArray[np.uint8]
#: Where the mask of a clip comes from, as it travels beside a unit of model input.
_SOURCE = "<U32"
#: Clips whose tracks a worker remembers: 9 kB each for 36 points in 30 frames.
_RECENT = 2048


@dataclasses.dataclass(frozen=True)
class Track:
    """Follow a grid of points on the person, or on the objects of an expression."""

    grid: int = 6
    """Points a side: grid * grid points."""
    frames: int = 30
    """Frames to follow; a shorter clip is followed to its end."""
    backend: str = "lucas-kanade"
    """The point tracker: 'lucas-kanade', 'cotracker3:offline', 'cotracker3:online', or 'cotracker3'
    for the offline one where ``frames`` fit ``memory_gb``, else the online one."""
    mask: str = "auto"
    """'stage': the mask that `masks` made; 'file': the mask file beside the video; 'person': drawn
    from the keypoints; 'auto': the first of these that has this person in the clip's first frame.
    The row says which it was. The objects of an expression always start from their own mask."""
    memory_gb: float = 6.0
    """Memory that 'cotracker3' may take for a clip, in 10**9 bytes; decides its model, once for all
    clips."""

    name: ClassVar[str] = "track"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "tracks"
    reads: ClassVar[tuple[str, ...]] = ("videos", "keypoints", "masks", "expressions")

    def __post_init__(self) -> None:
        if self.grid < 1:
            raise UsageError(f"--grid must be at least 1, not {self.grid}")
        if self.frames < 2:
            raise UsageError(f"--frames must be at least 2, not {self.frames}")
        if self.mask not in MASKS:
            raise UsageError(f"--mask must be one of {', '.join(MASKS)}, not '{self.mask}'")
        if not self.memory_gb > 0:
            raise UsageError(f"memory_gb must be above 0, not {self.memory_gb}")
        work = Workload(self.frames, self.grid * self.grid, self.memory_gb)
        # A wrong name is told at once; missing weights when the stage starts.
        object.__setattr__(self, "_tracker", open_tracker(self.backend, work))
        object.__setattr__(self, "_recent", {})

    @property
    def tracker(self) -> Any:
        """The backend; its model is loaded by `setup` only."""
        return getattr(self, "_tracker")  # noqa: B009 - not a field: it is no parameter

    @property
    def mode(self) -> str:
        """See `motionkit.stage`; by the backend."""
        return str(getattr(self.tracker, "mode", "items"))

    def batch_start(self, cuda: bool) -> int:
        """Clips in the first batch. One is a large unit, and the model takes them one by one."""
        return 1

    def check(self) -> None:
        """What would stop every worker: a missing package, code or weights."""
        if self.mode != "items":
            self.tracker.check()

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, the tracker's own identity, and the keypoints. A mask file is a clip's own
        input, and so is an expression: its stamp."""
        persons = has_run(tables, "keypoints") or not has_run(tables, "expressions")
        identity = {
            "grid": self.grid,
            "frames": self.frames,
            "mask": self.mask,
            "backend": self.tracker.identity(),
            "keypoints": tables.fingerprint("keypoints") if persons else None,
        }
        if persons and self._takes_masks(tables):
            identity["masks"] = tables.fingerprint("masks")
        return identity

    def _takes_masks(self, tables: Tables) -> bool:
        """Whether the masks of persons come from the table; UsageError where they must, and the
        stage has not run."""
        if self.mask == "stage":
            tables.fingerprint("masks")
            return True
        return self.mask == "auto" and has_run(tables, "masks")

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """The clips that have keypoints; the stamp is that of the mask file beside the video and
        of the clip's row in `masks`. Then the clips of expressions; the stamp is that of the
        expression."""
        if has_run(tables, "keypoints"):
            stamps, made = self._stamps(tables), self._mask_stamps(tables)
            for row in tables.rows("keypoints", ["video_id"]):
                yield row["item_id"], _stamp(row, stamps, made)
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
        stamps, made = self._stamps(tables), self._mask_stamps(tables)
        masks: Lookup | None = None
        if self._takes_masks(tables):
            masks = tables.lookup("masks", "clip_id", ["ordinals", "masks", "mask_source"])
        only = None if wanted is None else ("item_id", wanted)
        columns = ["video_id", "clip_id", "fps", "width", "height", "ordinals", "m2d"]
        for row in tables.rows("keypoints", columns, only=only):
            first = np.asarray(row["m2d"], dtype=np.float64)[: 18 * 3].reshape(18, 3)
            data = {k: row[k] for k in ("video_id", "clip_id", "fps", "width", "height")}
            data.update(_place(videos, row["video_id"]))
            data["ordinals"] = np.asarray(row["ordinals"])[: self.frames]
            data["keypoints"] = first[:17]
            if masks is not None:
                found = masks.get(row["clip_id"])
                data["made"] = found and made_mask(found, int(data["ordinals"][0]))
            yield Item(row["clip_id"], data, _stamp(row, stamps, made))

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
        if self.mask in ("auto", "file"):
            for row in tables.rows("videos", ["video_id", "path"]):
                found = find_masks(row["path"])
                if found is not None:
                    stamps.setdefault(row["video_id"], digest(found.digest(), 16))
        return stamps

    def _mask_stamps(self, tables: Tables) -> dict[str, str | None]:
        """Clip id → stamp of its row in `masks`, where that table is used: a mask that was made
        after the clip was tracked without one is another input."""
        if not self._takes_masks(tables):
            return {}
        return {row["clip_id"]: row["stamp"] for row in tables.rows("masks", ["clip_id", "stamp"])}

    def setup(self) -> None:
        """Load the tracker's model, where it has one."""
        if self.mode != "items":
            self.tracker.setup()

    def setup_reader(self) -> None:
        """What `read` needs of the tracker; no weights."""
        self.tracker.setup_reader()

    def process(self, item: Item) -> Outcome:
        """Lay the grid, decode each source frame once, follow the points."""
        try:
            queries, source = self._start(item.data)
        except Early as early:
            return early.outcome
        return self._row(item.data, self._tracked(item.data, queries), source)

    def _tracked(self, data: dict[str, Any], queries: NDArray[np.float32]) -> Tracks:
        """The tracks of one clip. Sentences about the same objects start from the same points of
        the same frames, and come in any order: what a worker has followed it knows."""
        recent: dict[tuple[str, bytes, bytes], Tracks] = getattr(self, "_recent")  # noqa: B009
        ordinals = np.asarray(data["ordinals"], np.int32)
        key = (str(data["path"]), ordinals.tobytes(), queries.tobytes())
        if key not in recent:
            while len(recent) >= _RECENT:
                recent.pop(next(iter(recent)))
            recent[key] = self.tracker.track(_frames(data), queries)
        return recent[key]

    def read(self, item: Item) -> Iterator[Chunk]:
        """Offline: the clip as one unit. Online: frames, each with the queries, a few at a time.
        Both as the model takes them."""
        queries, source = self._start(item.data)
        if self.mode == "batches":
            unit = self.tracker.prepare(_frames_of_size(item.data), queries)
            _check_count(item.data, unit["frames"].shape[1])
            yield {**unit, "source": np.array([source], _SOURCE)}
            return
        size = np.array([[item.data["height"], item.data["width"]]], np.int32)
        for frames in self.tracker.chunks(_frames_of_size(item.data)):
            yield {
                "frames": frames,
                "queries": np.repeat(queries[None], len(frames), 0),
                "size": np.repeat(size, len(frames), 0),
                "source": np.full(len(frames), source, _SOURCE),
            }

    def infer(self, units: Chunk) -> list[tuple[Tracks, str]]:
        """The tracks of every clip, and where its mask is from."""
        found = self.tracker.infer({k: v for k, v in units.items() if k != "source"})
        return list(zip(found, map(str, units["source"]), strict=True))

    def finish(self, item: Item, results: list[tuple[Tracks, str]]) -> Outcome:
        """The row of a clip, from its one result."""
        ((tracks, source),) = results
        return self._row(item.data, tracks, source)

    def follow(self, item: Item, chunks: Iterator[Chunk]) -> Outcome:
        """The row of a clip, followed window by window."""
        first = next(chunks, None)
        if first is None:
            raise InputError("no-frames", f"no frame came of {item.data['path']}")
        queries, source = first["queries"][0].copy(), str(first["source"][0])
        height, width = (int(side) for side in first["size"][0])

        def frames() -> Iterator[NDArray[np.float32]]:
            yield first["frames"]
            for chunk in chunks:
                yield chunk["frames"]

        return self._row(item.data, self.tracker.follow(frames(), queries, (height, width)), source)

    def _start(self, data: dict[str, Any]) -> tuple[NDArray[np.float32], str]:
        """Queries [N, 3] on the first frame, and where the mask is from. Raises `Early` where
        there is no mask, or too small a one."""
        if data["path"] is None:
            raise InputError(
                "video-missing",
                f"the videos table has no kept row of {data['video_id']}",
                hint="ingest the video again, then run track",
            )
        ordinals = np.asarray(data["ordinals"], dtype=np.int32)
        found = (
            own_mask(data) if "counts" in data else first_mask(data, int(ordinals[0]), self.mask)
        )
        if found is None:
            raise Early(Dropped("no-mask"))
        mask, source = found
        try:
            points = grid_in_mask(mask, self.grid)
        except MaskTooSmall as small:
            dropped = Dropped("mask-too-small", measured=small.pixels, threshold=small.needed)
            raise Early(dropped) from small
        return np.concatenate([np.zeros((len(points), 1), np.float32), points], axis=1), source

    def _row(self, data: dict[str, Any], tracks: Tracks, source: str) -> Outcome:
        """25 frames shown at 30 a second repeat some: each was followed once."""
        ordinals = np.asarray(data["ordinals"], dtype=np.int32)
        _check_count(data, len(tracks.points))
        shown = np.unique(ordinals, return_inverse=True)[1]
        on_device = self.mode != "items"
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
                "backend": self.tracker.spec if on_device else self.backend,
                "precision": devices.current().precision if on_device else None,
            }
        )


def _stamp(row: dict[str, Any], stamps: dict[str, str], made: dict[str, str | None]) -> str | None:
    """The stamp of a row of keypoints; without a row of `masks`, that of the mask file alone."""
    file = stamps.get(row["video_id"])
    if row["item_id"] not in made:
        return file
    return digest(["masks", made[row["item_id"]], file], 16)


def _place(videos: Lookup, video_id: str) -> dict[str, Any]:
    video = videos.get(video_id)
    return {key: video[key] if video else None for key in ("path", "decoder")}


def _check_count(data: dict[str, Any], came: int) -> None:
    asked = len(np.unique(data["ordinals"]))
    if came != asked:
        raise InputError(
            "frames-missing", f"{asked} frames were asked of {data['path']}, {came} came"
        )


def _frames(data: dict[str, Any]) -> Iterator[Frame]:
    """The clip's source frames, each once, as they are shown."""
    from motionkit.video.decode import read_frames

    unique = np.unique(np.asarray(data["ordinals"], np.int32)).tolist()
    for chunk in read_frames(data["path"], decoder=data["decoder"], ordinals=unique):
        yield from chunk.frames


def _frames_of_size(data: dict[str, Any]) -> Iterator[Frame]:
    """`_frames`, held against the size that the mask and its grid have."""
    for frame in _frames(data):
        height, width = frame.shape[:2]
        if (height, width) != (data["height"], data["width"]):
            raise InputError(
                "frame-size",
                f"{data['path']} gives {width}×{height} frames, not {data['width']}×"
                f"{data['height']}",
                hint="the file was replaced: ingest it again",
            )
        yield frame

"""`pose`, the second pass: the keypoints of every kept clip at a constant rate.

The chosen person is the one in the box that the first pass followed; each source frame is
decoded and measured once, however often the output rate shows it. mediapipe follows a person
through a clip and works item by item; the other models measure crops, those of several clips and
people in one batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit import devices
from motionkit.backends.people import (
    BatchedPose,
    PoseEstimator,
    body_box,
    is_batched,
    pose_estimator,
)
from motionkit.errors import InputError, UsageError
from motionkit.records import unflatten
from motionkit.stage import Chunk, Dropped, Item, Kept, Outcome, Tables
from motionkit.video.decode import FrameChunk, read_frames
from motionkit.video.resample import resample_ordinals


@dataclasses.dataclass(frozen=True)
class Pose:
    """Measure the keypoints of every clip."""

    backend: str = "mediapipe"
    """Who measures keypoints: 'mediapipe', 'vitpose' (ViTPose-H), 'vitpose:NAME' or
    'mmpose:CONFIG' (docs/pose.md)."""
    fps: float = 30.0
    """Output frames per second."""
    found_share_min: float = 0.5
    """A clip with the person in a smaller share of its frames is dropped: keypoints-missing."""
    max_height: int = 1080
    """Higher pictures are shrunk to this many pixels before they are measured."""
    flip_test: bool = True
    """ViTPose and mmpose: measure the mirrored picture as well and average; twice the time."""

    name: ClassVar[str] = "pose"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "keypoints"
    reads: ClassVar[tuple[str, ...]] = ("videos", "detections", "verdicts")

    def __post_init__(self) -> None:
        if not 0 < self.fps <= 240:
            raise UsageError(f"--fps must lie above 0 and not above 240, not {self.fps}")
        if not 0 <= self.found_share_min <= 1:
            raise UsageError(f"--found-share-min is a share of 0 to 1, not {self.found_share_min}")
        object.__setattr__(
            self, "_estimator", pose_estimator(self.backend, flip_test=self.flip_test)
        )

    @property
    def estimator(self) -> PoseEstimator | BatchedPose:
        """The backend; its models are loaded by `setup` only."""
        return getattr(self, "_estimator")  # noqa: B009 - not a field: it is no parameter

    @property
    def mode(self) -> str:
        """See `motionkit.stage`; by the backend."""
        return "batches" if is_batched(self.estimator) else "items"

    def check(self) -> None:
        """MissingExtraError or `weights.ModelMissing` where the backend cannot work here."""
        self.estimator.identity()

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, backend and weights, and what was read.

        Not the thresholds of `filter`: a clip's id names its frames and its person, so that a
        clip which another threshold keeps as well is not measured again.
        """
        tables.fingerprint("verdicts")  # says which command comes first, where it has not run
        parameters = dataclasses.asdict(self)
        del parameters["flip_test"]  # a matter of the backend, which states it where it has one
        return {
            **parameters,
            "backend": {"spec": self.backend, **self.estimator.identity()},
            "videos": tables.fingerprint("videos"),
            "detections": tables.fingerprint("detections"),
        }

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """The kept clips."""
        for clip, outcome in tables.elements("verdicts", "candidates", ("clip_id", "outcome")):
            if outcome == "kept":
                yield clip, None

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted clips, with their frames' times and the boxes that name the person."""
        videos = tables.lookup("videos", "video_id", ["path", "decoder", "width", "height"])
        columns = ["video_id", "first", "ordinals", "times_s", "boxes", "source_times_s"]
        columns.append("others.boxes")
        shots = tables.lookup("detections", "item_id", columns)
        for verdict in tables.rows("verdicts", ["candidates"]):
            clips = [
                clip
                for clip in verdict["candidates"]
                if clip["outcome"] == "kept" and (wanted is None or clip["clip_id"] in wanted)
            ]
            shot = shots.get(verdict["item_id"]) if clips else None
            video = videos.get(shot["video_id"]) if shot else None
            if shot is None or video is None:  # the video was replaced by another since
                continue
            for clip in clips:
                yield Item(str(clip["clip_id"]), _clip_data(clip, shot, video))

    def setup(self) -> None:
        """Load the models. OpenCV stays on one thread: the engine has a worker for every core."""
        cv2.setNumThreads(1)
        self.estimator.setup()

    def process(self, item: Item) -> Outcome:
        """The whole clip, by a backend that works item by item; `finish` says what comes of it.

        Raises InputError 'frames-missing' where the video gives fewer frames than it did before.
        """
        estimator = self.estimator
        assert not is_batched(estimator)
        estimator.reset()
        found = [
            estimator.estimate(chunk.frames, boxes) * scale  # type: ignore[union-attr]
            for chunk, boxes, scale in self._look(item.data)
        ]
        return self.finish(item, [keypoints for part in found for keypoints in part])

    def setup_reader(self) -> None:
        """What `read` needs of the backend; no weights."""
        cv2.setNumThreads(1)
        self._batched.setup_reader()

    def read(self, item: Item) -> Iterator[Chunk]:
        """The person's crops, one for each source frame that is shown. Raises like `process`."""
        for chunk, boxes, scale in self._look(item.data):
            units = self._batched.prepare(chunk.frames, boxes)
            yield {**units, "scale": np.repeat(scale[None], len(boxes), 0)}

    def infer(self, units: Chunk) -> list[NDArray[np.float32]]:
        """Keypoints [17, 3] of each unit, in pixels of the video."""
        found = self._batched.infer({k: v for k, v in units.items() if k != "scale"})
        return [keypoints * scale for keypoints, scale in zip(found, units["scale"], strict=True)]

    def finish(self, item: Item, results: list[Any]) -> Outcome:
        """M_2D of the clip, from the keypoints of its source frames; Dropped('keypoints-missing')
        where the person is hardly ever found."""
        data = item.data
        shown, _, place = self._timing(data)
        measured = np.asarray(results, np.float32).reshape(-1, 17, 3)
        keypoints = measured[place]
        width, height = int(data["width"]), int(data["height"])
        m2d = np.empty((len(shown), 18, 3), np.float32)
        m2d[:, :17] = keypoints
        m2d[:, 17] = (width, height, 1)
        out_boxes = np.zeros((len(shown), 5), np.float32)
        for i, points in enumerate(keypoints):
            box = body_box(points, width, height)
            if box is not None:
                out_boxes[i] = (*box, points[:, 2].mean())
        row = {
            "video_id": data["video_id"],
            "clip_id": data["clip_id"],
            "t0_s": data["t0_s"],
            "t1_s": data["t1_s"],
            "fps": self.fps,
            "width": width,
            "height": height,
            "frames": len(shown),
            "ordinals": shown + int(data["first"]),
            "m2d": m2d,
            "boxes": out_boxes,
            "backend": self.backend,
            "precision": devices.current().precision if self.mode == "batches" else None,
        }
        share = float((keypoints[:, :, 2] > 0).any(1).mean())
        if share < self.found_share_min:
            return Dropped("keypoints-missing", share, self.found_share_min, row)
        return Kept(row)

    @property
    def _batched(self) -> BatchedPose:
        estimator = self.estimator
        assert is_batched(estimator)
        return estimator

    def _timing(
        self, data: dict[str, Any]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int_]]:
        """Which source frames are shown, counted from the clip's first: one for each output frame,
        the different ones, and where each output frame stands among these."""
        times_s = np.asarray(data["times_s"], np.float64)
        shown = resample_ordinals(times_s, self.fps, float(data["t0_s"]), float(data["t1_s"]))
        unique, place = np.unique(shown, return_inverse=True)
        return shown, unique, place

    def _look(
        self, data: dict[str, Any]
    ) -> Iterator[tuple[FrameChunk, NDArray[np.float32], NDArray[np.float32]]]:
        """Every frame that is measured, with the person's boxes [n, 4] in pixels of these frames,
        and the factors (x, y, 1) from there to pixels of the video."""
        _, unique, _ = self._timing(data)
        times_s = np.asarray(data["times_s"], np.float64)[unique]
        boxes = boxes_between(np.asarray(data["box_times_s"]), np.asarray(data["boxes"]), times_s)
        done = 0
        for chunk in read_frames(
            data["path"],
            decoder=data["decoder"],
            ordinals=unique + int(data["first"]),
            max_height=self.max_height,
        ):
            height, width = chunk.frames.shape[1:3]
            scale = np.array([data["width"] / width, data["height"] / height, 1], np.float32)
            count = len(chunk.frames)
            yield chunk, boxes[done : done + count] / scale[[0, 1, 0, 1]], scale
            done += count
        if done != len(unique):
            raise InputError(
                "frames-missing",
                f"{len(unique)} frames were asked of {data['path']}, {done} came",
            )


def _clip_data(clip: dict[str, Any], shot: dict[str, Any], video: dict[str, Any]) -> dict[str, Any]:
    """What a worker needs of one clip of a shot of a video."""
    first, last = int(clip["first"]), int(clip["last"])
    ordinals = np.asarray(shot["ordinals"])
    inside = (ordinals >= first) & (ordinals <= last)
    begin = int(shot["first"])
    person = clip.get("person") or 0
    boxes = shot["others"][person - 1]["boxes"] if person else shot["boxes"]
    return {
        **{k: video[k] for k in ("path", "decoder", "width", "height")},
        **{k: clip[k] for k in ("clip_id", "t0_s", "t1_s")},
        "video_id": shot["video_id"],
        "first": first,
        "times_s": np.asarray(shot["source_times_s"])[first - begin : last - begin + 1],
        "box_times_s": np.asarray(shot["times_s"])[inside],
        "boxes": unflatten(boxes, -1, 5)[inside],
    }


def boxes_between(
    box_times_s: NDArray[np.floating], boxes: NDArray[np.floating], times_s: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Boxes [n, 4] at ``times_s`` [n], straight between the measured ``boxes`` [F, 4 or 5].

    Frames where nobody was measured (no area) are passed over; beyond the first and last box
    these hold. All zeros where there is no box at all.
    """
    seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if not seen.any():
        return np.zeros((len(times_s), 4), np.float32)
    at = np.asarray(box_times_s, np.float64)[seen]
    sides = [np.interp(times_s, at, boxes[seen, side]) for side in range(4)]
    return np.stack(sides, 1).astype(np.float32)

"""`detect`, the first pass: where the person of each shot is, measured on some frames a second.

The boxes and keypoints decide which stretches become clips (`filter`), and name the person that
the second pass (`pose`) measures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit import devices
from motionkit.backends.people import (
    BatchedDetector,
    People,
    PersonDetector,
    detects_in_batches,
    person_detector,
)
from motionkit.errors import InputError, UsageError
from motionkit.stage import Chunk, Dropped, Item, Kept, Outcome, Tables
from motionkit.stages._body_motion import body_heights, motion_scores
from motionkit.stages._linking import LINKING, link_apart
from motionkit.stages._tracklets import (
    Tracklet,
    by_height,
    by_middle,
    link,
    one_a_frame,
    trusted,
)
from motionkit.video.decode import FrameChunk, read_frames
from motionkit.video.resample import resample_ordinals

TARGETS = ("largest", "central", "all")
#: Most people of a shot that are kept where all are asked for: bounds a row of a crowd.
PEOPLE_MAX = 32


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a batched detector saw in one frame: ``people`` in pixels of the picture that it was
    shown, of ``size`` (width, height), at ``time_s``; in ``precision``."""

    people: People
    size: tuple[int, int]
    time_s: float
    precision: str


@dataclasses.dataclass(frozen=True)
class Detect:
    """Find the person of every shot."""

    backend: str = "mediapipe"
    """Who finds people: 'mediapipe', or 'yolo:NAME' (yolo11n-pose to yolo11x-pose; 'yolo' is the
    last)."""
    fps: float = 10.0
    """Frames measured per second of video, by presentation time."""
    target: str = "largest"
    """Whom to keep where there are several: 'largest', 'central' (nearest to the middle), or 'all'
    (each person becomes clips of their own)."""
    score_min: float = 0.75
    """A person whose detector score never reaches this is nobody."""
    people_share_min: float = 0.05
    """A shot with a person in a smaller share of its measured frames is dropped: no-person. Of
    'all', a further person in a smaller share is left out."""
    max_height: int = 540
    """Higher pictures are shrunk to this many pixels before the detector sees them."""

    name: ClassVar[str] = "detect"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "detections"
    reads: ClassVar[tuple[str, ...]] = ("videos", "scans")

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise UsageError(f"--target must be one of {', '.join(TARGETS)}, not '{self.target}'")
        if not 0 < self.fps <= 240:
            raise UsageError(f"--fps must lie above 0 and not above 240, not {self.fps}")
        object.__setattr__(self, "_detector", person_detector(self.backend))

    @property
    def mode(self) -> str:
        """batches where the backend takes frames of several shots at once, else items."""
        return "batches" if detects_in_batches(self.detector) else "items"

    @property
    def detector(self) -> PersonDetector | BatchedDetector:
        """The backend; its models are loaded by `setup` only."""
        return getattr(self, "_detector")  # noqa: B009 - not a field: it is no parameter

    def check(self) -> None:
        """MissingExtraError or `weights.ModelMissing` where the backend cannot work here."""
        self.detector.identity()

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, backend and weights, and what was read."""
        backend = {"spec": self.backend, **self.detector.identity()}
        if detects_in_batches(self.detector):
            backend["linking"] = LINKING
        return {
            **dataclasses.asdict(self),
            "backend": backend,
            "videos": tables.fingerprint("videos"),
            "scans": tables.fingerprint("scans"),
        }

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """Every shot of every scanned video."""
        for (shot,) in tables.elements("scans", "shots", ("shot_id",)):
            yield shot, None

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted shots, with the times and camera scores of their frames."""
        columns = ["video_id", "path", "decoder", "width", "height", "frame_times_s"]
        videos = tables.lookup("videos", "video_id", columns)
        only = None if wanted is None else ("video_id", _videos_of(tables, wanted))
        for row in tables.rows("scans", ["video_id", "camera", "shots"], only=only):
            video = videos.get(row["video_id"])
            if video is None:  # its file was replaced by another since
                continue
            times, camera = np.asarray(video["frame_times_s"]), np.asarray(row["camera"])
            for shot in row["shots"]:
                if wanted is not None and shot["shot_id"] not in wanted:
                    continue
                first, last = int(shot["first"]), int(shot["last"])
                data = {k: video[k] for k in ("video_id", "path", "decoder", "width", "height")}
                data["first"], data["last"] = first, last
                data["times_s"] = times[first : last + 1]
                data["end_s"] = float(shot["t1_s"])
                data["camera"] = camera[first : last + 1]
                data["camera_kind"] = shot.get("camera_kind")
                yield Item(str(shot["shot_id"]), data)

    def setup(self) -> None:
        """Load the models. OpenCV stays on one thread: the engine has a worker for every core."""
        cv2.setNumThreads(1)
        self.detector.setup()

    def process(self, item: Item) -> Outcome:
        """Measure the shot; Dropped('no-person') where next to nobody is seen.

        Raises InputError 'frames-missing' where the video gives fewer frames than it did before.
        """
        people, times_s = self._look(item)
        return self._outcome(item, people, times_s, link(people, times_s))

    def setup_reader(self) -> None:
        """What `read` needs; loads no weights."""
        self._batched.setup_reader()

    def read(self, item: Item) -> Iterator[Chunk]:
        """The measured frames of the shot as the backend's units, with their size and time."""
        detector = self._batched
        for chunk in self._frames(item):
            count, height, width = chunk.frames.shape[:3]
            size = np.tile(np.array([width, height], np.int32), (count, 1))
            yield {**detector.prepare(chunk.frames), "seen_size": size, "seen_s": chunk.times_s}

    def infer(self, units: Chunk) -> list[Seen]:
        """What is seen in each unit."""
        precision = devices.current().precision
        found = self._batched.infer(units)
        sizes, times = units["seen_size"].tolist(), units["seen_s"].tolist()
        return [
            Seen(people, (width, height), time_s, precision)
            for people, (width, height), time_s in zip(found, sizes, times, strict=True)
        ]

    def finish(self, item: Item, results: list[Seen]) -> Outcome:
        """As `process`, from what was seen in all frames of the shot: who is who, and whom to
        keep."""
        data = item.data
        people = [
            _scaled(
                seen.people,
                np.array([data["width"] / seen.size[0], data["height"] / seen.size[1]], np.float32),
            )
            for seen in results
        ]
        times_s = np.array([seen.time_s for seen in results], np.float64)
        outcome = self._outcome(item, people, times_s, link_apart(people, times_s))
        outcome.row["precision"] = results[0].precision if results else None
        return outcome

    @property
    def _batched(self) -> BatchedDetector:
        detector = self.detector
        assert detects_in_batches(detector), "the mode is batches"
        return detector

    def _frames(self, item: Item) -> Iterator[FrameChunk]:
        data = item.data
        return read_frames(
            data["path"],
            decoder=data["decoder"],
            ordinals=self._ordinals(data),
            max_height=self.max_height,
        )

    def _ordinals(self, data: dict[str, Any]) -> NDArray[np.int32]:
        """Source frames of the shot that are measured."""
        return measured_ordinals(np.asarray(data["times_s"], np.float64), self.fps) + data["first"]

    def _look(self, item: Item) -> tuple[list[People], NDArray[np.float64]]:
        """The people of the measured frames, in pixels of the whole picture, and the times."""
        data = item.data
        detector = cast(PersonDetector, self.detector)  # the mode is items
        detector.reset()
        people: list[People] = []
        times: list[NDArray[np.float64]] = []
        for chunk in self._frames(item):
            height, width = chunk.frames.shape[1:3]
            scale = np.array([data["width"] / width, data["height"] / height], np.float32)
            found = detector.detect(chunk.frames, chunk.times_s)
            people += [_scaled(p, scale) for p in found]
            times.append(chunk.times_s)
        return people, np.concatenate(times) if times else np.zeros(0)

    def _outcome(
        self,
        item: Item,
        people: list[People],
        times_s: NDArray[np.float64],
        tracklets: list[Tracklet],
    ) -> Outcome:
        """The row, from everybody in every measured frame."""
        data = item.data
        first, ordinals = int(data["first"]), self._ordinals(data)
        if len(people) != len(ordinals):
            raise InputError(
                "frames-missing",
                f"{len(ordinals)} frames were asked of {data['path']}, {len(people)} came",
            )
        known = trusted(people, tracklets, self.score_min)
        size = (float(data["width"]), float(data["height"]))
        tracks = chosen_people(people, known, self.target, size, self.people_share_min)
        columns = [{**t, **motion_columns(t["keypoints"], t["person"], times_s)} for t in tracks]
        row = {
            "video_id": data["video_id"],
            "first": first,
            "last": int(data["last"]),
            "width": data["width"],
            "height": data["height"],
            "ordinals": ordinals,
            "times_s": times_s,
            "camera": camera_between(np.asarray(data["camera"]), ordinals - first),
            "camera_kind": data["camera_kind"],
            "source_times_s": np.append(np.asarray(data["times_s"], np.float64), data["end_s"]),
            "source_camera": data["camera"],
            "target": self.target,
            "others": [_flat(c) for c in columns[1:]] if self.target == "all" else None,
            "backend": self.backend,
            **columns[0],
        }
        share = float((row["person"] >= 0).mean())
        if share < self.people_share_min or share == 0:
            return Dropped("no-person", share, self.people_share_min, row)
        return Kept(row)


def _videos_of(tables: Tables, wanted: Container[str]) -> set[str]:
    """Ids of the videos that have a wanted shot."""
    return {
        row["video_id"]
        for row in tables.rows("scans", ["video_id", "shots"])
        if any(shot["shot_id"] in wanted for shot in row["shots"])
    }


def measured_ordinals(times_s: NDArray[np.float64], fps: float) -> NDArray[np.int32]:
    """Ordinals within a shot: about ``fps`` a second by presentation time, first and last too.

    The last one takes the place of the one before where that is much nearer than the others:
    speeds over a very short time are noise.
    """
    spaced = np.unique(resample_ordinals(times_s, fps=fps))
    last = len(times_s) - 1
    if len(spaced) > 1 and times_s[last] - times_s[spaced[-1]] < 0.75 / fps:
        spaced = spaced[:-1]
    return np.unique(np.append(spaced, last)).astype(np.int32)


def camera_between(
    camera: NDArray[np.floating], ordinals: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Highest camera score since the measured frame before; 0 for the first.

    ``camera`` [shot frames], ``ordinals`` [F] within the shot, rising.
    """
    out = np.zeros(len(ordinals), np.float32)
    if len(ordinals) > 1:
        until = camera[: ordinals[-1] + 1]
        out[1:] = np.maximum.reduceat(until, ordinals[:-1] + 1)
    return out


def chosen_people(
    people: list[People],
    tracklets: list[Tracklet],
    target: str,
    size: tuple[float, float],
    share_min: float,
) -> list[dict[str, NDArray[Any]]]:
    """Columns boxes [F, 5], keypoints [F, 17, 3] and person [F] of the one kept; of ``target`` all
    one such set a person, the largest first.

    ``size`` is (width, height) of the picture; further people are in ``share_min`` of the frames
    at least, and not more than `PEOPLE_MAX` in all.
    """
    frames = len(people)
    if target == "central":
        return [_columns(people, one_a_frame(frames, by_middle(people, tracklets, *size)))]
    ranked = by_height(people, tracklets)
    if target == "largest":
        return [_columns(people, one_a_frame(frames, ranked))]
    often = [t for t in ranked if len(t.frames) >= max(share_min * frames, 1)] or ranked[:1]
    each = [_columns(people, one_a_frame(frames, [t]), i) for i, t in enumerate(often)]
    return each[:PEOPLE_MAX] or [_columns(people, one_a_frame(frames, []))]


def _columns(
    people: list[People], chosen: list[tuple[int, int]], number: int = 0
) -> dict[str, NDArray[Any]]:
    """``chosen`` (person, place) of every frame as columns; persons count from ``number``."""
    boxes = np.zeros((len(people), 5), np.float32)
    keypoints = np.zeros((len(people), 17, 3), np.float32)
    for frame, (person, place) in enumerate(chosen):
        if person >= 0:
            boxes[frame] = people[frame].boxes[place]
            keypoints[frame] = people[frame].keypoints[place]
    persons = [person + number if person >= 0 else -1 for person, _ in chosen]
    return {"boxes": boxes, "keypoints": keypoints, "person": np.array(persons, np.int32)}


def motion_columns(
    keypoints: NDArray[np.floating], person: NDArray[np.integer], times_s: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """What verdicts need of the keypoints [F, 17, 3]: the columns speed_bh_s [F],
    acceleration_bh_s2 [F], body_height_px [F] and confidences [F, 17] of `detections`."""
    placed = np.asarray(keypoints, np.float64)
    heights = body_heights(placed, person, times_s)
    speed, acceleration = motion_scores(placed, person, times_s, heights)
    return {
        "speed_bh_s": speed.astype(np.float32),
        "acceleration_bh_s2": acceleration.astype(np.float32),
        "body_height_px": heights.astype(np.float32),
        "confidences": np.rint(np.clip(placed[:, :, 2], 0, 1) * 255).astype(np.uint8),
    }


def _scaled(people: People, scale: NDArray[np.float32]) -> People:
    boxes, keypoints = people.boxes.copy(), people.keypoints.copy()
    boxes[:, 0:2] *= scale
    boxes[:, 2:4] *= scale
    keypoints[:, :, :2] *= scale
    return People(boxes, keypoints)


def _flat(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A person as `records.PERSON` has it."""
    return {name: values.ravel() for name, values in columns.items()}

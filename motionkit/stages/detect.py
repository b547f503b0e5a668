"""`detect`, the first pass: where the person of each shot is, measured on some frames a second.

The boxes and keypoints decide which stretches become clips (`filter`), and name the person that
the second pass (`pose`) measures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.backends.people import People, PersonDetector, person_detector
from motionkit.errors import InputError, UsageError
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables
from motionkit.stages._body_motion import body_heights, motion_scores
from motionkit.stages._tracklets import largest, link
from motionkit.video.decode import read_frames
from motionkit.video.resample import resample_ordinals

TARGETS = ("largest",)


@dataclasses.dataclass(frozen=True)
class Detect:
    """Find the person of every shot."""

    backend: str = "mediapipe"
    """Who finds people: 'mediapipe'."""
    fps: float = 10.0
    """Frames measured per second of video, by presentation time."""
    target: str = "largest"
    """Which person is kept where there are several."""
    score_min: float = 0.75
    """A person whose detector score never reaches this is nobody."""
    people_share_min: float = 0.05
    """A shot with a person in a smaller share of its measured frames is dropped: no-person."""
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
    def detector(self) -> PersonDetector:
        """The backend; its models are loaded by `setup` only."""
        return getattr(self, "_detector")  # noqa: B009 - not a field: it is no parameter

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, backend and weights, and what was read."""
        return {
            **dataclasses.asdict(self),
            "backend": {"spec": self.backend, **self.detector.identity()},
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
        data = item.data
        first, last = int(data["first"]), int(data["last"])
        shot_times = np.asarray(data["times_s"], np.float64)
        ordinals = measured_ordinals(shot_times, self.fps) + first
        people, times_s = self._look(data, ordinals)
        if len(people) != len(ordinals):
            raise InputError(
                "frames-missing",
                f"{len(ordinals)} frames were asked of {data['path']}, {len(people)} came",
            )
        row = {
            "video_id": data["video_id"],
            "first": first,
            "last": last,
            "width": data["width"],
            "height": data["height"],
            "ordinals": ordinals,
            "times_s": times_s,
            "camera": camera_between(np.asarray(data["camera"]), ordinals - first),
            "camera_kind": data["camera_kind"],
            "source_times_s": np.append(shot_times, data["end_s"]),
            "source_camera": data["camera"],
            "backend": self.backend,
            **chosen_person(people, times_s, self.score_min),
        }
        row.update(motion_columns(row["keypoints"], row["person"], times_s))
        share = float((row["person"] >= 0).mean())
        if share < self.people_share_min or share == 0:
            return Dropped("no-person", share, self.people_share_min, row)
        return Kept(row)

    def _look(
        self, data: dict[str, Any], ordinals: NDArray[np.int32]
    ) -> tuple[list[People], NDArray[np.float64]]:
        """The people of the frames ``ordinals``, in pixels of the whole picture, and the times."""
        self.detector.reset()
        people: list[People] = []
        times: list[NDArray[np.float64]] = []
        for chunk in read_frames(
            data["path"],
            decoder=data["decoder"],
            ordinals=ordinals,
            max_height=self.max_height,
        ):
            height, width = chunk.frames.shape[1:3]
            scale = np.array([data["width"] / width, data["height"] / height], np.float32)
            found = self.detector.detect(chunk.frames, chunk.times_s)
            people += [_scaled(p, scale) for p in found]
            times.append(chunk.times_s)
        return people, np.concatenate(times) if times else np.zeros(0)


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


def chosen_person(
    people: list[People], times_s: NDArray[np.float64], score_min: float
) -> dict[str, NDArray[Any]]:
    """Columns boxes [F, 5], keypoints [F, 17, 3] and person [F] of the person kept."""
    chosen = largest(people, link(people, times_s), score_min)
    boxes = np.zeros((len(people), 5), np.float32)
    keypoints = np.zeros((len(people), 17, 3), np.float32)
    for frame, (person, place) in enumerate(chosen):
        if person >= 0:
            boxes[frame] = people[frame].boxes[place]
            keypoints[frame] = people[frame].keypoints[place]
    return {
        "boxes": boxes,
        "keypoints": keypoints,
        "person": np.array([person for person, _ in chosen], np.int32),
    }


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

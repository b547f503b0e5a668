"""`scan`: one decoding pass over each video for shots, camera motion and thumbnails.

Writes scores, not verdicts: `scans.camera`, `shift`, `zoom` and `cut_score` hold numbers for every
frame, and thresholds over the camera's motion can be changed afterwards without decoding again
(`filter`). Every frame is decoded; those less than 1/12 s apart are compared in groups.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.stage import Item, Kept, Outcome, Tables, digest, shot_id
from motionkit.video.camera import camera_kind
from motionkit.video.motion import EDGE_BAND, CameraMotion, CameraStep, per_thirtieth
from motionkit.video.planes import read_small
from motionkit.video.shots import CUT_MIN, CUT_RATIO, LAGS, FrameLikeness, cut_scores, find_cuts
from motionkit.video.video_hash import VideoHasher

#: What `videos` must give.
_COLUMNS: Final = ("video_id", "path", "frame_times_s", "frames_decoded", "duration_s", "ranges")
_JPEG_QUALITY: Final = 85
#: Ranges are written in milliseconds at best: a frame may stand out by this much, seconds.
_RANGE_SLACK_S: Final = 0.001


@dataclasses.dataclass(frozen=True)
class Scan:
    """Parameters of the pass.

    ``edge_band`` is the share of the width watched at each side; ``cut_min`` and ``cut_ratio``
    decide on cuts (`video.shots`); shots longer than ``shot_max_s`` seconds are handed on in
    pieces of that length; ``thumbnails`` pictures of at most ``thumbnail_width`` pixels are kept.
    """

    edge_band: float = EDGE_BAND
    cut_min: float = CUT_MIN
    cut_ratio: float = CUT_RATIO
    shot_max_s: float = 60.0
    thumbnails: int = 3
    thumbnail_width: int = 320

    name: ClassVar[str] = "scan"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "scans"
    reads: ClassVar[tuple[str, ...]] = ("videos",)

    def __post_init__(self) -> None:
        if not 0.02 <= self.edge_band <= 0.5:
            raise ValueError(f"edge_band is {self.edge_band}; it must lie between 0.02 and 0.5")
        if not self.shot_max_s > 0:
            raise ValueError(f"shot_max_s is {self.shot_max_s}; it must be above 0")
        if self.thumbnails < 0 or self.thumbnail_width < 1:
            raise ValueError("thumbnails must not be negative, thumbnail_width starts at 1")

    def identity(self, tables: Tables) -> dict[str, Any]:
        """The parameters, and the fingerprint of `videos`."""
        return {**dataclasses.asdict(self), "videos": tables.fingerprint("videos")}

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """One item a video; a file that was ingested under several names appears once. The stamp
        is that of the ranges, so that another manifest cuts the shots anew."""
        for row in tables.rows("videos", ["video_id", "ranges"]):
            yield row["video_id"], _stamp(row["ranges"])

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted videos."""
        seen: set[str] = set()
        only = None if wanted is None else ("video_id", wanted)
        for row in tables.rows("videos", _COLUMNS, only=only):
            if row["video_id"] in seen:
                continue
            seen.add(row["video_id"])
            data = {name: row[name] for name in _COLUMNS}
            yield Item(row["video_id"], data, _stamp(row["ranges"]))

    def setup(self) -> None:
        """Nothing to load. OpenCV stays on one thread: the engine has a worker for every core."""
        import cv2

        cv2.setNumThreads(1)

    def process(self, item: Item) -> Outcome:
        """Decode once and measure. Raises InputError as `video.planes.read_small` does, and
        changed-file where another number of frames decodes than `ingest` counted."""
        times = np.asarray(item.data["frame_times_s"], np.float64)
        seen = self._watch(item.data["path"], times)
        scores = cut_scores(seen.differences)
        cuts = find_cuts(scores, self.cut_min, self.cut_ratio)
        camera, shift, zoom = per_thirtieth(seen.steps, seen.ordinals, times)
        for values in (camera, shift, zoom):
            values[_across(cuts, seen.ordinals)] = 0.0  # no motion there: another camera took over
        shots = []
        for first, last, index in self.stretches(cuts, times, item.data):
            here = slice(first, last + 1)
            kind = camera_kind(camera[here], shift[here], zoom[here], times[here])
            shots.append(_shot(item.data, times, first, last, index) | {"camera_kind": kind})
        return Kept(
            {
                "video_id": item.data["video_id"],
                "frames": len(times),
                "camera": camera,
                "cut_score": scores,
                "shift": shift,
                "zoom": zoom,
                "shots": shots,
                "thumbnails": seen.thumbnails,
                **dict(zip(("hash_times_s", "hashes"), seen.hasher.result(), strict=True)),
            }
        )

    def _watch(self, path: str, times: NDArray[np.float64]) -> _Seen:
        """The one pass over the frames."""
        wanted = thumbnail_ordinals(len(times), self.thumbnails)
        motion, likeness = CameraMotion(self.edge_band), FrameLikeness()
        seen = _Seen(np.full((len(times), LAGS), np.nan, np.float32))
        count = due = 0
        for frame in read_small(path):
            count += 1
            if frame.ordinal >= len(times):
                break
            likeness.add(frame)
            if frame.ordinal == due:
                # The hash looks eight times a second: the frames compared are enough for it.
                seen.hasher.step(frame.luma, times[frame.ordinal])
                found = likeness.measure()
                seen.differences[count - len(found) : count] = found
                seen.steps.append(motion.step(frame.luma))
                seen.ordinals.append(frame.ordinal)
                due = next_compared(times, due, motion.pace_s)
            if frame.ordinal in wanted:
                jpeg = _jpeg(frame.rgb(self.thumbnail_width))
                seen.thumbnails.append({"ordinal": frame.ordinal, "jpeg": jpeg})
        if count != len(times):
            raise InputError(
                "changed-file",
                f"{path} gives {count} frames where ingest counted {len(times)}",
                hint="run ingest again",
            )
        return seen

    def stretches(
        self, cuts: NDArray[np.int32], times: NDArray[np.float64], data: dict[str, Any]
    ) -> Iterator[tuple[int, int, int | None]]:
        """First and last frame of every shot, and the index of the range it lies in."""
        ranges = data.get("ranges")
        if not ranges:
            yield from ((a, b, None) for a, b in pieces(cuts, times, self.shot_max_s))
            return
        ends = np.append(times[1:], _end(data, times))
        taken = set()
        for index, part in enumerate(ranges):
            within = frames_within(part, times, ends)
            if within is None:
                continue
            first, stop = within
            inside = cuts[(cuts > first) & (cuts < stop)] - first
            for a, b in pieces(inside, times[first:stop], self.shot_max_s):
                stretch = first + a, first + b
                if stretch not in taken:  # the same one in two ranges has one id, and is one shot
                    taken.add(stretch)
                    yield *stretch, index


@dataclasses.dataclass
class _Seen:
    """What one pass found: ``differences`` [F, LAGS], and for the compared frames ``ordinals``
    and camera ``steps``."""

    differences: NDArray[np.float32]
    ordinals: list[int] = dataclasses.field(default_factory=list)
    steps: list[CameraStep] = dataclasses.field(default_factory=list)
    thumbnails: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    hasher: VideoHasher = dataclasses.field(default_factory=VideoHasher)


def next_compared(times: NDArray[np.float64], at: int, pace_s: float) -> int:
    """The next frame to compare: the last at most ``pace_s`` later, `LAGS` frames at most; the
    very next where frames lie further apart; the last frame of all in any case."""
    following = times[at + 1 : at + 1 + LAGS]
    return at + max(1, int(np.count_nonzero(following <= times[at] + pace_s)))


def _across(cuts: NDArray[np.int32], ordinals: list[int]) -> NDArray[np.intp]:
    """Frames whose motion was measured across a cut."""
    at = np.asarray(ordinals)
    after = np.searchsorted(at, cuts)
    spans = [np.arange(at[k - 1] + 1, at[k] + 1) for k in after.tolist()]
    return np.concatenate(spans) if spans else np.zeros(0, np.intp)


def _end(data: dict[str, Any], times: NDArray[np.float64]) -> float:
    """When the last frame ends."""
    if data.get("duration_s") is not None:
        return float(data["duration_s"])
    return float(times[-1]) + (float(np.median(np.diff(times))) if len(times) > 1 else 0.0)


def _shot(
    data: dict[str, Any], times: NDArray[np.float64], first: int, last: int, index: int | None
) -> dict[str, Any]:
    return {
        "shot_id": shot_id(data["video_id"], first, last),
        "first": first,
        "last": last,
        "t0_s": float(times[first]),
        "t1_s": float(times[last + 1]) if last + 1 < len(times) else _end(data, times),
        "range": index,
    }


def frames_within(
    part: dict[str, Any], times_s: NDArray[np.float64], ends_s: NDArray[np.float64]
) -> tuple[int, int] | None:
    """First frame and one past the last that are shown, from beginning to end, inside a range
    (``start_s``, ``end_s``; None: open). None where there is no such frame."""
    start, end = part["start_s"], part["end_s"]
    first = 0 if start is None else int(np.searchsorted(times_s, start - _RANGE_SLACK_S))
    stop = len(times_s)
    if end is not None:
        stop = int(np.searchsorted(ends_s, end + _RANGE_SLACK_S, side="right"))
    return (first, stop) if first < stop else None


def _stamp(ranges: list[dict[str, Any]] | None) -> str | None:
    """Version of a video's ranges; None where all of it counts."""
    if not ranges:
        return None
    return digest([[r["start_s"], r["end_s"]] for r in ranges], 16)


def thumbnail_ordinals(frames: int, count: int) -> set[int]:
    """``count`` ordinals in the middles of equal parts of a video (fewer for very short ones)."""
    return {int((i + 0.5) * frames / count) for i in range(count)} if frames else set()


def pieces(
    cuts: NDArray[np.int32], times_s: NDArray[np.float64], longest_s: float
) -> Iterator[tuple[int, int]]:
    """First and last frame (both inside) of every shot, long ones in pieces of ``longest_s``.

    A piece begins at the first frame shown ``longest_s`` or more after the piece before began.
    """
    frames = len(times_s)
    starts = [0, *(int(c) for c in cuts)]
    for first, stop in zip(starts, [*starts[1:], frames], strict=True):
        while first < stop:
            end = int(np.searchsorted(times_s, times_s[first] + longest_s - 1e-6))
            end = min(max(end, first + 1), stop)
            yield first, end - 1
            first = end


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    import cv2

    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise RuntimeError("the thumbnail could not be encoded")
    return data.tobytes()

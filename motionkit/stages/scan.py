"""`scan`: one decoding pass over each video for shots, camera motion and thumbnails.

Writes scores, not verdicts: `scans.camera` and `scans.cut_score` hold one number a frame, and
thresholds over the first can be changed afterwards without decoding again (`filter`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.stage import Item, Kept, Outcome, Tables, digest, shot_id
from motionkit.video.motion import EDGE_BAND, EdgeMotion, per_thirtieth
from motionkit.video.planes import read_small
from motionkit.video.shots import CUT_MIN, CUT_RATIO, FrameLikeness, cut_scores, find_cuts

#: What `videos` must give.
_COLUMNS: Final = ("video_id", "path", "frame_times_s", "frames_decoded", "ranges")
_JPEG_QUALITY: Final = 85


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
    version: ClassVar[int] = 1
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
        changed-file where fewer frames decode than `ingest` counted."""
        times = np.asarray(item.data["frame_times_s"], np.float64)
        wanted = thumbnail_ordinals(len(times), self.thumbnails)
        edges, likeness = EdgeMotion(self.edge_band), FrameLikeness()
        moved = np.full((len(times), 2), np.nan)
        differences = np.full((len(times), 3), np.nan, np.float32)
        thumbnails = []
        count = 0
        for frame in read_small(item.data["path"]):
            if frame.ordinal >= len(times):
                count += 1
                break
            moved[frame.ordinal] = edges.step(frame.luma)
            differences[frame.ordinal] = likeness.step(frame.luma, frame.u, frame.v)
            if frame.ordinal in wanted:
                jpeg = _jpeg(frame.rgb(self.thumbnail_width))
                thumbnails.append({"ordinal": frame.ordinal, "jpeg": jpeg})
            count += 1
        if count != len(times):
            raise InputError(
                "changed-file",
                f"{item.data['path']} gives {count} frames where ingest counted {len(times)}",
                hint="run ingest again",
            )
        scores = cut_scores(differences)
        cuts = find_cuts(scores, self.cut_min, self.cut_ratio)
        camera = per_thirtieth(moved, times)
        camera[cuts] = 0.0  # the camera did not move there: another one took over
        return Kept(
            {
                "video_id": item.data["video_id"],
                "frames": count,
                "camera": camera,
                "cut_score": scores,
                "shots": list(self._shots(item.data["video_id"], cuts, times)),
                "thumbnails": thumbnails,
            }
        )

    def _shots(
        self, video_id: str, cuts: NDArray[np.int32], times: NDArray[np.float64]
    ) -> Iterator[dict[str, Any]]:
        length = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        for first, last in pieces(cuts, times, self.shot_max_s):
            end = float(times[last + 1]) if last + 1 < len(times) else float(times[-1]) + length
            yield {
                "shot_id": shot_id(video_id, first, last),
                "first": first,
                "last": last,
                "t0_s": float(times[first]),
                "t1_s": end,
            }


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

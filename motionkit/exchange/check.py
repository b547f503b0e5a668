"""Is a file the video that a pack speaks of? By its bytes, else by what is seen in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.file_hash import sha256_of

#: A copy begins where the original does if hashes lie at most so far apart: they are as fine.
_SHIFT_S: Final = 0.25
#: Copies of as many frames are as long to this much: seconds, and share of the length.
_LENGTH_S: Final = 0.5
_LENGTH_SHARE: Final = 0.01
#: Copies of another number of frames, whose clips are found by time: seconds, beside one frame.
_RETIMED_S: Final = 0.15


@dataclasses.dataclass(frozen=True)
class Verdict:
    """``status``: ok (the same bytes), re-encoded (shows the same, with as many frames), retimed
    (shows the same at the same times to a quarter second, with another number of frames),
    unverified (as long, and the pack has no hash to compare) or changed-file. ``same_frames``:
    the frames carry the same numbers; else clips are found by time. ``times_s`` [F] of a file
    that is not the same, None for one that is."""

    status: str
    detail: str
    same_frames: bool
    decoder: str | None
    times_s: NDArray[np.float64] | None = None


def check_file(path: str, expected: dict[str, Any]) -> Verdict:
    """Hold a file or folder of frames against a row of the pack's videos.

    A file of another SHA-256 is decoded to its end. Raises InputError where that fails.
    """
    if not Path(path).is_dir() and sha256_of(path) == expected["sha256"]:
        return Verdict("ok", "the same file", True, expected["decoder"])
    found = _describe(path, expected)
    if found["sha256"] == expected["sha256"]:
        return Verdict("ok", "the same file", True, found["decoder"])
    return _compare(path, found, expected)


def _describe(path: str, expected: dict[str, Any]) -> dict[str, Any]:
    """Facts of the file, as `ingest` finds them."""
    from motionkit.stages.ingest import describe
    from motionkit.video.frame_folder import describe_folder, is_frame_folder

    if is_frame_folder(path):
        return describe_folder(path, expected["fps"] or 5.0)
    return describe(path, path)


def _compare(path: str, found: dict[str, Any], expected: dict[str, Any]) -> Verdict:
    times = np.asarray(found["frame_times_s"], np.float64)
    frames, length = int(found["frames_decoded"]), float(found["duration_s"])
    wanted, wanted_length = expected["frames"], expected["duration_s"] or 0.0
    same_frames = frames == wanted
    facts = f"{frames} frames for {wanted}, {length:.2f} s for {wanted_length:.2f} s"
    slack = max(_LENGTH_S, _LENGTH_SHARE * wanted_length)
    if not same_frames:
        slack = _RETIMED_S + 1 / (expected["fps"] or 30.0)
    as_long = abs(length - wanted_length) <= slack

    def verdict(status: str, why: str) -> Verdict:
        return Verdict(status, f"{why}; {facts}", same_frames, found["decoder"], times)

    if not as_long:
        return verdict("changed-file", "another length")
    if not expected["hashes"]:
        return verdict("unverified", "the pack has no hash of the pictures")
    pair = _pair(path, times, expected)
    if pair is None:
        return verdict("changed-file", "shows something else")
    if pair.mirrored:
        return verdict("changed-file", "mirrored")
    if abs(pair.offset_s) > _SHIFT_S:
        return verdict("changed-file", f"shifted by {pair.offset_s:+.2f} s")
    status = "re-encoded" if same_frames else "retimed"
    return verdict(status, f"the pictures agree ({pair.score:.2f})")


def _pair(path: str, times: NDArray[np.float64], expected: dict[str, Any]) -> Any:
    """The pair of near-duplicates that file and pack are, or None."""
    from motionkit.duplicates import find_pairs
    from motionkit.video.planes import read_small
    from motionkit.video.video_hash import VideoHasher

    hasher = VideoHasher()
    for frame in read_small(path):
        if frame.ordinal < len(times):
            hasher.step(frame.luma, float(times[frame.ordinal]))
    known = np.asarray(expected["hash_times_s"]), np.asarray(expected["hashes"], np.int64)
    pairs = find_pairs([("a", *known), ("b", *hasher.result())])
    return pairs[0] if pairs else None

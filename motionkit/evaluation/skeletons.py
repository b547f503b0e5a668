"""Skeleton data sets as point tracks: NTU RGB+D `.skeleton` files, Kinetics-Skeleton JSON.

Both are what other people published, so nothing in a file is trusted: counts are held against
what is there, sizes against limits, and a file that is not what it says raises InputError:

- ``skeleton-unreadable`` cannot be opened, or is larger than `MAX_BYTES`
- ``skeleton-damaged``    no such format, a number that is none, or a count that cannot be
- ``skeleton-truncated``  ends before its counts say
- ``skeleton-empty``      holds no body in any frame

A number that is written but not finite (real NTU files hold some) makes its point invisible.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError

#: A real NTU file has up to 3 MB, a Kinetics one less.
MAX_BYTES: Final = 64_000_000
MAX_FRAMES: Final = 100_000
MAX_BODIES: Final = 64

NTU_JOINTS: Final = 25
#: Kinect's colour picture, in whose pixels colorX and colorY are.
NTU_SIZE: Final = (1920, 1080)
#: Pairs of joints, from the spine outwards (Kinect v2's order, counted from 0).
NTU_BONES: Final = (
    (0, 1), (1, 20), (20, 2), (2, 3), (20, 4), (4, 5), (5, 6), (6, 7), (20, 8), (8, 9), (9, 10),
    (10, 11), (0, 12), (12, 13), (13, 14), (14, 15), (0, 16), (16, 17), (17, 18), (18, 19),
    (7, 22), (22, 21), (11, 24), (24, 23),
)  # fmt: skip
KINETICS_JOINTS: Final = 18
#: The videos were brought to this size before OpenPose ran; poses are shares of it.
KINETICS_SIZE: Final = (340, 256)
#: OpenPose's 18 points (nose, neck, right arm, left arm, right leg, left leg, eyes, ears).
KINETICS_BONES: Final = (
    (1, 0), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11),
    (11, 12), (12, 13), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip


Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
#: Frame, joints [J, 2] in pixels, which are seen [J].
Entry = tuple[int, Float, Bool]
#: Joints, which are seen, and the sum of their scores.
Pose = tuple[Float, Bool, float]


@dataclass(frozen=True)
class Body:
    """One body through a clip."""

    points: NDArray[np.float32]
    """[T, J, 2] pixels. Where a joint is not visible it stands where it was seen last (before the
    first time: where it will be)."""
    visible: NDArray[np.bool_]
    """[T, J]; all False in frames without the body."""
    name: str = ""
    """The file's id for it; empty where the file names nobody."""


@dataclass(frozen=True)
class SkeletonClip:
    """A file and its bodies."""

    bodies: tuple[Body, ...]
    """The main one first (`chosen_by`)."""
    size: tuple[int, int]
    """Width and height of the picture, pixels."""
    bones: tuple[tuple[int, int], ...]
    label: str | None
    """Class name, where the file says it."""
    label_index: int | None
    """Class number from 0, where the file or its name says it."""
    chosen_by: str
    """What makes a body the main one: ``motion`` (NTU) or ``scores`` (Kinetics)."""


def read_skeletons(path: Path) -> SkeletonClip:
    """A file of either format, by its ending: ``.skeleton`` or ``.json``."""
    if path.suffix.lower() == ".skeleton":
        return read_ntu(path)
    if path.suffix.lower() == ".json":
        return read_kinetics(path)
    raise InputError(
        "skeleton-damaged",
        f"{path.name} is neither a .skeleton nor a .json file.",
        hint="give NTU RGB+D .skeleton or Kinetics-Skeleton .json files",
    )


def read_ntu(path: Path) -> SkeletonClip:
    """NTU RGB+D (Shahroudy et al., 2016): joints in pixels of the colour picture.

    The text counts frames; each frame counts its bodies; each body has a line of ten fields, of
    which the first is its id, the number of its joints (25), and a line of twelve fields a joint:
    x y z, depthX depthY, colorX colorY, four of orientation, trackingState (0: not tracked).
    Classes are read from names like S001C002P003R002A013 (A013: number 12, counted from 0).

    Kinect also sees bodies in chairs and tables, and a second person in some actions. The main one
    is who moves most, as the data set's authors chose it: the largest sum of the variances of x, y
    and z (metres) over all joints. Bodies of fewer than `_BODY_FRAMES` frames, and those that are
    broad rather than upright nearly all the time, stand behind all others.
    """
    words = _Lines(path)
    frames = words.count("frames", 0, MAX_FRAMES)
    found: dict[str, list[Entry]] = {}
    places: dict[str, list[NDArray[np.float64]]] = {}
    for frame in range(frames):
        for _ in range(words.count("bodies", 0, MAX_BODIES)):
            body = words.fields(10)[0][:64]
            words.count("joints", NTU_JOINTS, NTU_JOINTS)
            table = np.array([words.numbers(12) for _ in range(NTU_JOINTS)])
            xy = table[:, 5:7]
            seen = np.isfinite(xy).all(1) & (table[:, 11] != 0)
            found.setdefault(body, []).append((frame, xy, seen))
            places.setdefault(body, []).append(table[:, :3])
            if len(found) > 16 * MAX_BODIES:
                raise words.damaged("names more bodies than there can be")
    words.end()
    action = re.search(r"A(\d{3})(?!\d)", path.stem)
    number = int(action.group(1)) - 1 if action and int(action.group(1)) else None
    tracks = [(name, _motion(np.stack(places[name])), track) for name, track in found.items()]
    bodies = _bodies(path, frames, tracks)
    return SkeletonClip(bodies, NTU_SIZE, NTU_BONES, None, number, "motion")


#: Whoever Kinect sees in fewer frames, or broader than `_BROAD` times its height in more than
#: `_BROAD_SHARE` of them, is most likely no person.
_BODY_FRAMES: Final = 12
_BROAD: Final = 0.8
_BROAD_SHARE: Final = 0.7


def _motion(xyz: NDArray[np.float64]) -> tuple[float, ...]:
    """What ranks a body [F, J, 3] in metres: is it one, and how much it moves."""
    finite = np.isfinite(xyz).all((1, 2))
    xyz = xyz[finite]
    if len(xyz) == 0:
        return (0.0, 0.0)
    extent = np.ptp(xyz[..., :2], axis=1)
    broad = (extent[:, 0] > _BROAD * extent[:, 1]).mean() > _BROAD_SHARE
    is_one = len(xyz) >= _BODY_FRAMES and not broad
    return (float(is_one), float(xyz.var(0).sum()))


def read_kinetics(path: Path) -> SkeletonClip:
    """Kinetics-Skeleton (Yan et al., 2018): OpenPose's 18 points, several people a frame.

    ``data[]`` has ``frame_index`` (from 1) and ``skeleton[]`` with ``pose`` (x, y of each point,
    shares of the picture) and ``score``; a score of 0 is a point not found. The file names nobody:
    people are followed by linking each to the nearest of the frame before (`_linked`). The main
    one has the highest sum of scores: who is seen best, for longest.
    """
    try:
        data = json.loads(_read(path))
        if not isinstance(data, dict):
            raise ValueError(f"it holds a {type(data).__name__}")
        entries = data["data"]
        label, index = data.get("label"), data.get("label_index")
        if not isinstance(entries, list) or len(entries) > MAX_FRAMES:
            raise ValueError("data is no list of frames")
        poses: dict[int, list[Pose]] = {}
        for entry in entries:
            at, people = entry["frame_index"], entry["skeleton"]
            if type(at) is not int or not 0 <= at <= MAX_FRAMES or at in poses:
                raise ValueError(f"a frame_index is {str(at)[:40]} or comes twice")
            if not isinstance(people, list) or len(people) > MAX_BODIES:
                raise ValueError("skeleton is no list of people")
            poses[at] = [_openpose(person) for person in people]
        if index is not None and type(index) is not int:
            raise ValueError("label_index is no whole number")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = f"it has no key {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            "skeleton-damaged",
            f"{path.name} is no Kinetics-Skeleton file: {said[:200]}",
            hint="such a file is an object with data[], each with frame_index and skeleton[]",
        ) from error
    first = min(poses, default=0)
    frames = max(poses, default=0) - first + 1
    linked = _linked({at - first: people for at, people in poses.items()})
    tracks = [
        ("", (float(sum(trust for *_, trust in track)),), [entry[:3] for entry in track])
        for track in linked
    ]
    bodies = _bodies(path, frames, tracks)
    name = label if isinstance(label, str) else None
    return SkeletonClip(bodies, KINETICS_SIZE, KINETICS_BONES, name, index, "scores")


def _openpose(person: Any) -> Pose:
    pose, score = person["pose"], person["score"]
    for values, count in ((pose, 2 * KINETICS_JOINTS), (score, KINETICS_JOINTS)):
        if not isinstance(values, list) or len(values) != count:
            raise ValueError(f"pose and score must hold {2 * KINETICS_JOINTS} and 18 numbers")
        if not all((type(v) in (int, float) and abs(v) < 1e9) or v != v for v in values):
            raise ValueError("pose or score holds what is no number of a picture")
    xy = np.array(pose, np.float64).reshape(-1, 2)
    trust = np.array(score, np.float64)
    seen = np.isfinite(xy).all(1) & (trust > 0)
    return xy * KINETICS_SIZE, seen, float(trust[seen].sum())


def _linked(poses: dict[int, list[Pose]]) -> list[list[tuple[int, Float, Bool, float]]]:
    """People of single frames → one list of entries a person.

    Frame by frame, the nearest pairs of a known person (as last seen, up to 15 frames ago) and a
    new skeleton are joined first: mean distance of the points both have, at most a fifth of the
    picture's width. Who is left begins a new person.
    """
    tracks: list[list[tuple[int, Float, Bool, float]]] = []
    for frame in sorted(poses):
        people = [p for p in poses[frame] if p[1].any()]
        pairs = []
        for i, track in enumerate(tracks):
            last, xy, seen, _ = track[-1]
            for j, (other, other_seen, _) in enumerate(people):
                both = seen & other_seen
                if frame - last <= 15 and both.any():
                    gap = np.linalg.norm((xy - other)[both], axis=1).mean()
                    if gap <= KINETICS_SIZE[0] / 5:
                        pairs.append((float(gap), i, j))
        taken: set[int] = set()
        used: set[int] = set()
        for _, i, j in sorted(pairs):
            if i not in used and j not in taken:
                tracks[i].append((frame, *people[j]))
                used.add(i)
                taken.add(j)
        tracks.extend([(frame, *p)] for j, p in enumerate(people) if j not in taken)
        if len(tracks) > 16 * MAX_BODIES:  # a file of noise: keep who was seen most
            tracks = sorted(tracks, key=len, reverse=True)[: 8 * MAX_BODIES]
    return tracks


def _bodies(
    path: Path, frames: int, tracks: Sequence[tuple[str, tuple[float, ...], Sequence[Entry]]]
) -> tuple[Body, ...]:
    """Bodies of (name, rank, entries), the highest rank first; of equals who is seen in more
    frames, then who moves more in the picture."""
    ranked = []
    for name, rank, track in tracks:
        if any(seen.any() for _, _, seen in track):
            body = _body(frames, track, name)
            moved = float(np.abs(np.diff(body.points, axis=0)).sum())
            ranked.append(((*rank, float(body.visible.any(1).sum()), moved), body))
    if not ranked:
        raise InputError("skeleton-empty", f"{path.name} shows no body in any frame.")
    return tuple(body for _, body in sorted(ranked, key=lambda pair: pair[0], reverse=True))


def _body(frames: int, track: Sequence[Entry], name: str) -> Body:
    joints = track[0][1].shape[0]
    points = np.zeros((frames, joints, 2))
    visible = np.zeros((frames, joints), bool)
    for frame, xy, seen in track:
        points[frame][seen] = xy[seen]
        visible[frame] |= seen
    at = np.arange(frames)[:, None]
    last = np.maximum.accumulate(np.where(visible, at, -1), axis=0)
    first = np.where(visible.any(0), visible.argmax(0), 0)
    source = np.where(last >= 0, last, first[None])
    held = np.take_along_axis(points, source[..., None], 0)
    never = ~visible.any(0)
    if never.any():  # a joint seen nowhere stands among those that are
        held[:, never] = held[:, ~never].mean(1, keepdims=True)
    return Body(held.astype(np.float32), visible, name)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                "skeleton-unreadable", f"{path.name} is larger than {MAX_BYTES // 10**6} MB."
            )
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("skeleton-unreadable", f"{path.name}: {reason}") from error
    except UnicodeDecodeError as error:
        raise InputError("skeleton-damaged", f"{path.name} is no text file.") from error


class _Lines:
    """The lines of an NTU file, read one after another."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._lines: Iterator[tuple[int, str]] = enumerate(_read(path).splitlines(), 1)
        self._at = 0

    def damaged(self, what: str) -> InputError:
        return InputError("skeleton-damaged", f"{self.name}, line {self._at}: {what}.")

    def fields(self, count: int) -> list[str]:
        """The fields of the next line, ``count`` of them."""
        for number, line in self._lines:
            if line.strip():
                self._at = number
                break
        else:
            raise InputError("skeleton-truncated", f"{self.name} ends after line {self._at}.")
        found = line.split()
        if len(found) < count and not any(more.strip() for _, more in self._lines):
            raise InputError(
                "skeleton-truncated", f"{self.name} ends within line {self._at}, its last one."
            )
        if len(found) != count:
            raise self.damaged(f"{len(found)} fields where {count} belong")
        return found

    def count(self, what: str, low: int, high: int) -> int:
        """The next line as a number of ``what``."""
        (word,) = self.fields(1)
        if not re.fullmatch(r"\d{1,9}", word, re.ASCII) or not low <= int(word) <= high:
            allowed = str(low) if low == high else f"{low} to {high}"
            raise self.damaged(f"{word[:40]!r} {what} where {allowed} belong")
        return int(word)

    def numbers(self, count: int) -> list[float]:
        """The next line as numbers; what is not finite is NaN."""
        try:
            values = [float(word) for word in self.fields(count)]
        except ValueError as error:
            raise self.damaged("a field is no number") from error
        return [v if math.isfinite(v) and abs(v) < 1e9 else math.nan for v in values]

    def end(self) -> None:
        """Nothing may follow."""
        for number, line in self._lines:
            if line.strip():
                self._at = number
                raise self.damaged("more lines than its counts say")

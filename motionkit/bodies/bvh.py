"""Reads BVH files: hierarchy, channels in any order, and joint positions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.rotations import about
from motionkit.errors import InputError

Float = NDArray[np.float64]

#: A day at 30 frames a second takes 1.5 GB; no studio delivers that as one file.
_MOST_BYTES: Final = 1 << 29
_MOST_HEAD: Final = 1 << 20
_MOST_JOINTS: Final = 1000
_MOST_CHANNELS: Final = 6
_MOTION: Final = re.compile(r"^[ \t]*MOTION[ \t\r]*$", re.MULTILINE)
_CHANNEL: Final = re.compile(r"[XYZ](position|rotation)")


@dataclass
class _Joint:
    name: str
    parent: int
    offset: list[float] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bvh:
    """A BVH file in its own unit of length."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float
    """[J, 3]."""
    channels: tuple[tuple[str, ...], ...]
    frames: Float
    """[F, C] as stored: degrees and lengths."""
    frame_time_s: float

    def positions(self) -> Float:
        """Joint positions [F, J, 3] in the file's unit."""
        return self.pose()[0]

    def pose(self) -> tuple[Float, Float]:
        """Joint positions [F, J, 3] in the file's unit and global rotations [F, J, 3, 3].

        A position channel replaces that part of the joint's offset: files whose inner joints have
        position channels repeat the offset in them.
        """
        count = len(self.frames)
        places = np.zeros((count, len(self.names), 3))
        turns = np.tile(np.eye(3), (count, len(self.names), 1, 1))
        at = 0
        for j, parent in enumerate(self.parents):
            shift = np.tile(self.offsets[j], (count, 1))
            turn = np.tile(np.eye(3), (count, 1, 1))
            for channel in self.channels[j]:
                value = self.frames[:, at]
                at += 1
                axis = channel[0].lower()
                if channel.endswith("position"):
                    shift[:, "xyz".index(axis)] = value
                else:  # rotations apply in the order in which they are listed
                    turn = turn @ about(axis, np.radians(value))
            if parent < 0:
                places[:, j], turns[:, j] = shift, turn
            else:
                places[:, j] = places[:, parent] + np.einsum("fij,fj->fi", turns[:, parent], shift)
                turns[:, j] = turns[:, parent] @ turn
        return places, turns


def read_bvh(path: Path) -> Bvh:
    """Reads a BVH file; end sites are left out.

    InputError 'bvh-unreadable' where it is broken: whatever is in it, reading ends, in time and
    memory that go with its size.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("larger than half a gigabyte")
        text = path.read_text(encoding="utf-8", errors="replace")
        motion = _MOTION.search(text, 0, _MOST_HEAD)
        if motion is None:
            raise ValueError("no MOTION part")
        joints = _hierarchy(text[: motion.start()].split())
        return _bvh(joints, *_frames(text, motion.end(), sum(len(j.channels) for j in joints)))
    except (OSError, ValueError, IndexError, OverflowError, MemoryError) as error:
        raise InputError("bvh-unreadable", f"{path} is no BVH file: {error}") from error


def _hierarchy(words: list[str]) -> list[_Joint]:
    """The joints in the order of their channels."""
    joints: list[_Joint] = []
    stack: list[int] = []  # open braces: a joint, or -1 for an end site
    i = 0
    while i < len(words):
        word = words[i]
        if word in ("ROOT", "JOINT"):
            joints.append(_Joint(words[i + 1], stack[-1] if stack else -1))
            if words[i + 2] != "{" or (stack and stack[-1] < 0):
                raise ValueError(f"joint {words[i + 1][:40]!r} without its brace")
            stack.append(len(joints) - 1)
            i += 3
        elif word == "End":
            if words[i + 2] != "{":
                raise ValueError("an end site without its brace")
            stack.append(-1)
            i += 3
        elif word == "OFFSET":
            if stack[-1] >= 0:
                joints[stack[-1]].offset = [float(v) for v in words[i + 1 : i + 4]]
            i += 4
        elif word == "CHANNELS":
            count = int(words[i + 1])
            if stack[-1] < 0 or not 0 <= count <= _MOST_CHANNELS:
                raise ValueError(f"{count} channels")
            joints[stack[-1]].channels = words[i + 2 : i + 2 + count]
            i += 2 + count
        else:
            if word == "}":
                stack.pop()
            i += 1
    if not 0 < len(joints) <= _MOST_JOINTS:
        raise ValueError(f"{len(joints)} joints")
    for joint in joints:
        if len(joint.offset) != 3 or not all(map(math.isfinite, joint.offset)):
            raise ValueError(f"joint {joint.name[:40]!r} without an offset of three numbers")
        if not all(_CHANNEL.fullmatch(channel) for channel in joint.channels):
            raise ValueError(f"joint {joint.name[:40]!r} with unknown channels")
    return joints


def _frames(text: str, at: int, width: int) -> tuple[Float, float]:
    """Frames [F, C] and seconds a frame, of the part after the word MOTION."""
    lines = (line for line in _lines(text, at) if line and not line.isspace())
    facts = [next(lines, "").partition(":")[2] for _ in range(2)]
    count, frame_time = int(facts[0]), float(facts[1])
    if not 0 < count <= len(text) or not 1e-6 < frame_time < 1e4:
        raise ValueError(f"{count} frames of {frame_time} s")
    if not 0 < width <= len(text) // count:
        raise ValueError(f"{count} frames of {width} numbers do not fit its {len(text)} letters")
    frames = np.empty((count, width))
    done = 0
    for line in lines:
        # 40 letters a number are enough for every writer; a longer line is not even taken apart
        numbers = line.split() if len(line) <= 40 * width + 40 else []
        if done == count or len(numbers) != width:
            raise ValueError(
                f"line {done + 1} of its motion has {len(numbers)} numbers, of {count} frames "
                f"of {width}"
            )
        frames[done] = numbers
        done += 1
    if done != count:
        raise ValueError(f"it says {count} frames and has {done}")
    if not np.isfinite(frames).all():
        raise ValueError("nan or infinity in its motion")
    return frames, frame_time


def _lines(text: str, at: int) -> Iterator[str]:
    """Lines of a large text one by one: a list of all would double its memory."""
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        yield text[at:end]
        at = end + 1


def _bvh(joints: list[_Joint], frames: Float, frame_time: float) -> Bvh:
    return Bvh(
        names=tuple(j.name for j in joints),
        parents=tuple(j.parent for j in joints),
        offsets=np.array([j.offset for j in joints]),
        channels=tuple(tuple(j.channels) for j in joints),
        frames=frames,
        frame_time_s=frame_time,
    )

"""Reads BVH files: hierarchy, channels in any order, and joint positions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.rotations import about
from motionkit.errors import InputError

Float = NDArray[np.float64]


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
    """Reads a BVH file; end sites are left out. InputError 'bvh-unreadable' where it is broken."""
    try:
        return _parse(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, IndexError) as error:
        raise InputError("bvh-unreadable", f"{path} is no BVH file: {error}") from error


def _parse(text: str) -> Bvh:
    head, _, tail = text.partition("MOTION")
    if not tail:
        raise ValueError("no MOTION part")
    words = head.split()
    joints: list[_Joint] = []
    stack: list[int] = []
    i = 0
    while i < len(words):
        word = words[i]
        if word in ("ROOT", "JOINT"):
            joints.append(_Joint(words[i + 1], stack[-1] if stack else -1))
            stack.append(len(joints) - 1)
            i += 3  # name and brace
        elif word == "End":
            stack.append(-1)
            i += 3
        elif word == "OFFSET":
            if stack[-1] >= 0:
                joints[stack[-1]].offset = [float(v) for v in words[i + 1 : i + 4]]
            i += 4
        elif word == "CHANNELS":
            count = int(words[i + 1])
            joints[stack[-1]].channels = words[i + 2 : i + 2 + count]
            i += 2 + count
        else:
            if word == "}":
                stack.pop()
            i += 1
    lines = [line for line in tail.strip().splitlines() if line.strip()]
    count = int(lines[0].split(":")[1])
    frame_time = float(lines[1].split(":")[1])
    frames = np.array([[float(v) for v in line.split()] for line in lines[2 : 2 + count]])
    width = sum(len(j.channels) for j in joints)
    if frames.shape != (count, width):
        raise ValueError(f"{frames.shape} numbers for {count} frames of {width} channels")
    return Bvh(
        names=tuple(j.name for j in joints),
        parents=tuple(j.parent for j in joints),
        offsets=np.array([j.offset for j in joints]),
        channels=tuple(tuple(j.channels) for j in joints),
        frames=frames,
        frame_time_s=frame_time,
    )

"""What is true about a video: exact tracks of any point, visibility, and the objects' courses.

A truth file holds the maps and outlines that the pictures were drawn from, so that the way of
every point of an object is known, not of a chosen few only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.synth.objects.scene import Scene
from motionkit.synth.objects.skins import Skin, texel
from motionkit.synth.objects.spec import WorldSpec
from motionkit.synth.objects.warp import Warp

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Codes = NDArray[np.uint8]

#: Why a point is not visible.
VISIBLE, OUTSIDE, TURNED_AWAY, OCCLUDED = 0, 1, 2, 3
#: Points of an object that are stored ready made.
POINTS: Final = 36


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectTruth:
    """One object of a video."""

    motion: str
    direction: str
    speed: str
    shape: str
    colour: str
    pattern: str
    deform: str
    """'wobble', 'breathe', 'squash', or '' for a rigid object."""
    radius: float
    warp: Warp
    alpha: Codes
    """[S, S]: the outline as a texture, 0..255, over the object's square [-1, 1]."""
    transform: F64
    """[T, 6]: centre x, y in pixels, angle in radians (clockwise), size (1 in the first frame),
    turn in radians, the camera's scale."""

    @property
    def deforming(self) -> bool:
        """Whether it changes its shape beside turning and growing."""
        return bool(self.deform)

    def covers(self, frame: int, pixels: F64) -> Bool:
        """Whether the object lies at ``pixels`` [..., 2], whatever is before it."""
        u = self.warp.from_pixels(frame, pixels)
        place = texel(u, self.alpha.shape[0]).astype(np.float32).reshape(-1, 1, 2)
        found = cv2.remap(self.alpha, place, None, cv2.INTER_LINEAR, borderValue=0)
        return np.asarray(found).reshape(u.shape[:-1]) >= 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    """One video. A later object lies before an earlier one."""

    width: int
    height: int
    fps: float
    camera: str
    objects: tuple[ObjectTruth, ...]
    sentences: tuple[dict[str, Any], ...]
    """Text, objects, motion, direction, speed, held_out; in the order of their ids."""
    masks: tuple[tuple[dict[str, Any] | None, ...], ...]
    """[K][T]: the visible part of each object as COCO run lengths, None where nothing is seen."""

    def tracks_of(self, number: int, points: F64) -> tuple[F64, Codes]:
        """Pixels [T, N, 2] of points [N, 2] of object ``number`` (its own units), and why each is
        not visible [T, N] (0: it is)."""
        thing = self.objects[number]
        tracks = thing.warp.to_pixels(np.asarray(points, np.float64))
        hidden = np.full(tracks.shape[:2], VISIBLE, np.uint8)
        for frame in range(len(tracks)):
            for other in self.objects[number + 1 :]:
                hidden[frame, other.covers(frame, tracks[frame])] = OCCLUDED
        hidden[~thing.warp.front()] = TURNED_AWAY
        x, y = tracks[..., 0], tracks[..., 1]
        inside = (x >= 0) & (x <= self.width - 1) & (y >= 0) & (y <= self.height - 1)
        hidden[~inside] = OUTSIDE
        return tracks, hidden

    def owners(
        self, points: F64, frame: int = 0, objects: Sequence[int] | None = None
    ) -> NDArray[np.intp]:
        """[N]: the foremost object at each of ``points`` [N, 2] (pixels), of ``objects`` (default:
        all); -1 where there is none."""
        found = np.full(len(points), -1, np.intp)
        for number in range(len(self.objects)) if objects is None else sorted(objects):
            found[self.objects[number].covers(frame, np.asarray(points, np.float64))] = number
        return found

    def truth_of(
        self, points: F64, frame: int = 0, objects: Sequence[int] | None = None
    ) -> tuple[F64, Bool, NDArray[np.intp]]:
        """Where ``points`` [N, 2] (pixels in ``frame``) are in every frame: tracks [T, N, 2],
        visible [T, N], and the object each belongs to [N].

        Points on no object have tracks of NaN, are never visible, and belong to -1.
        """
        points = np.asarray(points, np.float64)
        owner = self.owners(points, frame, objects)
        frames = len(self.objects[0].warp)
        tracks = np.full((frames, len(points), 2), np.nan)
        visible = np.zeros((frames, len(points)), bool)
        for number in np.unique(owner[owner >= 0]):
            own = owner == number
            local = self.objects[number].warp.from_pixels(frame, points[own])
            tracks[:, own], hidden = self.tracks_of(int(number), local)
            visible[:, own] = hidden == VISIBLE
        return tracks, visible, owner


def make_truth(
    spec: WorldSpec,
    scene: Scene,
    skins: Sequence[Skin],
    masks: Sequence[Sequence[dict[str, Any] | None]],
) -> Truth:
    """The truth of a scene that was painted."""
    objects = tuple(
        ObjectTruth(
            motion=thing.motion, direction=thing.direction, speed=thing.speed,
            shape=thing.look.shape, colour=thing.look.colour, pattern=thing.look.pattern,
            deform=thing.deform, radius=thing.radius, warp=thing.warp, alpha=skin.alpha(),
            transform=thing.transform,
        )
        for thing, skin in zip(scene.things, skins, strict=True)
    )  # fmt: skip
    return Truth(
        width=spec.width, height=spec.height, fps=spec.fps, camera=scene.camera, objects=objects,
        sentences=tuple(
            {"text": s.text, "objects": list(s.objects), **s.facts()} for s in scene.sentences
        ),
        masks=tuple(tuple(track) for track in masks),
    )  # fmt: skip


def grid_points(alpha: Codes) -> F64:
    """`POINTS` points [36, 2] spread over an outline, in object units."""
    side = alpha.shape[0]
    inner = cv2.erode(alpha, np.ones((3, 3), np.uint8), iterations=max(1, side // 40)) >= 128
    steps = (np.arange(24) + 0.5) / 12 - 1
    grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    place = np.round(texel(grid, side)).astype(int).clip(0, side - 1)
    grid = grid[inner[place[:, 1], place[:, 0]]]
    return grid[np.linspace(0, len(grid) - 1, POINTS).round().astype(int)]


_TEXTS = ("motion", "direction", "speed", "shape", "colour", "pattern", "deform")


def save_truth(path: Path, truth: Truth, fingerprint: str) -> None:
    """Write a truth file; it appears under its name when it is whole."""
    objects = truth.objects
    arrays: dict[str, Any] = {
        "size": np.array([truth.width, truth.height]),
        "fps": np.array(truth.fps),
        "camera": np.array(truth.camera),
        "affine": np.stack([o.warp.affine for o in objects]),
        "wave": np.stack([o.warp.wave for o in objects]),
        "facing": np.stack([o.warp.facing for o in objects]),
        "transform": np.stack([o.transform for o in objects]),
        "radius": np.array([o.radius for o in objects]),
        "deforming": np.array([o.deforming for o in objects]),
        "sentences": _text(truth.sentences),
        "masks": _text(truth.masks),
        "fingerprint": np.array(fingerprint),
        **{name: np.array([getattr(o, name) for o in objects]) for name in _TEXTS},
    }
    ready = []
    for number, thing in enumerate(objects):
        arrays[f"alpha_{number}"] = thing.alpha
        ready.append(truth.tracks_of(number, grid_points(thing.alpha)))
    arrays["points"] = np.stack([tracks for tracks, _ in ready]).astype(np.float32)
    arrays["hidden"] = np.stack([hidden for _, hidden in ready])
    arrays["visible"] = arrays["hidden"] == VISIBLE
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    part.replace(path)


def load_truth(path: Path | str) -> Truth:
    """Read a truth file. `InputError` truth-unreadable where it is none."""
    try:
        with np.load(path) as found:
            arrays = {name: found[name] for name in found.files}
        objects = tuple(
            ObjectTruth(
                radius=float(arrays["radius"][k]), alpha=arrays[f"alpha_{k}"],
                warp=Warp(arrays["affine"][k], arrays["wave"][k], arrays["facing"][k]),
                transform=arrays["transform"][k],
                **{name: str(arrays[name][k]) for name in _TEXTS},
            )
            for k in range(len(arrays["radius"]))
        )  # fmt: skip
        return Truth(
            width=int(arrays["size"][0]), height=int(arrays["size"][1]),
            fps=float(arrays["fps"]), camera=str(arrays["camera"]), objects=objects,
            sentences=tuple(json.loads(arrays["sentences"].tobytes())),
            masks=tuple(map(tuple, json.loads(arrays["masks"].tobytes()))),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            "truth-unreadable", f"{path} is no truth of a world of objects: {error}",
            hint="write the world again: motionkit synth OUT --kind objects",
        ) from error  # fmt: skip


def fingerprint_of(path: Path) -> str | None:
    """The fingerprint of the spec that a truth file was made by; None where there is no sound
    file."""
    try:
        with np.load(path) as found:
            return str(found["fingerprint"])
    except (OSError, ValueError, KeyError):
        return None


def _text(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)

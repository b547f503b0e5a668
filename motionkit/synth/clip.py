"""Renders one clip into a video file with its sidecar and its truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.synth.camera import MOVING_PX
from motionkit.synth.encode import write_video
from motionkit.synth.shot import Shot, make_shot
from motionkit.synth.spec import SYNTH_VERSION, SynthSpec

LICENCE = "CC0-1.0"


@dataclass(frozen=True, kw_only=True)
class SynthVideo:
    """One rendered video and what is true about it."""

    path: Path
    sidecar: Path
    truth: Path
    """NAME.npz; NAME.json stands beside it."""
    kinds: tuple[str, ...]
    camera: str
    people: int
    frames: int
    cuts: tuple[int, ...]
    captions: tuple[str, ...]
    """Of the whole clip; empty where it has several shots (see truth/NAME.json)."""
    skipped: bool
    """True where the file was there already and nothing was rendered."""


def render_clip(path: Path | str, spec: SynthSpec) -> SynthVideo:
    """Render ``spec`` to ``path`` (NAME.mp4), NAME.json beside it and truth/NAME.{npz,json}.

    The same spec gives the same bytes. Every file is published by renaming; truth/NAME.json
    comes last and marks the clip as whole. Where it is there already with the same
    fingerprint, nothing is rendered.
    """
    path = Path(path)
    sidecar = path.with_suffix(".json")
    truth = path.parent / "truth" / f"{path.stem}.npz"
    record = truth.with_suffix(".json")
    done = _finished(path, sidecar, truth, record, spec)
    if done is None:
        truth.parent.mkdir(parents=True, exist_ok=True)
        done = _render(path, sidecar, truth, record, spec)
        skipped = False
    else:
        skipped = True
    return SynthVideo(
        path=path,
        sidecar=sidecar,
        truth=truth,
        kinds=spec.kinds,
        camera=spec.camera,
        people=spec.people,
        frames=int(done["frames"]),
        cuts=tuple(done["cuts"]),
        captions=tuple(done["captions"]),
        skipped=skipped,
    )


def _finished(
    path: Path, sidecar: Path, truth: Path, record: Path, spec: SynthSpec
) -> dict[str, Any] | None:
    if not (path.exists() and sidecar.exists() and truth.exists() and record.exists()):
        return None
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        return None
    same = found.get("fingerprint") == spec.fingerprint()
    return found if same and found.get("size_bytes") == path.stat().st_size else None


def _render(
    path: Path, sidecar: Path, truth: Path, record: Path, spec: SynthSpec
) -> dict[str, Any]:
    frames = round(spec.seconds * spec.fps)
    lengths = _shot_lengths(spec, frames)
    arrays: list[dict[str, NDArray]] = []
    shots: list[dict[str, Any]] = []

    def play() -> Iterator[NDArray[np.uint8]]:
        # One shot at a time: only its meshes and background are in memory.
        for number, length in enumerate(lengths):
            shot = make_shot(spec, number, length)
            arrays.append(_shot_truth(shot))
            shots.append(_shot_record(shot, sum(lengths[:number]), length))
            yield from shot.frames()

    part = path.with_name(f".{path.name}.part")
    write_video(part, play(), width=spec.width, height=spec.height, fps=spec.fps)
    cuts = [int(c) for c in np.cumsum(lengths)[:-1]]
    captions = shots[0]["captions"] if len(shots) == 1 else []
    _write_arrays(truth, arrays, cuts, spec.fps)
    _publish(sidecar, _json({"captions": captions, "licence": LICENCE}))
    size = part.stat().st_size
    part.replace(path)
    done = {
        "version": SYNTH_VERSION,
        "fingerprint": spec.fingerprint(),
        "kind": spec.kinds[0],
        "style": shots[0]["style"],
        "camera": spec.camera,
        "captions": captions,
        "seed": spec.seed,
        "frames": frames,
        "cuts": cuts,
        "people": spec.people,
        "size_bytes": size,
        "shots": shots,
        "parameters": asdict(spec),
    }
    _publish(record, _json(done))
    return done


def _shot_lengths(spec: SynthSpec, frames: int) -> list[int]:
    """Lengths of the shots: about equal, the cuts shifted by the seed."""
    count = len(spec.kinds)
    rng = np.random.default_rng([spec.seed, 104729])
    even = np.arange(1, count) * frames / count
    cuts = np.round(even + rng.uniform(-0.18, 0.18, count - 1) * frames / count).astype(int)
    return np.diff([0, *cuts.tolist(), frames]).tolist()


def _shot_truth(shot: Shot) -> dict[str, NDArray]:
    shift = shot.camera.shifts()
    return {
        "keypoints": shot.keypoints().astype(np.float32),
        "joints": shot.camera.to_camera(shot.people[0].joints).astype(np.float32),
        "camera_motion": shift.astype(np.float32),
        "camera_moving": shift > MOVING_PX,
        "rotations": shot.people[0].motion.rotations.astype(np.float32),
        "translation": shot.people[0].motion.translation.astype(np.float32),
        "betas": np.tile(shot.people[0].motion.betas.astype(np.float32), (len(shift), 1)),
        "camera_rotation": shot.camera.rotation.astype(np.float32),
        "camera_focal": shot.camera.focal.astype(np.float32),
        "camera_centre": np.tile(shot.camera.centre.astype(np.float32), (len(shift), 1)),
    }


def _shot_record(shot: Shot, first: int, frames: int) -> dict[str, Any]:
    return {
        "first": first,
        "frames": frames,
        "kind": shot.people[0].motion.kind,
        "style": shot.people[0].motion.style,
        "captions": list(shot.people[0].motion.captions),
        "azimuth_deg": round(shot.azimuth_deg, 2),
        "outdoors": shot.outdoors,
        "others": [person.motion.kind for person in shot.people[1:]],
    }


def _write_arrays(
    truth: Path, arrays: list[dict[str, NDArray]], cuts: list[int], fps: float
) -> None:
    whole: dict[str, Any] = {key: np.concatenate([a[key] for a in arrays]) for key in arrays[0]}
    whole["cuts"] = np.array(cuts, dtype=np.int32)
    whole["fps"] = np.array(fps, dtype=np.float64)
    part = truth.with_name(f".{truth.name}.part")
    with part.open("wb") as file:
        np.savez_compressed(file, **whole)
    part.replace(truth)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _publish(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)

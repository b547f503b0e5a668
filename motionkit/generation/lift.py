"""2D motion in, 3D out: clips of keypoints → SMPL parameters, files, and how well they fit.

One clip's outputs appear when all of them are written; NAME.lift.json is the last, and says with
which model and options they were made. A second call passes over what is there. A clip that
cannot be lifted is listed with its reason, and the others go on.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.motion import BodyMotion
from motionkit.errors import InputError, UsageError
from motionkit.file_hash import sha256_of
from motionkit.generation.lift_inputs import KeypointClip, UnreadClip, at_rate, check
from motionkit.generation.world import to_world

if TYPE_CHECKING:
    from motionkit.models.k2m.observe import Observation
    from motionkit.models.k2m.tokenizer import Lifted, Tokenizer

Float = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

FORMATS = ("npz", "bvh", "glb", "mp4")
#: Version of NAME.lift.json; files of another one are made again.
VERSION = 1
#: So many frames are read before they are lifted together.
_FRAMES_AT_ONCE = 6000


@dataclass(frozen=True, kw_only=True)
class LiftOptions:
    """How clips are lifted, and what is written."""

    formats: tuple[str, ...] = ("npz", "mp4")
    """Of npz, bvh, glb and mp4."""
    through_tokens: bool = False
    """Lift through the tokens, as generation decodes them; without them it is more exact."""
    flip_average: bool = True
    """Lift the mirrored clip as well and average: twice the time."""
    window: int | None = None
    """Frames lifted at once; None: as the model was trained, 0: the whole clip."""
    hop: int = 32
    """Frames from one window to the next."""
    smooth: int = 1
    """Width in frames of a Hann filter over the lifted motion; 1: none."""
    refine: int = 0
    """Steps of fitting the lifted motion to the clip's own keypoints; 0: none."""
    camera: bool = False
    """Keep the camera's frame in the .npz as well: `joints_camera`, `points_camera`,
    `root_camera`."""
    device: str = "cpu"
    """Where the network runs, as torch names it."""

    def __post_init__(self) -> None:
        unknown = [f for f in self.formats if f not in FORMATS]
        if unknown or not self.formats:
            raise UsageError(
                f"unknown format {unknown[0]!r}." if unknown else "no format is asked for.",
                hint=f"choose from: {', '.join(FORMATS)}",
            )
        if self.hop < 1 or self.smooth < 1 or self.refine < 0 or (self.window or 0) < 0:
            raise UsageError("hop and smooth start at 1, window and refine at 0.")

    def of_numbers(self) -> dict[str, Any]:
        """What decides the lifted numbers."""
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in ("formats", "device")
        }


@dataclass(frozen=True)
class LiftRow:
    """What became of one clip."""

    name: str
    outcome: str
    """lifted, done-before or failed."""
    frames: int = 0
    error_percent: float | None = None
    """Mean distance of seen keypoints from the projected motion, per cent of a body height."""
    error_px: float | None = None
    seen: float = 0.0
    """Share of the keypoints that are seen."""
    facing: float = 0.0
    """Share of the frames in which the person faces the camera (within 90°)."""
    files: tuple[str, ...] = ()
    note: str = ""
    """A remark, such as that the video could not be shown; or why the clip failed."""
    code: str = ""
    """Stable code of a failure (docs/codes.md)."""


@dataclass(frozen=True)
class LiftSummary:
    """All rows, in the order of the clips."""

    out: Path
    model: str
    """SHA-256 of the checkpoint."""
    rows: tuple[LiftRow, ...]

    @property
    def failed(self) -> tuple[LiftRow, ...]:
        """The clips that could not be lifted."""
        return tuple(row for row in self.rows if row.outcome == "failed")


@dataclass
class _Work:
    """One clip on its way."""

    clip: KeypointClip
    row: LiftRow | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def lift(
    model: Path,
    clips: Iterable[KeypointClip | UnreadClip],
    out: Path,
    options: LiftOptions | None = None,
    *,
    total: int = 0,
    progress: Progress | None = None,
) -> LiftSummary:
    """Lifts ``clips`` with the K2M at ``model`` (folder or file) and writes into ``out``.

    ``total`` is for the progress alone. UsageError for a wrong model or option; what is wrong
    with a clip is in its row.
    """
    import torch

    from motionkit.models.k2m.ensemble import EnsembleConfig
    from motionkit.training.k2m import MODEL_FILE, load_model

    options = options or LiftOptions()
    tokenizer, _, facts = load_model(model)
    tokenizer.to(torch.device(options.device))
    digest = sha256_of(model / MODEL_FILE if model.is_dir() else model)
    trained = int(facts.get("config", {}).get("tokenizer", {}).get("window", 64))
    window = trained if options.window is None else options.window or None
    ensemble = EnsembleConfig(
        quantise=options.through_tokens, flip=options.flip_average, window=window, hop=options.hop
    )
    out.mkdir(parents=True, exist_ok=True)
    rows: list[LiftRow] = []
    for batch in _batches(clips):
        works = [_prepared(clip, tokenizer, out, options, digest) for clip in batch]
        # All of a batch are lifted when one is missing: what runs beside a clip may move its last
        # bits, and a call that goes on shall end with the files of one that was never stopped.
        ready = [w for w in works if w.row is None or w.row.outcome == "done-before"]
        if any(w.row is None for w in ready):
            _lift_batch(tokenizer, ready, out, options, ensemble, digest)
        for work in works:
            assert work.row is not None
            rows.append(work.row)
        if progress is not None:
            progress("lift", len(rows), max(total, len(rows)))
    return LiftSummary(out, digest, tuple(rows))


def _batches(
    clips: Iterable[KeypointClip | UnreadClip],
) -> Iterator[list[KeypointClip | UnreadClip]]:
    batch: list[KeypointClip | UnreadClip] = []
    frames = 0
    for clip in clips:
        batch.append(clip)
        frames += len(clip.m2d) if isinstance(clip, KeypointClip) else 0
        if frames >= _FRAMES_AT_ONCE or len(batch) >= 64:
            yield batch
            batch, frames = [], 0
    if batch:
        yield batch


def _prepared(
    clip: KeypointClip | UnreadClip,
    tokenizer: Tokenizer,
    out: Path,
    options: LiftOptions,
    model: str,
) -> _Work:
    """The clip at the models' rate; or its row, where it failed or is done."""
    if isinstance(clip, UnreadClip):
        nothing = KeypointClip(clip.name, np.zeros((0, 18, 3), np.float32), 30.0)
        return _Work(nothing, LiftRow(clip.name, "failed", note=clip.message, code=clip.code))
    facts = {
        "version": VERSION,
        "model": model,
        "input": clip.digest(),
        "options": options.of_numbers(),
    }
    try:
        even = at_rate(clip)
        c = tokenizer.config
        check(even, frames=c.down, confidence=c.confidence)
    except InputError as error:
        failed = LiftRow(clip.name, "failed", len(clip.m2d), note=str(error), code=error.code)
        return _Work(clip, failed, facts)
    return _Work(even, _done(clip.name, out, options, facts), facts)


def _done(name: str, out: Path, options: LiftOptions, facts: dict[str, Any]) -> LiftRow | None:
    """The row of a clip whose files are there, made from the same input in the same way."""
    try:
        found = json.loads((out / f"{name}.lift.json").read_text("utf-8"))
        row = LiftRow(**{**found.pop("row"), "outcome": "done-before"})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # nothing there, or not ours: it is made
    wanted = [f"{name}.{form}" for form in options.formats]
    here = all(file in row.files and (out / file).is_file() for file in wanted)
    row = dataclasses.replace(row, files=tuple(row.files))
    return row if here and found == json.loads(json.dumps(facts)) else None


def _lift_batch(
    tokenizer: Tokenizer,
    works: Sequence[_Work],
    out: Path,
    options: LiftOptions,
    ensemble: Any,
    model: str,
) -> None:
    import torch

    from motionkit.models.k2m.ensemble import lift_clips, steadied

    tensors = [torch.from_numpy(np.array(work.clip.m2d, np.float32)) for work in works]
    for work, (seen, lifted) in zip(works, lift_clips(tokenizer, tensors, ensemble), strict=True):
        if work.row is not None:
            continue  # done before
        if options.refine:
            lifted = _refined(tokenizer, seen, lifted, options.refine)
        lifted = steadied(lifted, options.smooth)
        try:
            work.row = _write(tokenizer, work, seen, lifted, out, options, model)
        except InputError as error:
            frames = len(work.clip.m2d)
            work.row = LiftRow(work.clip.name, "failed", frames, note=str(error), code=error.code)


def _refined(tokenizer: Tokenizer, seen: Observation, lifted: Lifted, steps: int) -> Lifted:
    try:
        refine = importlib.import_module("motionkit.models.k2m.refine").refine
    except ImportError as error:
        raise UsageError("this motionkit has no refinement.", hint="leave --refine out") from error
    device = next(tokenizer.parameters()).device
    there = [
        type(part)(**{k: v.to(device) for k, v in vars(part).items()}) for part in (seen, lifted)
    ]
    made = refine(tokenizer, there[0], there[1], steps=steps)
    return type(made)(**{k: v.detach().cpu() for k, v in vars(made).items()})


@dataclass(frozen=True)
class Fit:
    """How a lifted clip sits in front of its camera."""

    joints: Float
    """[F, 24, 3] metres, camera frame: x right, y down, z forward."""
    points: Float
    """[F, 17, 3] COCO points, likewise."""
    gap_px: Float
    """[F] mean distance of the seen keypoints from the projection; nan where none is seen."""
    seen: Float
    """[F] share of the keypoints that are seen."""
    facing_deg: Float
    """[F] 0 at the camera, +90 the picture's right."""
    height_px: float
    """Pixels a body height."""


def fit_of(
    tokenizer: Tokenizer, m2d: NDArray[np.float32], seen: Observation, lifted: Lifted
) -> Fit:
    """Projects a lifted clip (batch of one, CPU) and holds it against its keypoints."""
    import torch

    from motionkit.models.k2m.ensemble import facing

    with torch.no_grad():
        placed = _on_cpu(tokenizer).place(lifted, seen.height, seen.centre, seen.size)
        pixels = seen.pixels(placed.pixels)[0].double().numpy()
        turn = facing(lifted.root)[0].double().numpy()
    gap = np.linalg.norm(pixels - m2d[:, :17, :2], axis=-1)
    measured = seen.seen[0].numpy()
    count = measured.sum(1)
    total = np.where(measured, gap, 0.0).sum(1)
    return Fit(
        joints=placed.joints[0].double().numpy(),
        points=placed.points[0].double().numpy(),
        gap_px=np.where(count > 0, total / np.maximum(count, 1), np.nan),
        seen=measured.mean(1),
        facing_deg=np.degrees(np.arctan2(turn[:, 0], turn[:, 1])),
        height_px=float(seen.height[0]),
    )


def _on_cpu(tokenizer: Tokenizer) -> Tokenizer:
    """A tokeniser that places on the CPU: placing has no weights, only the body's constants."""
    if next(tokenizer.parameters()).device.type == "cpu":
        return tokenizer
    from motionkit.models.k2m.tokenizer import Tokenizer as Fresh

    return Fresh(tokenizer.config)


def _write(
    tokenizer: Tokenizer,
    work: _Work,
    seen: Observation,
    lifted: Lifted,
    out: Path,
    options: LiftOptions,
    model: str,
) -> LiftRow:
    from motionkit.bodies.export import write_bvh, write_npz

    clip = work.clip
    fit = fit_of(tokenizer, clip.m2d, seen, lifted)
    motion = to_world(lifted)
    if not (np.isfinite(motion.poses).all() and np.isfinite(motion.trans).all()):
        raise InputError("lift-not-finite", f"{clip.name}: the lifted motion is not finite")
    place = {form: out / f"{clip.name}.{form}" for form in options.formats}
    (out / f"{clip.name}.lift.json").unlink(missing_ok=True)  # until its files are new
    note = ""
    if "npz" in place:
        write_npz(motion, place["npz"], extra=_extra(clip, fit, lifted, options, model))
    if "bvh" in place:
        write_bvh(motion, place["bvh"])
    if "glb" in place:
        _write_glb(motion, place["glb"])
    if "mp4" in place:
        from motionkit.generation.lift_film import write_film

        note = write_film(clip, motion, fit.joints, place["mp4"])
    row = _row(clip.name, fit, tuple(p.name for p in place.values()), note)
    text = json.dumps({**work.facts, "row": dataclasses.asdict(row)}, indent=1)
    part = out / f"{clip.name}.lift.json.part"
    part.write_text(text + "\n", "utf-8")
    os.replace(part, out / f"{clip.name}.lift.json")  # noqa: PTH105
    return row


def _write_glb(motion: BodyMotion, path: Path) -> None:
    importlib.import_module("motionkit.bodies.gltf").write_glb(motion, path)


def _row(name: str, fit: Fit, files: tuple[str, ...], note: str) -> LiftRow:
    gap = fit.gap_px[np.isfinite(fit.gap_px)]
    mean = float(gap.mean()) if len(gap) else math.nan
    return LiftRow(
        name,
        "lifted",
        len(fit.seen),
        error_percent=round(100 * mean / fit.height_px, 3) if len(gap) else None,
        error_px=round(mean, 3) if len(gap) else None,
        seen=round(float(fit.seen.mean()), 4),
        facing=round(float((np.abs(fit.facing_deg) < 90).mean()), 4),
        files=files,
        note=note,
    )


def _extra(
    clip: KeypointClip, fit: Fit, lifted: Lifted, options: LiftOptions, model: str
) -> dict[str, NDArray[Any]]:
    """What the .npz of a lifted clip holds beside the motion."""
    frames = len(clip.m2d)
    extra: dict[str, NDArray[Any]] = {
        "m2d": clip.m2d.astype(np.float32),
        "times_s": np.arange(frames) / clip.fps,
        "confidence": fit.seen.astype(np.float32),
        "reprojection_px": fit.gap_px.astype(np.float32),
        "height_px": np.array(fit.height_px),
        "facing_deg": fit.facing_deg.astype(np.float32),
        "model": np.array(model),
        "options": np.array(json.dumps(options.of_numbers(), sort_keys=True)),
    }
    extra |= {name: np.array(value) for name, value in sorted(clip.origin.items())}
    if clip.film is not None:
        extra["ordinals"] = clip.film.ordinals.astype(np.int32)
    if options.camera:
        extra["joints_camera"] = fit.joints.astype(np.float32)
        extra["points_camera"] = fit.points.astype(np.float32)
        extra["root_camera"] = lifted.root[0].numpy().astype(np.float32)
    return extra

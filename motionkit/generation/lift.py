"""2D motion in, 3D out: clips of keypoints → SMPL parameters, files, and how well they fit.

One clip's outputs appear when all of them are written; NAME.lift.json is the last, and says with
which model and options they were made. A second call passes over what is there. A clip that
cannot be lifted is listed with its reason, and the others go on.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motionkit.errors import InputError, UsageError
from motionkit.file_hash import sha256_of
from motionkit.generation.lift_inputs import KeypointClip, UnreadClip, at_rate, check
from motionkit.generation.lift_outputs import Fit, fit_of, write_clip

if TYPE_CHECKING:
    from motionkit.models.k2m.observe import Observation
    from motionkit.models.k2m.tokenizer import Lifted, Tokenizer

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
    refine: int = 120
    """Steps of fitting the lifted motion to the clip's own keypoints; 0: none. Not done where the
    motion is to come through the tokens."""
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
        if options.refine and not options.through_tokens:
            lifted = _refined(tokenizer, seen, lifted, options.refine)
        lifted = steadied(lifted, options.smooth)
        try:
            work.row = _write(tokenizer, work, seen, lifted, out, options, model)
        except InputError as error:
            frames = len(work.clip.m2d)
            work.row = LiftRow(work.clip.name, "failed", frames, note=str(error), code=error.code)


def _refined(tokenizer: Tokenizer, seen: Observation, lifted: Lifted, steps: int) -> Lifted:
    from motionkit.models.k2m.refine import RefineConfig, refine

    device = next(tokenizer.parameters()).device
    view = type(seen)(**{k: v.to(device) for k, v in vars(seen).items()})
    start = type(lifted)(**{k: v.to(device) for k, v in vars(lifted).items()})
    made = refine(tokenizer, view, start, RefineConfig(steps=steps))
    return type(made)(**{k: v.cpu() for k, v in vars(made).items()})


def _write(
    tokenizer: Tokenizer,
    work: _Work,
    seen: Observation,
    lifted: Lifted,
    out: Path,
    options: LiftOptions,
    model: str,
) -> LiftRow:
    """All files of a clip; the report is gone first, and the last to appear."""
    clip = work.clip
    report = out / f"{clip.name}.lift.json"
    fit = fit_of(tokenizer, clip.m2d, seen, lifted)
    place = {form: out / f"{clip.name}.{form}" for form in options.formats}
    about = {"model": model, "options": json.dumps(options.of_numbers(), sort_keys=True)}
    report.unlink(missing_ok=True)
    note = write_clip(clip, fit, lifted, place, camera=options.camera, about=about)
    row = _row(clip.name, fit, tuple(p.name for p in place.values()), note)
    text = json.dumps({**work.facts, "row": dataclasses.asdict(row)}, indent=1)
    part = report.with_name(report.name + ".part")
    part.write_text(text + "\n", "utf-8")
    os.replace(part, report)  # noqa: PTH105
    return row


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

"""3D error of a trained K2M on the clips it did not see, where the 3D truth is known.

The truth is the renderer's (`motionkit.synth`): training never reads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motionkit.bodies.skeleton import COCO_BODY
from motionkit.errors import UsageError
from motionkit.evaluation import lifting
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.shards.reader import Sample, open_shards
from motionkit.training.k2m import load_model
from motionkit.training.k2m_data import padded

Float = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class HeldOutError:
    """PA-MPJPE in mm over COCO's twelve body joints, mean over all frames of the clips."""

    clips: int
    frames: int
    through_tokens_mm: float
    """The model as it is used: 2D → tokens → 3D."""
    without_tokens_mm: float
    """The same without the quantiser."""
    mean_pose_mm: float
    """The best constant pose, fitted on the training clips' 3D truth."""
    flat_mm: float
    """The picture itself as 3D, with all depths 0."""

    @property
    def below_mean_pose(self) -> float:
        """Share by which the error lies below the mean pose's."""
        return 1 - self.through_tokens_mm / self.mean_pose_mm


def held_out_error(
    model: Path,
    shards: Path,
    truth_of: Mapping[str, Path],
    splits: Sequence[str] = ("val", "test"),
) -> HeldOutError:
    """Lift every clip of ``splits`` and hold it against its truth.

    ``truth_of`` maps a video id to the ``truth/NAME.npz`` that `render_library` wrote beside the
    video. UsageError where no clip of the splits has one.
    """
    tokenizer, _, _ = load_model(model)
    opened = open_shards(shards)
    seen = opened.samples("train", tracks=False, kind="person")
    training = [true for s in seen if (true := _truth(s, truth_of)) is not None]
    if not training:
        raise UsageError("no training clip has a truth file.", hint="use videos made by synth")
    constant = lifting.mean_pose(np.concatenate(training)[::4])
    rows: dict[str, list[Float]] = {"tokens": [], "plain": [], "mean": [], "flat": []}
    for split in splits:
        for sample in opened.samples(split, tracks=False, kind="person"):
            true = _truth(sample, truth_of)
            if true is None:
                continue
            true = true[: len(true) // tokenizer.config.down * tokenizer.config.down]
            flat = lifting.flat_lift(sample.m2d[: len(true), :17, :2].astype(float))
            for name, points in (
                ("tokens", lifted_points(tokenizer, sample.m2d, quantise=True)),
                ("plain", lifted_points(tokenizer, sample.m2d, quantise=False)),
                ("mean", np.broadcast_to(constant, true.shape)),
                ("flat", flat),
            ):
                rows[name].append(lifting.pa_mpjpe_mm(points[: len(true)], true))
    if not rows["tokens"]:
        raise UsageError(f"no clip of the splits {', '.join(splits)} has a truth file.")
    means = {name: float(np.concatenate(values).mean()) for name, values in rows.items()}
    return HeldOutError(
        clips=len(rows["tokens"]),
        frames=sum(len(values) for values in rows["tokens"]),
        through_tokens_mm=means["tokens"],
        without_tokens_mm=means["plain"],
        mean_pose_mm=means["mean"],
        flat_mm=means["flat"],
    )


@torch.no_grad()
def lifted_points(model: Tokenizer, m2d: NDArray[np.float32], *, quantise: bool) -> Float:
    """COCO points [F, 17, 3] in metres, camera frame, that the model lifts M_2D [F, 18, 3] to."""
    batch, real = padded([torch.from_numpy(np.array(m2d, np.float32))], down=model.config.down)
    seen = model.observe(batch, real)
    lifted = model.lift(seen, quantise=quantise)
    placed = model.place(lifted, seen.height, seen.centre, seen.size, path=seen.hip)
    return placed.points[0].double().numpy()


def _truth(sample: Sample, truth_of: Mapping[str, Path]) -> Float | None:
    """True COCO points [F, 17, 3] of a sample (face points 0), or None without a truth file."""
    path = truth_of.get(sample.video_id)
    if path is None or not path.is_file():
        return None
    with np.load(path) as truth:
        joints, fps = truth["joints"].astype(float), float(truth["fps"])
    times = sample.t0_s + np.arange(len(sample.m2d)) / sample.fps
    frames = np.clip(np.floor(times * fps + 1e-3).astype(int), 0, len(joints) - 1)
    points = np.zeros((len(frames), 17, 3))
    points[:, 5:] = joints[frames][:, list(COCO_BODY)]
    return points

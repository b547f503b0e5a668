"""3D motions of the training clips as the tokenizer itself lifted and refined them, in a file.

What the second round of lifting learns from (`k2m_distil`): labels made from 2D alone. Made once
for a tokenizer and a data set, found again by a run that goes on, mapped and not read whole.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from motionkit.errors import TrainingError
from motionkit.models.k2m.ensemble import EnsembleConfig, lift_clips
from motionkit.models.k2m.observe import Observation
from motionkit.models.k2m.refine import RefineConfig, refine
from motionkit.models.k2m.tokenizer import Lifted, Tokenizer
from motionkit.training.k2m_data import Clip

_Batch = TypeVar("_Batch", Lifted, Observation)

#: Version of the files.
VERSION = 1
#: Numbers a frame: pose, root, offset, depth, path.
_WIDTHS = (69, 9, 2, 1, 2)
#: Frames that are lifted at once: bounds the memory.
_PIECE, _BATCH = 256, 8


@dataclass(frozen=True)
class PoseLabels:
    """P pieces of clips, S frames in all."""

    frames: Tensor
    """[S, 83] float16: pose 69, root 9, offset 2, depth 1, path 2, as in `Lifted`."""
    shapes: Tensor
    """[P, 10] float32 betas."""
    starts: Tensor
    """[P + 1] int64: piece p is ``frames[starts[p] : starts[p + 1]]``."""
    ids: tuple[str, ...] = ()
    """[P] the clip of each piece."""

    def windows(self, count: int, window: int, down: int) -> tuple[dict[str, Tensor], list[int]]:
        """``count`` drawn windows as tensors of a batch, and their pieces.

        ``label`` [B, F, 83], ``label_betas`` [B, 10], ``label_real`` [B, F]. Longer pieces are
        drawn more often. Draws from torch's global generator.
        """
        lengths = (self.starts[1:] - self.starts[:-1]).float()
        chosen = torch.multinomial(lengths, count, replacement=True).tolist()
        where = torch.rand(count).tolist()
        longest = window // down * down
        frames = torch.zeros(count, longest, sum(_WIDTHS))
        real = torch.zeros(count, longest, dtype=torch.bool)
        for row, (piece, start) in enumerate(zip(chosen, where, strict=True)):
            first, end = int(self.starts[piece]), int(self.starts[piece + 1])
            length = min(longest, (end - first) // down * down)
            first += int(start * max(1, end - first - length + 1))
            frames[row, :length] = self.frames[first : first + length].float()
            frames[row, length:] = frames[row, length - 1]  # any valid rotation
            real[row, :length] = True
        betas = self.shapes[chosen]
        return {"label": frames, "label_betas": betas, "label_real": real}, chosen


def as_lifted(frames: Tensor, betas: Tensor) -> Lifted:
    """Label frames [B, F, 83] and betas [B, 10] as the motion they are; no `flat`, no yaw."""
    pose, root, offset, depth, path = frames.split(list(_WIDTHS), -1)
    batch = frames.shape[:2]
    return Lifted(
        pose=pose.unflatten(-1, (23, 3)),
        root=root.unflatten(-1, (3, 3)),
        yaw=frames.new_zeros(*batch, 2),
        path=path,
        offset=offset,
        depth=depth[..., 0],
        betas=betas,
        flat=frames.new_zeros(*batch, 17, 2),
    )


def labels_in_memory(model: Tokenizer, clips: Sequence[Clip], config: RefineConfig) -> PoseLabels:
    """`make_labels` of few clips, kept in memory."""
    frames, shapes, lengths, ids = [], [], [0], []
    for names, lifted, real in _lifted(model, clips, config, len(clips)):
        for row, (name, length) in enumerate(zip(names, real.sum(1).tolist(), strict=True)):
            frames.append(_columns(lifted)[row, :length].to(torch.float16))
            shapes.append(lifted.betas[row])
            lengths.append(length)
            ids.append(name)
    starts = torch.tensor(lengths).cumsum(0)
    return PoseLabels(torch.cat(frames), torch.stack(shapes), starts, tuple(ids))


def _columns(lifted: Lifted) -> Tensor:
    """[B, F, 83] of a motion."""
    root, depth = lifted.root.flatten(2), lifted.depth[..., None]
    return torch.cat([lifted.pose.flatten(2), root, lifted.offset, depth, lifted.path], -1)


def make_labels(
    folder: Path, model: Tokenizer, clips: Sequence[Clip], config: RefineConfig, *, most: int
) -> None:
    """Lifts and refines ``clips`` (at most ``most``, spread evenly) into ``folder``, whole or not
    at all. Other labels beside it, of earlier tokenizers, are deleted."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for older in folder.parent.iterdir():
        shutil.rmtree(older)
    made = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        _write(made, model, clips, config, most)
        made.replace(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def open_labels(folder: Path) -> PoseLabels:
    """The labels in ``folder``, mapped. TrainingError where they are damaged."""
    try:
        facts = json.loads((folder / "labels.json").read_text("utf-8"))
        shapes = torch.from_numpy(np.load(folder / "shapes.npy"))
        starts = torch.from_numpy(np.load(folder / "starts.npy"))
        size = (int(starts[-1]), sum(_WIDTHS))
        frames = np.memmap(folder / "frames.raw", np.float16, "c", shape=size)
        ids = tuple((folder / "ids.txt").read_text("utf-8").splitlines())
        if facts["version"] != VERSION or len(ids) != len(shapes):
            raise ValueError("parts do not fit each other")
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(
            f"the pose labels in {folder} cannot be read: {error}",
            hint="train again with --fresh: they belong to one moment of the training",
        ) from error
    return PoseLabels(torch.from_numpy(frames), shapes, starts, ids)


def _write(
    folder: Path, model: Tokenizer, clips: Sequence[Clip], config: RefineConfig, most: int
) -> None:
    lengths, shapes = [0], []
    with (
        (folder / "frames.raw").open("wb") as raw,
        (folder / "ids.txt").open("w", encoding="utf-8") as ids,
    ):
        for names, lifted, real in _lifted(model, clips, config, most):
            frames = _columns(lifted)
            for row, name in enumerate(names):
                length = int(real[row].sum())
                raw.write(frames[row, :length].to(torch.float16).numpy().tobytes())
                lengths.append(length)
                shapes.append(lifted.betas[row].numpy())
                ids.write(name.replace("\n", " ") + "\n")
    np.save(folder / "shapes.npy", np.array(shapes, np.float32))
    np.save(folder / "starts.npy", np.cumsum(np.array(lengths, np.int64)))
    (folder / "labels.json").write_text(json.dumps({"version": VERSION}), "utf-8")


def _lifted(
    model: Tokenizer, clips: Sequence[Clip], config: RefineConfig, most: int
) -> Iterator[tuple[list[str], Lifted, Tensor]]:
    """Batches of pieces of clips: names, refined motions on the CPU, real frames."""
    model.eval()
    count = min(most, len(clips))
    chosen = [round(i * (len(clips) - 1) / max(1, count - 1)) for i in range(count)]
    waiting: list[tuple[str, Tensor]] = []
    for number, index in enumerate(chosen):
        clip = clips[index]
        for first in range(0, len(clip.m2d), _PIECE):
            piece = clip.m2d[first : first + _PIECE]
            if len(piece) >= model.config.down:
                waiting.append((clip.sample_id, piece))
        while len(waiting) >= _BATCH or (waiting and number == count - 1):
            part, waiting = waiting[:_BATCH], waiting[_BATCH:]
            yield [name for name, _ in part], *_refined(model, [p for _, p in part], config)


def _refined(
    model: Tokenizer, pieces: Sequence[Tensor], config: RefineConfig
) -> tuple[Lifted, Tensor]:
    """Pieces lifted with their mirror images, in windows, then refined together."""
    answers = lift_clips(model, pieces, EnsembleConfig(batch=2 * _BATCH))
    longest = max(len(piece) for piece in pieces)
    device = next(model.parameters()).device
    real = torch.zeros(len(pieces), longest, dtype=torch.bool)
    for row, piece in enumerate(pieces):
        real[row, : len(piece)] = True
    seen = _stacked([answer[0] for answer in answers], longest, device)
    seen = replace(seen, real=real.to(device), seen=seen.seen & real.to(device)[..., None])
    lifted = refine(model, seen, _stacked([a[1] for a in answers], longest, device), config)
    return Lifted(*(getattr(lifted, n).cpu() for n in Lifted.__dataclass_fields__)), real


def _stacked(parts: Sequence[_Batch], longest: int, device: torch.device) -> _Batch:
    """Answers of one clip each as one batch; what is of frames holds its last one to the end."""
    frames = [_frames(part) for part in parts]

    def joined(name: str) -> Tensor:
        rows = []
        for part, count in zip(parts, frames, strict=True):
            value = getattr(part, name)
            if value.ndim > 1 and name not in ("betas", "centre", "size"):
                held = value[:, -1:].expand(-1, longest - count, *value.shape[2:])
                value = torch.cat([value, held], 1)
            rows.append(value)
        return torch.cat(rows).to(device)

    return type(parts[0])(*(joined(name) for name in parts[0].__dataclass_fields__))


def _frames(part: Lifted | Observation) -> int:
    return (part.depth if isinstance(part, Lifted) else part.real).shape[1]

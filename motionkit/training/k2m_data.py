"""Clips for K2M: windows for the tokeniser, texts for the transformers. All draws from torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.errors import TrainingError
from motionkit.keypoints import mirror_m2d


class SampleLike(Protocol):
    """What is read of a shard's sample."""

    @property
    def sample_id(self) -> str:
        """Names the sample in messages."""

    @property
    def m2d(self) -> NDArray[np.float32]:
        """[F, 18, 3]."""

    @property
    def captions(self) -> list[tuple[str, str]]:
        """Text and source."""


@dataclass(frozen=True)
class Clip:
    """One clip in memory: M_2D [F, 18, 3] in pixels and its texts."""

    sample_id: str
    m2d: Tensor
    texts: tuple[str, ...]


def load_clips(samples: Iterable[SampleLike], *, down: int) -> list[Clip]:
    """Clips of a split. Those shorter than one token are refused by name."""
    clips = []
    for sample in samples:
        frames = len(sample.m2d)
        if frames < down:
            raise TrainingError(
                f"sample {sample.sample_id} has {frames} frames; a token needs {down}.",
                hint="build the shards with the recipe's clip rules (2 to 10 s)",
            )
        if not np.isfinite(sample.m2d).all():
            raise TrainingError(
                f"sample {sample.sample_id} holds keypoints that are not finite.",
                hint="build the shards again",
            )
        m2d = torch.from_numpy(np.array(sample.m2d, dtype=np.float32))
        clips.append(Clip(sample.sample_id, m2d, tuple(text for text, _ in sample.captions)))
    return clips


def mirrored(m2d: Tensor) -> Tensor:
    """The clip as its mirrored video would give it."""
    return torch.from_numpy(mirror_m2d(m2d.numpy()))


def padded(clips: Sequence[Tensor], *, down: int) -> tuple[Tensor, Tensor]:
    """A batch [B, F, 18, 3] and its real frames [B, F] from clips of several lengths.

    Every clip is cut to a multiple of ``down``. The picture's size stands in the padding too.
    """
    lengths = [len(c) // down * down for c in clips]
    longest = max(lengths)
    batch = torch.zeros(len(clips), longest, 18, 3)
    real = torch.zeros(len(clips), longest, dtype=torch.bool)
    for i, (clip, length) in enumerate(zip(clips, lengths, strict=True)):
        batch[i, :length] = clip[:length]
        batch[i, length:, 17] = clip[0, 17]
        real[i, :length] = True
    return batch, real


@dataclass(frozen=True)
class WindowSource:
    """Draws training windows. ``mirror`` shows half of them mirrored."""

    clips: Sequence[Clip]
    window: int
    down: int
    mirror: bool

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Windows [B, F, 18, 3] and real frames [B, F]; longer clips are drawn more often."""
        m2d, real, _ = self.windows(count)
        return m2d, real

    def windows(self, count: int) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        """`draw`, and the ids of the clips."""
        weights = torch.tensor([float(len(c.m2d)) for c in self.clips])
        chosen = torch.multinomial(weights, count, replacement=True).tolist()
        starts, flips = torch.rand(count).tolist(), torch.rand(count).tolist()
        windows = []
        for index, start, flip in zip(chosen, starts, flips, strict=True):
            clip = self.clips[index].m2d
            first = int(start * max(1, len(clip) - self.window + 1))
            window = clip[first : first + self.window]
            windows.append(mirrored(window) if self.mirror and flip < 0.5 else window)
        ids = tuple(self.clips[index].sample_id for index in chosen)
        return *padded(windows, down=self.down), ids

    def sweep(self, count: int) -> tuple[Tensor, Tensor]:
        """The first ``count`` windows in order, without draws: for seeding the codebooks."""
        windows: list[Tensor] = []
        for offset in range(0, 10_000, max(self.down, self.window // 2)):
            for clip in self.clips:
                if offset and offset + self.window > len(clip.m2d):
                    continue
                window = clip.m2d[offset : offset + self.window]
                windows.append(window)
                if self.mirror:
                    windows.append(mirrored(window))
                if len(windows) >= count:
                    return padded(windows[:count], down=self.down)
            if offset > max(len(c.m2d) for c in self.clips):
                break
        return padded(windows, down=self.down)


def spoiled(m2d: Tensor, height: Tensor, *, noise: float, hide: float) -> Tensor:
    """Input keypoints with noise (in body heights of ``height`` [B] pixels) and some hidden."""
    out = m2d.clone()
    sigma = noise * height[:, None, None, None]
    out[:, :, :17, :2] += torch.randn_like(out[:, :, :17, :2]) * sigma
    out[:, :, :17, 2] *= (torch.rand((*out.shape[:2], 17)) >= hide).to(out.dtype)
    return out

"""Clips for K2M: windows for the tokeniser, texts for the transformers. All draws from torch."""

from __future__ import annotations

import functools
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
    """Clips of a split, in memory. Those shorter than one token are refused by name."""
    return [
        clip_of(s.sample_id, s.m2d, [text for text, _ in s.captions], down=down) for s in samples
    ]


def clip_of(sample_id: str, m2d: NDArray[np.float32], texts: Sequence[str], *, down: int) -> Clip:
    """A sample as a clip. TrainingError where it is too short for a token or not finite."""
    if len(m2d) < down:
        raise TrainingError(
            f"sample {sample_id} has {len(m2d)} frames; a token needs {down}.",
            hint="build the shards with the recipe's clip rules (2 to 10 s)",
        )
    if not np.isfinite(m2d).all():
        raise TrainingError(
            f"sample {sample_id} holds keypoints that are not finite.",
            hint="build the shards again",
        )
    return Clip(sample_id, torch.from_numpy(np.array(m2d, dtype=np.float32)), tuple(texts))


def lengths_of(clips: Sequence[Clip]) -> list[int]:
    """Frames of every clip; those of a shard set are known without reading it."""
    known = getattr(clips, "lengths", None)
    return [len(c.m2d) for c in clips] if known is None else list(known)


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

    @functools.cached_property
    def _lengths(self) -> list[int]:
        return lengths_of(self.clips)

    @functools.cached_property
    def _weights(self) -> Tensor:
        return torch.tensor([float(length) for length in self._lengths])

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Windows [B, F, 18, 3] and real frames [B, F]; longer clips are drawn more often."""
        m2d, real, _ = self.windows(count)
        return m2d, real

    def windows(self, count: int) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        """`draw`, and the ids of the clips."""
        chosen = torch.multinomial(self._weights, count, replacement=True).tolist()
        starts, flips = torch.rand(count).tolist(), torch.rand(count).tolist()
        windows, ids = [], []
        for index, start, flip in zip(chosen, starts, flips, strict=True):
            drawn = self.clips[index]
            clip = drawn.m2d
            first = int(start * max(1, len(clip) - self.window + 1))
            window = clip[first : first + self.window]
            windows.append(mirrored(window) if self.mirror and flip < 0.5 else window)
            ids.append(drawn.sample_id)
        return *padded(windows, down=self.down), tuple(ids)

    def sweep(self, count: int) -> tuple[Tensor, Tensor]:
        """The first ``count`` windows in order, without draws: for seeding the codebooks."""
        windows: list[Tensor] = []
        lengths = self._lengths
        for offset in range(0, 10_000, max(self.down, self.window // 2)):
            for index, length in enumerate(lengths):
                if offset and offset + self.window > length:
                    continue
                window = self.clips[index].m2d[offset : offset + self.window]
                windows.append(window)
                if self.mirror:
                    windows.append(mirrored(window))
                if len(windows) >= count:
                    return padded(windows[:count], down=self.down)
            if offset > max(lengths):
                break
        return padded(windows, down=self.down)


def spoiled(m2d: Tensor, height: Tensor, *, noise: float, hide: float) -> Tensor:
    """Input keypoints with noise (in body heights of ``height`` [B] pixels) and some hidden."""
    out = m2d.clone()
    sigma = noise * height[:, None, None, None]
    out[:, :, :17, :2] += torch.randn_like(out[:, :, :17, :2]) * sigma
    out[:, :, :17, 2] *= (torch.rand((*out.shape[:2], 17)) >= hide).to(out.dtype)
    return out

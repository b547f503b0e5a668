"""A split of a shard set as clips: in memory where it is small, else read when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from motionkit.errors import TrainingError
from motionkit.shards.loader import ShardDataset
from motionkit.shards.reader import ShardSet
from motionkit.training.k2m_data import Clip, clip_of

#: Bytes of a frame's keypoints: 18 rows of 3 floats.
_FRAME_BYTES = 18 * 3 * 4


class ShardClips(Sequence[Clip]):
    """Clips by number, in stored order. The row groups used last stay decoded, about ``cache_mb``.

    Memory: those, and 40 bytes a clip.
    """

    def __init__(self, shards: ShardSet, split: str, *, down: int, cache_mb: float) -> None:
        self.down = down
        self._data = ShardDataset(shards, split, columns=("m2d", "captions"), kinds=("person",))
        index = self._data.index
        #: Frames of every clip.
        self.lengths: list[int] = index.frames.tolist()
        #: Size of all clips in memory.
        self.bytes = int(index.frames.sum(dtype=np.int64)) * _FRAME_BYTES
        groups = len(np.unique(index.group))
        held = cache_mb * 1e6 / max(1.0, self.bytes / max(1, groups))
        self._data = ShardDataset(
            shards,
            split,
            columns=("m2d", "captions"),
            kinds=("person",),
            cache_groups=max(2, int(held)),
        )
        short = np.flatnonzero(index.frames < down)
        if len(short):
            self[int(short[0])]  # raises, with its name

    def __len__(self) -> int:
        return len(self._data)

    @overload
    def __getitem__(self, number: int) -> Clip: ...
    @overload
    def __getitem__(self, number: slice) -> list[Clip]: ...
    def __getitem__(self, number: int | slice) -> Any:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        sample = self._data[number]
        if sample["m2d"] is None:
            raise TrainingError(
                f"sample {sample['sample_id']} has no keypoints.", hint="build the shards again"
            )
        return clip_of(sample["sample_id"], sample["m2d"], sample["captions"], down=self.down)


def open_clips(shards: ShardSet, split: str, *, down: int, cache_mb: float) -> Sequence[Clip]:
    """The clips of a split: a list where they take at most ``cache_mb``, else `ShardClips`.

    Both give the same clips in the same order. TrainingError, with its name, for one that is
    shorter than a token.
    """
    clips = ShardClips(shards, split, down=down, cache_mb=cache_mb)
    return list(clips) if clips.bytes <= cache_mb * 1e6 else clips

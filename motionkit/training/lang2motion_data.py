"""Point tracks of shards as what Lang2Motion reads: items, texts and batches.

An **item** is one trajectory with all sentences about it: a shard has a sample for each sentence,
and those about the same objects of a video have the same tracks. Items are what retrieval looks
among; training draws pairs of an item and one of its sentences.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.backends.text_encoder import TextEncoder
from motionkit.errors import TrainingError
from motionkit.metrics.trajectories import to_normalised, to_pixels
from motionkit.mirror import mirrored_text


class TracksLike(Protocol):
    """What is read of a sample's tracks."""

    @property
    def points(self) -> NDArray[np.float32]:
        """[F, N, 2] pixels."""

    @property
    def visible(self) -> NDArray[np.bool_]:
        """[F, N]."""


class SampleLike(Protocol):
    """What is read of a shard's sample."""

    @property
    def sample_id(self) -> str:
        """Names the sample."""

    @property
    def video_id(self) -> str:
        """Names its video."""

    @property
    def width(self) -> int:
        """Of the picture, pixels."""

    @property
    def height(self) -> int:
        """Of the picture, pixels."""

    @property
    def captions(self) -> list[tuple[str, str]]:
        """Text and source."""

    @property
    def tracks(self) -> Any:
        """`TracksLike` or None."""


@dataclass(frozen=True)
class TrackItem:
    """One trajectory of T frames and N points, and what is said of it."""

    item_id: str
    """That of its first sample."""
    points: NDArray[np.float32]
    """[T, N, 2] normalised: −1 and 1 at the frame's edges; the last position on padding."""
    visible: NDArray[np.bool_]
    """[T, N]; False on padding."""
    real: NDArray[np.bool_]
    """[T]."""
    texts: tuple[str, ...]
    samples: tuple[str, ...]
    """Ids of all samples that are this item, in the shards' order."""
    size: tuple[int, int]
    """Width and height of the picture, pixels."""
    images: NDArray[np.float16] | None = None
    """[T, D] features of the overlay frames, 0 on padding."""


def normalised(points: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """Pixels [..., 2] → x̃ = 2x/W − 1, ỹ = 2y/H − 1; outside the frame beyond −1 and 1."""
    made: NDArray[np.float32] = to_normalised(points, (width, height)).astype(np.float32)
    return made


def in_pixels(points: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """The way back."""
    made: NDArray[np.float32] = to_pixels(points, (width, height)).astype(np.float32)
    return made


def fitted(
    points: NDArray[np.float32], visible: NDArray[np.bool_], frames: int, length: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Tracks [F, N, 2] and [F, N] as ``frames`` frames, and which of those are real [T].

    ``pad``: longer ones are cut behind frame T, shorter ones hold their last position, unseen and
    not real. ``resample``: first and last frame stay, those between are interpolated; a point is
    visible where it is in both frames beside. Of ``frames`` frames nothing changes in either.
    """
    have = len(points)
    if length == "resample" and have != frames:
        at = np.linspace(0, have - 1, frames)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, have - 1)
        share = (at - low)[:, None, None]
        mixed = points[low] * (1 - share) + points[high] * share
        seen = visible[low] & (visible[high] | (share[..., 0] == 0))
        return mixed.astype(np.float32), seen, np.ones(frames, np.bool_)
    index = np.minimum(np.arange(frames), have - 1)
    real = np.arange(frames) < have
    return points[index], visible[index] & real[:, None], real


def load_items(
    samples: Iterable[SampleLike],
    *,
    grid: int,
    frames: int,
    length: str = "pad",
    min_frames: int = 2,
    images: Mapping[str, NDArray[np.float16]] | None = None,
    need_text: bool = True,
) -> tuple[list[TrackItem], Counter[str]]:
    """Items of a split in the shards' order, and how many samples were left out, by reason:
    no-tracks, no-caption, too-short, other-grid.

    ``images``: features [F, D] of overlay frames by sample id. ``need_text`` False keeps samples
    without a caption. TrainingError for tracks that are not finite.
    """
    items: dict[bytes, TrackItem] = {}
    left: Counter[str] = Counter()
    for sample in samples:
        reason = _left_out(sample, grid, min_frames, need_text)
        if reason is not None:
            left[reason] += 1
            continue
        tracks, texts = sample.tracks, tuple(dict.fromkeys(text for text, _ in sample.captions))
        if not np.isfinite(tracks.points).all():
            raise TrainingError(
                f"sample {sample.sample_id} holds tracks that are not finite.",
                hint="build the shards again",
            )
        key = _same(sample)
        known = items.get(key)
        if known is None:
            points = normalised(tracks.points, sample.width, sample.height)
            points, visible, real = fitted(points, tracks.visible, frames, length)
            found = images.get(sample.sample_id) if images is not None else None
            if found is not None and len(found) != len(tracks.points):
                raise TrainingError(
                    f"sample {sample.sample_id} has {len(tracks.points)} tracked frames and "
                    f"picture features of {len(found)}.",
                    hint="they are of other tracks: run 'motionkit overlays' again",
                )
            pictures = None if found is None else _fitted_images(found, real, length)
            size = (sample.width, sample.height)
            items[key] = TrackItem(
                sample.sample_id, points, visible, real, texts, (sample.sample_id,), size, pictures
            )
            continue
        more = tuple(dict.fromkeys((*known.texts, *texts)))
        ids = (*known.samples, sample.sample_id)
        items[key] = TrackItem(
            known.item_id, known.points, known.visible, known.real, more, ids, known.size,
            known.images,
        )  # fmt: skip
    return list(items.values()), left


def _left_out(sample: SampleLike, grid: int, min_frames: int, need_text: bool) -> str | None:
    if sample.tracks is None:
        return "no-tracks"
    if need_text and not any(text.strip() for text, _ in sample.captions):
        return "no-caption"
    if sample.tracks.points.shape[1] != grid * grid:
        return "other-grid"
    return "too-short" if len(sample.tracks.points) < min_frames else None


def _same(sample: SampleLike) -> bytes:
    """Equal for samples of one video with the same tracks."""
    total = hashlib.sha256(f"{sample.video_id}\0{sample.width}\0{sample.height}\0".encode())
    total.update(np.ascontiguousarray(sample.tracks.points).tobytes())
    total.update(np.ascontiguousarray(sample.tracks.visible).tobytes())
    return total.digest()


def _fitted_images(
    found: NDArray[np.float16], real: NDArray[np.bool_], length: str
) -> NDArray[np.float16]:
    """Features [F, D] as [T, D], as `fitted`; resampled ones are those of the nearest frame."""
    frames = len(real)
    if length == "resample":
        return found[np.rint(np.linspace(0, len(found) - 1, frames)).astype(int)]
    made = np.zeros((frames, found.shape[1]), np.float16)
    made[: min(frames, len(found))] = found[:frames]
    return made


def mirrored_points(points: NDArray[Any], grid: int) -> NDArray[Any]:
    """[..., N, 2] (or visible [..., N]) as the mirrored video's tracks: x changes its sign, and
    the grid's columns their order, so that its rows again run from the left."""
    order = np.arange(grid * grid).reshape(grid, grid)[:, ::-1].ravel()
    if points.dtype == np.bool_:
        return points[..., order]
    turned: NDArray[Any] = points[..., order, :] * np.array([-1, 1], points.dtype)
    return turned


@dataclass(frozen=True)
class TrackData:
    """Items with the features of all their sentences, and of the mirrored ones."""

    items: Sequence[TrackItem]
    grid: int
    pairs: Tensor
    """[P, 3] int: item, row of its sentence in ``features``, row of the mirrored sentence."""
    features: Tensor
    """[M, latent] of all distinct sentences, length 1."""
    sentences: tuple[str, ...]
    """[M]."""

    @property
    def has_images(self) -> int:
        """Items that have picture features."""
        return sum(item.images is not None for item in self.items)

    def own_texts(self) -> tuple[Tensor, list[str], NDArray[np.intp]]:
        """Of all pairs: features [P, latent], sentences, and item [P]."""
        rows = self.pairs[:, 1]
        said = [self.sentences[i] for i in rows.tolist()]
        return self.features[rows], said, self.pairs[:, 0].numpy().astype(np.intp)

    def tensors(
        self, chosen: Sequence[int], flips: Sequence[bool] | None = None
    ) -> dict[str, Tensor]:
        """Points [B, T, N, 2], visible [B, T, N], real [B, T] of items, some mirrored; where any
        item has them also images [B, T, D] and has_images [B]."""
        flips = flips if flips is not None else [False] * len(chosen)
        points, visible = [], []
        for index, flip in zip(chosen, flips, strict=True):
            item = self.items[index]
            points.append(mirrored_points(item.points, self.grid) if flip else item.points)
            visible.append(mirrored_points(item.visible, self.grid) if flip else item.visible)
        made = {
            "points": torch.from_numpy(np.stack(points)),
            "visible": torch.from_numpy(np.stack(visible)),
            "real": torch.from_numpy(np.stack([self.items[i].real for i in chosen])),
        }
        dims = [item.images.shape[1] for item in self.items if item.images is not None][:1]
        if dims:
            images = torch.zeros(len(chosen), made["points"].shape[1], dims[0])
            has = torch.zeros(len(chosen), dtype=torch.bool)
            for row, (index, flip) in enumerate(zip(chosen, flips, strict=True)):
                own = self.items[index].images
                if own is not None and not flip:
                    images[row] = torch.from_numpy(own.astype(np.float32))
                    has[row] = True
            made |= {"images": images, "has_images": has}
        return made


def prepare(items: Sequence[TrackItem], grid: int, encoder: TextEncoder) -> TrackData:
    """Encode every distinct sentence once, with the mirrored ones."""
    rows: dict[str, int] = {}
    pairs = [
        (index, rows.setdefault(text, len(rows)), rows.setdefault(mirrored_text(text), len(rows)))
        for index, item in enumerate(items)
        for text in item.texts
        if text.strip()
    ]
    features = torch.from_numpy(encoder.encode(list(rows)))
    table = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 3)
    return TrackData(items, grid, table, features, tuple(rows))

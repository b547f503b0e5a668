"""Clips that show one scene from several sides: what `TokenizerTraining.multi_view` compares.

Videos of one group that begin together and last as long are taken for views of one scene: cameras
round a stage, split from one recording. (Copies of one video are of one group too: they are two
equal views, which agree anyway.) Persons of one video are never views of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionkit.bodies.rotations_torch import axis_angle_to_matrix
from motionkit.errors import TrainingError
from motionkit.models.k2m.observe import Observation, masked_mean
from motionkit.models.k2m.tokenizer import Lifted, Tokenizer
from motionkit.shards.loader import ShardDataset
from motionkit.shards.reader import ShardSet
from motionkit.training.k2m_data import Clip, padded

Scenes = Sequence[Sequence[int]]


def scenes_of(shards: ShardSet, split: str) -> list[list[int]]:
    """Numbers of the split's person clips, scene by scene; scenes of one view are left out."""
    columns = ("video_id", "group_id", "t0_s", "fps")
    data = ShardDataset(shards, split, columns=columns, kinds=("person",))
    found: dict[tuple[object, ...], dict[str, list[int]]] = {}
    for number in range(len(data)):
        row = data[number]
        frames = int(data.index.frames[number])
        key = (row["group_id"], round(row["t0_s"], 2), frames, row["fps"])
        found.setdefault(key, {}).setdefault(row["video_id"], []).append(number)
    # A video with two people at the same time does not say who is whom in the other view.
    views = [[n for (n,) in videos.values()] for videos in found.values() if _one_each(videos)]
    return [scene for scene in views if len(scene) > 1]


def _one_each(videos: dict[str, list[int]]) -> bool:
    return all(len(numbers) == 1 for numbers in videos.values())


@dataclass(frozen=True)
class SceneSource:
    """Draws the same moments from two views."""

    clips: Sequence[Clip]
    scenes: Scenes
    window: int
    down: int

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Windows [2P, F, 18, 3] and real frames [2P, F]: the first P from one view, the others
        from another. Draws from torch's global generator."""
        one, other = [], []
        for pick, start in zip(
            torch.randint(len(self.scenes), (count,)).tolist(), torch.rand(count).tolist(),
            strict=True,
        ):  # fmt: skip
            scene = self.scenes[pick]
            a, b = (self.clips[scene[i]].m2d for i in torch.randperm(len(scene))[:2].tolist())
            first = int(start * max(1, min(len(a), len(b)) - self.window + 1))
            length = min(len(a), len(b), first + self.window) - first
            one.append(a[first : first + length])
            other.append(b[first : first + length])
        return padded([*one, *other], down=self.down)


def need_scenes(scenes: Scenes) -> None:
    """TrainingError where there are none."""
    if not scenes:
        raise TrainingError(
            "multi_view is on, and no two clips show one scene (docs/k2m.md says how they are "
            "told).",
            hint="set tokenizer.multi_view = 0",
        )


def agreement_loss(model: Tokenizer, seen: Observation, lifted: Lifted) -> Tensor:
    """Mean distance (× 10 metres) between the motions that two views [2P, …] were lifted to.

    Each is seen from its own body in the middle of the window: what the views share is the
    motion, not the camera.
    """
    middle = lifted.root[:, lifted.root.shape[1] // 2, None]
    root = middle.transpose(-1, -2) @ lifted.root
    rotations = torch.cat([root[:, :, None], axis_angle_to_matrix(lifted.pose)], 2)
    pelvis = rotations.new_zeros(*rotations.shape[:2], 3)
    shape = lifted.betas[:, None].expand(-1, pelvis.shape[1], -1)
    points = model.body(rotations, pelvis, shape)[1]
    points = points - (points[..., 11:12, :] + points[..., 12:13, :]) / 2
    one, other = points.chunk(2)
    error = ((one - other).square().sum(-1) + 1e-6).sqrt().mean(-1)
    real = seen.real[: len(one)]
    return 10 * masked_mean(error, real, 1).mean()

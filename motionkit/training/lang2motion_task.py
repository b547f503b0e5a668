"""What the loop asks of Lang2Motion's training: draw, loss, a look at the val split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.metrics.retrieval import both_ways, paired_similarity, relevance_of
from motionkit.metrics.trajectories import ade
from motionkit.models.lang2motion.losses import Prediction, Target, trajectory_losses
from motionkit.models.lang2motion.model import Lang2Motion
from motionkit.training.lang2motion_config import Lang2MotionTrainConfig
from motionkit.training.lang2motion_data import TrackData
from motionkit.training.task import Batch

#: Trajectories at once where no gradient is needed.
_BATCH = 256
#: Losses of what z_p is decoded to.
_OF_LATENT = ("recon", "vel", "range")


@dataclass
class Lang2MotionTask:
    """One stage: pairs of trajectory and sentence."""

    data: TrackData
    val: TrackData
    config: Lang2MotionTrainConfig
    steps: int
    """Of the whole training: scheduled sampling rises along it."""

    def begin(self, model: Lang2Motion, step: int) -> None:
        """Nothing to start."""

    def draw(self, step: int) -> Batch:
        """points [B, T, N, 2], visible [B, T, N], real [B, T], text [B, latent]; where there are
        pictures images [B, T, D] and has_images [B]. Every pair is as likely."""
        c = self.config
        drawn = torch.randint(len(self.data.pairs), (c.batch,))
        pairs = self.data.pairs[drawn]
        # A sentence that names no side stays as it is: a swing "from the left" that is not said
        # to be one would get two answers.
        sided = pairs[:, 1] != pairs[:, 2]
        flips = ((torch.rand(c.batch) < c.mirror) & sided).tolist()
        chosen = pairs[:, 0].tolist()
        rows = [int(p[2] if flip else p[1]) for p, flip in zip(pairs, flips, strict=True)]
        tensors = {**self.data.tensors(chosen, flips), "text": self.data.features[rows]}
        # A trajectory and its mirror image are two.
        tensors["item"] = pairs[:, 0] * 2 + torch.tensor(flips, dtype=torch.int64)
        return Batch(tensors, tuple(self.data.items[i].item_id for i in chosen))

    def loss(self, model: Lang2Motion, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The six losses, as far as they have a weight and something to look at."""
        weights = self.config.losses.weights()
        points, real, text = batch["points"], batch["real"], model.read(batch["text"])
        images = batch.tensors.get("images") if model.config.image else None
        has = batch.tensors.get("has_images")
        latent = None
        if any(weights[n] for n in (*_OF_LATENT, "text", "image", "contrast")):
            latent = model.encoder(points, real, self._shown(images))
        from_latent = any(weights[n] for n in _OF_LATENT)
        starts = [
            *([latent] if latent is not None and from_latent else []),
            *([text] if weights["text_recon"] else []),
        ]
        made = list(self._decoded(model, starts, points, step))
        first = made.pop(0) if latent is not None and from_latent else None
        predicted = Prediction(latent, first, made.pop(0) if made else None)
        seen = None if images is None else model.read(images)
        target = Target(points, batch["visible"], text, seen, has, batch.tensors.get("item"))
        loss, terms = trajectory_losses(predicted, target, real, self.config.losses)
        return loss, {**{n: v.detach() for n, v in terms.items()}, "loss": loss.detach()}

    def _shown(self, images: Tensor | None) -> Tensor | None:
        """Some samples without their pictures: the encoder learns to do without."""
        drop = self.config.picture_drop
        if images is None or not drop:
            return images
        kept = torch.rand(len(images), 1, 1, device=images.device) >= drop
        return images * kept

    def _decoded(
        self, model: Lang2Motion, starts: Sequence[Tensor], points: Tensor, step: int
    ) -> Sequence[Tensor]:
        """What each of ``starts`` [B, latent] is decoded to, in one call."""
        if not starts:
            return []
        latent, many = torch.cat([*starts]), torch.cat([points] * len(starts))
        share = self.config.scheduled_sampling * min(1.0, 2 * step / max(1, self.steps))
        if share > 0:
            own = torch.rand(many.shape[:2], device=many.device) < share
            made = model.decoder.mixed(latent, many, own)
        else:
            made = model.decoder.taught(latent, many)
        return torch.split(made, len(points))

    def validate(self, model: Lang2Motion) -> dict[str, float]:
        """Of the val split: recall, similarity, and the error of motions generated from text
        beside that of no motion."""
        if not len(self.val.pairs):
            return {}
        texts, said, item_of = read_texts(model, self.val)
        latents = embed_items(model, self.val)
        relevant = relevance_of(said, item_of.tolist(), len(self.val.items))
        found = both_ways(texts, latents, relevant, ks=(1, 5))
        forth = found["text_to_trajectory"]
        true = np.stack([self.val.items[i].points for i in item_of])
        seen = np.stack([self.val.items[i].visible for i in item_of])
        made = generate_pairs(model, self.val)
        still = np.repeat(true[:, :1], true.shape[1], 1)
        numbers = {
            "val_r1": forth.at[1],
            "val_r5": forth.at[5],
            "val_r1_chance": forth.chance[1],
            "val_similarity": paired_similarity(texts, latents, item_of.tolist()),
            "val_ade": ade(made, true, seen),
            "val_ade_static": ade(still, true, seen),
        }
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    def picture(self, model: Lang2Motion) -> NDArray[np.uint8] | None:
        """Up to six val (else training) trajectories, true above generated from text."""
        data = self.val if len(self.val.pairs) else self.data
        count = min(6, len(data.pairs))
        rows = np.linspace(0, len(data.pairs) - 1, count).astype(int)
        made = generate_pairs(model, data, rows)
        true = [data.items[int(data.pairs[r, 0])].points for r in rows]
        above = np.concatenate([trails(p) for p in true], 1)
        below = np.concatenate([trails(p) for p in made], 1)
        return np.concatenate([above, below], 0)


@torch.no_grad()
def embed_items(
    model: Lang2Motion, data: TrackData, *, pictures: bool = True
) -> NDArray[np.float32]:
    """Latents [items, latent] of all items, with their pictures where the model reads those.
    Leaves the model in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    rows = []
    for start in range(0, len(data.items), _BATCH):
        chosen = range(start, min(start + _BATCH, len(data.items)))
        batch = {k: v.to(device) for k, v in data.tensors(chosen).items()}
        images = batch.get("images") if model.config.image and pictures else None
        rows.append(model.encode(batch["points"], batch["real"], images).float().cpu().numpy())
    return np.concatenate(rows) if rows else np.zeros((0, model.config.latent), np.float32)


@torch.no_grad()
def read_texts(
    model: Lang2Motion, data: TrackData
) -> tuple[NDArray[np.float32], list[str], NDArray[np.intp]]:
    """Of all pairs: the sentences' latents [P, latent] as the model reads them, the sentences,
    and items [P]. Leaves the model in eval mode."""
    model.eval()
    features, said, item_of = data.own_texts()
    latents = model.read(features.to(next(model.parameters()).device))
    return latents.float().cpu().numpy(), said, item_of


@torch.no_grad()
def generate_pairs(
    model: Lang2Motion, data: TrackData, rows: Sequence[int] | NDArray[np.intp] | None = None
) -> NDArray[np.float32]:
    """Trajectories [P, T, N, 2] generated from the sentence and the first frame of each pair (or
    of those ``rows``). Leaves the model in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    pairs = data.pairs if rows is None else data.pairs[torch.as_tensor(np.asarray(rows))]
    made = []
    for part in pairs.split(_BATCH):
        first = np.stack([data.items[i].points[0] for i in part[:, 0].tolist()])
        latent = model.read(data.features[part[:, 1]].to(device))
        out = model.generate(latent, torch.from_numpy(first).to(device))
        made.append(out.float().cpu().numpy())
    shape = (0, model.config.frames, model.config.points, 2)
    return np.concatenate(made) if made else np.zeros(shape, np.float32)


def trails(points: NDArray[np.floating], side: int = 96) -> NDArray[np.uint8]:
    """A picture [side, side, 3] of points [T, N, 2] on black: grey where they start, cyan later.
    numpy alone: a machine that trains may have no drawing package."""
    image = np.zeros((side, side, 3), np.uint8)
    fine = 8
    steps = len(points) - 1
    for t in range(steps):
        for share in np.arange(fine) / fine:
            at = points[t] * (1 - share) + points[t + 1] * share
            place = np.rint((at + 1) / 2 * (side - 1))
            inside = (np.isfinite(place) & (place >= 0) & (place < side)).all(-1)
            x, y = place[inside].astype(int).T
            age = (t + share) / steps
            image[y, x] = (int(90 * (1 - age)), int(90 + 165 * age), int(90 + 165 * age))
    image[-1] = image[:, -1] = 40
    return image

"""One step of K2M's first stage: lift, reproject, compare; batch in, loss and numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.bodies.limits import pose_limits
from motionkit.errors import TrainingError
from motionkit.models.k2m.cycle import cycle_loss, second_view
from motionkit.models.k2m.losses import flat_loss, path_loss, tokenizer_losses, yaw_cue_loss
from motionkit.models.k2m.observe import Observation
from motionkit.models.k2m.tokenizer import Lifted, Tokenizer
from motionkit.training.k2m_config import TokenizerTraining
from motionkit.training.k2m_data import Clip, WindowSource, padded, spoiled
from motionkit.training.k2m_picture import lifted_sheet
from motionkit.training.ranks import same_on_all
from motionkit.training.scenes import SceneSource, agreement_loss
from motionkit.training.task import Batch


def _depth(model: Tokenizer) -> int:
    """Quantiser layers of this step: all, or a random number of them now and then."""
    config = model.config.quantiser
    if torch.rand(()).item() >= config.dropout:
        return config.layers
    return int(torch.randint(1, config.layers + 1, ()))


@dataclass(frozen=True)
class TokenizerStage:
    """Stage 1: lift, reproject, compare."""

    source: WindowSource
    config: TokenizerTraining
    val: Sequence[Clip] = ()
    scenes: SceneSource | None = None
    """Several views of one scene, where `multi_view` is on."""

    def seed_codebooks(self, model: Tokenizer) -> None:
        """Starts the codebooks from the latents of the training windows.

        TrainingError where the data gives fewer latents than a codebook has codes.
        """
        codes = model.config.quantiser.codes
        tokens = self.source.window // model.config.down
        m2d, real = self.source.sweep(max(1, -(-16 * codes // tokens)))
        rows = []
        with torch.no_grad():
            for part, part_real in zip(m2d.split(64), real.split(64), strict=True):
                latent, latent_real = model.encode(model.observe(part, part_real))
                rows.append(latent[latent_real])
        all_rows = torch.cat(rows)
        if len(all_rows) < codes:
            raise TrainingError(
                f"the training clips give {len(all_rows)} latents, fewer than the {codes} codes "
                "of a codebook: most codes could never be used.",
                hint="collect more clips, or lower train.k2m.model.tokenizer.quantiser.codes",
            )
        model.quantiser.seed(all_rows)

    def lift(
        self, model: Tokenizer, seen: Observation, depth: int
    ) -> tuple[Lifted, Tensor, Tensor]:
        """The lifted motion, commitment and perplexity of each layer (zeros before the seeding)."""
        latent, real = model.encode(seen)
        if not bool(model.quantiser.seeded):
            noise = torch.randn_like(latent) * self.config.latent_noise
            none = latent.new_zeros(model.config.quantiser.layers)
            return model.decoder(latent + noise, real), none.sum(), none
        quantised = model.quantiser(latent, real, depth=depth)
        lifted = model.decoder(quantised.latent, real)
        return lifted, quantised.commitment, quantised.perplexity

    def begin(self, model: Tokenizer, step: int) -> None:
        """At ``seed_codebooks`` the quantiser starts."""
        if step == self.config.seed_codebooks:
            self.seed_codebooks(model)

    def draw(self, step: int) -> Batch:
        """Windows ``m2d`` [B, F, 18, 3] in pixels and their real frames ``real`` [B, F]."""
        c = self.config
        m2d, real, ids = self.source.windows(c.batch)
        tensors = {"m2d": m2d, "real": real}
        if c.multi_view and self.scenes is not None:
            pairs = self.scenes.draw(max(1, round(c.batch * c.multi_view_share)))
            tensors["pair_m2d"], tensors["pair_real"] = pairs
        return Batch(tensors, ids)

    def loss(self, model: Tokenizer, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one drawn batch, and its terms."""
        c = self.config
        m2d, real = batch["m2d"], batch["real"]
        clean = model.observe(m2d, real)
        seen = model.observe(spoiled(m2d, clean.height, noise=c.noise, hide=c.hide), real)
        depth = same_on_all(_depth(model), m2d.device)  # the ranks share each layer's sums
        lifted, commitment, perplexity = self.lift(model, seen, depth)
        # The losses look at what was measured, hidden points included; the frame of reference
        # (centre, height) is the one the network saw.
        truth = seen_from(clean, seen)
        placed = model.place(lifted, seen.height, seen.centre, seen.size, path=seen.hip)
        limits = tuple(m2d.new_tensor(v, dtype=torch.float32) for v in pose_limits())
        loss, terms = tokenizer_losses(
            truth, lifted, placed, commitment, (limits[0], limits[1]), c.losses
        )
        if c.flat:
            terms["flat"] = flat_loss(truth, lifted)
            loss = loss + c.flat * terms["flat"]
        if c.path:
            terms["path"] = path_loss(seen, lifted)
            loss = loss + c.path * terms["path"]
        fade = min(1.0, step / max(1, c.steps // 2))
        weight = c.yaw_cue + (c.yaw_cue_end - c.yaw_cue) * fade
        if weight and model.config.yaw_start:
            terms["yaw_cue"] = yaw_cue_loss(seen, lifted)
            loss = loss + weight * terms["yaw_cue"]
        if c.cycle.weight and c.cycle_share and step >= c.cycle.start:
            count = max(1, round(len(m2d) * c.cycle_share))
            terms["cycle"] = self._cycle(model, seen, lifted, count)
            loss = loss + c.cycle.weight * terms["cycle"]
        if "pair_m2d" in batch.tensors and step >= c.cycle.start:
            pair = model.observe(batch["pair_m2d"], batch["pair_real"])
            both, _, _ = self.lift(model, pair, model.config.quantiser.layers)
            terms["multi_view"] = agreement_loss(model, pair, both)
            loss = loss + c.multi_view * terms["multi_view"]
        numbers = {name: value.detach() for name, value in terms.items()}
        numbers["loss"] = loss.detach()
        if bool(model.quantiser.seeded):
            alive = model.quantiser.alive()
            numbers["perplexity"], numbers["alive"] = perplexity[0], alive.mean()
            numbers |= {f"perplexity_{n}": value for n, value in enumerate(perplexity[:depth])}
            numbers |= {f"alive_{n}": value for n, value in enumerate(alive)}
        return loss, numbers

    def _cycle(self, model: Tokenizer, seen: Observation, lifted: Lifted, count: int) -> Tensor:
        first = Lifted(
            *(
                getattr(lifted, name)[:count].detach()
                for name in ("pose", "root", "yaw", "path", "offset", "depth", "betas", "flat")
            )
        )
        part = Observation(*(getattr(seen, n)[:count] for n in seen.__dataclass_fields__))
        m2d, target = second_view(model, first, self.config.cycle)
        again_seen = model.observe(m2d, part.real)
        again, _, _ = self.lift(model, again_seen, model.config.quantiser.layers)
        placed = model.place(again, again_seen.height, again_seen.centre, again_seen.size)
        return cycle_loss(part.real, target, placed)

    @torch.no_grad()
    def validate(self, model: Tokenizer) -> dict[str, float]:
        """Reprojection error on whole clips, % of a body height, through the tokens."""
        if not self.val:
            return {}
        total, count = 0.0, 0
        where = model.quantiser.codes.device
        for clip in self.val:
            m2d, real = (x.to(where) for x in padded([clip.m2d], down=model.config.down))
            seen = model.observe(m2d, real)
            lifted = model.lift(seen, quantise=bool(model.quantiser.seeded))
            placed = model.place(lifted, seen.height, seen.centre, seen.size, path=seen.hip)
            error = (placed.pixels - seen.points).norm(dim=-1)
            mask = seen.seen & placed.front
            total += float(error[mask].sum())
            count += int(mask.sum())
        return {"val_reprojection_percent": 100 * total / max(1, count)}

    def picture(self, model: Tokenizer) -> NDArray[np.uint8] | None:
        """Clips of the val split, or of the train split, and what they are lifted to."""
        return lifted_sheet(model, self.val or self.source.clips)


def seen_from(clean: Observation, seen: Observation) -> Observation:
    """What ``clean`` measured, expressed in the centre and height of ``seen``."""
    pixels = clean.pixels(clean.points)
    points = (pixels - seen.centre[:, None, None]) / seen.height[:, None, None, None]
    return Observation(
        points=points,
        seen=clean.seen,
        real=clean.real,
        hip=seen.hip,
        cue=seen.cue,
        cue_weight=seen.cue_weight,
        centre=seen.centre,
        height=seen.height,
        size=seen.size,
    )

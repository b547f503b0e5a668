"""Lang2Motion's six losses (paper, section 3.3), each with its weight and its off switch.

A point that the tracker did not see enters none of them, nor does padding. The first frame is
given, not predicted, so sums and means run over the frames behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motionkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights (the paper's are the defaults). A weight of 0 switches the term off."""

    recon: float = 1.0
    vel: float = 0.01
    range: float = 0.1
    text: float = 0.1
    image: float = 0.1
    """Counts only where the samples have features of their overlay frames."""
    text_recon: float = 0.5
    contrast: float = 0.0
    """Beyond the paper: of the batch's sentences and trajectories each must find its own (InfoNCE
    on cosines, both ways). The text loss alone pulls together, and sets nothing apart."""
    temperature: float = 0.07
    """Of contrast."""
    norm: str = "l1"
    """Of recon and text_recon: l1 or l2 (squared error; the paper's ablation)."""

    def __post_init__(self) -> None:
        if self.norm not in ("l1", "l2"):
            raise UsageError(f"losses.norm is {self.norm!r}.", hint="choose l1 or l2")
        if not self.temperature > 0:
            raise UsageError(
                f"losses.temperature is {self.temperature}.", hint="give a number above 0"
            )
        for name, value in self.weights().items():
            if not value >= 0:
                raise UsageError(f"losses.{name} is {value}.", hint="give 0 (off) or more")

    def weights(self) -> dict[str, float]:
        """Term → weight."""
        names = ("recon", "vel", "range", "text", "image", "text_recon", "contrast")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Target:
    """What a batch should become."""

    points: Tensor
    """[B, T, N, 2] normalised."""
    visible: Tensor
    """[B, T, N] bool; False on padding."""
    text: Tensor
    """[B, latent]: a caption each, as the model reads it."""
    images: Tensor | None = None
    """[B, T, image] features of the overlay frames, 0 on padding; None: no pictures."""
    has_images: Tensor | None = None
    """[B] bool: which samples have them."""
    item: Tensor | None = None
    """[B] int: equal for samples of one trajectory; None: all differ."""


@dataclass(frozen=True)
class Prediction:
    """What the model made of it; a field is None where its losses are off."""

    latent: Tensor | None
    """[B, latent] z_p."""
    points: Tensor | None
    """[B, T, N, 2] decoded from z_p."""
    from_text: Tensor | None = None
    """[B, T, N, 2] decoded from the text's features."""


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` where ``mask`` holds; 0 where it holds nowhere."""
    return _only(values, mask).sum() / mask.sum().clamp(min=1)


def _only(values: Tensor, mask: Tensor) -> Tensor:
    """0 where ``mask`` does not hold. Not a product: what a masked-out number is must not matter,
    and applied before any square, whose gradient would bring a NaN back."""
    return torch.where(mask, values, torch.zeros_like(values))


def recon_loss(predicted: Tensor, true: Tensor, visible: Tensor, norm: str = "l1") -> Tensor:
    """(1/NT) Σ ‖p_t − p̂_t‖₁, or the squared ‖·‖₂: summed over x and y, mean over what is seen."""
    gap = _only((true - predicted)[:, 1:], visible[:, 1:, :, None])
    size = gap.abs().sum(-1) if norm == "l1" else gap.square().sum(-1)
    return _mean(size, visible[:, 1:])


def vel_loss(predicted: Tensor, true: Tensor, visible: Tensor) -> Tensor:
    """(1/N(T−1)) Σ ‖Δp_t − Δp̂_t‖², of points seen in both frames."""
    gap = (true[:, 1:] - true[:, :-1]) - (predicted[:, 1:] - predicted[:, :-1])
    both = visible[:, 1:] & visible[:, :-1]
    return _mean(_only(gap, both[..., None]).square().sum(-1), both)


def range_loss(predicted: Tensor, true: Tensor, visible: Tensor) -> Tensor:
    """Σ_t ‖r(p_t) − r(p̂_t)‖², r = max − min over the points, x and y apart; mean over the batch.

    Over the points that are seen, the same for both; a frame with fewer than two counts nothing.
    """
    seen = visible[:, 1:, :, None]

    def extent(points: Tensor) -> Tensor:
        high = torch.where(seen, points[:, 1:], -torch.inf).amax(2)
        low = torch.where(seen, points[:, 1:], torch.inf).amin(2)
        return torch.where(enough, high - low, torch.zeros_like(high))

    enough = (visible[:, 1:].sum(-1) > 1)[..., None]
    return (extent(true) - extent(predicted)).square().sum((1, 2)).mean()


def cosine_loss(latent: Tensor, feature: Tensor) -> Tensor:
    """[B]: 1 − cos."""
    return 1 - torch.nn.functional.cosine_similarity(latent, feature, dim=-1)


def image_loss(latent: Tensor, images: Tensor, real: Tensor, has: Tensor) -> Tensor:
    """1 − cos(mean over the real frames of their features, z_p), where a sample has them."""
    weight = real[..., None].to(images.dtype)
    mean = (images * weight).sum(1) / weight.sum(1).clamp(min=1)
    return _mean(cosine_loss(latent, mean), has)


def contrast_loss(
    latent: Tensor, text: Tensor, temperature: float, item: Tensor | None = None
) -> Tensor:
    """InfoNCE both ways between latents and texts [B, D]; row i belongs to row i, and what is of
    the same ``item`` [B] is no wrong answer."""
    unit = torch.nn.functional.normalize
    scores = unit(latent, dim=-1) @ unit(text, dim=-1).T / temperature
    if item is not None:
        same = (item[:, None] == item[None]) & ~torch.eye(
            len(item), dtype=torch.bool, device=item.device
        )
        scores = scores.masked_fill(same, -torch.inf)
    own = torch.arange(len(scores), device=scores.device)
    cross = torch.nn.functional.cross_entropy
    return (cross(scores, own) + cross(scores.T, own)) / 2


def trajectory_losses(
    predicted: Prediction, target: Target, real: Tensor, config: LossConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum and the unweighted terms by name; terms with weight 0 are not computed.

    ``real`` [B, T] marks true frames. vel and range look at what z_p was decoded to.
    """
    weights = config.weights()
    true, seen = target.points, target.visible & real[..., None]
    terms: dict[str, Tensor] = {}
    if weights["recon"] and predicted.points is not None:
        terms["recon"] = recon_loss(predicted.points, true, seen, config.norm)
    if weights["vel"] and predicted.points is not None:
        terms["vel"] = vel_loss(predicted.points, true, seen)
    if weights["range"] and predicted.points is not None:
        terms["range"] = range_loss(predicted.points, true, seen)
    if weights["text"] and predicted.latent is not None:
        terms["text"] = cosine_loss(predicted.latent, target.text).mean()
    if weights["image"] and target.images is not None and predicted.latent is not None:
        has = target.has_images
        has = has if has is not None else real.any(1)
        terms["image"] = image_loss(predicted.latent, target.images, real, has)
    if weights["text_recon"] and predicted.from_text is not None:
        terms["text_recon"] = recon_loss(predicted.from_text, true, seen, config.norm)
    if weights["contrast"] and predicted.latent is not None:
        terms["contrast"] = contrast_loss(
            predicted.latent, target.text, config.temperature, target.item
        )
    total = sum((weights[name] * value for name, value in terms.items()), true.new_zeros(()))
    return total, terms

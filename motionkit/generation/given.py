"""Motions that a generation starts from, ends in or fills out: as tokens, which stay."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.errors import InputError, UsageError
from motionkit.generation.lift_inputs import KeypointClip, at_rate, check
from motionkit.models.k2m.transformers import VIEWS, view_of
from motionkit.training.k2m_data import padded

if TYPE_CHECKING:
    from motionkit.models.k2m.tokenizer import Tokenizer

#: Frames at a motion's start that say from where it is seen.
VIEW_FRAMES = 15


@dataclass(frozen=True)
class Given:
    """A motion as tokens."""

    tokens: Tensor
    """[u, N]; -1 in the layers above the base that were not drawn."""
    view: int
    """The view in which it starts."""


@dataclass(frozen=True)
class Frame:
    """The tokens that stand before and after what is drawn."""

    first: Tensor
    """[a, N], a may be 0."""
    last: Tensor
    """[b, N], b may be 0."""
    view: int
    tokens: int | None = None
    """How many are drawn between them; None: as the prompt says."""

    def digest(self) -> str:
        """Names the given tokens."""
        parts = (self.first, self.last, torch.tensor([self.view]))
        data = b"|".join(part.long().numpy().tobytes() for part in parts)
        return hashlib.sha256(data).hexdigest()[:16]


def codebook_of(tokenizer: Tokenizer) -> str:
    """Names the codes that tokens stand for: those of another training mean other poses."""
    return hashlib.sha256(tokenizer.quantiser.codes.cpu().numpy().tobytes()).hexdigest()[:32]


def arrays_of(tokens: Tensor, view: int, tokenizer: Tokenizer) -> dict[str, NDArray[Any]]:
    """What a motion's .npz keeps, so that it can be gone on from."""
    return {
        "tokens": tokens.numpy().astype(np.int16),
        "view": np.int64(view) + np.zeros((), np.int64),
        "codebook": np.array(codebook_of(tokenizer)),
    }


def is_motion(path: Path) -> bool:
    """Whether ``path`` is an .npz of SMPL parameters, and not of keypoints."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with np.load(path, allow_pickle=False) as file:
            return "poses" in file.files
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return True  # damaged: reading it says so


def from_npz(path: Path, tokenizer: Tokenizer) -> Given:
    """The tokens of a motion that `generate k2m` wrote.

    InputError: motion-unreadable, motion-without-tokens, tokens-of-another-model.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if not {"tokens", "view", "codebook"} <= set(file.files):
                raise InputError(
                    "motion-without-tokens",
                    f"{path} holds no tokens, so it cannot be gone on from.",
                    hint="give a motion that 'motionkit generate k2m' wrote, or a clip's id",
                )
            found: Mapping[str, Any] = {k: file[k] for k in ("tokens", "view", "codebook")}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError("motion-unreadable", f"{path} is no motion .npz: {error}") from error
    tokens, config = found["tokens"], tokenizer.config.quantiser
    if str(found["codebook"]) != codebook_of(tokenizer):
        raise InputError(
            "tokens-of-another-model",
            f"{path} was made by another model: its tokens mean other poses.",
            hint="use the model that made it, or make it again",
        )
    view = found["view"]
    if (
        tokens.ndim != 2
        or tokens.shape[1] != config.layers
        or not len(tokens)
        or tokens.dtype.kind not in "iu"
        or tokens.max() >= config.codes
        or tokens.min() < -1
        or tokens[:, 0].min() < 0
        or view.shape != ()
        or not 0 <= int(view) < VIEWS
    ):
        raise InputError("motion-unreadable", f"{path}: tokens out of range")
    return Given(torch.from_numpy(tokens.astype(np.int64)), int(view))


@torch.no_grad()
def from_clip(clip: KeypointClip, tokenizer: Tokenizer) -> Given:
    """The tokens of a clip's keypoints; a rest shorter than a token is cut off.

    InputError: malformed-sample, clip-too-short, keypoints-unseen.
    """
    down = tokenizer.config.down
    clip = at_rate(clip)
    check(clip, frames=down, confidence=tokenizer.config.confidence)
    device = tokenizer.quantiser.codes.device
    m2d = torch.from_numpy(np.array(clip.m2d, np.float32))
    batch, real = (part.to(device) for part in padded([m2d], down=down))
    seen = tokenizer.observe(batch, real)
    view = int(view_of(seen.cue[0, :VIEW_FRAMES].mean(0)))
    return Given(tokenizer.tokens(seen).tokens[0].cpu(), view)


def framed(
    given: Given,
    *,
    rate: float,
    keep_first: float | None = None,
    keep_last: float | None = None,
) -> Frame:
    """What of ``given`` stays, in seconds at ``rate`` tokens a second.

    Neither: all of it, and what is drawn follows. Otherwise the rest of it is drawn anew, as long
    as it was unless the prompt says another length. UsageError where nothing is left to draw.
    """
    size = len(given.tokens)
    if keep_first is None and keep_last is None:
        return Frame(given.tokens, given.tokens[:0], given.view)
    first, last = (round((seconds or 0.0) * rate) for seconds in (keep_first, keep_last))
    if first + last >= size or first < 0 or last < 0:
        raise UsageError(
            f"the motion has {size / rate:.1f} s; {first / rate:.1f} + {last / rate:.1f} s are to "
            "be kept, which leaves nothing to draw.",
            hint="keep less, or leave --keep-first and --keep-last out to go on after its end",
        )
    return Frame(given.tokens[:first], given.tokens[size - last :], given.view, size - first - last)


def between(one: Given, other: Given) -> Frame:
    """All of ``one``, what is drawn, and all of ``other``."""
    return Frame(one.tokens, other.tokens, one.view)

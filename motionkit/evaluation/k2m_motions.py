"""K2M's motions as the evaluator sees them: decoded, put before one camera, projected.

The evaluator knows 2D alone, like the paper's. So a generated 3D motion is projected with the
spec's camera (`Tokenizer.place`, f = 5000), the same for all motions, into an M_2D of which
every point is seen; from there on it goes the way of the real ones (`observe`: body heights
round the mean hip), so neither the picture's size nor the place in it matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionkit.backends.text_encoder import TextEncoder
from motionkit.errors import UsageError
from motionkit.evaluation.judge import same_encoder
from motionkit.file_hash import sha256_of
from motionkit.models.k2m.adapter import standing
from motionkit.models.k2m.sampling import SamplingConfig, predicted_lengths, sample_tokens
from motionkit.models.k2m.tokenizer import Lifted, Tokenizer
from motionkit.models.k2m.transformers import TextToTokens
from motionkit.training.k2m import MODEL_FILE, load_model
from motionkit.training.k2m_data import padded

#: The picture that motions are projected into: width, height and pixels a body height.
PICTURE_PX = (1280, 720)
BODY_PX = 400.0

Told = Callable[[int], None]
#: Index of the motion, its batch's `Lifted`, its row there, and how many of its frames are real.
Taken = Callable[[int, Lifted, int, int], None]


@dataclass(frozen=True)
class K2M:
    """A trained K2M with its text encoder."""

    tokenizer: Tokenizer
    text: TextToTokens
    encoder: TextEncoder
    facts: dict[str, Any]
    sha256: str
    """Of the checkpoint file."""

    @staticmethod
    def load(path: Path) -> K2M:
        """From a checkpoint or its folder."""
        tokenizer, text, facts = load_model(path)
        file = path / MODEL_FILE if path.is_dir() else path
        return K2M(tokenizer, text, same_encoder(facts, path), facts, sha256_of(file))

    @property
    def down(self) -> int:
        """Frames a token."""
        return self.tokenizer.config.down

    @property
    def most_frames(self) -> int:
        """Of one motion."""
        return int(self.facts["sizes"]["transformer"]["max_tokens"]) * self.down


def generated(
    model: K2M,
    texts: Sequence[str],
    frames: Sequence[int] | None,
    *,
    seeds: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    batch: int = 32,
    told: Told = lambda done: None,
    taken: Taken | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Index and M_2D [F, 18, 3] of a motion for each text, batch by batch, like lengths together.

    ``frames`` [N] the lengths (rounded to tokens); None: predicted from the text. ``seeds`` [N]
    decide each motion, whatever stands beside it in a batch. ``taken`` is shown each 3D motion.
    """
    features = _features(model.encoder, texts)
    if frames is None:
        lengths = torch.cat([predicted_lengths(model.text, f[None]) for f in features]).tolist()
    else:
        lengths = [max(1, count // model.down) for count in frames]
    order = sorted(range(len(texts)), key=lambda i: lengths[i])
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        generators = [torch.Generator().manual_seed(_seed(seeds[i])) for i in chosen]
        tokens, real = sample_tokens(
            model.text,
            features[chosen],
            torch.tensor([lengths[i] for i in chosen]),
            generator=generators,
            config=sampling,
        )
        with torch.no_grad():
            lifted = model.tokenizer.decode(tokens, real)
        sizes = [lengths[i] * model.down for i in chosen]
        for row, (index, m2d) in enumerate(
            zip(chosen, projected(model.tokenizer, lifted, sizes), strict=True)
        ):
            if taken is not None:
                taken(index, lifted, row, sizes[row])
            yield index, m2d
        told(start + len(chosen))


def still(frames: int) -> Tensor:
    """M_2D [F, 18, 3] of a figure that stands still: it says how long it lasts and nothing else.

    Captions go with lengths, and a generated motion is given its clip's: an R-precision is worth
    what it is above this figure's.
    """
    m2d = torch.ones(frames, 18, 3)
    size = torch.tensor(PICTURE_PX, dtype=torch.float32)
    m2d[:, :17, :2] = standing(size) * BODY_PX + size / 2
    m2d[:, 17, :2] = size
    return m2d


def reconstructed(model: K2M, clips: Iterable[Tensor], *, batch: int = 32) -> Iterator[Tensor]:
    """M_2D of real clips [F, 18, 3] that went through the tokens and back, in their order."""
    held: list[Tensor] = []
    for clip in clips:
        held.append(clip)
        if len(held) == batch:
            yield from _through(model.tokenizer, held)
            held = []
    if held:
        yield from _through(model.tokenizer, held)


@torch.no_grad()
def _through(tokenizer: Tokenizer, clips: list[Tensor]) -> list[Tensor]:
    m2d, real = padded(clips, down=tokenizer.config.down)
    lifted = tokenizer.lift(tokenizer.observe(m2d, real))
    return projected(tokenizer, lifted, real.sum(1).tolist())


@torch.no_grad()
def projected(tokenizer: Tokenizer, lifted: Lifted, frames: Sequence[int]) -> list[Tensor]:
    """M_2D [F, 18, 3] of each motion of a batch before the one camera, cut to its ``frames``.

    Points behind the camera are marked unseen.
    """
    count = len(lifted.pose)
    size = torch.tensor([PICTURE_PX], dtype=torch.float32).expand(count, 2)
    height = torch.full((count,), BODY_PX)
    placed = tokenizer.place(lifted, height, size / 2, size)
    pixels = placed.pixels * height[:, None, None, None] + (size / 2)[:, None, None]
    m2d = torch.ones(*pixels.shape[:2], 18, 3)
    m2d[:, :, :17, :2] = pixels
    m2d[:, :, :17, 2] = placed.front.to(m2d.dtype)
    m2d[:, :, 17, :2] = size[:, None]
    return [motion[:length] for motion, length in zip(m2d, frames, strict=True)]


def _features(encoder: TextEncoder, texts: Sequence[str]) -> Tensor:
    """[N, text_dim]; each distinct text is encoded once."""
    if not texts:
        raise UsageError("there is no text to generate from.")
    names = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    found = torch.from_numpy(encoder.encode(list(names)))
    return found[[names[text] for text in texts]]


def _seed(parts: Sequence[int]) -> int:
    return int(np.random.SeedSequence(list(parts)).generate_state(1, np.uint64)[0] >> np.uint64(1))

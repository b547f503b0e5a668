"""Motions of any length: token windows drawn one after another, each from the end of the last.

A canvas holds the tokens of a whole motion, those that are given and those still to be drawn.
Windows slide over what is to be drawn; a window sees a second of what stands before it and after
it, and those tokens stay. The canvas is decoded in one go, so the decoder's convolutions run over
the seams as over any other place.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionkit.models.k2m.sampling import SamplingConfig, sample_tokens, start_views
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import VIEWS, TextToTokens

#: Frames over which the view is read off a motion.
_VIEW_FRAMES = 15
#: How far the side that is shown may be from the one that is told: one standard deviation, in
#: views of 30°.
_VIEW_SPREAD = 2.0


@dataclass(frozen=True)
class Window:
    """Tokens ``start`` to ``stop`` (exclusive) of a canvas; those that are free are drawn."""

    start: int
    stop: int
    text: int
    """Which of the canvas's texts it is drawn for."""


@dataclass(frozen=True)
class Canvas:
    """One motion to be drawn."""

    tokens: Tensor
    """[u, N]; a negative base token is free."""
    texts: Tensor
    """[u] the text of each token; only those of free tokens are read."""
    features: Tensor
    """[texts, text_dim]."""
    seed: int
    view: int | None = None
    """The view in which it starts; None: drawn from the text."""


def plan(free: Sequence[bool], texts: Sequence[int], *, limit: int, overlap: int) -> list[Window]:
    """Windows of at most ``limit`` tokens that draw every free token once, in order.

    Each sees up to ``overlap`` tokens before and after what it draws, of those that are there by
    then. A stretch longer than a window is cut into parts of about equal length.
    """
    windows = []
    start, size = 0, len(free)
    while start < size:
        stop = start + 1
        if free[start]:
            while stop < size and free[stop] and texts[stop] == texts[start]:
                stop += 1
            after = stop
            while after < size and not free[after] and after - stop < overlap:
                after += 1
            windows += _cut(start, stop, after - stop, texts[start], limit, overlap)
        start = stop
    return windows


def _cut(start: int, stop: int, after: int, text: int, limit: int, overlap: int) -> list[Window]:
    """Windows that draw ``start`` to ``stop``; the last one also sees ``after`` tokens more."""
    for parts in range(1, stop - start + 1):
        edges = [start + (stop - start) * i // parts for i in range(parts + 1)]
        windows = [
            Window(max(0, a - overlap), b + (after if b == stop else 0), text)
            for a, b in itertools.pairwise(edges)
        ]
        if all(w.stop - w.start <= limit for w in windows):
            return windows
    raise ValueError(f"an overlap of {overlap} leaves nothing to draw in {limit} tokens")


@torch.no_grad()
def draw(
    model: TextToTokens,
    tokenizer: Tokenizer,
    canvases: Sequence[Canvas],
    config: SamplingConfig,
    *,
    limit: int,
    overlap: int,
) -> tuple[list[Tensor], list[int]]:
    """The canvases' tokens [u, N], filled, and their starting views; one batch a round of windows.

    What is given stays as it is. A canvas comes out the same whatever others are in the batch.
    """
    filled = [canvas.tokens.clone() for canvas in canvases]
    plans = [
        plan((c.tokens[:, 0] < 0).tolist(), c.texts.tolist(), limit=limit, overlap=overlap)
        for c in canvases
    ]
    generators = [torch.Generator().manual_seed(canvas.seed) for canvas in canvases]
    views = _starting_views(model, canvases, generators, config)
    for turn in range(max(map(len, plans), default=0)):
        active = [i for i, windows in enumerate(plans) if turn < len(windows)]
        windows = [plans[i][turn] for i in active]
        lengths = [w.stop - w.start for w in windows]
        given = torch.full((len(active), max(lengths), filled[0].shape[1]), -1)
        for row, (i, w) in enumerate(zip(active, windows, strict=True)):
            given[row, : lengths[row]] = filled[i][w.start : w.stop]
        device = canvases[0].features.device
        text = torch.stack(
            [canvases[i].features[w.text] for i, w in zip(active, windows, strict=True)]
        )
        given = given.to(device)
        view = _views_of(model, tokenizer, text, given, windows, [views[i] for i in active])
        drawn, _ = sample_tokens(
            model, text, torch.tensor(lengths), generator=[generators[i] for i in active],
            config=config, given=given, view=torch.tensor(view, device=device),
        )  # fmt: skip
        for row, (i, w) in enumerate(zip(active, windows, strict=True)):
            filled[i][w.start : w.stop] = drawn[row, : lengths[row]].cpu()
    return filled, views


def _starting_views(
    model: TextToTokens,
    canvases: Sequence[Canvas],
    generators: list[torch.Generator],
    config: SamplingConfig,
) -> list[int]:
    text = torch.stack([c.features[int(c.texts[0])] for c in canvases])
    drawn = start_views(model, text, generators, config).tolist()
    return [v if c.view is None else c.view for c, v in zip(canvases, drawn, strict=True)]


def _views_of(
    model: TextToTokens,
    tokenizer: Tokenizer,
    text: Tensor,
    given: Tensor,
    windows: Sequence[Window],
    starting: list[int],
) -> list[int]:
    """The view in which each window starts: the motion's own, or for a later window the likeliest
    by its text and by what its first tokens show.

    A person who has turned in the windows before is seen from another side than at the start. But
    where a text was only ever seen from one side, telling another leads to other motions: with a
    model of 60 clips, "walks; squats; waves" came out in 2 of 8 samples by the shown side alone.
    """
    later = [row for row, w in enumerate(windows) if w.start > 0]
    if not later:
        return starting
    shown = given[later]
    known = (shown[..., 0] >= 0).long().cumprod(1).bool()  # up to the first free token
    yaw = tokenizer.decode(shown.clamp(min=-1), known).yaw[:, :_VIEW_FRAMES]
    frames = known.repeat_interleave(tokenizer.config.down, 1)[:, :_VIEW_FRAMES, None]
    sine, cosine = (yaw * frames).sum(1).unbind(-1)
    place = torch.atan2(sine, cosine) / (2 * math.pi) * VIEWS
    away = torch.arange(VIEWS, device=text.device) - place[:, None]
    away = (away + VIEWS / 2) % VIEWS - VIEWS / 2
    score = model.view(text[later]).log_softmax(-1) - (away / _VIEW_SPREAD).square() / 2
    views = list(starting)
    for row, view in zip(later, score.argmax(-1).tolist(), strict=True):
        views[row] = view
    return views


def overlap_tokens(seconds: float, rate: float, limit: int) -> int:
    """An overlap of ``seconds`` in tokens (``rate`` a second), at most a third of a window."""
    return max(1, min(math.ceil(seconds * rate), limit // 3))

"""The sheets that K2M's training draws: what was seen, and the body that was made of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.bodies.skeleton import JOINTS, PARENTS
from motionkit.keypoints import LIMBS
from motionkit.models.k2m.sampling import sample_tokens
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import TextToTokens
from motionkit.training.k2m_data import Clip, padded
from motionkit.training.token_cache import TokenCache

#: Pixels of a cell; a body height takes this share of it.
_CELL, _BODY = 160, 0.72
_PAPER, _INPUT = 250, (150, 156, 166)
_LEFT, _RIGHT, _MIDDLE = (232, 119, 34), (38, 132, 201), (84, 92, 104)  # RGB
#: Joints of metres, seen from the front (x right, y down) and from the person's picture right.
_FRONT, _SIDE = (0, 1), (2, 1)

Points = NDArray[np.float64]


def lifted_sheet(
    model: Tokenizer, clips: Sequence[Clip], *, moments: int = 4, most: int = 4
) -> NDArray[np.uint8] | None:
    """A row a clip [H, W, 3] RGB: at ``moments`` frames the keypoints (grey) with the lifted
    points over them, and the lifted body from the side. None without clips."""
    rows = []
    for clip in clips[:most]:
        seen = model.observe(*_on(model, *padded([clip.m2d], down=model.config.down)))
        lifted = model.lift(seen, quantise=bool(model.quantiser.seeded))
        placed = model.place(lifted, seen.height, seen.centre, seen.size, path=seen.hip)
        points, shown, joints = (_array(t[0]) for t in (seen.points, placed.pixels, placed.joints))
        known = _array(seen.seen[0]) > 0
        cells = []
        for f in _moments(len(points), moments):
            cell = _cell()
            hip = points[f, 11:13].mean(0)
            _lines(cell, points[f] - hip, LIMBS, [_INPUT] * len(LIMBS), 3, known[f])
            _lines(cell, shown[f] - hip, LIMBS, [_MIDDLE] * len(LIMBS), 1)
            cells += [cell, _body(joints[f], _SIDE)]
        rows.append(np.concatenate(cells, 1))
    return np.concatenate(rows, 0) if rows else None


def generated_sheet(
    tokenizer: Tokenizer,
    model: TextToTokens,
    cache: TokenCache,
    *,
    moments: int = 4,
    texts: int = 4,
) -> NDArray[np.uint8]:
    """A row a training text: at ``moments`` frames the motion of the data (through its tokens),
    and below it one that was generated from the text; front and side."""
    where = next(model.parameters()).device
    chosen = torch.linspace(0, len(cache.pairs) - 1, texts).long()
    pairs = cache.pairs[chosen]
    rows = []
    for entry, row in pairs.tolist():
        tokens = cache.entry(entry)[None, : model.longest].to(where)
        made, real = sample_tokens(
            model,
            cache.features[row][None].to(where),
            torch.tensor([tokens.shape[1]]),
            generator=torch.Generator().manual_seed(0),
            view=cache.views[entry][None].to(where),
        )
        for each in (tokens, made):
            joints = _joints(tokenizer, each, real)
            cells = [
                _body(joints[f], axes)
                for f in _moments(len(joints), moments)
                for axes in (_FRONT, _SIDE)
            ]
            rows.append(np.concatenate(cells, 1))
    return np.concatenate(rows, 0)


def _joints(tokenizer: Tokenizer, tokens: Tensor, real: Tensor) -> Points:
    """Joints [F, 24, 3] in metres, camera frame, of tokens [1, u, N]."""
    lifted = tokenizer.decode(tokens, real)
    one = torch.ones(1, device=tokens.device)
    size = torch.tensor([[1000.0, 1000.0]], device=tokens.device)
    return _array(tokenizer.place(lifted, 500 * one, size / 2, size).joints[0])


def _on(model: Tokenizer, *tensors: Tensor) -> tuple[Tensor, ...]:
    where = next(model.parameters()).device
    return tuple(t.to(where) for t in tensors)


def _array(tensor: Tensor) -> Points:
    return tensor.detach().cpu().double().numpy()


def _moments(frames: int, count: int) -> list[int]:
    return np.linspace(0, frames - 1, count + 2)[1:-1].round().astype(int).tolist()


def _cell() -> NDArray[np.uint8]:
    cell = np.full((_CELL, _CELL, 3), _PAPER, np.uint8)
    cell[:, -1] = 225
    cell[-1] = 225
    return cell


def _body(joints: Points, axes: tuple[int, int]) -> NDArray[np.uint8]:
    """A cell with the bones of joints [24, 3] metres, the pelvis in its middle."""
    cell = _cell()
    flat = (joints - joints[0])[:, axes] / 1.7
    bones = [(p, j) for j, p in enumerate(PARENTS) if p >= 0]
    colours = [
        _LEFT if JOINTS[j].startswith("left") else _RIGHT if JOINTS[j].startswith("right")
        else _MIDDLE
        for _, j in bones
    ]  # fmt: skip
    _lines(cell, flat, bones, colours, 2)
    return cell


def _lines(
    cell: NDArray[np.uint8],
    points: Points,
    pairs: Sequence[tuple[int, int]],
    colours: Sequence[tuple[int, int, int]],
    width: int,
    known: NDArray[np.bool_] | None = None,
) -> None:
    """Draws lines between points [J, 2], body heights from the middle of the hips."""
    import cv2

    finite = np.nan_to_num(points, nan=9.0, posinf=9.0, neginf=-9.0).clip(-9, 9)
    pixels = np.round((finite * _BODY + (0.5, 0.52)) * _CELL * 16).astype(int)
    for (a, b), colour in zip(pairs, colours, strict=True):
        if known is None or (known[a] and known[b]):
            cv2.line(cell, tuple(pixels[a]), tuple(pixels[b]), colour, width, cv2.LINE_AA, 4)

"""K2M's parts as graphs of fixed inputs and outputs, for torch.export and ONNX.

Everything is the eager code itself, traced; nothing is written twice. What ONNX has no operator
for (running maxima along time, `onnx_translations`) is translated exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from motionkit.errors import MissingExtraError
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import VIEWS, TextToTokens

#: Frames of the longest clip that the lifter takes at once (longer ones: in windows).
MOST_FRAMES = 512
_MOTION = ("pose", "root", "path", "offset", "depth", "betas")


@dataclass(frozen=True)
class Graph:
    """One exported graph: a module, its named inputs and outputs, and random inputs for it."""

    name: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: Callable[[int, int, torch.Generator], tuple[Tensor, ...]]
    """Inputs of a batch and a number of token steps."""
    shapes: Mapping[str, dict[int, Any]]
    """Which axes of each input are free (`torch.export` dims)."""
    most_steps: int
    timed: frozenset[str] = field(default_factory=frozenset)
    """Outputs whose second axis is time: of them only real steps are compared."""
    frames_a_step: int = 1


class _Decoder(nn.Module):
    """Tokens → SMPL parameters and joints round the pelvis."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, tokens: Tensor, real: Tensor) -> tuple[Tensor, ...]:
        """[B, u, N] and [B, u] → `_MOTION`, joints [B, F, 24, 3] metres from the pelvis."""
        lifted = self.tokenizer.decode(tokens, real)
        height = torch.full_like(lifted.depth[:, 0], 600.0)  # len() would fix the batch
        size = torch.full_like(lifted.path[:, 0], 1000.0)
        placed = self.tokenizer.place(lifted, height, size / 2, size)
        joints = placed.joints - placed.joints[:, :, :1]
        return (*(getattr(lifted, name) for name in _MOTION), joints)


class _Lifter(nn.Module):
    """Keypoints → SMPL parameters, without quantisation, and the body in front of the camera."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.encoder, self.decoder = tokenizer.encoder, tokenizer.decoder
        self.tokenizer = tokenizer

    def forward(self, m2d: Tensor, real: Tensor) -> tuple[Tensor, ...]:
        """[B, F, 18, 3] pixels and [B, F] → `_MOTION` (the path measured), joints and COCO points
        in the camera's frame, height and centre of the person in pixels."""
        seen = self.tokenizer.observe(m2d, real)
        lifted = self.decoder(*self.encoder(seen))
        placed = self.tokenizer.place(lifted, seen.height, seen.centre, seen.size, path=seen.hip)
        motion = [seen.hip if n == "path" else getattr(lifted, n) for n in _MOTION]
        return (*motion, placed.joints, placed.points, seen.height, seen.centre)


class _Prior(nn.Module):
    """Text → logits of the length in tokens and of the starting view."""

    def __init__(self, text: TextToTokens) -> None:
        super().__init__()
        self.length, self.view = text.length, text.view

    def forward(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """[B, text_dim] → [B, max_tokens], [B, views]."""
        drop = torch.zeros_like(text[:, 0], dtype=torch.bool)  # len() would fix the batch
        length, view = (part.leave(part.text(text, drop)) for part in (self.length, self.view))
        return length, view


def graphs_of(tokenizer: Tokenizer, text: TextToTokens, text_dim: int) -> list[Graph]:
    """All graphs of a model. A quantiser of one layer has no residual graph."""
    codes, layers = text.masked.codes, text.residual.layers
    longest = text.length.leave[-1].out_features
    most = int(longest) if isinstance(longest, int) else 80
    batch = torch.export.Dim("batch", min=1)
    steps = torch.export.Dim("steps", min=1, max=most)

    def real_of(count: int, u: int, draw: torch.Generator) -> Tensor:
        lengths = torch.randint(1, u + 1, (count,), generator=draw)
        lengths[0] = u
        return torch.arange(u)[None] < lengths[:, None]

    def texts(count: int, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        feature = torch.randn(count, text_dim, generator=draw)
        drop = torch.rand(count, generator=draw) < 0.5
        return feature, drop, torch.randint(VIEWS, (count,), generator=draw)

    def masked(count: int, u: int, draw: torch.Generator) -> tuple[Tensor, ...]:
        tokens = torch.randint(codes + 1, (count, u), generator=draw)
        return tokens, real_of(count, u, draw), *texts(count, draw)

    def residual(count: int, u: int, draw: torch.Generator) -> tuple[Tensor, ...]:
        tokens = torch.randint(codes, (count, u, layers), generator=draw)
        layer = torch.randint(1, layers, (count,), generator=draw)
        return tokens, layer, real_of(count, u, draw), *texts(count, draw)

    def prior(count: int, u: int, draw: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(count, text_dim, generator=draw),)

    def decoder(count: int, u: int, draw: torch.Generator) -> tuple[Tensor, ...]:
        tokens = torch.randint(-1, codes, (count, u, layers), generator=draw)
        return tokens, real_of(count, u, draw)

    down = tokenizer.config.down

    def lifter(count: int, u: int, draw: torch.Generator) -> tuple[Tensor, ...]:
        return _people(count, u * down, draw), real_of(count, u, draw).repeat_interleave(down, 1)

    both = {0: batch, 1: steps}
    one = {0: batch}
    told = {"text": one, "drop": one, "view": one}
    frames = {0: batch, 1: down * torch.export.Dim("steps", min=1, max=MOST_FRAMES // down)}
    timed = frozenset({"pose", "root", "path", "offset", "depth", "joints", "points", "logits"})
    found = [
        Graph(
            "masked", text.masked, ("tokens", "real", "text", "drop", "view"), ("logits",), masked,
            {"tokens": both, "real": both, **told}, most, timed,
        ),
        Graph(
            "residual", text.residual, ("tokens", "layer", "real", "text", "drop", "view"),
            ("logits",), residual, {"tokens": both, "layer": one, "real": both, **told}, most,
            timed,
        ),
        Graph(
            "prior", _Prior(text), ("text",), ("length_logits", "view_logits"), prior,
            {"text": one}, most,
        ),
        Graph(
            "decoder", _Decoder(tokenizer), ("tokens", "real"), (*_MOTION, "joints"), decoder,
            {"tokens": both, "real": both}, most, timed, down,
        ),
        Graph(
            "lifter", _Lifter(tokenizer), ("m2d", "real"),
            (*_MOTION, "joints", "points", "height", "centre"), lifter,
            {"m2d": frames, "real": frames}, MOST_FRAMES // down, timed, down,
        ),
    ]  # fmt: skip
    return [graph for graph in found if graph.name != "residual" or layers > 1]


def _people(count: int, frames: int, draw: torch.Generator) -> Tensor:
    """Random keypoints [B, F, 18, 3] that drift, with some unseen."""
    m2d = torch.rand(count, 1, 18, 3, generator=draw).expand(-1, frames, -1, -1) * 400 + 100
    m2d = m2d + torch.randn(count, frames, 18, 3, generator=draw) * 5
    m2d[..., 2] = torch.rand(count, frames, 18, generator=draw)
    m2d[:, :, 17] = torch.tensor([640.0, 480.0, 1.0])
    return m2d


def onnx_translations() -> dict[Any, Callable[..., Any]]:
    """Running maximum and minimum along axis 1 of integers [B, F, J], which ONNX lacks: the
    largest of all entries up to each one, through an F × F mask. Exact."""
    try:
        import onnxscript
    except ImportError as error:
        raise MissingExtraError("onnxscript", "export", needed_for="exporting to ONNX") from error
    op: Any = onnxscript.opset18  # its types are those of eager values, not of graphs

    def running(reduce: Any, worst: int) -> Callable[..., Any]:
        def translated(values: Any, dim: int) -> Any:
            if dim != 1:
                raise NotImplementedError(f"a running maximum along axis {dim}")
            count = op.Squeeze(op.Gather(op.Shape(values), op.Constant(value_ints=[1])))
            index = op.Range(op.Constant(value_int=0), count, op.Constant(value_int=1))
            until = op.LessOrEqual(
                op.Unsqueeze(index, op.Constant(value_ints=[0])),
                op.Unsqueeze(index, op.Constant(value_ints=[1])),
            )  # [now, then]
            each = op.Unsqueeze(values, op.Constant(value_ints=[1]))  # [B, 1, then, J]
            mask = op.Unsqueeze(until, op.Constant(value_ints=[0, 3]))
            kept = op.Where(mask, each, op.Constant(value_int=worst))
            best = reduce(kept, op.Constant(value_ints=[2]), keepdims=0)
            return best, best  # the second is the place, which nothing reads

        return translated

    far = 1 << 40
    return {
        torch.ops.aten.cummax.default: running(op.ReduceMax, -far),
        torch.ops.aten.cummin.default: running(op.ReduceMin, far),
    }

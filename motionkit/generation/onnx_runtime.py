"""Runs an exported K2M with numpy and onnxruntime alone. A copy of this file is in every export.

    python run.py FOLDER --text-feature feature.npy --out motion.npz
    python run.py FOLDER --lift keypoints.npy --out motion.npz

feature.npy holds one text feature [dim] of the encoder that config.json names; keypoints.npy M_2D
[F, 18, 3]: 17 COCO keypoints (x, y in pixels, confidence), then (width, height, 1), at 30 frames a
second. The result: pose [F, 23, 3] axis-angle of the joints 1..23, radians; root [F, 3, 3] body to
camera (x right, y down, z forward); joints [F, 24, 3] metres; path, offset [F, 2] and depth [F]
as motionkit's `Lifted` has them; betas [10].
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np


class Exported:
    """The graphs of a folder, opened when they are needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text("utf-8"))
        self._open: dict[str, Any] = {}

    def run(self, name: str, **inputs: Any) -> dict[str, Any]:
        """One graph; outputs by name."""
        import onnxruntime

        graph = self.config["graphs"][name]
        if name not in self._open:
            path = str(self.folder / graph["file"])
            self._open[name] = onnxruntime.InferenceSession(
                path, providers=["CPUExecutionProvider"]
            )
        given = {key: inputs[key] for key in graph["inputs"]}
        return dict(
            zip(graph["outputs"], self._open[name].run(graph["outputs"], given), strict=True)
        )

    def generate(
        self, feature: Any, *, seconds: float | None = None, seed: int = 0, **changes: Any
    ) -> dict[str, Any]:
        """A motion from one text feature [dim]. ``changes`` to config.json's "sampling"."""
        c = {**self.config["sampling"], **changes}
        draw = np.random.default_rng(seed)
        text = np.asarray(feature, np.float32).reshape(1, -1)
        prior = self.run("prior", text=text)
        if seconds is None:
            below = np.cumsum(_softmax(prior["length_logits"][0])) < c["length_quantile"]
            steps = int(min(below.sum() + 1, self.config["max_tokens"]))
        else:
            steps = round(seconds * self.config["fps"] / self.config["down"])
            if not 1 <= steps <= self.config["max_tokens"]:
                raise ValueError(f"{seconds} s is out of range")
        first = _draw(prior["view_logits"], draw, c["view_temperature"], 1.0, 1.0)[0]
        view = first if c["view"] is None else np.array([c["view"]])
        tokens = self._base(text, view, steps, c, draw)[..., None]
        count = min(c["layers"] or self.config["sampled_layers"], self.config["layers"])
        for layer in range(1, count):
            # what is not drawn yet is not read: only layers before `layer` are
            full = np.full((1, steps, self.config["layers"]), -1)
            full[..., :layer] = tokens
            logits = self._guided(
                "residual", c["residual_guidance"], text, view, steps,
                tokens=full, layer=np.array([layer]),
            )  # fmt: skip
            drawn = _draw(logits[0], draw, c["residual_temperature"], c["top_share"], c["top_p"])[0]
            tokens = np.concatenate([tokens, drawn[None, :, None]], -1)
        every = np.full((1, steps, self.config["layers"]), -1)
        every[..., :count] = tokens
        return _first(self.run("decoder", tokens=every, real=np.ones((1, steps), bool)))

    def lift(self, m2d: Any) -> dict[str, Any]:
        """Keypoints M_2D [F, 18, 3] → 3D; frames beyond a multiple of "down" are cut off."""
        frames = len(m2d) // self.config["down"] * self.config["down"]
        points = np.asarray(m2d, np.float32)[None, :frames]
        return _first(self.run("lifter", m2d=points, real=np.ones((1, frames), bool)))

    def _base(self, text: Any, view: Any, steps: int, c: Any, draw: Any) -> Any:
        """The first layer's tokens [1, u]: all hidden, then the surest kept, pass by pass."""
        hidden = self.config["mask_id"]
        tokens = np.full((1, steps), hidden)
        for i in range(c["steps"]):
            logits = self._guided("masked", c["guidance"], text, view, steps, tokens=tokens)
            drawn, sure = _draw(logits[0], draw, c["temperature"], c["top_share"], c["top_p"])
            sure = np.where(tokens[0] == hidden, sure, np.inf)  # what was kept stays
            tokens = np.where(tokens == hidden, drawn, tokens)
            if i + 1 < c["steps"]:
                left = math.floor(steps * math.cos(math.pi / 2 * (i + 1) / c["steps"]))
                tokens[0, np.argsort(sure, kind="stable")[:left]] = hidden
        return tokens

    def _guided(
        self, name: str, scale: float, text: Any, view: Any, steps: int, **inputs: Any
    ) -> Any:
        """Logits [1, u, codes] under classifier-free guidance."""
        twice = {key: np.concatenate([value, value]) for key, value in inputs.items()}
        logits = self.run(
            name, real=np.ones((2, steps), bool), text=np.repeat(text, 2, 0),
            drop=np.array([False, True]), view=np.repeat(view, 2), **twice,
        )["logits"]  # fmt: skip
        return logits[1:] + scale * (logits[:1] - logits[1:])


def _softmax(x: Any) -> Any:
    y = np.exp(x - x.max(-1, keepdims=True))
    return y / y.sum(-1, keepdims=True)


def _draw(
    logits: Any, draw: Any, temperature: float, top_share: float, top_p: float
) -> tuple[Any, Any]:
    """A code for each row of logits [M, codes], and its probability."""
    keep = max(1, math.ceil(top_share * logits.shape[-1]))
    order = np.argsort(-logits, -1, kind="stable")[:, :keep]
    share = _softmax(np.take_along_axis(logits, order, -1) / max(temperature, 1e-4))
    share = share * (np.cumsum(share, -1) - share < top_p)
    below = np.cumsum(share, -1)
    below = below / below[:, -1:]
    place = (below <= draw.random((len(below), 1))).sum(-1).clip(max=keep - 1)[:, None]
    sure = np.take_along_axis(share, place, -1) / share.sum(-1, keepdims=True)
    return np.take_along_axis(order, place, -1)[:, 0], sure[:, 0]


def _first(outputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value[0] for name, value in outputs.items()}


def _main() -> None:
    parser = argparse.ArgumentParser(description="Runs an exported K2M.")
    parser.add_argument("folder", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--text-feature", type=Path, help=".npy of one text feature")
    what.add_argument("--lift", type=Path, help=".npy of keypoints [F, 18, 3]")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    model = Exported(given.folder)
    if given.lift is not None:
        made = model.lift(np.load(given.lift, allow_pickle=False))
    else:
        feature = np.load(given.text_feature, allow_pickle=False)
        made = model.generate(feature, seconds=given.seconds, seed=given.seed)
    np.savez(given.out, fps=model.config["fps"], **made)


if __name__ == "__main__":
    _main()

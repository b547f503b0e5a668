"""How long Lang2Motion takes from texts to trajectories: python -m benchmarks.lang2motion_speed

Random weights: speed does not depend on them. 30 frames × 36 points, after loading, the best of
several runs on one thread: texts encoded and read, trajectories decoded, as `generate lang2motion`
does it; and the decoder alone. Exits with 1 where a single prompt takes 50 ms or more, or 64 take
5 × one or more; the paper's sizes with a sentence encoder are shown but not judged by the latter:
64 sentences are 64 times the work of one there, and a thread is busy with one already.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from motionkit.backends.text_encoder import text_encoder
from motionkit.generation.lang2motion_model import TrajectoryModel
from motionkit.models.lang2motion.model import Lang2Motion
from motionkit.training.checkpoint import pack, save_checkpoint
from motionkit.training.k2m_config import as_table
from motionkit.training.lang2motion import MODEL_FILE, sizes_for
from motionkit.training.lang2motion_config import from_table

LIMIT_MS, LIMIT_RATIO = 50.0, 5.0
#: Preset → what is changed; the paper's sizes with an encoder that is at hand.
MODELS: dict[str, dict[str, str]] = {"small": {}, "paper": {"encoder": "minilm"}}


def best_ms(work: Callable[[], object], runs: int) -> float:
    """Milliseconds of the fastest of ``runs``."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def loaded(preset: str, folder: Path) -> TrajectoryModel:
    """A model of random weights, from a checkpoint."""
    config = from_table({"preset": preset, **MODELS[preset]})
    encoder = text_encoder(config.encoder)
    sizes, _ = sizes_for(config, encoder)
    torch.manual_seed(0)
    facts = {
        "kind": "lang2motion",
        "config": as_table(config),
        "sizes": dataclasses.asdict(sizes),
        "encoder": config.encoder,
        "encoder_weights": encoder.identity(),
    }
    save_checkpoint(
        folder / MODEL_FILE, pack("lang2motion", Lang2Motion(sizes).state_dict()), facts
    )
    return TrajectoryModel(folder)


def texts_of(count: int, turn: int) -> list[str]:
    """``count`` prompts that differ from those of any other ``turn``: none is known already."""
    ways = ("left", "right", "up", "down and to the left")
    return [f"a red star number {turn} {k} moves slowly to the {ways[k % 4]}" for k in range(count)]


def measure(preset: str, runs: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of one prompt and of 64: the whole way, and from latents alone."""
    with tempfile.TemporaryDirectory() as folder:
        model = loaded(preset, Path(folder))
    turns = iter(range(10**9))
    points = model.network.config.points
    whole, decoding = [], []
    for count in (1, 64):
        first = np.random.default_rng(0).uniform(-1, 1, (count, points, 2)).astype(np.float32)
        latents = model.texts(texts_of(count, next(turns)))

        def way(count: int = count, first: np.ndarray = first) -> object:
            return model.decode(model.texts(texts_of(count, next(turns))), first)

        whole.append(best_ms(way, runs))
        decoding.append(best_ms(partial(model.decode, latents, first), runs))
    return {
        "from text": (whole[0], whole[1]),
        "decoding alone": (decoding[0], decoding[1]),
    }


def main() -> int:
    """Print two lines a preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    slow = False
    for preset in MODELS:
        for what, (one, many) in measure(preset, given.runs).items():
            judged = preset == "small" or what == "decoding alone"
            slow |= one >= LIMIT_MS or (judged and many >= LIMIT_RATIO * one)
            print(
                f"{preset}, {what}: one prompt {one:.1f} ms, 64 in a batch {many:.1f} ms "
                f"({many / one:.1f} ×, {many / 64:.2f} ms each)"
            )
    return int(slow)


if __name__ == "__main__":
    raise SystemExit(main())

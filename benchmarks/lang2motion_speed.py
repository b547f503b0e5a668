"""How long Lang2Motion takes to generate: python -m benchmarks.lang2motion_speed

Random weights: speed does not depend on them. 30 frames × 36 points from text features and first
frames, after loading; the best of several runs on one thread. The text encoder is timed apart.
Exits with 1 where a single prompt takes 50 ms or more.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from motionkit.models.lang2motion.config import PRESETS
from motionkit.models.lang2motion.model import Lang2Motion

LIMIT_MS = 50.0


def best_ms(work: Callable[[], object], runs: int) -> float:
    """Milliseconds of the fastest of ``runs``."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def measure(preset: str, runs: int) -> tuple[float, float]:
    """Milliseconds of one prompt, and of 64 in a batch."""
    torch.manual_seed(0)
    model = Lang2Motion(PRESETS[preset]()).eval()
    found = []
    for count in (1, 64):
        latent = torch.randn(count, model.config.latent)
        first = torch.rand(count, model.config.points, 2) * 2 - 1
        found.append(best_ms(lambda z=latent, f=first: model.generate(z, f), runs))  # type: ignore[misc]
    return found[0], found[1]


def main() -> int:
    """Print a line a preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    slow = False
    for preset in PRESETS:
        one, many = measure(preset, given.runs)
        slow |= one >= LIMIT_MS
        print(
            f"{preset}: one prompt {one:.1f} ms, 64 in a batch {many:.1f} ms "
            f"({many / one:.1f} ×, {many / 64:.2f} ms each)"
        )
    try:
        from motionkit.backends.text_encoder import text_encoder

        texts = [f"a {w} ball rolls to the left" for w in ("red", "blue", "big", "small")] * 16
        for name in ("minilm", "minilm:words"):
            encoder = text_encoder(name)
            one = best_ms(lambda e=encoder: e.encode(texts[:1]), given.runs)  # type: ignore[misc]
            many = best_ms(lambda e=encoder: e.encode(texts), 3)  # type: ignore[misc]
            print(f"beside that: a sentence through {name} {one:.1f} ms, 64 {many:.1f} ms")
    except ImportError as error:
        print(f"minilm not timed: {error}")
    return int(slow)


if __name__ == "__main__":
    raise SystemExit(main())

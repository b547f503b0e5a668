"""A generation against the bare transformer passes that it needs, side by side in one run.

Random weights at the paper's sizes (6 layers, width 384, 7 × 512 codes), 196 frames, 10 steps,
guidance, 7 layers. The bare passes are forward calls of the same modules on the same shapes: 10
of the masked transformer with the doubled batch, 6 of the residual transformer (doubled only
where its layers are guided too). Both are timed by turns, by the wall clock and by processor
time; on a machine that does other things the latter says more. The decoder, which turns tokens
into motion, stands apart.
Usage: python -m benchmarks.generation_speed [--rounds 15] [--batch 1 16] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch

from motionkit.models.k2m.config import paper
from motionkit.models.k2m.sampling import SamplingConfig, sample_tokens
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import TextToTokens

FRAMES, STEPS = 196, 10
#: At most this much of the bare passes' time.
LIMIT = 1.15


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    sizes = paper()
    model, tokenizer = TextToTokens(sizes).eval(), Tokenizer(sizes.tokenizer).eval()
    tokenizer.quantiser.codes.normal_()
    print(f"{FRAMES} frames, {STEPS} steps, {options.threads} threads, {options.rounds} rounds")
    worst = 0.0
    for batch in options.batch:
        for residual in (1.0, 2.0):
            config = SamplingConfig(steps=STEPS, guidance=2.0, residual_guidance=residual)
            worst = max(worst, compare(model, tokenizer, batch, config, options.rounds))
    print(f"worst ratio {worst:.2f}, at most {LIMIT} is asked")
    return int(worst > LIMIT)


@torch.no_grad()
def compare(
    model: TextToTokens, tokenizer: Tokenizer, batch: int, config: SamplingConfig, rounds: int
) -> float:
    """Prints the times of ``batch`` prompts at once; generation over bare passes."""
    steps, layers = FRAMES // tokenizer.config.down, model.residual.layers
    text_dim = model.masked.trunk.text.mean.shape[0]
    text, lengths = torch.randn(batch, text_dim), torch.full((batch,), steps)
    generators = [torch.Generator().manual_seed(i) for i in range(batch)]
    once, twice = (shapes(rows, steps, layers, text_dim) for rows in (batch, 2 * batch))
    made: list[torch.Tensor] = []

    def bare() -> None:
        tokens, *rest = twice
        for _ in range(STEPS):
            model.masked(tokens[..., 0], *rest)
        tokens, *rest = once if config.residual_guidance == 1 else twice
        for layer in range(1, layers):
            model.residual(tokens, torch.full((len(tokens),), layer), *rest)

    def generation() -> None:
        made[:] = sample_tokens(model, text, lengths, generator=generators, config=config)[:1]

    def decoding() -> None:
        for one in made[0]:
            tokenizer.decode(one[None], torch.ones(1, steps, dtype=torch.bool))

    parts: tuple[Callable[[], None], ...] = (bare, generation, decoding)
    wall: dict[str, list[float]] = {part.__name__: [] for part in parts}
    busy: dict[str, list[float]] = {part.__name__: [] for part in parts}
    for turn in range(rounds + 1):
        for part in parts if turn % 2 else (generation, bare, decoding):
            began, worked = time.perf_counter(), time.process_time()
            part()
            if turn:  # the first warms up
                busy[part.__name__].append(1000 * (time.process_time() - worked))
                wall[part.__name__].append(1000 * (time.perf_counter() - began))
    ms, cpu = ({k: statistics.median(v) for k, v in times.items()} for times in (wall, busy))
    ratio = cpu["generation"] / cpu["bare"]
    print(
        f"batch {batch:2d}, residual guidance {config.residual_guidance:g}: generation "
        f"{cpu['generation']:.0f} ms of processor time ({ms['generation']:.0f} by the clock), bare "
        f"passes {cpu['bare']:.0f} ({ms['bare']:.0f}), ratio {ratio:.2f} "
        f"({ms['generation'] / ms['bare']:.2f}); decoder {cpu['decoding']:.0f} "
        f"({ms['decoding']:.0f}) more",
        flush=True,
    )
    return ratio


def shapes(rows: int, steps: int, layers: int, text_dim: int) -> tuple[torch.Tensor, ...]:
    """Tokens, real, text, drop and view of a forward call on so many rows."""
    return (
        torch.randint(512, (rows, steps, layers)),
        torch.ones(rows, steps, dtype=torch.bool),
        torch.randn(rows, text_dim),
        torch.zeros(rows, dtype=torch.bool),
        torch.zeros(rows, dtype=torch.long),
    )


if __name__ == "__main__":
    sys.exit(main())

"""Our residual quantiser against vector-quantize-pytorch's ResidualVQ: forward and backward.

    python -m benchmarks.rvq_speed [--rounds 9] [--threads 1]

7 quantisers of 512 codes × 512 numbers, 256 × 16 tokens of random data, training mode, all masks
real, EMA codebooks, the same decay, dead codes revived in both, no k-means at the start. The other
side passes gradients straight through, as ours does (``rotation_trick=False``); its default, the
rotation trick, costs more and is shown beside. The sides take turns in one process; the figures
are medians of the rounds, the ratio is the median of the rounds' ratios. Exit 1 above the limit.
Takes the first CUDA device where there is one (``--device``).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from motionkit.models.k2m.config import QuantiserConfig
from motionkit.models.k2m.quantiser import ResidualQuantiser

LIMIT = 0.5
BATCH, STEPS = 256, 16


def ours(config: QuantiserConfig, latents: Tensor) -> Callable[[], None]:
    """A training step's work of our quantiser; its loss is all that the encoder would see."""
    quantiser = ResidualQuantiser(config).to(latents.device).train()
    quantiser.seed(torch.randn(8 * config.codes, config.dim, device=latents.device), rounds=1)
    real = torch.ones(latents.shape[:2], dtype=torch.bool, device=latents.device)

    def step() -> None:
        given = latents.clone().requires_grad_()
        out = quantiser(given, real)
        (out.latent.square().mean() + out.commitment).backward()

    return step


def theirs(config: QuantiserConfig, latents: Tensor, **settings: Any) -> Callable[[], None]:
    """The same of vector-quantize-pytorch.

    A code is dead below a share of an even use in ours, below a count of tokens in theirs.
    """
    from vector_quantize_pytorch import ResidualVQ

    even = latents.shape[0] * latents.shape[1] / config.codes
    quantiser = ResidualVQ(
        dim=config.dim,
        num_quantizers=config.layers,
        codebook_size=config.codes,
        decay=config.decay,
        kmeans_init=False,
        threshold_ema_dead_code=config.revive_share * even,
        **settings,
    ).to(latents.device)
    quantiser.train()

    def step() -> None:
        given = latents.clone().requires_grad_()
        out, _, losses = quantiser(given)
        (out.square().mean() + losses.sum()).backward()

    return step


def seconds(work: Callable[[], None], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    try:
        import vector_quantize_pytorch  # noqa: F401
    except ImportError:
        print("skipped: pip install vector-quantize-pytorch")
        return 0
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    config = QuantiserConfig()
    latents = torch.randn(BATCH, STEPS, config.dim, device=device)
    sides = {
        "ours": ours(config, latents),
        "theirs, straight through": theirs(config, latents, rotation_trick=False),
        "theirs, rotation trick (default)": theirs(config, latents),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(options.rounds + 2):
        for name, work in sides.items():
            passed = seconds(work, device)
            if turn >= 2:  # the first two warm the caches
                times[name].append(passed)
    print(
        f"{config.layers} x {config.codes} codes x {config.dim}, {BATCH} x {STEPS} tokens, "
        f"{device}, {options.threads} thread(s), median of {options.rounds} rounds"
    )
    worst = 0.0
    for name, took in times.items():
        ratio = statistics.median(a / b for a, b in zip(times["ours"], took, strict=True))
        spread = f"{min(took) * 1e3:.1f} to {max(took) * 1e3:.1f}"
        print(f"{name:34s} {statistics.median(took) * 1e3:8.1f} ms ({spread}); ours {ratio:.2f} x")
        worst = max(worst, ratio if "straight" in name else 0.0)
    print(f"limit {LIMIT} x: {'kept' if worst <= LIMIT else 'exceeded'}")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())

"""Training speed of K2M's tokenizer: samples a second, peak memory, and on CUDA the share of the
chip's peak. Random keypoints; the loop's own parts (draw, forward, backward, clip, step)."""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from motionkit.models.k2m.config import PRESETS
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.training.k2m_config import TokenizerTraining
from motionkit.training.k2m_data import Clip, WindowSource
from motionkit.training.k2m_tokenizer import TokenizerStage
from motionkit.training.loop import StepModule
from motionkit.training.options import RunOptions
from motionkit.training.ranks import Ranks, alone
from motionkit.training.stage_state import StageState, rate_of

#: Dense bf16 peaks by a word in the device's name, from the makers' data sheets, FLOP/s.
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12,
         "RTX 4090": 165e12}  # fmt: skip


def clips(count: int = 64, frames: int = 120) -> list[Clip]:
    """People of noise: what they do does not change what they cost."""
    rng = np.random.default_rng(0)
    y = np.array([-47, -48, -48, -46, -46, -36, -36, -20, -20, -8, -8, 0, 0, 25, 25, 50, 50.0])
    x = np.array([0, 1, -1, 3, -3, 9, -9, 11, -11, 12, -12, 6, -6, 6, -6, 6, -6.0])
    made = []
    for i in range(count):
        m2d = np.ones((frames, 18, 3), np.float32)
        m2d[:, :17, :2] = np.stack([x, y], -1) * 2 + (300, 180) + rng.normal(0, 2, (frames, 17, 2))
        m2d[:, 17] = (640, 360, 1)
        made.append(Clip(f"s{i}", torch.from_numpy(m2d), ()))
    return made


def measure(ranks: Ranks, preset: str, batch: int, window: int, steps: int) -> dict[str, float]:
    """Numbers of ``steps`` steps, after two that are not timed."""
    torch.manual_seed(0)
    sizes = PRESETS[preset]().tokenizer
    options = TokenizerTraining(batch=batch, window=window)
    model = Tokenizer(sizes)
    q = sizes.quantiser
    model.quantiser.seed(torch.randn(2 * q.codes, q.dim), rounds=1)
    task = TokenizerStage(WindowSource(clips(), window, sizes.down, True), options)
    module = ranks.wrap(StepModule(task, model, ranks))
    state = StageState.begin(model, "tokenizer", options)
    cuda = ranks.device.type == "cuda"
    at = max(options.steps, options.cycle.start)  # all parts of the loss are on

    def step() -> None:
        drawn = task.draw(at).to(ranks.device)
        loss, _ = module(drawn.tensors, drawn.ids, at)
        ranks.backward(loss)
        state.gradient_norm(options.clip_norm)
        state.apply(rate_of(0, options))

    with FlopCounterMode(display=False) as flops:
        step()
    step()
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    if cuda:
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - began) / steps
    peak = (
        torch.cuda.max_memory_allocated()
        if cuda
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {
        "samples_per_s": batch / seconds,
        "step_ms": 1e3 * seconds,
        "memory_gb": peak / 1e9,
        "tflop_step": flops.get_total_flops() / 1e12,
        "tflop_per_s": flops.get_total_flops() / seconds / 1e12,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cuda = torch.cuda.is_available()
    parser.add_argument("--preset", choices=sorted(PRESETS), default="paper" if cuda else "small")
    parser.add_argument("--batch", type=int, default=256 if cuda else 16)
    parser.add_argument("--window", type=int, default=64 if cuda else 48)
    parser.add_argument("--steps", type=int, default=20 if cuda else 5)
    parser.add_argument("--threads", type=int, default=1, help="on the CPU")
    parser.add_argument("--compile", action="store_true", help="on CUDA")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for precision in ("bf16", "fp32") if cuda else ("fp32",):
        run = RunOptions(precision=precision, compile=options.compile)  # type: ignore[arg-type]
        ranks = alone(run)
        found = measure(ranks, options.preset, options.batch, options.window, options.steps)
        name = torch.cuda.get_device_name(ranks.device) if cuda else "CPU"
        print(
            f"{name}, {precision}, {options.preset}, batch {options.batch} × {options.window} "
            f"frames: {found['samples_per_s']:.1f} samples/s, {found['step_ms']:.0f} ms a step, "
            f"peak {found['memory_gb']:.2f} GB ({'device' if cuda else 'process'}), "
            f"{1e3 * found['tflop_step']:.1f} GFLOP a step in "
            f"matrix products, {found['tflop_per_s']:.3f} TFLOP/s"
        )
        peak = next((v for word, v in PEAKS.items() if word in name), None)
        if peak is not None and precision == "bf16":
            print(
                f"  {100 * found['tflop_per_s'] * 1e12 / peak:.1f} % of the chip's dense bf16 peak"
            )


if __name__ == "__main__":
    main()

"""Peak memory and time of the DSTformer block against its obvious form, forward and backward.

    python -m benchmarks.adapter_memory [--batch 64] [--small-batch 8] [--rounds 3] [--threads 1]

The paper's sizes: 512 wide, 8 heads, 18 tokens × 64 frames, every third clip ends 14 frames early.
The obvious form has the same weights and keeps full attention matrices. Memory: each form in a
process of its own, one step at --batch; the most resident memory in that step less that before it
(inputs built, libraries warm), or CUDA's own count. Time: the forms take turns in one process at
--small-batch, median of the rounds, CPU seconds of the process (other work on the machine counts
less) or the clock on CUDA. Exit 1 where the block as it is by default needs over half the memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from motionkit.models.k2m.dstformer import DSTformer
from motionkit.models.k2m.layers import AttentionBlock

LIMIT = 0.5
FRAMES, TOKENS, WIDTH, HEADS = 64, 18, 512, 8
FORMS = ("obvious", "default", "checkpoint")


def plain_attention(block: AttentionBlock, x: Tensor, keys: Tensor | None) -> Tensor:
    """Softmax of all scores, times the values; autograd keeps the matrix."""
    heads = block.attention.heads
    q, k, v = block.attention.qkv(x).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if keys is not None:
        scores = scores.masked_fill(~keys[:, None, None], -torch.inf)
    return block.attention.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def plain_block(block: AttentionBlock, x: Tensor, keys: Tensor | None) -> Tensor:
    x = x + plain_attention(block, block.norm1(x), keys)
    return x + block.mlp(block.norm2(x))


def plain_dstformer(model: DSTformer, x: Tensor, keys: Tensor) -> Tensor:
    """The block of `model` in the obvious form, with its weights: [B, T, J, C] → the same."""
    batch, _, joints, _ = x.shape
    each = keys.repeat_interleave(joints, 0)

    def over_joints(block: nn.Module, x: Tensor) -> Tensor:
        assert isinstance(block, AttentionBlock)
        return plain_block(block, x.flatten(0, 1), None).unflatten(0, x.shape[:2])

    def over_time(block: nn.Module, x: Tensor) -> Tensor:
        assert isinstance(block, AttentionBlock)
        y = plain_block(block, x.transpose(1, 2).flatten(0, 1), each)
        return y.unflatten(0, (batch, joints)).transpose(1, 2)

    a = over_time(model.joints_first[1], over_joints(model.joints_first[0], x))
    b = over_joints(model.time_first[1], over_time(model.time_first[0], x))
    share = model.fuse(torch.cat([a, b], -1)).softmax(-1)
    return a * share[..., :1] + b * share[..., 1:]


def stepper(form: str, batch: int, device: str) -> Callable[[], None]:
    """One forward and backward pass of the form, inputs built."""
    torch.manual_seed(0)
    model = DSTformer(WIDTH, HEADS, 2.0, checkpoint=form == "checkpoint").to(device)
    x = torch.randn(batch, FRAMES, TOKENS, WIDTH, device=device, requires_grad=True)
    keys = torch.ones(batch, FRAMES, dtype=torch.bool, device=device)
    keys[::3, FRAMES - 14 :] = False
    given = torch.randn_like(x)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        x.grad = None
        y = plain_dstformer(model, x, keys) if form == "obvious" else model(x, keys)
        y.backward(given)
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def resident(entry: str) -> int:
    """Bytes of this process's memory: VmRSS now, VmHWM at most since the last reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(entry):
            return int(line.split()[1]) * 1024
    raise OSError(f"the system tells no {entry}: Linux only")


def peak(form: str, batch: int, device: str) -> float:
    """Most bytes in use in one step, over those before it."""
    stepper(form, 1, device)()  # libraries, kernels and their workspaces
    step = stepper(form, batch, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    step()
    return resident("VmHWM") - before


def times(batch: int, rounds: int, device: str) -> dict[str, float]:
    """Median seconds of a step of each form, in turns."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    steps = {form: stepper(form, batch, device) for form in FORMS}
    taken: dict[str, list[float]] = {form: [] for form in FORMS}
    for turn in range(rounds + 1):
        for form, step in steps.items():
            began = clock()
            step()
            if turn:  # the first warms up
                taken[form].append(clock() - began)
    return {form: statistics.median(values) for form, values in taken.items()}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--small-batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--form", choices=FORMS, help="print this one's peak alone, in bytes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.form:
        print(json.dumps(peak(options.form, options.batch, options.device)))
        return 0
    shared = ["--batch", str(options.batch), "--threads", str(options.threads)]
    command = [sys.executable, "-m", "benchmarks.adapter_memory", *shared]
    command += ["--device", options.device]
    peaks = {}
    for form in FORMS:
        said = subprocess.run(
            [*command, "--form", form], check=True, capture_output=True, text=True
        )
        peaks[form] = json.loads(said.stdout)
        ratio = peaks[form] / peaks["obvious"]
        size = f"batch {options.batch} x {FRAMES} frames x {TOKENS} tokens"
        print(f"{size}, {form}: {peaks[form] / 1e9:.2f} GB, {ratio:.2f} x", flush=True)
    if options.rounds:
        seconds = times(options.small_batch, options.rounds, options.device)
        for form, took in seconds.items():
            print(f"batch {options.small_batch}, {options.threads} thread(s), {form}: "
                  f"{took:.2f} s, {took / seconds['obvious']:.2f} x")  # fmt: skip
    kept = peaks["default"] <= LIMIT * peaks["obvious"]
    print(f"limit {LIMIT} x of the memory: {'kept' if kept else 'exceeded'}")
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())

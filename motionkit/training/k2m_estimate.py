"""`train k2m --estimate`: memory and time of the stages, before the first step.

The making of labels between rounds is not in it: about as long as 8 passes over the clips (measured
once, 60 fitting steps).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from motionkit.errors import TrainingError
from motionkit.models.k2m.refine import RefineConfig
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import TextToTokens
from motionkit.training import random_state
from motionkit.training.estimate import TrainingEstimate, estimate_stage, machine_memory
from motionkit.training.k2m_config import K2MTrainConfig, check_tokens_per_step
from motionkit.training.k2m_data import Clip, WindowSource, lengths_of
from motionkit.training.k2m_distil import DistilStage
from motionkit.training.k2m_text import TextStage
from motionkit.training.k2m_tokenizer import TokenizerStage
from motionkit.training.pose_labels import labels_in_memory
from motionkit.training.ranks import alone
from motionkit.training.shard_clips import open_clips
from motionkit.training.token_cache import TokenCache, token_cache

#: Clips that are looked at: enough for the lengths of real ones.
_CLIPS = 256


def estimate(config: K2MTrainConfig, *, shards: Path) -> TrainingEstimate:
    """Measures a step of each stage on clips of the shard set; see `estimate.estimate_stage`."""
    from motionkit.shards.reader import open_shards

    clips = open_clips(
        open_shards(shards),
        "train",
        down=config.sizes().tokenizer.down,
        cache_mb=config.cache_mb,
    )
    return estimate_on(config, clips[:_CLIPS])


def estimate_on(config: K2MTrainConfig, clips: Sequence[Clip]) -> TrainingEstimate:
    """`estimate` on clips in memory. TrainingError where there are none."""
    check_tokens_per_step(config)
    if not clips:
        raise TrainingError(
            "the shard set has no training clips.", hint="build shards from more videos"
        )
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    ranks = alone(dataclasses.replace(config, devices=1))
    sizes, t = config.sizes(), config.tokenizer
    random_state.seed_all(config.seed)
    tokenizer = Tokenizer(sizes.tokenizer)
    source = WindowSource(clips, t.window, sizes.tokenizer.down, t.mirror)
    # Codebooks of noise cost what others cost.
    q = sizes.tokenizer.quantiser
    tokenizer.quantiser.seed(torch.randn(2 * q.codes, q.dim), rounds=1)
    one = estimate_stage(
        "tokenizer",
        tokenizer,
        t,
        lambda options: TokenizerStage(source, options),  # type: ignore[arg-type]
        ranks,
        at_step=max(t.steps, t.seed_codebooks + 1, t.cycle.start),
    )
    d, again = config.distil, []
    if d.steps:
        few = labels_in_memory(tokenizer, clips[:8], RefineConfig(steps=0))
        first = TokenizerStage(source, t)
        found = estimate_stage(
            "distil",
            tokenizer,
            d,
            lambda options: DistilStage(first, few, options),  # type: ignore[arg-type]
            ranks,
            at_step=1,
        )
        again = [dataclasses.replace(found, steps=d.steps * d.rounds)]
    del tokenizer
    x = config.text
    cache = _any_tokens(config, clips)
    every = max(1, x.residual_every)
    with_residual, without = (
        estimate_stage(
            "text",
            TextToTokens(sizes),
            x,
            lambda options: TextStage(cache, options),  # type: ignore[arg-type]
            ranks,
            at_step=step,
        )
        for step in (every - 1, every)  # loss: (step + 1) % every
    )
    # The residual transformer learns now and then: it fills the memory, but not every step's time.
    mean = (with_residual.step_seconds + (every - 1) * without.step_seconds) / every
    two = dataclasses.replace(with_residual, step_seconds=mean)
    return TrainingEstimate(
        (one, *again, two),
        ranks.device.type,
        ranks.precision,
        config.devices,
        machine_memory(ranks.device),
    )


def _any_tokens(config: K2MTrainConfig, clips: Sequence[Clip]) -> TokenCache:
    """Tokens of the clips' lengths, drawn: what they say does not change what they cost."""
    sizes = config.sizes()
    q, most = sizes.tokenizer.quantiser, sizes.transformer.max_tokens
    lengths = [min(most, length // sizes.tokenizer.down) for length in lengths_of(clips)]
    tokens = [torch.randint(q.codes, (length, q.layers)) for length in lengths]
    rows = [[i] for i in range(len(tokens))]
    features = torch.randn(len(tokens), sizes.transformer.text_dim)
    return token_cache(tokens, rows, features, [0] * len(tokens))

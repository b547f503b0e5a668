"""`evaluate k2m`: real against generated motions, by the evaluator, in the usual protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.bodies.motion import BodyMotion
from motionkit.errors import UsageError
from motionkit.evaluation.critic import Critic
from motionkit.evaluation.judge import Judge, RealSet, read_real
from motionkit.evaluation.k2m_motions import (
    BODY_PX,
    K2M,
    PICTURE_PX,
    Taken,
    generated,
    reconstructed,
    still,
)
from motionkit.metrics.matching import multimodality
from motionkit.metrics.protocol import Items, Row, Settings, beside, interval, row, score_run
from motionkit.models.k2m.sampling import SamplingConfig
from motionkit.models.k2m.tokenizer import Lifted
from motionkit.shards.reader import ShardSet, open_shards
from motionkit.training.k2m_config import changed

VERSION = 1
Progress = Callable[[str, int, int], None]
World = Callable[[Lifted, int], BodyMotion]


@dataclass(frozen=True, kw_only=True)
class K2MEvaluation:
    """How K2M is scored by the evaluator, on held-out clips."""

    split: str = "test"
    """Split of the shard set: test, val or train."""
    runs: int = 20
    """Repetitions; the interval is 1.96 σ / √runs over them."""
    pool: int = 32
    """Motions that a text is ranked against, its own among them."""
    generations: int = 0
    """Sets of motions that are generated; 0: one a run, as in the literature. Fewer take turns."""
    lengths: Literal["real", "predicted"] = "real"
    """How long a generated motion is: as its clip, or as the model predicts from the text."""
    reconstruct: bool = False
    """Also score the real motions after their way through the tokens."""
    generate: bool = True
    """Generate at all; without it, the tokeniser alone is looked at."""
    multimodality: int = 0
    """Texts for Multimodality; 0: it is left out. 100 is usual."""
    multimodality_samples: int = 30
    """Motions of each of them."""
    multimodality_pairs: int = 10
    """Pairs of these."""
    diversity_pairs: int = 300
    """Most pairs; half of the clips where that is fewer."""
    batch: int = 32
    """Motions generated at once; decides speed and memory, not the motions."""
    seed: int = 0
    """Decides every draw: captions, pools, halves, pairs and motions."""
    sampling: SamplingConfig = field(default_factory=lambda: SamplingConfig(view_temperature=1.0))
    """How tokens are drawn. The starting view is drawn from the text's distribution: the real
    clips were filmed from all sides, and a model that always faces the camera is not like them."""

    def __post_init__(self) -> None:
        if self.lengths not in ("real", "predicted"):
            raise UsageError(f"lengths is {self.lengths!r}.", hint="choose from: real, predicted")
        for name, low in (("generations", 0), ("multimodality", 0), ("batch", 1),
                          ("multimodality_samples", 2), ("multimodality_pairs", 1)):  # fmt: skip
            if getattr(self, name) < low:
                raise UsageError(f"{name} is {getattr(self, name)}.", hint=f"give {low} or more")
        if not self.generate and not self.reconstruct:
            raise UsageError("there is nothing to evaluate.", hint="generate, or --reconstruct")
        self.protocol()

    def protocol(self) -> Settings:
        """The part that any model's scores have."""
        return Settings(
            runs=self.runs,
            pool=self.pool,
            diversity_pairs=self.diversity_pairs,
            seed=self.seed,
        )


def from_table(table: Mapping[str, Any]) -> K2MEvaluation:
    """The configuration of a recipe's [evaluate.k2m] table; unknown keys are refused."""
    return changed(K2MEvaluation(), table, "evaluate.k2m")


@dataclass(frozen=True)
class CriticRequest:
    """MotionCritic: its checkout, its checkpoint, and whether the checkout's code may run."""

    checkout: Path
    checkpoint: Path
    trusted: bool
    world: World
    """Puts row i of a `Lifted` into the world (`generation.world.to_world`)."""


@dataclass(frozen=True)
class _Work:
    """Everything that is looked at again and again."""

    config: K2MEvaluation
    judge: Judge
    model: K2M
    shards: ShardSet
    real: RealSet
    progress: Progress

    @property
    def items(self) -> Items:
        return self.real.items


def evaluate_k2m(
    model: Path,
    evaluator: Path,
    shards: Path,
    config: K2MEvaluation,
    *,
    critic: CriticRequest | None = None,
    progress: Progress = lambda step, done, total: None,
) -> dict[str, Any]:
    """The report as plain values; what `evaluate k2m --out` writes.

    Memory: embeddings, and a few hundred motions. UsageError where a pool is larger than the
    texts allow, or the evaluator's text encoder is another one here.
    """
    judged = Critic(critic.checkout, critic.checkpoint, trusted=critic.trusted) if critic else None
    opened = open_shards(shards)
    judge, trained = Judge.load(evaluator), K2M.load(model)
    real = read_real(
        judge, opened, config.split, down=trained.down, most_frames=trained.most_frames
    )
    work = _Work(config, judge, trained, opened, real, progress)
    settings, count = config.protocol(), len(real.ids)
    runs = [score_run(real.items, real.items.motions, run, settings) for run in range(config.runs)]
    rows = [row("ground truth", runs, count)]
    if config.reconstruct:
        rows.append(_reconstructed(work))
    extra: dict[str, Any] = {}
    if config.generate:
        taken = _to_critic(judged, critic) if judged is not None and critic is not None else None
        made, lasted = _generated(work, taken)
        rows += [_still(work, lasted), made]
        if judged is not None:
            extra["critic"] = judged.scores().plain()
        if config.multimodality:
            extra["multimodality"] = _multimodality(work)
    return {
        "kind": "k2m-evaluation",
        "version": VERSION,
        "evaluator": judge.stamp(),
        "model": {"sha256": trained.sha256, "data": trained.facts.get("data"),
                  "steps": trained.facts.get("steps")},
        "shards": {"manifest": opened.manifest_hash, "split": config.split,
                   "left_out": real.left_out},
        "settings": {**asdict(config), **beside(real.items, settings),
                     "generations": config.generations or config.runs},
        "camera": {"picture_px": list(PICTURE_PX), "body_px": BODY_PX},
        "rows": [scored.plain() for scored in rows],
        **extra,
        "notes": _notes(work, rows[0]),
    }  # fmt: skip


def _still(work: _Work, frames: Sequence[int]) -> Row:
    """What the lengths alone say: a figure that stands still for so many ``frames`` [N]."""
    lengths = sorted(set(frames))
    found = work.judge.motions(still(length) for length in lengths)
    place = {length: i for i, length in enumerate(lengths)}
    motions = found[[place[length] for length in frames]]
    settings = work.config.protocol()
    runs = [score_run(work.items, motions, run, settings) for run in range(work.config.runs)]
    return row("still figure", runs, len(frames))


def _reconstructed(work: _Work) -> Row:
    """The real motions after their way through the tokens."""
    config, items = work.config, work.items
    wanted, total = set(work.real.ids), len(work.real.ids)
    lengths = dict(zip(work.real.ids, work.real.frames, strict=True))

    def clips() -> Iterator[Tensor]:
        done = 0
        for sample in work.shards.samples(config.split, tracks=False, kind="person"):
            if sample.sample_id in wanted:
                done += 1
                work.progress("through tokens", done, total)
                frames = sample.m2d[: lengths[sample.sample_id]]
                yield torch.from_numpy(np.array(frames, np.float32))

    motions = work.judge.motions(reconstructed(work.model, clips(), batch=config.batch))
    settings = config.protocol()
    runs = [score_run(items, motions, run, settings) for run in range(config.runs)]
    return row("through tokens", runs, total)


def _generated(work: _Work, taken: Taken | None) -> tuple[Row, list[int]]:
    """Motions for the captions of each run; and how long those of the first set were."""
    config, items = work.config, work.items
    settings, total = config.protocol(), len(work.real.ids)
    sets = min(config.generations or config.runs, config.runs)
    made: dict[int, dict[str, float]] = {}
    lasted: list[int] = []
    for number in range(sets):
        # Motions of set k answer the captions of run k; runs that take turns score that run's.
        texts = items.drawn(number, config.seed)

        def told(done: int, number: int = number) -> None:
            work.progress("generate", number * total + done, sets * total)

        frames = work.real.frames if config.lengths == "real" else None
        seeds = [(config.seed, number, i) for i in range(total)]
        motions, sizes = _embedded(work, texts, frames, seeds, told, taken if number == 0 else None)
        lasted = lasted or sizes
        for run in range(number, config.runs, sets):
            made[run] = score_run(items, motions, run, settings, captions_of=number)
    return row("generated", [made[run] for run in range(config.runs)], total), lasted


def _embedded(
    work: _Work,
    texts: Sequence[str],
    frames: Sequence[int] | None,
    seeds: Sequence[Sequence[int]],
    told: Callable[[int], None],
    taken: Taken | None = None,
) -> tuple[NDArray[np.float64], list[int]]:
    """Embeddings [N, dim] of motions generated for ``texts``, in their order; their frames [N]."""
    places: list[int] = []
    sizes = [0] * len(texts)

    def motions() -> Iterable[Tensor]:
        for index, m2d in generated(
            work.model, texts, frames, seeds=seeds, sampling=work.config.sampling,
            batch=work.config.batch, told=told, taken=taken,
        ):  # fmt: skip
            places.append(index)
            sizes[index] = len(m2d)
            yield m2d

    found = work.judge.motions(motions())
    out = np.empty_like(found)
    out[places] = found
    return out, sizes


def _to_critic(critic: Critic, request: CriticRequest) -> Taken:
    """Shows each motion to the critic, cut to its own frames before its floor is found."""

    def taken(index: int, lifted: Lifted, place: int, frames: int) -> None:
        one = Lifted(**{
            name: getattr(lifted, name)[place : place + 1]
            if name == "betas" else getattr(lifted, name)[place : place + 1, :frames]
            for name in Lifted.__dataclass_fields__
        })  # fmt: skip
        critic.add(request.world(one, 0))

    return taken


def _multimodality(work: _Work) -> dict[str, Any]:
    """Distance of several motions of one text, over texts drawn by the seed."""
    c, items = work.config, work.items
    rng = np.random.default_rng([c.seed, 5])
    count = min(c.multimodality, len(work.real.ids))
    chosen = rng.permutation(len(work.real.ids))[:count]
    drawn = items.drawn(0, c.seed)
    samples = c.multimodality_samples
    texts = [drawn[i] for i in chosen for _ in range(samples)]
    frames = [work.real.frames[i] for i in chosen for _ in range(samples)]
    seeds = [(c.seed, 99, int(i), k) for i in chosen for k in range(samples)]

    def told(done: int) -> None:
        work.progress("multimodality", done, len(texts))

    found, _ = _embedded(work, texts, frames if c.lengths == "real" else None, seeds, told)
    grid = found.reshape(count, samples, -1)
    runs = [
        multimodality(grid, c.multimodality_pairs, np.random.default_rng([c.seed, run, 6]))
        for run in range(c.runs)
    ]
    value = interval([v for v, _ in runs])
    return {"mean": value.mean, "interval_95": value.half, "texts": count,
            "samples": samples, "pairs": runs[0][1]}  # fmt: skip


def _notes(work: _Work, truth: Row) -> list[str]:
    """What a reader of the scores has to know."""
    c, judge, items = work.config, work.judge, work.items
    notes = []
    if judge.facts.get("data") != work.shards.manifest_hash:
        notes.append("the evaluator was trained on another shard set than this")
    if work.model.facts.get("data") != work.shards.manifest_hash:
        notes.append("the model was trained on another shard set than this")
    if c.split == "train":
        notes.append("these are training clips: evaluator and model have seen them")
    if c.split == "val":
        notes.append("the evaluator was chosen on these clips")
    n, dim = items.motions.shape
    if n // 2 <= dim:
        notes.append(
            f"{n} motions, halves of {n // 2}, for embeddings of {dim}: no covariance of a half "
            "is full, and FID says little beyond its floor"
        )
    top, by_chance = truth.scores["top_1"].mean, 1 / c.pool
    if top < 5 * by_chance:
        notes.append(
            f"the evaluator finds real motions' texts only {top / by_chance:.1f} times as often as "
            "chance: it is a poor judge"
        )
    if 0 < c.generations < c.runs and c.generate:
        notes.append(f"{c.generations} generated sets take turns in {c.runs} runs")
    return notes

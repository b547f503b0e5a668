"""Text → 3D motion → files, with a trained K2M checkpoint."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionkit.bodies.motion import BodyMotion
from motionkit.errors import InputError, UsageError
from motionkit.evaluation.kinematic import measure, named
from motionkit.file_hash import sha256_of
from motionkit.generation import given as given_motion
from motionkit.generation.given import Frame, Given
from motionkit.generation.lift_inputs import KeypointClip
from motionkit.generation.outputs import (
    DEFAULT_FORMATS,
    Manifest,
    check_formats,
    stem_of,
    write_motion,
)
from motionkit.generation.prompts import FailedPrompt, Prompt, checked
from motionkit.generation.windows import Canvas, draw, overlap_tokens
from motionkit.generation.world import FPS, rest_of, to_world
from motionkit.models.k2m.sampling import SamplingConfig, predicted_lengths

Float = NDArray[np.float64]
#: A motion has at least so many tokens.
_SHORTEST = 2


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """How motions are drawn from texts."""

    window_s: float | None = None
    """Longest stretch drawn at once, seconds; None: the longest the model can. Where the training
    clips are shorter, their length."""
    overlap_s: float = 1.0
    """What a stretch sees of the one before it (and of given motion), seconds."""
    batch: int = 16
    """Motions drawn at once; decides speed and memory, not the motions."""
    device: str = "cpu"
    """Where the networks run, as torch names it."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        if self.batch < 1 or not self.overlap_s > 0 or not (self.window_s or 1.0) > 0:
            raise UsageError("batch, overlap_s and window_s must be over 0.")

    def asked(self) -> dict[str, Any]:
        """What differs from the defaults and changes the motions."""
        plain, default = (dataclasses.asdict(c) for c in (self, GenerateConfig()))
        sampling = {k: v for k, v in plain["sampling"].items() if v != default["sampling"][k]}
        long = {k: plain[k] for k in ("window_s", "overlap_s") if plain[k] != default[k]}
        return {**long, **({"sampling": sampling} if sampling else {})}


@dataclass(frozen=True)
class Around:
    """Motion that stays: the start, the end, or both ends of what is made."""

    motion: Path | KeypointClip
    """A motion that `generate` wrote, or a clip."""
    other: Path | KeypointClip | None = None
    """Where given, what is drawn leads from ``motion`` to this one."""
    keep_first: float | None = None
    """Seconds of ``motion`` that stay at its start (`given.framed`)."""
    keep_last: float | None = None
    """… and at its end."""


@dataclass(frozen=True)
class GeneratedMotion:
    """One motion made from a text."""

    paths: tuple[Path, ...]
    """The files, in the order of the formats asked for."""
    joints: Float
    """[F, 24, 3] metres, y up, floor at 0, the person facing +z at first."""
    kinematics: str
    """Which of the tests in `evaluation.kinematic` it passes, as words; a dash where none."""
    caption: str
    seconds: float
    seed: int
    line: int | None = None
    """The prompt's line in its file."""


@dataclass(frozen=True)
class _Job:
    prompt: Prompt
    seed: int
    canvas: Canvas
    lengths: tuple[int, ...]  # tokens drawn for each text


class K2MGenerator:
    """A trained K2M, loaded once; see `generate` and `generate_many`."""

    def __init__(self, checkpoint: Path, config: GenerateConfig | None = None) -> None:
        """UsageError where the text encoder here has other weights than the training's."""
        from motionkit.backends.text_encoder import text_encoder
        from motionkit.training.k2m import MODEL_FILE, load_model

        self.config = config or GenerateConfig()
        file = checkpoint / MODEL_FILE if checkpoint.is_dir() else checkpoint
        self.tokenizer, self.model, self.facts = load_model(checkpoint)
        self.checkpoint = sha256_of(file)
        self.encoder = text_encoder(str(self.facts["encoder"]))
        trained_with = self.facts.get("encoder_weights")
        if trained_with is not None and trained_with != self.encoder.identity():
            raise UsageError(
                f"{checkpoint} was trained with other weights of the text encoder "
                f"{self.facts['encoder']} ({trained_with}) than are here "
                f"({self.encoder.identity()}).",
                hint="put the same weights there, or train again",
            )
        self.tokenizer.to(self.config.device)
        self.model.to(self.config.device)
        #: Tokens a second.
        self.rate = FPS / self.tokenizer.config.down
        longest = int(self.facts["sizes"]["transformer"]["max_tokens"])
        asked = self.config.window_s
        self.limit = min(longest, max(6, round(asked * self.rate))) if asked else longest

    def frame(self, around: Around) -> Frame:
        """The tokens that stay; InputError or UsageError where there are none."""
        one = self._given(around.motion)
        if around.other is not None:
            return given_motion.between(one, self._given(around.other))
        return given_motion.framed(
            one, rate=self.rate, keep_first=around.keep_first, keep_last=around.keep_last
        )

    def _given(self, what: Path | KeypointClip) -> Given:
        if isinstance(what, Path):
            return given_motion.from_npz(what, self.tokenizer)
        return given_motion.from_clip(what, self.tokenizer)

    def jobs(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], frame: Frame | None
    ) -> list[_Job]:
        """What is to be drawn for each prompt with each seed; a prompt's own seed is the first."""
        names: dict[str, int] = {}
        for prompt in prompts:
            for text in prompt.texts:
                names.setdefault(text, len(names))
        encoded = torch.from_numpy(self.encoder.encode(list(names)))
        features = encoded.to(self.config.device)
        # one by one: a text's length must not hang on the last bits of a batch
        predicted = [
            max(_SHORTEST, int(predicted_lengths(self.model, feature[None])))
            for feature in features
        ]
        made = []
        for prompt, seed in itertools.product(prompts, seeds):
            rows = [names[text] for text in prompt.texts]
            if prompt.seconds is not None:
                lengths = [max(_SHORTEST, round(prompt.seconds * self.rate))] * len(rows)
            elif frame is not None and frame.tokens is not None and len(rows) == 1:
                lengths = [frame.tokens]
            else:
                lengths = [predicted[row] for row in rows]
            own = seed if prompt.seed is None else prompt.seed + seed - seeds[0]
            canvas = self._canvas(features[rows], lengths, own, frame)
            made.append(_Job(prompt, own, canvas, tuple(lengths)))
        return made

    def _canvas(
        self, features: torch.Tensor, lengths: Sequence[int], seed: int, frame: Frame | None
    ) -> Canvas:
        layers = self.tokenizer.config.quantiser.layers
        free = torch.full((sum(lengths), layers), -1)
        texts = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        if frame is None:
            return Canvas(free, texts, features, seed)
        tokens = torch.cat([frame.first, free, frame.last])
        before, after = texts[:1].expand(len(frame.first)), texts[-1:].expand(len(frame.last))
        return Canvas(tokens, torch.cat([before, texts, after]), features, seed, frame.view)

    def tokens(self, canvases: Sequence[Canvas]) -> list[tuple[torch.Tensor, int]]:
        """The canvases' tokens [u, N] and starting views, in batches of about equal length."""
        order = sorted(range(len(canvases)), key=lambda i: len(canvases[i].tokens))
        made: dict[int, tuple[torch.Tensor, int]] = {}
        for start in range(0, len(order), self.config.batch):
            chosen = order[start : start + self.config.batch]
            filled, views = draw(
                self.model, self.tokenizer, [canvases[i] for i in chosen], self.config.sampling,
                limit=self.limit,
                overlap=overlap_tokens(self.config.overlap_s, self.rate, self.limit),
            )  # fmt: skip
            made.update(zip(chosen, zip(filled, views, strict=True), strict=True))
        return [made[i] for i in range(len(canvases))]

    @torch.no_grad()
    def motion(self, tokens: torch.Tensor) -> BodyMotion:
        """Tokens [u, N] as a motion in the world.

        Decoded alone and in one go: its numbers do not depend on other motions, and a seam
        between windows is a place like any other.
        """
        batch = tokens[None].to(self.config.device)
        real = torch.ones(batch.shape[:2], dtype=torch.bool, device=batch.device)
        lifted = self.tokenizer.decode(batch, real)
        values = {f.name: getattr(lifted, f.name).cpu() for f in dataclasses.fields(lifted)}
        lifted = type(lifted)(**values)
        return to_world(lifted, offsets=rest_of(self.tokenizer, lifted))


def generate(
    checkpoint: Path,
    text: str,
    *,
    out: Path,
    seconds: float | None = None,
    seed: int = 0,
    formats: Sequence[str] = DEFAULT_FORMATS,
    sampling: SamplingConfig | None = None,
) -> GeneratedMotion:
    """Makes a motion from ``text`` and writes it into the folder ``out`` in ``formats``.

    ``checkpoint`` is a k2m.safetensors or the folder that holds it. ``seconds`` None: the length
    is predicted from the text. The same checkpoint, text, length and ``seed`` give the same
    files. UsageError for an empty text, an unknown format or a length out of range.
    """
    config = GenerateConfig(sampling=sampling or SamplingConfig())
    prompt = Prompt((text,), seconds, seed)
    made = next(generate_many(checkpoint, [prompt], out=out, formats=formats, config=config))
    if isinstance(made, FailedPrompt):
        raise UsageError(made.message, hint='try: motionkit generate k2m "a person walks"')
    return made


def generate_many(
    checkpoint: Path,
    prompts: Iterable[Prompt | FailedPrompt],
    *,
    out: Path,
    seed: int = 0,
    samples: int = 1,
    formats: Sequence[str] = DEFAULT_FORMATS,
    config: GenerateConfig | None = None,
    around: Around | None = None,
) -> Iterator[GeneratedMotion | FailedPrompt]:
    """Makes ``samples`` motions of every prompt, with seeds ``seed``, ``seed`` + 1, … (or from a
    prompt's own on), and yields each as its files are written.

    A sample is the one that its seed gives alone. Prompts that give no motion come out as
    `FailedPrompt`; the others go on. All are listed in ``out``/generated.jsonl with their files,
    settings and the checkpoint's hash. UsageError for an unknown format, or motion around it that
    cannot be used.
    """
    check_formats(formats)
    if samples < 1 or not 0 <= seed < 2**63 - samples:
        raise UsageError("samples start at 1 and seeds at 0.")
    generator = K2MGenerator(checkpoint, config)
    try:
        frame = None if around is None else generator.frame(around)
    except InputError as error:
        raise UsageError(error.message, hint=error.hint) from error
    return _run(generator, prompts, out, range(seed, seed + samples), formats, frame)


def _run(
    generator: K2MGenerator,
    prompts: Iterable[Prompt | FailedPrompt],
    out: Path,
    seeds: Sequence[int],
    formats: Sequence[str],
    frame: Frame | None,
) -> Iterator[GeneratedMotion | FailedPrompt]:
    manifest = Manifest(out)
    waiting = iter(prompts)
    block = max(1, 4 * generator.config.batch // len(seeds))
    try:
        while taken := list(itertools.islice(waiting, block)):
            good: list[Prompt] = []
            for prompt in taken:
                failed = prompt if isinstance(prompt, FailedPrompt) else _refused(prompt)
                if failed is None:
                    good.append(prompt)  # type: ignore[arg-type]
                else:
                    manifest.add(dataclasses.asdict(failed))
                    yield failed
            jobs = generator.jobs(good, seeds, frame) if good else []
            drawn = generator.tokens([job.canvas for job in jobs])
            for job, (tokens, view) in zip(jobs, drawn, strict=True):
                made, row = _finish(generator, job, tokens, view, out, formats, frame)
                manifest.add(row)
                yield made
    finally:
        manifest.close()


def _refused(prompt: Prompt) -> FailedPrompt | None:
    try:
        checked(prompt)
    except InputError as error:
        return FailedPrompt(prompt.line, prompt.title, error.code, error.message)
    return None


def _finish(
    generator: K2MGenerator,
    job: _Job,
    tokens: torch.Tensor,
    view: int,
    out: Path,
    formats: Sequence[str],
    frame: Frame | None,
) -> tuple[GeneratedMotion, dict[str, Any]]:
    """Decodes and writes one motion; its row of the manifest."""
    prompt, config = job.prompt, generator.config
    asked = config.asked()
    if prompt.seconds is not None:
        asked["seconds"] = prompt.seconds
    if frame is not None:
        asked["given"] = frame.digest()
    stem = stem_of(prompt.texts, job.seed, asked)
    motion = generator.motion(tokens)
    joints = motion.joints()
    extra = given_motion.arrays_of(tokens, view, generator.tokenizer)
    paths = write_motion(motion, out, stem, formats, text=prompt.title, extra=extra)
    found = ", ".join(named(measure(joints, FPS))) or "-"
    seconds = len(joints) / FPS
    row = {
        "name": stem,
        "texts": list(prompt.texts),
        "tokens": list(job.lengths),
        "line": prompt.line,
        "seed": job.seed,
        "seconds": round(seconds, 4),
        "files": [path.name for path in paths],
        "kinematics": found,
        "given": None if frame is None else {
            "digest": frame.digest(), "first": len(frame.first), "last": len(frame.last),
        },
        "settings": {
            "sampling": dataclasses.asdict(config.sampling),
            "window_s": config.window_s,
            "overlap_s": config.overlap_s,
        },
        "checkpoint": generator.checkpoint,
        "encoder": generator.facts["encoder"],
    }  # fmt: skip
    return GeneratedMotion(paths, joints, found, prompt.title, seconds, job.seed, prompt.line), row

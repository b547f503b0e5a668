"""Captioners: models that look at a clip's frames and write what the person does.

`Captioner` is the interface. A spec names one: ``openai:MODEL`` is any server that speaks the
OpenAI chat protocol with images, ``transformers:REPO`` a local image-text-to-text model.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError, UsageError
from motionkit.stage import Chunk, digest

#: What a spec may begin with.
KINDS = ("openai", "transformers")


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How one caption is written: greedily at ``temperature`` 0, else drawn with ``seed``.
    ``max_new_tokens`` bounds its length."""

    temperature: float = 0.0
    seed: int = 0
    max_new_tokens: int = 160


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a captioner wrote. ``text`` is one clean line; ``model`` is as the server or the model
    folder names it; ``finish`` is ``stop`` or ``length``; tokens and precision where known."""

    text: str
    model: str
    finish: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    precision: str | None = None


@dataclasses.dataclass(frozen=True)
class Manners:
    """How a server is asked; decides nothing about the text."""

    timeout_s: float = 120.0
    """Longest wait for one whole answer, seconds."""
    retries: int = 5
    """Further tries of one request."""
    backoff_s: float = 1.0
    """Wait before the first further try, seconds; doubled every time, up to two minutes."""
    most_at_once: int = 8
    """Most requests in flight."""


class Captioner(Protocol):
    """Writes one caption for some pictures in the order they are shown.

    An instance is made in the parent and travels to other processes before `setup`: until then
    it holds no model, lock, connection or key.
    """

    @property
    def most_at_once(self) -> int:
        """Most calls of `describe` that may run at the same time."""
        ...

    @property
    def needs_device(self) -> bool:
        """Whether the model runs here, on `devices.current()`."""
        ...

    def identity(self) -> dict[str, Any]:
        """All that decides the text beside prompt, pictures and sampling. Loads no model; raises
        where its files are absent."""
        ...

    def check(self) -> None:
        """What is missing (an address, a package, a file), told without loading or calling."""
        ...

    def setup(self) -> None:
        """Load the model, or find the server: MotionkitError where neither can ever work."""
        ...

    def prepare(self, frames: NDArray[np.uint8]) -> Chunk:
        """RGB frames [n, H, W, 3] as model input, one unit a frame: runs in a reader process,
        before or without `setup`."""
        ...

    def key(self, prompt: str, pictures: Chunk, sampling: Sampling) -> str:
        """64 hex digits over everything that decides the answer: the name of the request."""
        ...

    def describe(self, prompt: str, pictures: Chunk, sampling: Sampling) -> Answer:
        """The caption. Raises `InputError`, its code as in docs/codes.md."""
        ...


def open_captioner(spec: str, *, extra: str = "", manners: Manners | None = None) -> Captioner:
    """The captioner named by ``spec``.

    ``extra`` is a JSON object of further request fields, for servers only; so are ``manners``.
    UsageError for other specs.
    """
    kind, _, name = spec.partition(":")
    if kind not in KINDS or not name.strip() or name != name.strip():
        raise UsageError(
            f"there is no captioner '{spec}'",
            hint="write openai:MODEL (a server) or transformers:REPO (a local model)",
        )
    if kind == "openai":
        from motionkit.backends.captioners.openai_endpoint import OpenAIEndpoint

        return OpenAIEndpoint(name, extra=extra, manners=manners)
    if extra:
        raise UsageError("further request fields (extra) are for openai:MODEL only")
    from motionkit.backends.captioners.local_model import LocalModel

    return LocalModel(name)


def request_key(identity: dict[str, Any], prompt: str, pictures: Chunk, sampling: Sampling) -> str:
    """64 hex digits over a captioner's identity, the prompt, the pictures' bytes and how the text
    is drawn. Greedy requests do not depend on the seed."""
    import hashlib

    data = hashlib.sha256()
    for name in sorted(pictures):
        values = np.ascontiguousarray(pictures[name])
        data.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        data.update(values.tobytes())
    drawn = dataclasses.asdict(sampling)
    if sampling.temperature == 0:
        drawn.pop("seed")
    about = {"identity": identity, "prompt": prompt, "pictures": data.hexdigest(), **drawn}
    return digest(about, 64)


def tokens_of(detail: str | None) -> tuple[int, int]:
    """Prompt and completion tokens that a stored caption's ``detail`` names; 0 where unknown.
    What a set has cost, and what the rest of it will."""
    if not detail:
        return 0, 0
    try:
        usage = json.loads(detail).get("usage") or {}
        return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, TypeError, AttributeError):
        return 0, 0


def whole_sentences(text: str, finish: str | None, limit: int = 990) -> str:
    """``text`` without a sentence that was cut off by a limit of tokens or characters.

    A half sentence teaches a model half sentences; ``limit`` lies a little below that of
    `sidecars.clean_text`. Raises InputError ``caption-cut`` where not
    even one sentence is whole.
    """
    if finish != "length" and len(text) < limit:
        return text
    end = max(text.rfind(mark) for mark in ".!?")
    if end <= 0:
        raise InputError(
            "caption-cut",
            f"the caption was cut off before its first sentence ended: {text[:80]!r}",
            hint="raise max_new_tokens: --set max_new_tokens=300",
        )
    return text[: end + 1]

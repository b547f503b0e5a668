"""``openai:MODEL``: any server that speaks the OpenAI chat protocol with images.

vLLM, SGLang, llama.cpp and hosted services do. The address comes from ``MOTIONKIT_CAPTION_URL``
(or ``OPENAI_BASE_URL``), the key from ``MOTIONKIT_CAPTION_KEY`` (or ``OPENAI_API_KEY``; a local
server needs none). Both are read in `OpenAIEndpoint.setup`, in the process that asks, and stand
in no parameter, row, log, cache or message.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit import __version__
from motionkit.backends.captioners import Answer, Manners, Sampling, request_key
from motionkit.backends.captioners.http_call import Address, NoServer, Reply, call, parse_address
from motionkit.backends.captioners.pictures import as_jpeg, jpegs
from motionkit.errors import InputError, MotionkitError, UsageError
from motionkit.stage import Chunk
from motionkit.video.sidecars import MAX_CHARACTERS, clean_text

ADDRESS_VARIABLES: Final = ("MOTIONKIT_CAPTION_URL", "OPENAI_BASE_URL")
KEY_VARIABLES: Final = ("MOTIONKIT_CAPTION_KEY", "OPENAI_API_KEY")
#: Failures after which the same request may well succeed a little later.
PASSING: Final = frozenset(
    {"caption-network", "caption-timeout", "caption-rate-limited", "caption-server-error",
     "caption-malformed", "caption-empty", "caption-mismatched"}
)  # fmt: skip
#: Failures that every other clip would share: after so many in a row nothing is asked any more.
HOPELESS: Final = frozenset({"caption-unauthorised", "caption-no-model"})
HOPELESS_IN_A_ROW: Final = 3
_LONGEST_WAIT_S: Final = 120.0
_PREFLIGHT_S: Final = 10.0
#: What a user's further request fields may not touch.
_OURS: Final = frozenset({"model", "messages", "stream", "n", "seed"})
_ID_PREFIX: Final = "motionkit-"


class OpenAIEndpoint:
    """See the module's text. Thread-safe after `setup`."""

    def __init__(
        self,
        model: str,
        *,
        extra: str = "",
        manners: Manners | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.model = model
        self.manners = manners or Manners()
        self._extra = _further_fields(extra)
        self._sleep = sleep
        self._address: Address | None = None
        self._key: str | None = None
        self._refused = 0
        self._guard: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Without address, key and lock: another process finds its own in `setup`."""
        return {**self.__dict__, "_address": None, "_key": None, "_guard": None}

    @property
    def most_at_once(self) -> int:
        """As many as the user asks for."""
        return self.manners.most_at_once

    @property
    def needs_device(self) -> bool:
        """No: the model is elsewhere."""
        return False

    def identity(self) -> dict[str, Any]:
        """The model's name and the further fields; not the address: a server that moves to
        another port serves the same model."""
        return {"name": "openai", "model": self.model, "extra": self._extra}

    def check(self) -> None:
        """MotionkitError where no address is set, or a wrong one; calls nobody."""
        parse_address(_address_from_environment())

    def setup(self) -> None:
        """Read address and key, and ask the server for its models: a wrong key, a wrong address
        or a model that it does not have ends the run before the first clip. A server that has no
        such list, or cannot say now, is given the benefit of the doubt."""
        self._guard = threading.Lock()
        self._refused = 0
        self._address = parse_address(_address_from_environment())
        self._key = _key_from_environment()
        try:
            reply = self._call(
                "GET", "/models", None, "", min(_PREFLIGHT_S, self.manners.timeout_s)
            )
        except NoServer as error:
            raise MotionkitError(
                error.message,
                hint=f"start the server, or correct {ADDRESS_VARIABLES[0]} (docs/captions.md)",
            ) from None
        except InputError:  # slow or broken just now: every request has its tries
            return
        if reply.status in (401, 403):
            raise MotionkitError(
                f"the captioner's server refuses the key (HTTP {reply.status})",
                hint=f"set {KEY_VARIABLES[0]} to a key that it takes",
            )
        names = _model_names(reply) if reply.status == 200 else []
        if names and self.model not in names:
            raise MotionkitError(
                f"the captioner's server has no model '{self.model}'",
                hint=f"it has: {', '.join(names[:8])}",
            )

    def prepare(self, frames: NDArray[np.uint8]) -> Chunk:
        """JPEG files, as `pictures.as_jpeg`."""
        return as_jpeg(frames)

    def key(self, prompt: str, pictures: Chunk, sampling: Sampling) -> str:
        """See `captioners.request_key`."""
        return request_key(self.identity(), prompt, pictures, sampling)

    def payload(self, prompt: str, pictures: Chunk, sampling: Sampling) -> dict[str, Any]:
        """The request's body: one user message, the pictures in the order they are shown and then
        the prompt."""
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_text(file)}"}}
            for file in jpegs(pictures)
        ]
        content.append({"type": "text", "text": prompt})
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "stream": False,
        }
        body.update(self._extra)
        return {name: value for name, value in body.items() if value is not None}

    def describe(self, prompt: str, pictures: Chunk, sampling: Sampling) -> Answer:
        """Ask, and ask again after failures that pass (`PASSING`), with growing pauses.

        Raises InputError: see docs/codes.md, the codes that begin with ``caption-``.
        """
        body = json.dumps(self.payload(prompt, pictures, sampling)).encode()
        name = self.key(prompt, pictures, sampling)
        for attempt in range(self.manners.retries + 1):
            self._check_hope()
            wait = 0.0
            try:
                reply = self._call(
                    "POST",
                    "/chat/completions",
                    body,
                    f"{name[:32]}-{attempt}",
                    self.manners.timeout_s,
                )
                wait = reply.wait_s or 0.0
                answer = self._read(reply, f"{name[:32]}-{attempt}")
                self._refused = 0
                return answer
            except InputError as error:
                if error.code in HOPELESS:
                    with self._guard:
                        self._refused += 1
                if error.code not in PASSING or attempt == self.manners.retries:
                    raise
                if wait > _LONGEST_WAIT_S:
                    raise
            self._sleep(max(wait, self._pause(name, sampling.seed, attempt)))
        raise AssertionError("the last try either answers or raises")

    def _pause(self, name: str, seed: int, attempt: int) -> float:
        """Between half and all of the doubled pause: requests that failed together do not come
        back together. Drawn from the request and the seed, so that a run can be repeated."""
        full = min(self.manners.backoff_s * 2**attempt, _LONGEST_WAIT_S)
        return full * random.Random(f"{seed} {name} {attempt}").uniform(0.5, 1.0)

    def _check_hope(self) -> None:
        if self._refused >= HOPELESS_IN_A_ROW:
            raise InputError(
                "caption-not-asked",
                f"the server refused {HOPELESS_IN_A_ROW} requests in a row (key or model): this "
                "one was not sent",
                hint="correct the key or the model, then: motionkit retry --stage caption",
            )

    def _call(
        self, method: str, path: str, body: bytes | None, name: str, timeout_s: float
    ) -> Reply:
        if self._address is None:
            raise AssertionError("setup() comes first")
        headers = {"Accept": "application/json", "User-Agent": f"motionkit/{__version__}"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "X-Request-Id": _ID_PREFIX + name}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return call(self._address, method, path, headers, body, timeout_s)

    def _read(self, reply: Reply, name: str) -> Answer:
        """The answer in a reply; InputError where it holds none."""
        if reply.status != 200:
            raise _refusal(reply, self._said(reply), self.model)
        ours = reply.request_id or ""
        if ours.startswith(_ID_PREFIX) and ours != _ID_PREFIX + name:
            raise InputError("caption-mismatched", "the server answered another request")
        try:
            data = json.loads(reply.body)
            choice = data["choices"][0]
            text = _joined(choice["message"]["content"])
            finish = choice.get("finish_reason")
            usage = data.get("usage")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise InputError(
                "caption-malformed",
                f"the server's answer is no chat completion: {self._said(reply)}",
            ) from None
        finish = finish if finish in ("stop", "length") else None
        clean = self._clean(_without_thoughts(text)).strip("\"'“” ")
        if not clean:
            raise InputError("caption-empty", "the server's answer holds no text")
        usage = usage if isinstance(usage, dict) else {}
        served = data.get("model")
        served = self._clean(served) if isinstance(served, str) else ""
        return Answer(
            clean,
            served[:200] or self.model,
            finish,
            _count(usage.get("prompt_tokens")),
            _count(usage.get("completion_tokens")),
        )

    def _said(self, reply: Reply) -> str:
        """The beginning of what the server said, fit to be stored."""
        text = reply.body.decode("utf-8", "replace")
        try:
            error = json.loads(reply.body)["error"]
            text = str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass  # it did not say it in OpenAI's way
        return self._clean(text)[:200] or "(nothing)"

    def _clean(self, text: str) -> str:
        """`clean_text`, without the key, which servers quote back: taken out before a cut may leave
        a part of it, and after characters between its letters are gone."""
        if not self._key:
            return clean_text(text[: 8 * MAX_CHARACTERS])
        text = text.replace(self._key, "[key]")[: 8 * MAX_CHARACTERS]
        return clean_text(text).replace(self._key, "[key]")


def _refusal(reply: Reply, said: str, model: str) -> InputError:
    """What a status other than 200 means."""
    message = f"HTTP {reply.status}: {said}"
    if reply.status in (401, 403):
        hint = f"set {KEY_VARIABLES[0]} to a key that the server takes"
        return InputError("caption-unauthorised", message, hint=hint)
    if reply.status == 404:
        hint = f"is '{model}' the model's name there, and does the address end with /v1?"
        return InputError("caption-no-model", message, hint=hint)
    if reply.status == 429:
        return InputError("caption-rate-limited", message, hint="--set requests=2, retry later")
    if reply.status in (408, 409, 425) or reply.status >= 500:
        return InputError("caption-server-error", message)
    if 300 <= reply.status < 400:
        return InputError(
            "caption-redirected",
            f"HTTP {reply.status}: the server points elsewhere; a key is not sent after it",
            hint=f"set {ADDRESS_VARIABLES[0]} to where it points, if you trust that",
        )
    return InputError("caption-refused", message)


def _address_from_environment() -> str:
    for name in ADDRESS_VARIABLES:
        if os.environ.get(name, "").strip():
            return os.environ[name]
    raise UsageError(
        "no address of a captioner's server is set",
        hint=f"export {ADDRESS_VARIABLES[0]}=http://127.0.0.1:8000/v1 (docs/captions.md)",
    )


def _key_from_environment() -> str | None:
    for name in KEY_VARIABLES:
        key = os.environ.get(name, "").strip()
        if key:
            if not re.fullmatch(r"[!-~]+", key):
                raise UsageError(f"{name} is not one printable word without blanks")
            return key
    return None


def _further_fields(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"extra is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError('extra must be a JSON object, such as {"top_p": 0.9}')
    taken = sorted(_OURS & set(value))
    if taken:
        raise UsageError(f"extra must not set {', '.join(taken)}: motionkit does")
    return value


def _model_names(reply: Reply) -> list[str]:
    """The models that a server lists; empty where it lists none that can be read."""
    try:
        entries = json.loads(reply.body)["data"]
        return sorted(clean_text(str(entry["id"]))[:120] for entry in entries)
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def _joined(content: Any) -> str:
    """A message's content: a text, or parts of which the texts count."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise TypeError("content is neither text nor parts")
    return " ".join(part["text"] for part in content if part.get("type") == "text")


def _without_thoughts(text: str) -> str:
    """Reasoning models put their thoughts first."""
    return re.sub(r"^\s*<think>.*?</think>", "", text, flags=re.DOTALL)


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 40:
        return None
    return value


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

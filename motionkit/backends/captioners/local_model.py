"""``transformers:REPO``: a local image-text-to-text model, through the library's own classes.

The files come from the models folder (`motionkit.weights`), in safetensors only; code that a
repository carries is never run. The pictures go in as separate images, in the order they are
shown, before the prompt: the chat template of the model's own processor writes the rest.
"""

from __future__ import annotations

import re
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit import weights
from motionkit.backends.captioners import Answer, Sampling, request_key
from motionkit.devices import current
from motionkit.errors import InputError, MissingExtraError, MotionkitError, need_packages
from motionkit.stage import Chunk
from motionkit.video.sidecars import clean_text


class LocalModel:
    """See the module's text. One call at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spec = f"transformers:{name}"
        self._identity: dict[str, Any] | None = None
        self._model: Any = None
        self._processor: Any = None
        self._turn: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the model: another process loads its own in `setup`."""
        return {**self.__dict__, "_model": None, "_processor": None, "_turn": None}

    @property
    def most_at_once(self) -> int:
        """One: a model on a device answers one after another."""
        return 1

    @property
    def needs_device(self) -> bool:
        """Yes."""
        return True

    def identity(self) -> dict[str, Any]:
        """Name and SHA-256 of the model's files."""
        if self._identity is None:
            files = weights.find(self.spec)
            self._identity = {"name": "transformers", "model": self.name, "sha256": files.sha256}
        return self._identity

    def check(self) -> None:
        """weights.ModelMissing, or MissingExtraError where a package is absent."""
        need_packages(("torch", "transformers"), "caption", "a local captioner")
        self.identity()

    def setup(self) -> None:
        """Load model and processor onto this process's device, in its precision.

        Raises MissingExtraError, weights.ModelMissing, and MotionkitError where the folder holds
        no model of this kind.
        """
        torch, auto_model, auto_processor = _libraries()
        self.identity()
        device = current()
        device.prepare()
        kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        path = str(weights.find(self.spec).path)
        try:
            self._processor = auto_processor.from_pretrained(
                path, local_files_only=True, trust_remote_code=False
            )
            model = auto_model.from_pretrained(
                path,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=kinds[device.precision],
            )
        except ImportError as error:  # many processors want torchvision, some num2words
            raise MissingExtraError(
                _package_of(error), "caption", needed_for=f"the processor of {self.name}"
            ) from error
        except (OSError, ValueError, KeyError) as error:
            raise MotionkitError(
                f"{path} cannot be loaded as an image-text-to-text model: {error}",
                hint=f"fetch it again: motionkit models fetch {self.spec}",
            ) from error
        if getattr(self._processor, "chat_template", None) is None:
            raise MotionkitError(
                f"{self.name} has no chat template: motionkit cannot know how to ask it",
                hint="use an instruction-tuned model",
            )
        self._model = model.to(device.name).eval()
        self._turn = threading.Lock()

    def prepare(self, frames: NDArray[np.uint8]) -> Chunk:
        """The frames as they are: the processor scales and normalises them."""
        return {"frames": frames}

    def key(self, prompt: str, pictures: Chunk, sampling: Sampling) -> str:
        """See `captioners.request_key`; the precision belongs to it."""
        identity = {**self.identity(), "precision": current().precision}
        return request_key(identity, prompt, pictures, sampling)

    def describe(self, prompt: str, pictures: Chunk, sampling: Sampling) -> Answer:
        """Generate. Raises InputError ``caption-empty`` where the model writes nothing."""
        with self._turn:
            return self._describe(prompt, pictures["frames"], sampling)

    def _describe(self, prompt: str, frames: NDArray[np.uint8], sampling: Sampling) -> Answer:
        import torch
        from PIL import Image

        device = current()
        content: list[Any] = [
            {"type": "image", "image": Image.fromarray(frame)} for frame in frames
        ]
        content.append({"type": "text", "text": prompt})
        inputs = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(device.name, dtype=self._model.dtype)
        drawn: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            drawn = {"do_sample": True, "temperature": sampling.temperature}
        devices = [device.name] if device.is_cuda else []
        with device.inference(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(sampling.seed)
            out = self._model.generate(**inputs, **drawn, max_new_tokens=sampling.max_new_tokens)
        asked = int(inputs["input_ids"].shape[1])
        written = out[0, asked:]
        text = clean_text(self._processor.decode(written, skip_special_tokens=True))
        if not text:
            raise InputError("caption-empty", f"{self.name} wrote no text")
        ended = int(written[-1]) in _ends(self._model)
        return Answer(
            text,
            self.name,
            "stop" if ended else "length",
            asked,
            len(written),
            device.precision,
        )


def _package_of(error: ImportError) -> str:
    """The package that is missing: transformers names it in words only."""
    said = re.search(r"requires the (\S+) library|[Pp]ackage `(\S+?)`", str(error))
    named = error.name or (said.group(1) or said.group(2) if said else None)
    return named.lower() if named else "torchvision"


def _ends(model: Any) -> set[int]:
    """Token ids that end an answer."""
    given = model.generation_config.eos_token_id
    if given is None:
        return set()
    return {int(token) for token in (given if isinstance(given, (list, tuple)) else [given])}


def _libraries() -> tuple[Any, Any, Any]:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "caption", needed_for="a local captioner") from error
    try:
        from transformers import AutoModelForImageTextToText, AutoProcessor
    except ImportError as error:
        raise MissingExtraError(
            "transformers", "caption", needed_for="a local captioner"
        ) from error
    import transformers

    transformers.utils.logging.disable_progress_bar()  # it would cut through the run's own
    return torch, AutoModelForImageTextToText, AutoProcessor

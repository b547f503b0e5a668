"""CLIP through transformers (Radford et al., 2021): text and picture features in one space.

Tokenizer, picture processing and model are transformers' own. The Pillow processor is used even
where torchvision is installed, so that a picture has the same feature on every machine; always
in fp32, because features are kept and compared (`feature_cache`).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit import devices, weights
from motionkit.backends.text_encoder import say_cut, tokens_of
from motionkit.errors import MissingExtraError, UsageError

#: Pictures a time on a GPU. On the CPU one, which costs nothing there, and lets no batch change
#: the last bits of a feature.
BATCH: Final = 32


class _Clip:
    """What the two towers share: the files, and the model loaded at first use."""

    def __init__(self, spec: str) -> None:
        for package in ("torch", "transformers"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "clip", needed_for=f"the encoder '{spec}'")
        self.files = weights.find(spec)
        self._model: Any = None
        try:
            config = json.loads((self.files.path / "config.json").read_text("utf-8"))
            if config["model_type"] != "clip":
                raise UsageError(
                    f"{spec} is a {config['model_type']}, not a CLIP.",
                    hint="choose one like clip:openai/clip-vit-base-patch32",
                )
            self.dim = int(config.get("projection_dim", 512))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{self.files.path}/config.json is no CLIP's: {error}") from error

    def identity(self) -> dict[str, str]:
        """Spec and SHA-256 of the files; loads nothing."""
        return {"name": self.files.spec, "weights": self.files.sha256}

    def _loaded(self) -> Any:
        """The model, on the device of this process."""
        if self._model is None:
            from transformers import CLIPModel
            from transformers.utils import logging as transformers_logging

            transformers_logging.disable_progress_bar()
            device = devices.current()
            device.prepare()
            safe = any(self.files.path.glob("*.safetensors"))
            model: Any = CLIPModel.from_pretrained(
                str(self.files.path),
                local_files_only=True,
                use_safetensors=safe,
                **({} if safe else {"weights_only": True}),
            )
            self._model = model.float().eval().to(device.name)
        return self._model


class ClipText(_Clip):
    """The text tower: ``clip:openai/clip-vit-base-patch32`` → 512 numbers a sentence."""

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        self._tokenizer: Any = None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features [N, dim] of length 1, one sentence at a time, each up to 77 tokens."""
        import torch

        model = self._loaded()
        if self._tokenizer is None:
            from transformers import CLIPTokenizer

            path = str(self.files.path)
            self._tokenizer = CLIPTokenizer.from_pretrained(path, local_files_only=True)
        longest = int(model.config.text_config.max_position_embeddings)
        rows = np.zeros((len(texts), self.dim), np.float32)
        cut = 0
        with torch.inference_mode():
            for i, text in enumerate(texts):
                words, was_cut = tokens_of(self._tokenizer, text, longest)
                cut += was_cut
                words = {name: values.to(model.device) for name, values in words.items()}
                rows[i] = _unit(pooled(model.get_text_features(**words)))
        say_cut(cut, len(texts), longest)
        return rows


class ClipImages(_Clip):
    """The picture tower."""

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        self._processor: Any = None

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Features [N, dim] of length 1; ValueError for what is no uint8 [H, W, 3]."""
        _check_pictures(images)  # all of them, before the first is encoded
        step = BATCH if devices.current().is_cuda else 1
        rows = np.zeros((len(images), self.dim), np.float32)
        for start in range(0, len(images), step):
            rows[start : start + step] = self.features(self.prepare(images[start : start + step]))
        return rows

    def prepare(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Pictures as the model takes them, [N, 3, S, S]; loads no weights. ValueError as
        `encode`."""
        _check_pictures(images)
        if self._processor is None:
            self._processor = _processor(self.files.path)
        # The axes are named: a picture of 3 rows would be taken for three channels.
        made = self._processor(
            images=list(images), return_tensors="np", input_data_format="channels_last"
        )
        pixels: NDArray[np.float32] = np.asarray(made["pixel_values"], np.float32)
        return pixels

    def features(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features [N, dim] of length 1 of prepared pictures, all in one call."""
        import torch

        model = self._loaded()
        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(pixels)).to(model.device)
            return _unit(pooled(model.get_image_features(pixel_values=given)))


def _check_pictures(images: Sequence[NDArray[np.uint8]]) -> None:
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                f"a picture is uint8 [H, W, 3] RGB, not {image.dtype} {list(image.shape)}"
            )


def pooled(answer: Any) -> Any:
    """The features in the answer of ``get_text_features``: itself in transformers 4, a field of
    it in transformers 5."""
    return answer if hasattr(answer, "norm") else answer.pooler_output


def _unit(features: Any) -> NDArray[np.float32]:
    """[N, dim] torch → numpy, each row of length 1."""
    lengths = features.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    made: NDArray[np.float32] = (features / lengths).float().cpu().numpy()
    return made


def _processor(path: Path) -> Any:
    import transformers

    # transformers 4 has one name for the Pillow processor, transformers 5 another.
    name = "CLIPImageProcessorPil"
    made = getattr(transformers, name, None) or transformers.CLIPImageProcessor
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pillow", "clip", needed_for="pictures' features") from error
    return made.from_pretrained(str(path), local_files_only=True)

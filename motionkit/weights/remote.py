"""The files of a repository: which of them a model needs, and whether what came is such a file."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path, PurePosixPath
from typing import Final

from motionkit.errors import UsageError
from motionkit.weights.errors import FetchError
from motionkit.weights.places import PART

_TEXTS: Final = (".json", ".txt", ".model", ".jinja", ".tiktoken")
#: Folders of other formats of the same weights.
_OTHER_FORMATS: Final = {"onnx", "openvino", "coreml", "gguf", "tf", "flax", "original", "assets"}
_SHARD: Final = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_BIN: Final = re.compile(r"pytorch_model(?:-\d{5}-of-\d{5})?\.bin(?:\.index\.json)?")


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file to fetch: its name inside the model, and size and SHA-256 where the server says."""

    name: str
    size: int | None = None
    sha256: str | None = None


def wanted(files: list[RemoteFile], repo: str) -> list[RemoteFile]:
    """The configuration, the tokenizer and the weights: safetensors where there are any, never
    a pickle beside them, never code. FetchError for names that lead out of the folder."""
    chosen = []
    for file in files:
        name = PurePosixPath(file.name)
        if name.suffix not in (*_TEXTS, ".safetensors", ".bin"):
            continue
        check_name(file.name, repo)
        if not set(name.parts[:-1]) & _OTHER_FORMATS:
            chosen.append(file)
    names = {file.name for file in chosen}
    if any(name.endswith(".safetensors") for name in names):
        usual = {n for n in names if n == "model.safetensors" or _SHARD.fullmatch(n)}
        chosen = [
            file
            for file in chosen
            if ".bin" not in file.name
            # Beside the usual names there may be a second copy: fp16, another library's.
            and not (
                usual
                and file.name.endswith(".safetensors")
                and "/" not in file.name
                and file.name not in usual
            )
        ]
    else:
        chosen = [f for f in chosen if ".bin" not in f.name or _BIN.fullmatch(f.name)]
    if not any(f.name.endswith((".safetensors", ".bin")) for f in chosen):
        raise UsageError(
            f"{repo} has no weights that motionkit can load (safetensors, or pytorch_model.bin)"
        )
    return chosen


def check_name(name: str, where: str) -> None:
    """FetchError for a name that is not made of plain parts: nothing is written outside the
    model's own folder, whatever a server or an archive says."""
    if not all(PART.fullmatch(part) for part in name.split("/")):
        raise FetchError(f"{where} names a file {name!r}: it is not fetched", hint="report it")


def check_content(path: Path, name: str) -> None:
    """FetchError where the content is not of the kind that the name says: a page of a portal or
    of an error that came with status 200."""
    with path.open("rb") as stream:
        start = stream.read(1 << 16)
    ending = name.rpartition(".")[2]
    right = bool(start)
    if ending == "safetensors":
        length = int.from_bytes(start[:8], "little")
        right = len(start) > 8 and 8 + length <= path.stat().st_size and start[8:9] == b"{"
    elif ending in ("pt", "pth", "bin"):
        right = start.startswith((b"PK\x03\x04", b"\x80"))  # torch's archive, or its old pickle
    elif ending == "json":
        try:
            json.loads(path.read_bytes())
        except ValueError:
            right = False
    if not right:
        path.unlink()
        raise FetchError(
            f"what came as {name} is no {ending} file (it starts with {start[:40]!r})",
            hint="a proxy or a login page may answer in place of the server; then fetch it again",
        )

"""What to generate: prompts from the command line, a list of texts, a CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionkit.errors import InputError, UsageError

#: Longer motions are refused: they are decoded in one go.
LONGEST_S = 600.0
#: A text longer than this is no description of a motion.
LONGEST_TEXT = 2000
#: A file of prompts larger than this is refused, bytes.
LARGEST_FILE = 64 << 20
_COLUMNS = ("text", "seconds", "seed")


@dataclass(frozen=True)
class Prompt:
    """One motion to make."""

    texts: tuple[str, ...]
    """What the person does; several: one after another."""
    seconds: float | None = None
    """Length of what each text draws; None: predicted from the text."""
    seed: int | None = None
    """None: the call's."""
    line: int | None = None
    """Where it stands in its file, from 1."""

    @property
    def title(self) -> str:
        """All texts in a line."""
        return "; then ".join(self.texts)


@dataclass(frozen=True)
class FailedPrompt:
    """A prompt that gave no motion; the others go on."""

    line: int | None
    text: str
    code: str
    """Stable (docs/codes.md)."""
    message: str


def checked(prompt: Prompt) -> Prompt:
    """``prompt`` itself. InputError 'bad-prompt' for an empty or endless text, one with control
    characters or without a letter, a length or a seed out of range."""
    for text in prompt.texts or ("",):
        if not text.strip():
            raise InputError("bad-prompt", "the text is empty.")
        if len(text) > LONGEST_TEXT:
            raise InputError(
                "bad-prompt", f"the text has {len(text)} characters, more than {LONGEST_TEXT}."
            )
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError("bad-prompt", "the text is not UTF-8.") from error
        control = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)
        if control is not None:
            raise InputError(
                "bad-prompt",
                f"character {control.start() + 1} of the text is the control character "
                f"U+{ord(control[0]):04X}.",
            )
        if not any(c.isalpha() for c in text):
            raise InputError("bad-prompt", f"the text {text.strip()[:40]!r} has no letter.")
    seconds, seed = prompt.seconds, prompt.seed
    if seconds is not None and not (math.isfinite(seconds) and 0.25 <= seconds <= LONGEST_S):
        raise InputError(
            "bad-prompt", f"{seconds:g} s is out of range: ask for 0.25 to {LONGEST_S:g} s."
        )
    if seed is not None and not 0 <= seed < 2**63:
        raise InputError("bad-prompt", f"{seed} is no seed: ask for 0 or more, below 2^63.")
    return prompt


def read_prompts(path: Path) -> Iterator[Prompt | FailedPrompt]:
    """The prompts of a file, and what is wrong with the lines that hold none.

    ``.csv``: columns text, seconds, seed, the last two as wanted. ``.jsonl``: an object a line
    with these keys; ``text`` may be a list, whose texts follow each other in one motion. Any
    other file: a text a line. Blank lines are passed over. UsageError where the file is not to
    be read, larger than 64 MB, or lacks a column.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{path} is larger than {LARGEST_FILE >> 20} MB.", hint="split it")
        whole = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    content = whole.decode("utf-8", "surrogateescape")
    kind = path.suffix.lower()
    if kind == ".csv":
        rows = _csv_rows(content, path)
    elif kind in (".jsonl", ".ndjson"):
        rows = _json_rows(content)
    else:
        lines = enumerate(content.splitlines(), 1)
        rows = ((n, {"text": line.strip()}) for n, line in lines if line.strip())
    return _prompts(rows)


def _prompts(rows: Iterator[tuple[int, Mapping[str, Any] | InputError]]) -> Iterator[Any]:
    for line, row in rows:
        text = "" if isinstance(row, InputError) else row.get("text")
        try:
            if isinstance(row, InputError):
                raise row
            yield checked(_prompt(line, row))
        except InputError as error:
            shown = text if isinstance(text, str) else json.dumps(text)
            shown = shown.encode("utf-8", "replace").decode()[:LONGEST_TEXT]
            yield FailedPrompt(line, shown, error.code, error.message)


def _prompt(line: int, row: Mapping[str, Any]) -> Prompt:
    unknown = [str(key) for key in row if key not in _COLUMNS]
    if unknown:
        raise InputError(
            "bad-prompt", f"unknown key {unknown[0]!r}; known are {', '.join(_COLUMNS)}."
        )
    texts = row.get("text")
    texts = texts if isinstance(texts, list) else [texts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InputError("bad-prompt", "'text' must be a text or a list of texts.")
    return Prompt(
        tuple(text.strip() for text in texts),
        _number(row.get("seconds"), float, "seconds"),
        _number(row.get("seed"), int, "seed"),
        line,
    )


def _number(value: Any, kind: type, name: str) -> Any:
    """A number, or the text of one; None where there is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError
        number = kind(value)
        if kind is int and float(value) != number:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise InputError("bad-prompt", f"{name} is {value!r}, no number.") from error
    return number


def _csv_rows(content: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any] | InputError]]:
    reader = csv.reader(io.StringIO(content, newline=""))
    header = [name.strip().lower() for name in next(reader, [])]
    wrong = [name for name in header if name not in _COLUMNS]
    if "text" not in header or wrong or len(set(header)) < len(header):
        raise UsageError(
            f"{path}: the first line must name the columns, not {', '.join(header) or 'be empty'}.",
            hint="text,seconds,seed (seconds and seed as wanted)",
        )
    return _csv_body(reader, header)


def _csv_body(reader: Any, header: list[str]) -> Iterator[tuple[int, Any]]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, InputError("bad-prompt", f"no line of a CSV: {error}.")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            problem = f"{len(cells)} cells where the header has {len(header)}."
            yield line, InputError("bad-prompt", problem)
        else:
            yield line, dict(zip(header, cells, strict=True))


def _json_rows(content: str) -> Iterator[tuple[int, Mapping[str, Any] | InputError]]:
    for line, text in enumerate(content.split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield line, InputError("bad-prompt", f"no JSON: {error}.")
            continue
        if isinstance(row, dict):
            yield line, row
        else:
            yield line, InputError("bad-prompt", "no JSON object.")

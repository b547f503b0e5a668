"""Where each annotation lies in a MeViS mask file, found by reading the file once, in blocks.

``mask_dict.json`` is one object, ``{annotation id: [run lengths or null a frame]}``, of hundreds
of megabytes. `index_masks` notes the byte range of every value and builds nothing else; a worker
then reads the few ranges that an item needs (`read_masks`). Memory is a block of the file and two
numbers an annotation, whatever the file holds.

Damage in one place costs the annotations it touches: after it, reading goes on at the next thing
that looks like an annotation.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import IO, Any, Final

from motionkit.errors import InputError
from motionkit.video.mevis import parse_json, readable

#: No run lengths of one frame, and no key, are longer than this.
LOOK_AHEAD: Final = 4 * 2**20
_BLOCK: Final = 8 * 2**20
#: All frames of one annotation: more is damage (a bracket that is never closed).
VALUE_MAX_BYTES: Final = 64 * 2**20

#: Values of no usual form may be this large, and nested this deep.
_ODD_MAX_BYTES: Final = 2**20
_ODD_MAX_DEPTH: Final = 16
#: Places of damage after which the rest of a file is not worth reading.
_DAMAGE_MAX: Final = 500

_STRING: Final = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_KEY: Final = re.compile(rb"\s*(" + _STRING + rb")\s*:\s*", re.DOTALL)
#: One frame's entry in the usual form, and the comma or bracket behind it. Written so that no
#: text can be divided in two ways: a mismatch is found in one pass over the text.
_ENTRY: Final = re.compile(
    rb"\s*(?:null|\{[^{}\[\]\"]*(?:(?:" + _STRING + rb'|\[[^\[\]{}"]*\])[^{}\[\]"]*)*\})\s*([,\]])',
    re.DOTALL,
)
_TOKEN: Final = re.compile(_STRING + rb'|[\[\]{}"]', re.DOTALL)
_SCALAR: Final = re.compile(rb'[^\s,\[\]{}"]+')
_NEXT: Final = re.compile(rb"\s*([,}\]])")
#: How an annotation begins; `counts` and `size` never do.
_ANNOTATION: Final = re.compile(rb'"(?:[^"\\]|\\.){1,64}"\s*:\s*\[\s*(?:null|\{)', re.DOTALL)
_BACK: Final = 256  # an annotation's beginning is shorter; it may lie across two blocks


@dataclasses.dataclass(frozen=True)
class MaskIndex:
    """``ranges``: annotation id → where its value begins and ends, in bytes. ``repeated``: ids
    that stand there twice. ``damage``: what is wrong with the file, None for a sound one; ids
    that are in no range may then have been lost."""

    ranges: dict[str, tuple[int, int]]
    repeated: frozenset[str]
    damage: str | None


def index_masks(path: str | Path) -> MaskIndex:
    """Read the file once and note where every annotation lies. Never raises for what the file
    holds: `MaskIndex.damage` says it."""
    try:
        with Path(path).open("rb") as stream:
            return _Reader(stream).index()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return MaskIndex({}, frozenset(), f"it cannot be read: {reason}")


def read_masks(path: str | Path, place: tuple[int, int]) -> list[Any]:
    """The entries of one annotation, a list with run lengths or null a frame.

    Raises InputError mask-unreadable.
    """
    start, end = place
    name = Path(path).name
    try:
        with Path(path).open("rb") as stream:
            stream.seek(start)
            entries = parse_json(stream.read(end - start))
    except (OSError, ValueError) as error:
        raise InputError(
            "mask-unreadable", f"{name}, bytes {start} to {end}: {readable(str(error))}"
        ) from error
    if not isinstance(entries, list):
        raise InputError("mask-unreadable", f"{name}, bytes {start} to {end}: not a list of masks")
    return entries


class _Damage(Exception):
    """The text at ``_Reader.at`` is not what JSON has there."""


class _Reader:
    """A window over the file: at least `LOOK_AHEAD` bytes lie before ``at``, or the file ends."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.window = b""
        self.at = 0  # in the window
        self.before = 0  # bytes of the file before the window
        self.ended = False
        self.ranges: dict[str, tuple[int, int]] = {}
        self.repeated: set[str] = set()
        self.damage: str | None = None
        self.damaged_places = 0

    @property
    def place(self) -> int:
        """Offset in the file."""
        return self.before + self.at

    def fill(self) -> None:
        """Have at least `LOOK_AHEAD` bytes ahead, if there are as many."""
        if self.ended or len(self.window) - self.at >= LOOK_AHEAD:
            return
        rest = self.window[self.at :]
        more = self.stream.read(_BLOCK)
        self.before += self.at
        self.window, self.at = rest + more, 0
        self.ended = len(more) < _BLOCK

    def index(self) -> MaskIndex:
        """Read to the end."""
        try:
            self._expect(rb"(?:\xef\xbb\xbf)?\s*\{", "it does not begin with an object")
            more = self._found(re.compile(rb"\s*\}")) is None or self._goes_on()
        except _Damage as damage:
            self._note(damage)
            more = self._recover()
        while more:
            try:
                more = self._annotation() or self._goes_on()
            except _Damage as damage:
                self._note(damage)
                more = self._recover()
        return MaskIndex(self.ranges, frozenset(self.repeated), self.damage)

    def _annotation(self) -> bool:
        """One key and its value; False after the last. Raises _Damage."""
        self.fill()
        key = self._found(_KEY)
        if key is None:
            raise _Damage("a key is missing")
        name = _name(key.group(1))
        start = self.place
        self._skip_value()
        end = self.place
        self.fill()
        following = self._found(_NEXT)
        # A bracket too many or too few: the value before is not what it seems.
        if following is None or following.group(1) == b"]":
            raise _Damage("a comma is missing")
        if name in self.ranges:
            self.repeated.add(name)
        self.ranges[name] = (start, end)
        return following.group(1) == b","

    def _skip_value(self) -> None:
        """Go behind a value: a list of entries in the usual form, or whatever stands there."""
        start = self.place
        if self._found(re.compile(rb"\[")) is None:
            self._skip_any()
            return
        if self._found(re.compile(rb"\s*\]")) is not None:
            return
        while True:
            self.fill()
            entry = self._found(_ENTRY)
            if entry is None:
                self._skip_any()
                self.fill()
                entry = self._found(_NEXT)
                if entry is None or entry.group(1) == b"}":
                    raise _Damage("a list of masks is broken")
            if entry.group(1) == b"]":
                return
            if self.place - start > VALUE_MAX_BYTES:
                raise _Damage("a list of masks has no end")

    def _skip_any(self) -> None:
        """Go behind any value of at most `_ODD_MAX_BYTES`, by its brackets. Raises _Damage."""
        self._found(re.compile(rb"\s+"))
        self.fill()
        if self.window[self.at : self.at + 1] not in (b"{", b"[", b'"'):
            if self._found(_SCALAR) is None:
                raise _Damage("a value is missing")
            return
        open_brackets: list[bytes] = []
        limit = min(len(self.window), self.at + _ODD_MAX_BYTES)
        for token in _TOKEN.finditer(self.window, self.at, limit):
            text = token.group()
            if text == b'"':
                break  # a string without an end
            if text in (b"{", b"["):
                open_brackets.append(text)
                if len(open_brackets) > _ODD_MAX_DEPTH:
                    break
            elif text in (b"}", b"]"):
                pair = b"{" if text == b"}" else b"["
                if not open_brackets or open_brackets.pop() != pair:
                    break
            if not open_brackets:
                self.at = token.end()
                return
        raise _Damage("brackets or quotes do not match")

    def _goes_on(self) -> bool:
        """Behind the last bracket: False at the end of the file. Raises _Damage."""
        self.fill()
        if self.ended and not self.window[self.at :].strip():
            return False
        raise _Damage("there is more behind the last bracket")

    def _recover(self) -> bool:
        """Go on at what looks like the next annotation; False where there is none."""
        self.damaged_places += 1
        if self.damaged_places > _DAMAGE_MAX:
            return False
        while True:
            self.fill()
            found = _ANNOTATION.search(self.window, self.at)
            if found is not None:
                self.at = found.start()
                return True
            if self.ended:
                self.at = len(self.window)
                return False
            self.at = max(self.at, len(self.window) - _BACK)

    def _found(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        match = pattern.match(self.window, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def _expect(self, pattern: bytes, otherwise: str) -> None:
        self.fill()
        if self._found(re.compile(pattern)) is None:
            raise _Damage(otherwise)

    def _note(self, damage: _Damage) -> None:
        self.damage = self.damage or f"it is damaged at byte {self.place}: {damage}"


def _name(quoted: bytes) -> str:
    try:
        name = parse_json(quoted)
    except ValueError:
        name = None
    if not isinstance(name, str):
        raise _Damage("a key cannot be read")
    return name

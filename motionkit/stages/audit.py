"""`audit`: every caption held against its clip's keypoints and against the other captions.

What looks wrong becomes a flag beside the caption; nothing is changed or removed. docs/audit.md
lists the codes, what each is sure of, and how to leave flagged captions out of the shards.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container, Iterator
from typing import Any, ClassVar

import numpy as np

from motionkit.backends.kinematics import RULES_VERSION, Evidence, evidence
from motionkit.errors import UsageError
from motionkit.stage import Item, Kept, Outcome, Tables, digest
from motionkit.stages._audit_claims import Claims, read_claims
from motionkit.stages._audit_copies import Copies, count_copies, text_key
from motionkit.stages._audit_motions import motion_finding
from motionkit.stages._audit_sides import OTHER, limb_finding, way_finding
from motionkit.stages._audit_text import WORD, Found, text_findings

__all__ = ["CODES", "SEVERITIES", "Audit", "text_mark"]

#: Code → severity. 'wrong': the caption should not be trained on; 'doubt': look at it; 'note':
#: against the prompt's letter, and harmless for most uses.
CODES: dict[str, str] = {
    "side-contradicted": "wrong",
    "direction-contradicted": "doubt",
    "motion-contradicted": "wrong",
    "duplicate-text": "wrong",
    "refusal": "wrong",
    "prompt-echo": "wrong",
    "not-english": "wrong",
    "markup": "doubt",
    "repeated-phrase": "wrong",
    "few-words": "doubt",
    "many-words": "doubt",
    "appearance": "doubt",
    "gendered": "note",
}
SEVERITIES = ("wrong", "doubt", "note")
DIRECTIONS = ("either", "own", "picture")
#: Rules write the same words for the same motion.
_NOT_COUNTED = ("kinematic",)


@dataclasses.dataclass(frozen=True)
class Audit:
    """Flag captions that look wrong."""

    duplicates_max: int = 20
    """A text on more videos than this is a copy."""
    duplicates_long_max: int = 5
    """The same for a text of at least ``long_words`` words: those are not said twice by chance."""
    long_words: int = 15
    """Words from which a text is long."""
    words_min: int = 3
    """Fewer words say too little."""
    words_max: int = 60
    """More are no one or two concise sentences."""
    directions: str = "own"
    """Whose left a way "to the left" means where the words do not say: 'own' (the person's, as in
    HumanML3D), 'picture' (the viewer's), or 'either': flagged only where both are wrong."""

    name: ClassVar[str] = "audit"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "audits"
    reads: ClassVar[tuple[str, ...]] = ("keypoints", "captions")
    #: Words and a few sums over keypoints: a millisecond or two a clip.
    in_process: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.directions not in DIRECTIONS:
            raise UsageError(
                f"--directions must be one of {', '.join(DIRECTIONS)}, not '{self.directions}'"
            )
        for name in ("duplicates_max", "duplicates_long_max", "words_min", "words_max"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, and what was read. The texts themselves, and on how many videos they
        stand, are an item's own input: its stamp."""
        return {
            **dataclasses.asdict(self),
            "rules": RULES_VERSION,
            "captions": tables.fingerprint("captions"),
            "keypoints": tables.fingerprint("keypoints"),
        }

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """The clips that have captions."""
        copies = count_copies(tables, _NOT_COUNTED)
        for row in tables.rows("captions", ["captions"]):
            yield row["item_id"], self._stamp(row["captions"], copies)

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted clips with their captions and keypoints."""
        copies = count_copies(tables, _NOT_COUNTED)
        found = tables.lookup("keypoints", "clip_id", ["fps", "m2d"])
        only = None if wanted is None else ("item_id", wanted)
        for row in tables.rows("captions", ["video_id", "clip_id", "captions"], only=only):
            captions = [
                {
                    "text": caption["text"] or "",
                    "source": caption["source"],
                    "videos": self._videos(caption, copies),
                }
                for caption in row["captions"] or ()
            ]
            keypoints = found.get(row["clip_id"]) or {}
            data = {
                "video_id": row["video_id"],
                "clip_id": row["clip_id"],
                "captions": captions,
                "fps": keypoints.get("fps"),
                "m2d": keypoints.get("m2d"),
            }
            yield Item(row["item_id"], data, self._stamp(row["captions"], copies))

    def _videos(self, caption: dict[str, Any], copies: Copies) -> int:
        """Videos that have the text, where they are too many; else 0: one more of a text that is
        no copy is no reason to look at the others again."""
        if caption["source"] in _NOT_COUNTED:
            return 0
        text = caption["text"] or ""
        count = copies.count(text_key(text))
        if count <= min(self.duplicates_max, self.duplicates_long_max):
            return 0
        long = len(WORD.findall(text)) >= self.long_words
        return count if count > (self.duplicates_long_max if long else self.duplicates_max) else 0

    def _stamp(self, captions: Any, copies: Copies) -> str:
        """Version of a clip's texts, and of how many videos share them."""
        return digest(
            [[c["text"], c["source"], self._videos(c, copies)] for c in captions or ()], 16
        )

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, item: Item) -> Outcome:
        """The flags of a clip's captions; kept where there is none, too."""
        data = item.data
        seen: list[Evidence | None] = []  # measured once, and only where a caption asks

        def keypoints() -> Evidence | None:
            if not seen:
                m2d = data["m2d"]
                known = m2d is not None and len(m2d)
                seen.append(
                    evidence(np.asarray(m2d).reshape(-1, 18, 3), float(data["fps"]))
                    if known
                    else None
                )
            return seen[0]

        flags = []
        for index, caption in enumerate(data["captions"]):
            text = caption["text"]
            for code, measured, detail in self._findings(text, caption["videos"], keypoints):
                about = {**_detail(detail), "text": text_mark(text)}
                flags.append(
                    {
                        "caption": index,
                        "code": code,
                        "measured": measured,
                        "detail": json.dumps(about, sort_keys=True, ensure_ascii=False),
                    }
                )
        row = {"video_id": data["video_id"], "clip_id": data["clip_id"]}
        return Kept({**row, "captions": len(data["captions"]), "flags": flags})

    def _findings(self, text: str, videos: int, keypoints: Any) -> Iterator[Found]:
        """At most one finding a code."""
        yield from text_findings(text, words_min=self.words_min, words_max=self.words_max)
        if videos:
            yield "duplicate-text", float(videos), ""
        claims = read_claims(text)
        measured = keypoints() if claims else None
        if measured is not None:
            codes: set[str] = set()
            for found in contradictions(claims, measured, self.directions):
                if found[0] not in codes:
                    codes.add(found[0])
                    yield found


def contradictions(claims: Claims, measured: Evidence, directions: str) -> Iterator[Found]:
    """Every claim that the keypoints contradict."""
    found = [
        limb_finding(c, measured, alone=(c.limb, OTHER[c.side]) not in claims.named)
        for c in claims.limbs
    ]
    found += [way_finding(claim, measured, directions) for claim in claims.ways]
    found += [motion_finding(claim, measured) for claim in claims.motions]
    yield from (one for one in found if one is not None)


def text_mark(text: str) -> str:
    """8 hex digits of a caption's text: says which text a flag is about."""
    return digest(text, 8)


def _detail(detail: str) -> dict[str, Any]:
    if detail.startswith("{"):
        return dict(json.loads(detail))
    return {"words": detail} if detail else {}

"""What the stages said about an item, and how that is told in a sentence."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Word:
    """What one stage said about one item. ``outcome`` is kept, dropped, failed, pending (its
    stage has not come to it) or not-run."""

    stage: str
    item: str
    outcome: str
    reason: str | None = None
    measured: float | None = None
    threshold: float | None = None
    message: str | None = None


def word_of(stage: str, row: dict[str, Any], item: str | None = None) -> Word:
    """What a row of a stage's table says."""
    return Word(
        stage=stage,
        item=item or row["item_id"],
        outcome=row["outcome"],
        reason=row["reason"],
        measured=row["measured"],
        threshold=row["threshold"],
        message=row["error_message"],
    )


def ending(words: list[Word]) -> str:
    """How the way of something ended that has no verdict."""
    bad = [word for word in words if word.outcome != "kept"]
    if not bad:
        return "it has no such shot"
    last = bad[0]
    if last.outcome == "not-run":
        return f"{last.stage} has not run yet"
    if last.outcome == "pending":
        return f"{last.stage} has not come to it yet"
    why = f"{last.outcome} by {last.stage}: {last.reason}"
    if last.message:
        why += f" ({last.message})"
    elif last.measured is not None and last.threshold is not None:
        why += f" ({last.measured:.3g} where the limit is {last.threshold:.3g})"
    return why


def sentence(candidate: dict[str, Any], words: list[Word]) -> str:
    """What became of a candidate, from its verdict and the words of the later stages."""
    if candidate["outcome"] == "dropped":
        value, limit = candidate["measured"], candidate["threshold"]
        told = "" if value is None else f", {value:.3g}"
        told += "" if limit is None else f" where the limit is {limit:.3g}"
        return f"dropped by filter: {candidate['reason']}{told}"
    later = [w for w in words if w.stage in ("pose", "track", "caption", "build-shards")]
    for word in later:
        if word.outcome in ("dropped", "failed"):
            return f"kept by filter; {word.outcome} by {word.stage}: {word.reason or word.message}"
    return "kept by filter"


def beside_of(candidates: list[dict[str, Any]], place: int) -> str | None:
    """What lies beside a candidate: its verdict and when."""
    if not 0 <= place < len(candidates):
        return None
    other = candidates[place]
    return f"{other['reason'] or 'kept'}, {other['t0_s']:.2f} to {other['t1_s']:.2f} s"

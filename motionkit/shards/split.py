"""Which split a source video belongs to. Clips of one video never part.

Every video gets a place in [0, 1) from a salted hash of its id. Videos with the lowest places
are the test set, those above them the validation set, the rest is training.

* From `EXACT_BELOW` videos on, the borders are fixed places (rule ``hash``): adding a video
  never moves another one.
* Below that, chance would make the shares poor or a split empty, so the borders are ranks in
  the same order (rule ``rank``): the shares are exact to one video, test has at least one of
  two videos, validation at least one of three, and adding videos can move only those next to
  a border.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Any, Final

from motionkit.errors import UsageError

#: Sets with fewer videos than this are cut by rank.
EXACT_BELOW: Final = 100
DEFAULT_SALT: Final = "motionkit"


@dataclasses.dataclass(frozen=True)
class SplitShares:
    """Shares of the videos in each split; they sum to 1."""

    train: float = 0.8
    val: float = 0.05
    test: float = 0.15

    def __post_init__(self) -> None:
        shares = (self.train, self.val, self.test)
        if min(shares) < 0 or abs(sum(shares) - 1.0) > 1e-6 or self.train <= 0:
            raise UsageError(
                f"the split shares train={self.train}, val={self.val}, test={self.test} "
                "do not work.",
                hint="give shares of at least 0 that sum to 1, with train above 0",
            )


@dataclasses.dataclass(frozen=True)
class Assignment:
    """``split_of`` maps each group to train, val or test; ``rule`` is hash or rank."""

    split_of: dict[str, str]
    rule: str
    salt: str
    shares: SplitShares

    def describe(self) -> dict[str, Any]:
        """The rule as the manifest states it."""
        text = {
            "hash": "place = first 64 bits of SHA-256(salt + ':' + video_id) / 2^64; test below "
            "the test share, val below test + val, train above; a new video moves no other",
            "rank": "as the hash rule, but cut by rank in the order of the places, because the "
            f"set has fewer than {EXACT_BELOW} videos; a new video can move others at the borders",
        }[self.rule]
        return {
            "group_by": "video_id",
            "rule": self.rule,
            "text": text,
            "salt": self.salt,
            "shares": dataclasses.asdict(self.shares),
            "exact_below": EXACT_BELOW,
        }


def place(group: str, salt: str) -> float:
    """Deterministic place of a group in [0, 1)."""
    head = hashlib.sha256(f"{salt}:{group}".encode()).digest()[:8]
    return (int.from_bytes(head, "big") >> 11) / 2.0**53  # 53 bits: exact, never 1.0


def assign(
    groups: Iterable[str], shares: SplitShares | None = None, *, salt: str = DEFAULT_SALT
) -> Assignment:
    """Give every group its split; the order and repetitions of ``groups`` do not matter."""
    shares = shares or SplitShares()
    ordered = sorted((place(group, salt), group) for group in set(groups))
    if len(ordered) >= EXACT_BELOW:
        split_of = {
            group: "test"
            if where < shares.test
            else "val"
            if where < shares.test + shares.val
            else "train"
            for where, group in ordered
        }
        return Assignment(split_of, "hash", salt, shares)
    test, val = _small_counts(len(ordered), shares)
    split_of = {
        group: "test" if rank < test else "val" if rank < test + val else "train"
        for rank, (_, group) in enumerate(ordered)
    }
    return Assignment(split_of, "rank", salt, shares)


def _small_counts(total: int, shares: SplitShares) -> tuple[int, int]:
    """Numbers of test and val groups in a small set; train keeps at least one."""
    test = round(total * shares.test)
    val = round(total * shares.val)
    if shares.test > 0 and total >= 2:
        test = max(1, test)
    if shares.val > 0 and total >= 3:
        val = max(1, val)
    while total and test + val >= total:
        if val > test or (val and test <= 1):
            val -= 1
        else:
            test -= 1
    return test, val

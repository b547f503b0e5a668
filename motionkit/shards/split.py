"""Which split a video belongs to. Near-duplicates never part, nor do the clips of one video.

Videos that show the same thing (re-uploads, re-encoded, trimmed) share a **group**; a video
without a twin is a group of its own. Every group gets a place in [0, 1) from a salted hash of
its id. Groups with the lowest places are the test set, those above them the validation set, the
rest is training.

* From `EXACT_BELOW` groups on, the borders are fixed places (rule ``hash``): adding a video
  never moves another group.
* Below that, chance would make the shares poor or a split empty, so the borders are ranks in
  the same order (rule ``rank``): the shares are exact to one group, test has at least one of
  two groups, validation at least one of three, and adding groups can move only those next to
  a border.

A data set's own split (MeViS: train, valid_u, valid) comes before both: see `OFFICIAL`. A group
that it would part goes as a whole to the stricter side.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from motionkit.errors import UsageError

#: Sets with fewer groups than this are cut by rank.
EXACT_BELOW: Final = 100
DEFAULT_SALT: Final = "motionkit"
#: Where the samples of a data set's own split go: what its makers hold out stays held out
#: (MeViS: valid_u with masks, valid without).
OFFICIAL: Final[Mapping[str, str]] = {"train": "train", "valid_u": "test", "valid": "test"}
#: A group in several official splits goes to the strictest of them.
_STRICT: Final = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class SplitShares:
    """Shares of the groups in each split; they sum to 1."""

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
    """``split_of`` maps each group to train, val or test; ``rule`` is hash or rank.

    ``official`` counts the groups whose split came with the data, ``parted`` those of them that
    the official split would have parted.
    """

    split_of: dict[str, str]
    rule: str
    salt: str
    shares: SplitShares
    official: int = 0
    parted: int = 0

    def describe(self) -> dict[str, Any]:
        """The rule as the manifest states it."""
        text = {
            "hash": "place = first 64 bits of SHA-256(salt + ':' + group_id) / 2^64; test below "
            "the test share, val below test + val, train above; a new group moves no other",
            "rank": "as the hash rule, but cut by rank in the order of the places, because the "
            f"set has fewer than {EXACT_BELOW} groups; a new group can move others at the borders",
        }[self.rule]
        return {
            "group_by": "group_id",
            "rule": self.rule,
            "text": text,
            "salt": self.salt,
            "shares": dataclasses.asdict(self.shares),
            "exact_below": EXACT_BELOW,
            "official": {
                "map": dict(OFFICIAL),
                "groups": self.official,
                "parted": self.parted,
                "text": "groups with an official split keep it; one that it would part goes as "
                "a whole to the stricter side (test)",
            },
        }


def place(group: str, salt: str) -> float:
    """Deterministic place of a group in [0, 1)."""
    head = hashlib.sha256(f"{salt}:{group}".encode()).digest()[:8]
    return (int.from_bytes(head, "big") >> 11) / 2.0**53  # 53 bits: exact, never 1.0


def assign(
    groups: Iterable[str],
    shares: SplitShares | None = None,
    *,
    salt: str = DEFAULT_SALT,
    official: Mapping[str, set[str]] | None = None,
) -> Assignment:
    """Give every group its split; the order and repetitions of ``groups`` do not matter.

    ``official`` maps a group to the splits (train, val, test) that its samples came with: it
    gets the strictest. The shares hold among the other groups.
    """
    shares = shares or SplitShares()
    names = set(groups)
    fixed = {g: max(s, key=_STRICT.index) for g, s in (official or {}).items() if g in names and s}
    parted = sum(len((official or {})[group]) > 1 for group in fixed)
    ordered = sorted((place(group, salt), group) for group in names - fixed.keys())
    if len(ordered) >= EXACT_BELOW:
        rule = "hash"
        split_of = {group: _of_place(where, shares) for where, group in ordered}
    else:
        rule = "rank"
        test, val = _small_counts(len(ordered), shares)
        split_of = {
            group: "test" if rank < test else "val" if rank < test + val else "train"
            for rank, (_, group) in enumerate(ordered)
        }
    return Assignment({**split_of, **fixed}, rule, salt, shares, len(fixed), parted)


def _of_place(where: float, shares: SplitShares) -> str:
    if where < shares.test:
        return "test"
    return "val" if where < shares.test + shares.val else "train"


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

"""Licences of the models, and what each means for the data that they make."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Licence:
    """``text`` names it, ``commercial`` is None where it is not known, ``meaning`` is a sentence
    for who uses the data."""

    text: str
    commercial: bool | None
    meaning: str


_UNKNOWN = Licence(
    "not known to motionkit", None, "read the licence on the model's page before you use its data"
)


def licence_of(spec: str) -> Licence:
    """The licence of the model ``KIND:NAME``."""
    return _UNKNOWN

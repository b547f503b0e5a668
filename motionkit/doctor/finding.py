"""One check's outcome."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """One check: ``state`` is ok, absent (an optional thing) or wrong; ``cure`` a command, or
    what to do where no command can do it."""

    name: str
    state: str
    found: str
    cure: str = ""

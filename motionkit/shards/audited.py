"""Which captions the audit flagged: read from the table `audits`, joined by clip and text."""

from __future__ import annotations

import json

from motionkit.errors import UsageError
from motionkit.stage import Tables, digest, has_run

_HINT = "run: motionkit captions audit"


def text_mark(text: str) -> str:
    """8 hex digits of a caption's text: a flag says with it which text it is about, so that a
    text that was replaced since is not taken for the flagged one."""
    return digest(text, 8)


def check_audited(tables: Tables) -> None:
    """UsageError where captions were not audited, or changed since."""
    if not has_run(tables, "audits"):
        raise UsageError("the captions were not audited yet.", hint=_HINT)
    about = getattr(tables, "current", lambda _: None)("audits") or {}
    seen = about.get("identity", {}).get("captions")
    if seen is not None and seen != tables.fingerprint("captions"):
        raise UsageError("the captions were made anew since they were audited.", hint=_HINT)
    count, audited = (
        sum(1 for _ in tables.rows(table, ["clip_id"])) for table in ("captions", "audits")
    )
    if count != audited:
        raise UsageError(
            f"{abs(count - audited)} clips with captions were not audited.", hint=_HINT
        )


def flagged_texts(tables: Tables, codes: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Clip id → mark of each flagged text → its first code, of the flags with one of ``codes``."""
    found: dict[str, dict[str, str]] = {}
    for row in tables.rows("audits", ["clip_id", "flags"]):
        for flag in row["flags"] or ():
            if flag["code"] in codes:
                mark = json.loads(flag["detail"])["text"]
                found.setdefault(row["clip_id"], {}).setdefault(mark, flag["code"])
    return found

"""What the caption audit flagged: counts by code, and the captions with the reason."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from motionkit.catalogue import connect
from motionkit.errors import UsageError
from motionkit.stages.audit import CODES, SEVERITIES
from motionkit.workspace import Workspace

_SQL = """
SELECT f.flag.code AS code, f.flag.measured AS measured, f.flag.detail AS detail, f.clip_id,
    f.video_id, c.captions[f.flag.caption + 1].text AS text,
    c.captions[f.flag.caption + 1].source AS source
FROM (SELECT clip_id, video_id, unnest(flags) AS flag FROM audits WHERE outcome = 'kept') f
LEFT JOIN captions c ON c.clip_id = f.clip_id AND c.outcome = 'kept'
"""
#: The worst first: most copies, surest contradiction.
_ORDER = "ORDER BY code, abs(coalesce(measured, 0)) DESC, clip_id, text"


@dataclasses.dataclass(frozen=True)
class Flagged:
    """One flag: the caption it is on, and what was found. ``about`` holds the words that were
    judged and the numbers they were held against."""

    code: str
    severity: str
    clip_id: str
    video_id: str
    text: str
    source: str
    measured: float | None
    about: dict[str, Any]

    def why(self) -> str:
        """The finding in a few words."""
        parts = [f"{key} {value}" for key, value in self.about.items() if key != "text"]
        if self.measured is not None:
            parts.insert(0, f"{self.measured:g}")
        return ", ".join(parts)


def flag_counts(workspace: Workspace) -> dict[str, Any]:
    """``captions`` and ``clips`` that were audited, ``flagged`` captions, and of each code its
    severity and number, the most serious first."""
    with connect(workspace) as connection:
        total = connection.execute(
            "SELECT count(*), coalesce(sum(captions), 0), coalesce(sum(len(list_distinct("
            "[f.caption FOR f IN flags]))), 0) FROM audits WHERE outcome = 'kept'"
        ).fetchone()
        rows = connection.execute(f"SELECT code, count(*) FROM ({_SQL}) GROUP BY code").fetchall()
    clips, captions, flagged = total or (0, 0, 0)
    found = [{"code": c, "severity": CODES.get(c, "doubt"), "captions": n} for c, n in rows]
    found.sort(key=lambda r: (SEVERITIES.index(r["severity"]), -r["captions"], r["code"]))
    return {"clips": clips, "captions": int(captions), "flagged": int(flagged), "codes": found}


def flagged(
    workspace: Workspace, codes: Sequence[str] = (), *, limit: int | None = None, each: int = 0
) -> list[Flagged]:
    """Flagged captions of these codes (none: all), the worst of each code first; at most
    ``limit`` in all and ``each`` of a code (0: all)."""
    wanted = flag_codes(codes)
    where = "WHERE len($codes) = 0 OR list_contains($codes, code)"
    if each:
        where += f" QUALIFY row_number() OVER (PARTITION BY code {_ORDER}) <= {int(each)}"
    sql = f"SELECT * FROM ({_SQL}) {where} {_ORDER}"
    if limit is not None:
        sql += f" LIMIT {int(limit)}"
    with connect(workspace) as connection:
        table = connection.sql(sql, params={"codes": list(wanted)}).to_arrow_table()
    return [
        Flagged(
            row["code"],
            CODES.get(row["code"], "doubt"),
            row["clip_id"],
            row["video_id"],
            row["text"] or "",
            row["source"] or "",
            row["measured"],
            json.loads(row["detail"] or "{}"),
        )
        for row in table.to_pylist()
    ]


def flag_codes(names: Sequence[str]) -> tuple[str, ...]:
    """Codes by name; a severity stands for all of its codes. UsageError for an unknown one."""
    found: list[str] = []
    for name in names:
        if name in SEVERITIES:
            found += [code for code, severity in CODES.items() if severity == name]
        elif name in CODES:
            found.append(name)
        else:
            raise UsageError(
                f"there is no flag {name!r}.",
                hint=f"flags are: {', '.join(CODES)}; or all of one sort: {', '.join(SEVERITIES)}",
            )
    return tuple(dict.fromkeys(found))

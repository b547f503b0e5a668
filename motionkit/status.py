"""What every stage kept, dropped, failed at and has yet to do, and how long that will take.

Counted from key columns and the ids inside lists alone (`row_index`): a million clips take a
second or two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motionkit.engines.heartbeat import last_rate, read_heartbeat
from motionkit.records import TABLES
from motionkit.row_index import RowIndex, id_hashes
from motionkit.workspace import STAGE_OF, Workspace


def status(workspace: Workspace) -> list[dict[str, Any]]:
    """One dict a stage that has run, in order.

    ``stage``, ``kept``, ``dropped`` by reason, ``failed`` by code, ``pending`` (items without a
    row yet; None where the workspace cannot know them), ``running`` (None, or ``pid``, ``host``,
    ``done``, ``total``, ``per_s`` of the run that is going on) and ``seconds_left`` (of that run;
    else of the pending items at the rate of the last run; None where neither is known).
    """
    found = []
    indexes: dict[str, RowIndex] = {}
    for table in TABLES:
        current = workspace.current(table)
        if current is not None:
            indexes[table] = workspace.index(table, str(current["fingerprint"]))
    for table, index in indexes.items():
        stage = STAGE_OF[table]
        row: dict[str, Any] = {"stage": stage, "kept": 0, "dropped": {}, "failed": {}}
        for (outcome, reason), count in sorted(_outcomes(index).items()):
            if outcome == "kept":
                row["kept"] += count
            else:
                row[outcome][reason or "unknown"] = count
        row["pending"] = _pending(indexes, table)
        row["running"] = read_heartbeat(workspace, stage)
        row["seconds_left"] = _seconds_left(workspace, row)
        found.append(row)
    return found


def _seconds_left(workspace: Workspace, row: dict[str, Any]) -> float | None:
    running = row["running"]
    rate = running["per_s"] if running else last_rate(workspace, row["stage"])
    left = running["total"] - running["done"] if running else row["pending"]
    return round(left / rate, 1) if rate and left else None


def _outcomes(index: RowIndex) -> Counter[tuple[str, str]]:
    """(outcome, reason) → rows; the reason is "" where there is none."""
    columns = [index.column(name) for name in ("outcome", "reason")]
    names = [column.cast(pa.string()) for column in columns]
    grouped = pa.table(names, names=["outcome", "reason"]).group_by(["outcome", "reason"])
    counts = grouped.aggregate([([], "count_all")]).to_pylist()
    return Counter({(r["outcome"], r["reason"] or ""): r["count_all"] for r in counts})


def _pending(indexes: dict[str, RowIndex], table: str) -> int | None:
    """Distinct items of a stage that have no row; None for stages whose items come from outside."""
    if table not in _ITEMS:
        return None
    known = indexes[table].hashes
    pending = 0
    for upstream, hashes_of in _ITEMS[table].items():
        if upstream in indexes:
            ids = hashes_of(indexes[upstream])
            ids = ids[np.append(True, ids[1:] != ids[:-1])] if len(ids) else ids
            place = np.minimum(np.searchsorted(known, ids), max(len(known) - 1, 0))
            pending += int((known[place] != ids).sum()) if len(known) else len(ids)
    return pending


def _with_outcome(*outcomes: str) -> Callable[[RowIndex], NDArray[np.uint64]]:
    """Sorted hashes of the items with one of these outcomes."""

    def read(index: RowIndex) -> NDArray[np.uint64]:
        if {outcome for outcome, _ in _outcomes(index)} <= set(outcomes):
            return index.hashes
        wanted = pc.is_in(index.column("outcome").cast(pa.string()), pa.array(outcomes))
        return np.sort(id_hashes(index.column("item_id").filter(wanted)))

    return read


def _column(name: str) -> Callable[[RowIndex], NDArray[np.uint64]]:
    def read(index: RowIndex) -> NDArray[np.uint64]:
        chunks: list[pa.Array] = []
        for data, places in index.groups([name], "kept", None):
            chunks += data.column(name).take(pa.array(places)).cast(pa.string()).chunks
        return np.sort(id_hashes(pa.chunked_array(chunks, pa.string())))

    return read


def _listed(column: str, field: str, *, kept: bool) -> Callable[[RowIndex], NDArray[np.uint64]]:
    """Ids inside a list of structs; ``kept`` takes those whose own outcome is kept."""

    def read(index: RowIndex) -> NDArray[np.uint64]:
        fields = [field, "outcome"] if kept else [field]
        leaves = [f"{column}.list.element.{name}" for name in fields]
        chunks: list[pa.Array] = []
        for data, places in index.groups(leaves, "kept", None):
            rows = data.column(column)
            whole = len(places) == data.num_rows
            for chunk in rows.chunks if whole else rows.take(pa.array(places)).chunks:
                structs = chunk.flatten()
                ids = structs.field(field)
                if kept:
                    ids = ids.filter(pc.equal(structs.field("outcome"), "kept"))
                chunks.append(ids)
        return np.sort(id_hashes(pa.chunked_array(chunks, pa.string())))

    return read


#: Table → the tables that name its items, and the sorted hashes of those ids.
_ITEMS: dict[str, dict[str, Callable[[RowIndex], NDArray[np.uint64]]]] = {
    "scans": {"videos": _column("video_id")},
    "detections": {"scans": _listed("shots", "shot_id", kept=False)},
    "verdicts": {"detections": _with_outcome("kept", "dropped")},
    "keypoints": {"verdicts": _listed("candidates", "clip_id", kept=True)},
    "tracks": {"keypoints": _with_outcome("kept"), "expressions": _column("clip_id")},
    "masks": {"keypoints": _with_outcome("kept")},
    "overlays": {"tracks": _with_outcome("kept")},
    "captions": {"keypoints": _with_outcome("kept")},
    "audits": {"captions": _with_outcome("kept")},
}

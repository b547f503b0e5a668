"""DuckDB over the workspace: documented views, counts, failures. In memory, read-only.

Views (docs/workspace.md lists their columns):

- one of each table's name: the latest row of every item of the current fingerprint, kept or
  not; `<table>_all` holds every row of every fingerprint and attempt;
- `shots`, `candidates`, `clips` (the kept candidates), `caption_texts`: the lists inside the
  rows, one row an element;
- `samples`: one row a clip that could become a sample, with what is known of it and its video;
- `dropped` and `failures`: what was turned down or broke, over all stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from motionkit.conditions import SAMPLES_SQL
from motionkit.errors import UsageError, WorkspaceError
from motionkit.records import OUTCOME_FIELDS, TABLES
from motionkit.status import status
from motionkit.workspace import STAGE_OF, Workspace, table_schema

__all__ = ["connect", "failed_ids", "failures", "query", "status"]

_LATEST = """
CREATE VIEW {table} AS
SELECT * FROM {table}_all
WHERE fingerprint = '{fingerprint}'
QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY attempt DESC) = 1
"""

_DERIVED = {
    "shots": (
        "scans",
        "SELECT video_id, s.* FROM (SELECT video_id, unnest(shots) AS s FROM scans)",
    ),
    "candidates": (
        "verdicts",
        "SELECT item_id AS shot_id, video_id, c.* FROM "
        "(SELECT item_id, video_id, unnest(candidates) AS c FROM verdicts)",
    ),
    "clips": ("verdicts", "SELECT * FROM candidates WHERE outcome = 'kept'"),
    "caption_texts": (
        "captions",
        "SELECT clip_id, video_id, c.* FROM "
        "(SELECT clip_id, video_id, unnest(captions) AS c FROM captions)",
    ),
    "samples": ("keypoints", SAMPLES_SQL),
}


def connect(workspace: Workspace) -> duckdb.DuckDBPyConnection:
    """A connection whose only data are the workspace's tables, and which can reach no other file.

    Damaged parts are set aside first (a warning names them), so that one bad file does not
    fail every query.
    """
    connection = duckdb.connect(":memory:")
    connection.execute("SET threads = 2")
    tables = workspace.path / "tables"
    for table in TABLES:
        parts = [part for part in workspace.parts(table) if workspace.readable(part)]
        if parts:
            files = ", ".join(_quoted(str(part.resolve())) for part in parts)
            body = f"SELECT * FROM read_parquet([{files}])"
        else:
            connection.register(f"_empty_{table}", pa.table(table_schema(table).empty_table()))
            body = f"SELECT * FROM _empty_{table}"
        connection.execute(f"CREATE VIEW {table}_all AS {body}")
        current = workspace.current(table)
        fingerprint = current["fingerprint"] if current else ""
        if not all(c in "0123456789abcdef" for c in fingerprint):
            raise WorkspaceError(f"current/{table}.json names no fingerprint: {fingerprint!r}")
        connection.execute(_LATEST.format(table=table, fingerprint=fingerprint))
    for view, (_, body) in _DERIVED.items():
        connection.execute(f"CREATE VIEW {view} AS {body}")
    columns = ", ".join(
        OUTCOME_FIELDS.field(i).name
        for i in range(len(OUTCOME_FIELDS))
        if OUTCOME_FIELDS.field(i).name != "fingerprint"
    )
    for view, outcome in (("dropped", "dropped"), ("failures", "failed")):
        parts_of = [
            f"SELECT '{STAGE_OF[table]}' AS stage, {columns} FROM {table} "
            f"WHERE outcome = '{outcome}'"
            for table in TABLES
        ]
        connection.execute(f"CREATE VIEW {view} AS " + " UNION ALL ".join(parts_of))
    connection.execute(f"SET allowed_directories = [{_quoted(str(tables.resolve()))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def query(workspace: Workspace, sql: str) -> pa.Table:
    """Run one SELECT. UsageError for anything else, and for SQL that DuckDB refuses."""
    with connect(workspace) as connection:
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type not in (
                duckdb.StatementType.SELECT,
                duckdb.StatementType.EXPLAIN,
            ):
                raise UsageError(
                    "query takes one SELECT statement: the tables are read-only.",
                    hint='for example: motionkit query "SELECT count(*) FROM clips"',
                )
            relation = connection.sql(sql)
            result = relation.to_arrow_table()
        except duckdb.Error as error:
            views = ", ".join([*TABLES, *_DERIVED, "dropped", "failures"])
            raise UsageError(
                str(error).strip().splitlines()[0], hint=f"the views are: {views}"
            ) from error
        return result


def failures(workspace: Workspace, stage: str | None = None) -> list[dict[str, Any]]:
    """Failed items: stage, item, code, message, attempts, and ``path``: the file, for the stages
    before it the address or the search text."""
    sql = """
        SELECT f.stage, f.item_id, f.reason AS code, f.error_message AS message,
               f.attempt AS attempts, coalesce(v.path, d.url, q.query) AS path
        FROM failures f LEFT JOIN (
            SELECT item_id AS key, path, video_id FROM videos
            UNION ALL SELECT video_id, path, video_id FROM videos WHERE video_id IS NOT NULL
        ) v
        -- the ids of shots and clips begin with that of their video
        ON v.key = CASE f.stage WHEN 'ingest' THEN f.item_id ELSE split_part(f.item_id, '-', 1) END
        LEFT JOIN downloads d ON f.stage = 'fetch' AND d.item_id = f.item_id
        LEFT JOIN searches q ON f.stage = 'search' AND q.item_id = f.item_id
        WHERE ($stage IS NULL OR f.stage = $stage)
        -- copies of one video have one id: name the first
        QUALIFY row_number() OVER (PARTITION BY f.stage, f.item_id ORDER BY v.path) = 1
        ORDER BY f.stage, f.reason, f.item_id
    """
    with connect(workspace) as connection:
        rows = connection.sql(sql, params={"stage": stage}).to_arrow_table()
    return rows.to_pylist()


def failed_ids(workspace: Workspace, stage: str, codes: Sequence[str] = ()) -> set[str]:
    """Ids of the failed items of a stage (of some codes) for `retry`."""
    return {
        row["item_id"]
        for row in failures(workspace, stage)
        if not codes or row["code"] in codes or row["code"] is None
    }


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

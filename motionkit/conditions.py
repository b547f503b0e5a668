"""Choosing samples by an SQL condition: the view it reads, and how it is checked.

A condition is one expression over the columns of the view `samples`, one row a clip that could
become a sample. It runs on the workspace's locked connection (`motionkit.catalogue.connect`):
no file, no setting and no table can be reached or changed by it, whatever it says. That it is
one expression is checked on DuckDB's own syntax tree, not on the text.
"""

from __future__ import annotations

import json
from typing import Any, Final

import duckdb

from motionkit.errors import UsageError

#: Body of the view `samples`, over the catalogue's other views. docs/shards.md lists its columns.
SAMPLES_SQL: Final = """
WITH files AS (
    SELECT * FROM videos WHERE outcome = 'kept'
    QUALIFY row_number() OVER (PARTITION BY video_id ORDER BY path) = 1
), texts AS (
    SELECT clip_id, list(text ORDER BY text) AS texts, list(source ORDER BY text) AS sources
    FROM caption_texts GROUP BY clip_id
), audited AS (
    SELECT clip_id, list_sort(list_distinct([f.code FOR f IN flags])) AS flags,
        len(list_distinct([f.caption FOR f IN flags])) AS flagged
    FROM audits WHERE outcome = 'kept'
), people AS (
    SELECT 'person' AS kind, k.clip_id, k.video_id, c.shot_id, c.first, c.last, c.t0_s, c.t1_s,
        k.fps, k.width, k.height, k.frames, k.backend AS pose_backend,
        c.camera, c.camera_kind, c.speed_bh_s, c.acceleration_bh_s2, c.confident_share,
        c.lower_body_share, c.box_height,
        CAST(NULL AS VARCHAR) AS source_split, CAST(NULL AS VARCHAR) AS own_text,
        EXISTS (SELECT 1 FROM masks s WHERE s.clip_id = k.clip_id AND s.outcome = 'kept')
            AS has_masks
    FROM keypoints k LEFT JOIN clips c ON c.clip_id = k.clip_id
    WHERE k.outcome = 'kept'
), objects AS (
    SELECT 'object' AS kind, e.clip_id, e.video_id, CAST(NULL AS VARCHAR) AS shot_id,
        0 AS first, e.frames - 1 AS last, 0.0 AS t0_s, f.duration_s AS t1_s,
        f.fps, e.width, e.height, e.frames, NULL AS pose_backend,
        NULL AS camera, NULL AS camera_kind, NULL AS speed_bh_s, NULL AS acceleration_bh_s2,
        NULL AS confident_share, NULL AS lower_body_share, NULL AS box_height,
        e.source_split, e.text AS own_text,
        coalesce(len([m FOR m IN e.masks IF m IS NOT NULL]) > 0, false) AS has_masks
    FROM expressions e LEFT JOIN files f ON f.video_id = e.video_id
    WHERE e.outcome = 'kept'
), both_kinds AS (SELECT * FROM people UNION ALL SELECT * FROM objects), joined AS (
    SELECT b.*, b.t1_s - b.t0_s AS duration_s,
        CASE WHEN b.own_text IS NULL THEN coalesce(t.texts, [])
            ELSE [b.own_text] || coalesce(t.texts, []) END AS texts,
        CASE WHEN b.own_text IS NULL THEN coalesce(t.sources, [])
            ELSE ['expression'] || coalesce(t.sources, []) END AS caption_sources,
        EXISTS (SELECT 1 FROM tracks r WHERE r.clip_id = b.clip_id AND r.outcome = 'kept')
            AS has_tracks,
        a.flags, a.flagged,
        f.licence, f.title, f.uploader, f.platform, f.platform_id, f.page_url, f.source, f.path,
        f.downloaded, f.problems, f.variable_rate,
        TRY_CAST(coalesce(f.ranges[s.range + 1].extra, f.extra) AS JSON) AS extra
    FROM both_kinds b
    LEFT JOIN files f ON f.video_id = b.video_id
    LEFT JOIN texts t ON t.clip_id = b.clip_id
    LEFT JOIN audited a ON a.clip_id = b.clip_id
    LEFT JOIN shots s ON s.shot_id = b.shot_id
)
SELECT * EXCLUDE (own_text), len(texts) AS captions,
    coalesce(list_sum([
        len(regexp_extract_all(t, '\\p{L}+(?:[''’-]\\p{L}+)*')) FOR t IN texts
    ]), 0) AS words
FROM joined
"""

_SELECT: Final = "SELECT DISTINCT clip_id FROM samples WHERE (\n{condition}\n)"


def select_samples(connection: duckdb.DuckDBPyConnection, condition: str) -> set[str]:
    """Clip ids of the view `samples` for which ``condition`` holds (null counts as not).

    UsageError for anything but one expression, and for one that DuckDB refuses; its hint names
    the columns.
    """
    columns = [row[0] for row in connection.execute("DESCRIBE samples").fetchall()]
    hint = f"the columns are: {', '.join(columns)} (docs/shards.md)"
    statement = _SELECT.format(condition=condition)
    try:
        if not _is_one_expression(connection, statement):
            raise UsageError(f"--where takes one SQL condition, not: {condition}", hint=hint)
        rows = connection.execute(statement).fetchall()
    except duckdb.Error as error:
        first = str(error).strip().splitlines()[0]
        raise UsageError(f"--where cannot be used: {first}", hint=hint) from error
    return {clip for (clip,) in rows}


def _is_one_expression(connection: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Whether ``statement`` is still the plain SELECT that the condition was put into."""
    if len(connection.extract_statements(statement)) != 1:
        return False
    found = connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchone()
    tree: dict[str, Any] = json.loads(found[0]) if found else {"error": True}
    if tree.get("error"):
        raise UsageError(f"--where is no SQL condition: {tree.get('error_message', '')}")
    node = tree["statements"][0]["node"]
    selected = node.get("from_table") or {}
    return bool(
        node["type"] == "SELECT_NODE"
        and selected.get("type") == "BASE_TABLE"
        and selected.get("table_name") == "samples"
        and node.get("where_clause")
        and [m["type"] for m in node["modifiers"]] == ["DISTINCT_MODIFIER"]
        and not (node.get("group_expressions") or node.get("having") or node.get("qualify"))
    )

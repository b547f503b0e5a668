"""Views, counts and the limits of `query`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit import catalogue
from motionkit.errors import UsageError
from motionkit.workspace import Workspace

FINGERPRINT = "ab" * 16


def row(item: str, outcome: str = "kept", attempt: int = 1, **payload: Any) -> dict[str, Any]:
    return {
        "item_id": item, "fingerprint": FINGERPRINT, "outcome": outcome, "attempt": attempt,
        **payload,
    }  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace.create(tmp_path / "it's; a -- place")
    workspace.write_part("videos", [
        row("src-1", video_id="v1", path="/a/one.mp4", frame_times_s=np.arange(3.0)),
        row("src-2", "failed", reason="corrupt", error_message="cannot be read", path="/a/two.mp4"),
    ])  # fmt: skip
    shot = {"shot_id": "v1-000000-000002", "first": 0, "last": 2, "t0_s": 0.0, "t1_s": 0.1}
    workspace.write_part("scans", [row("v1", video_id="v1", shots=[shot, {**shot, "first": 1}])])
    for table in ("videos", "scans"):
        workspace.set_current(table, FINGERPRINT, {})
    return workspace


def test_lists_inside_rows_are_views(workspace: Workspace) -> None:
    found = catalogue.query(workspace, 'SELECT video_id, "first" FROM shots ORDER BY 2')
    assert found.to_pylist() == [{"video_id": "v1", "first": 0}, {"video_id": "v1", "first": 1}]


def test_views_exist_for_stages_that_have_not_run(workspace: Workspace) -> None:
    assert catalogue.query(workspace, "SELECT count(*) AS n FROM clips").to_pylist() == [{"n": 0}]


def test_only_the_latest_attempt_counts(workspace: Workspace) -> None:
    workspace.write_part("videos", [row("src-2", attempt=2, video_id="v2", path="/a/two.mp4")])
    assert catalogue.failures(workspace) == []
    assert catalogue.query(workspace, "SELECT count(*) AS n FROM videos_all").to_pylist() == [
        {"n": 3}
    ]


def test_failures_name_the_file(workspace: Workspace) -> None:
    (failure,) = catalogue.failures(workspace)
    assert failure["code"] == "corrupt"
    assert failure["path"] == "/a/two.mp4"
    assert catalogue.failed_ids(workspace, "ingest", ["corrupt"]) == {"src-2"}
    assert catalogue.failed_ids(workspace, "ingest", ["timeout"]) == set()


def test_a_failure_of_a_video_with_copies_is_listed_once(workspace: Workspace) -> None:
    workspace.write_part("videos", [row("src-9", video_id="v1", path="/z/copy.mp4")])
    workspace.write_part("scans", [row("v1", "failed", attempt=2, reason="timeout")])
    found = [(f["stage"], f["path"]) for f in catalogue.failures(workspace, "scan")]
    assert found == [("scan", "/a/one.mp4")]


def test_status_counts_and_what_is_pending(workspace: Workspace) -> None:
    ingest, scan = catalogue.status(workspace)
    assert (ingest["kept"], ingest["failed"], ingest["pending"]) == (1, {"corrupt": 1}, None)
    assert (scan["kept"], scan["pending"]) == (1, 0)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW videos",
        "COPY videos TO '/tmp/out.parquet'",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SET enable_external_access = true",
        "ATTACH '/tmp/x.db'",
        "SELEC 1",
        "",
    ],
)
def test_query_reads_the_tables_and_nothing_else(workspace: Workspace, sql: str) -> None:
    with pytest.raises(UsageError):
        catalogue.query(workspace, sql)


def test_a_damaged_part_does_not_fail_the_query(workspace: Workspace) -> None:
    (part,) = workspace.parts("scans")
    part.write_bytes(b"PAR1 nonsense")
    with pytest.warns(UserWarning, match="cannot be read"):
        found = catalogue.query(workspace, "SELECT count(*) AS n FROM videos")
    assert found.to_pylist() == [{"n": 2}]

"""`motionkit build-shards` over a real workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motionkit.cli.app import run
from motionkit.shards.reader import open_shards
from motionkit.stage import digest
from motionkit.workspace import Workspace


@pytest.fixture
def workspace(tmp_path, make_tables, add_expressions):
    """The factory's tables as the stages would leave them in a workspace."""
    made = Workspace.create(tmp_path / "motion")
    for table, rows in add_expressions(make_tables()).tables.items():
        base = {"fingerprint": digest(table), "outcome": "kept", "attempt": 1}
        named = [{"item_id": row.get("clip_id") or row["video_id"], **base, **row} for row in rows]
        made.write_part(table, named)
        made.set_current(table, digest(table), {"stage": table, "version": 1})
    return made


def build(workspace: Workspace, capsys, *options: str) -> dict:
    assert run(["build-shards", "-w", str(workspace.path), "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_options_reach_the_set(workspace, capsys, tmp_path):
    out = tmp_path / "elsewhere"
    found = build(
        workspace,
        capsys,
        *("--where", "kind = 'person' AND licence = 'CC BY 4.0' AND has_tracks"),
        *("--rows-per-shard", "2", "--max-shard-size", "1MB", "--commercial-only"),
        *("--out", str(out)),
    )
    assert sum(found["samples"].values()) == 3 * 2
    assert found["left_out"] == {"not-selected": 12 + 6}
    shards = open_shards(Path(found["path"]), verify=True)
    assert shards.path == out
    options = shards.manifest["options"]
    assert options["commercial_only"] is True and options["max_shard_bytes"] == 1_000_000
    assert options["where"].startswith("kind = 'person'")
    assert max(shard["rows"] for shard in shards.manifest["shards"]) <= 2


def test_without_options_all_become_samples_and_a_second_build_changes_nothing(workspace, capsys):
    first = build(workspace, capsys)
    assert sum(first["samples"].values()) == 18 + 6
    again = build(workspace, capsys)
    assert again["reused"] == again["shards"] == first["shards"]
    assert again["manifest_hash"] == first["manifest_hash"]
    assert run(["build-shards", "-w", str(workspace.path)]) == 0
    assert f"{first['shards']} of {first['shards']} shards are unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--where", "hight > 1"], "box_height"),
        (["--where", "true) OR (true); SELECT (1"], "the columns are"),
        (["--where", "EXISTS (FROM '/etc/passwd')"], "the columns are"),
        (["--where", "false"], "not-selected"),
        (["--max-shard-size", "huge"], "256MB"),
    ],
)
def test_wrong_use_says_what_is_right_and_builds_nothing(workspace, capsys, options, said):
    assert run(["build-shards", "-w", str(workspace.path), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (workspace.path / "shards").exists()

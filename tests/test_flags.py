"""Counts and lists of flags, the command, and shards without flagged captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.catalogue import connect
from motionkit.cli.app import run
from motionkit.conditions import select_samples
from motionkit.engines.local import EngineOptions
from motionkit.errors import UsageError
from motionkit.flags import flag_codes, flag_counts, flagged
from motionkit.pipeline import ShardOptions, make_shards, run_step
from motionkit.shards.audited import check_audited
from motionkit.stages.audit import Audit
from motionkit.workspace import Workspace
from tests.stages import audit_poses as poses

GOOD, WRONG = "a person raises the left arm", "a person raises the right arm"
TEXTS = {"c0": [GOOD, WRONG], "c1": [WRONG], "c2": [GOOD, "A man raises the left arm"]}


def write(made: Workspace, table: str, rows: list[dict[str, Any]]) -> None:
    base = {"fingerprint": "ab" * 16, "outcome": "kept", "attempt": 1}
    made.write_part(table, [{**base, **row} for row in rows])
    made.set_current(table, "ab" * 16, {"stage": table, "version": 1})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three clips of three videos that raise the left arm."""
    made = Workspace.create(tmp_path / "w")
    ids = [{"item_id": c, "clip_id": c, "video_id": f"v{c}"} for c in TEXTS]
    write(made, "videos", [
        {"item_id": f"f{k['clip_id']}", "video_id": k["video_id"], "path": f"/{k['clip_id']}.mp4"}
        for k in ids
    ])  # fmt: skip
    span = {"outcome": "kept", "first": 0, "last": 89, "t0_s": 0.0, "t1_s": 3.0}
    write(made, "verdicts", [
        {"item_id": f"shot{k['clip_id']}", "video_id": k["video_id"],
         "candidates": [{"clip_id": k["clip_id"], **span}]} for k in ids
    ])  # fmt: skip
    m2d = poses.raising("left").ravel()
    facts = {"fps": 30.0, "width": 640, "height": 360, "frames": 90, "m2d": m2d}
    write(made, "keypoints", [{**k, **facts, "ordinals": np.arange(90)} for k in ids])
    write_captions(made, TEXTS)
    return made


def write_captions(made: Workspace, texts: dict[str, list[str]], attempt: int = 1) -> None:
    rows = [
        {
            "item_id": c, "clip_id": c, "video_id": f"v{c}", "attempt": attempt,
            "captions": [{"text": t, "source": "sidecar", "detail": "{}"} for t in said],
        }
        for c, said in texts.items()
    ]  # fmt: skip
    write(made, "captions", rows)


def audited(made: Workspace) -> Workspace:
    run_step(made, "audit", Audit(), EngineOptions())
    return made


def test_counts_and_lists(workspace: Workspace) -> None:
    audited(workspace)
    counts = flag_counts(workspace)
    assert (counts["clips"], counts["captions"], counts["flagged"]) == (3, 5, 3)
    assert [(r["code"], r["severity"], r["captions"]) for r in counts["codes"]] == [
        ("side-contradicted", "wrong", 2),
        ("gendered", "note", 1),
    ]
    found = flagged(workspace, ["wrong"])
    assert [(f.clip_id, f.text) for f in found] == [("c0", WRONG), ("c1", WRONG)]
    assert "right arm" in found[0].why()
    assert [f.code for f in flagged(workspace, each=1)] == ["gendered", "side-contradicted"]


def test_an_unknown_code_is_refused() -> None:
    assert flag_codes(["note", "refusal", "note"]) == ("gendered", "refusal")
    with pytest.raises(UsageError, match="no flag 'sides'"):
        flag_codes(["sides"])


def test_samples_are_chosen_by_their_flags(workspace: Workspace) -> None:
    with connect(workspace) as connection:
        assert select_samples(connection, "flagged = 0") == set()  # not audited: not known
    audited(workspace)
    with connect(workspace) as connection:
        assert select_samples(connection, "flagged < captions") == {"c0", "c2"}
        chosen = select_samples(connection, "NOT list_contains(flags, 'side-contradicted')")
        assert chosen == {"c2"}


def test_shards_without_flagged_captions(workspace: Workspace, tmp_path: Path) -> None:
    audited(workspace)
    options = ShardOptions(drop_flagged=("wrong",), train=1.0, val=0.0, test=0.0)
    made = make_shards(workspace, options, out=tmp_path / "out").summary
    assert made["left_out"] == {"flagged-captions": 1}
    assert (sum(made["samples"].values()), made["captions"]) == (2, 3)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert manifest["dropped"]["captions audit"] == {"side-contradicted": 2}
    assert "side-contradicted" in manifest["options"]["drop_flagged"]
    assert "audits" in manifest["lineage"]
    whole = make_shards(workspace, ShardOptions(train=1.0, val=0.0, test=0.0)).summary
    assert (whole["left_out"], whole["captions"]) == ({}, 5)


def test_the_option_of_build_shards(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["build-shards", "--workspace", str(workspace.path), "--out", str(tmp_path / "out")]
    flags = ["--drop-flagged", "side-contradicted", "--drop-flagged", "note"]
    assert run([*where, *flags]) == 2
    assert "motionkit captions audit" in capsys.readouterr().err
    audited(workspace)
    assert run([*where, *flags]) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert manifest["options"]["drop_flagged"] == ["side-contradicted", "gendered"]
    assert manifest["dropped"]["captions audit"] == {"gendered": 1, "side-contradicted": 2}
    assert run([*where, "--drop-flagged", "sides"]) == 2


def test_the_hint_names_the_command(workspace: Workspace) -> None:
    with pytest.raises(UsageError) as caught:
        workspace.fingerprint("audits")
    assert "motionkit captions audit" in str(caught.value.hint)


def test_captions_that_were_not_audited_are_never_taken_for_good(workspace: Workspace) -> None:
    options = ShardOptions(drop_flagged=("wrong",))
    with pytest.raises(UsageError, match="not audited yet"):
        make_shards(workspace, options)
    audited(workspace)
    check_audited(workspace)
    write_captions(workspace, {"c3": [GOOD]})
    with pytest.raises(UsageError, match="1 clips"):
        check_audited(workspace)
    workspace.set_current("captions", "cd" * 16, {"stage": "caption", "version": 1})
    with pytest.raises(UsageError, match="made anew"):
        check_audited(workspace)


def test_only_what_changed_is_audited_again(workspace: Workspace) -> None:
    audited(workspace)
    assert run_step(workspace, "audit", Audit(), EngineOptions()).summary["processed"] == 0
    write_captions(workspace, {"c1": [GOOD]}, attempt=2)
    assert run_step(workspace, "audit", Audit(), EngineOptions()).summary["processed"] == 1
    assert flag_counts(workspace)["flagged"] == 2


def test_the_command(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(workspace.path)
    assert run(["captions", "audit", "--workspace", place, "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "3 of 5 captions of 3 clips have a flag" in text
    assert "side-contradicted  wrong" in text and WRONG in text
    call = ["captions", "audit", "--list", "--code", "wrong", "--limit", "1", "-w", place, "--json"]
    assert run(call) == 0
    data = json.loads(capsys.readouterr().out)
    assert [e["clip_id"] for e in data["examples"]] == ["c0"]
    assert data["examples"][0]["about"]["says"] == "right arm"
    assert data["codes"][0] == {"code": "side-contradicted", "severity": "wrong", "captions": 2}

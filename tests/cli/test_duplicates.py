"""`motionkit duplicates`: groups and pairs of a workspace, as text and as JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.cli.app import run
from motionkit.workspace import Workspace
from tests.duplicates.test_pairs import film, noisy

FINGERPRINT = "f" * 32


def outcome(item: str) -> dict[str, Any]:
    return {"item_id": item, "fingerprint": FINGERPRINT, "outcome": "kept", "attempt": 1}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Three scanned videos: a film, a trimmed copy of it, and another film."""
    words = film(1)
    hashes = {"film": words, "part": noisy(words[20:50], 0.05), "other": film(2)}
    made = Workspace.create(tmp_path)
    for table in ("videos", "scans"):
        made.set_current(table, FINGERPRINT, {})
    made.write_part(
        "videos",
        [outcome(k) | {"video_id": k, "path": f"/films/{k}\x1b[2J.mp4"} for k in hashes],
    )
    made.write_part(
        "scans",
        [
            outcome(k)
            | {
                "video_id": k,
                "hash_times_s": np.arange(len(v)) / 4,
                "hashes": v.view(np.int64).ravel(),
            }
            for k, v in hashes.items()
        ],
    )
    return tmp_path


def test_groups_are_listed_with_their_files(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["duplicates", "-w", str(workspace)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "group film",
        "    /films/film?[2J.mp4",
        "    /films/part?[2J.mp4",
        "2 of 3 videos have copies, in 1 groups.",
    ]


def test_pairs_come_with_score_overlap_and_offset(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["duplicates", "--pairs", "-w", str(workspace)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["score", "overlap_s", "offset_s", "mirrored", "a", "b"]
    score, overlap, offset, mirrored = lines[2].split()[:4]
    assert float(score) >= 0.9
    assert (overlap, offset, mirrored) == ("7.50", "-5.00", "no")


def test_json_names_groups_and_pairs(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["duplicates", "--json", "-w", str(workspace)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["videos"] == 3
    assert [g["group_id"] for g in found["groups"]] == ["film"]
    assert [v["video_id"] for v in found["groups"][0]["videos"]] == ["film", "part"]
    assert found["pairs"][0]["a"] == "film"
    assert found["pairs"][0]["mirrored"] is False


def test_long_lists_are_cut_and_say_so(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["duplicates", "--limit", "1", "-w", str(workspace)]) == 0
    assert "(2 more lines: use --limit 0)" in capsys.readouterr().out

from __future__ import annotations

import json

import numpy as np
import pytest

from motionkit.catalogue import connect
from motionkit.conditions import select_samples
from motionkit.errors import UsageError
from motionkit.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    """Two videos with a person each, the second with two captions, and one expression."""
    made = Workspace.create(tmp_path / "w")

    def write(table, rows):
        base = {"fingerprint": "ab" * 16, "outcome": "kept", "attempt": 1}
        made.write_part(table, [{**base, **row} for row in rows])
        made.set_current(table, "ab" * 16, {"stage": table, "version": 1})

    videos, scans, verdicts, keypoints, captions = [], [], [], [], []
    for v in range(2):
        clip, shot = f"clip{v}", f"shot{v}"
        ranges = [{"extra": json.dumps({"city": "Oslo", "n": 7})}] if v else None
        videos.append(
            {
                "item_id": f"f{v}",
                "video_id": f"v{v}",
                "path": f"/films/{v}.mp4",
                "duration_s": 4.0,
                "fps": 25.0,
                "licence": "CC BY 4.0" if v else None,
                "title": "it's a title",
                "platform": "youtube",
                "ranges": ranges,
                "extra": json.dumps({"city": "Rome"}),
            }
        )
        shots = [{"shot_id": shot, "first": 0, "last": 99, "range": 0 if v else None}]
        scans.append({"item_id": f"v{v}", "video_id": f"v{v}", "shots": shots})
        candidate = {"clip_id": clip, "outcome": "kept", "t0_s": 1.0, "t1_s": 3.0 + v}
        candidate.update(camera=0.001 * v, box_height=0.5 + 0.2 * v)
        verdicts.append({"item_id": shot, "video_id": f"v{v}", "candidates": [candidate]})
        key = {"item_id": clip, "clip_id": clip, "video_id": f"v{v}"}
        keypoints.append({**key, "fps": 30.0, "frames": 60, "m2d": np.zeros(60 * 54)})
        texts = [{"text": f"a person walks {i}", "source": "sidecar"} for i in range(v + 1)]
        captions.append({**key, "captions": texts})
    expression = {"item_id": "e", "clip_id": "thing", "video_id": "v0", "frames": 3}
    expression.update(text="the dog on the left", masks=["ab", None, None], source_split="valid_u")
    write("videos", videos)
    write("scans", scans)
    write("verdicts", verdicts)
    write("keypoints", keypoints)
    write("captions", captions)
    write("expressions", [expression])
    return made


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("true", {"clip0", "clip1", "thing"}),
        ("kind = 'person' AND box_height > 0.6", {"clip1"}),
        ("kind = 'object' AND has_masks AND source_split = 'valid_u'", {"thing"}),
        ("captions > 1 AND words = 6", {"clip1"}),
        ("list_contains(caption_sources, 'expression')", {"thing"}),
        ("extra->>'city' = 'Oslo' AND (extra->>'n')::INT = 7", {"clip1"}),
        ("extra->>'city' = 'Rome' AND kind = 'person'", {"clip0"}),
        ("licence IS NULL AND kind = 'person' -- a comment", {"clip0"}),
        ("duration_s BETWEEN 1.5 AND 2.5", {"clip0"}),
        ("title = 'it''s a title' AND NOT has_tracks", {"clip0", "clip1", "thing"}),
        ("camera > 0", {"clip1"}),  # null for objects: not selected
        ("video_id IN (SELECT video_id FROM shots WHERE range = 0)", {"clip1"}),
    ],
)
def test_a_condition_selects_clips(workspace, condition, expected):
    with connect(workspace) as connection:
        assert select_samples(connection, condition) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "true) UNION SELECT 'clip0' WHERE (true",
        "true); DROP VIEW samples; SELECT (1",
        "true; SELECT 1",
        "true) ORDER BY (1",
        "true) LIMIT (1",
        "true) GROUP BY ALL HAVING (true",
        "true) QUALIFY (true",
        "SELECT 1 FROM samples",
        "",
        "/* no end",
        "true, false",
        "nonsense > 1",
        "clip_id",
        "(SELECT count(*) FROM read_text('/etc/passwd')) > 0",
        "(SELECT count(*) FROM '/etc/passwd') > 0",
        "EXISTS (FROM glob('/*'))",
        "(SELECT count(*) FROM read_csv('https://127.0.0.1:1/x')) > 0",
        "count(*) > 1",
        "$1",
    ],
)
def test_anything_else_is_refused_with_the_columns(workspace, condition):
    with connect(workspace) as connection:
        with pytest.raises(UsageError) as caught:
            select_samples(connection, condition)
        assert select_samples(connection, "true"), "the view is as it was"
    assert "--where" in caught.value.message
    assert "box_height" in caught.value.hint


def test_an_empty_workspace_selects_nothing(tmp_path):
    with connect(Workspace.create(tmp_path / "w")) as connection:
        assert select_samples(connection, "true") == set()

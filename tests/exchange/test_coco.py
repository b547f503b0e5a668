"""COCO JSON: what pycocotools sees, and plain COCO of others."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.exchange.coco_read import read_coco
from motionkit.exchange.formats import export_set, import_set
from motionkit.keypoints import COCO17
from motionkit.shards.reader import open_shards
from tests.exchange.sets import all_rows, make_set, person, thing


def load(path: Path) -> Any:
    pycocotools = pytest.importorskip("pycocotools.coco")
    with contextlib.redirect_stdout(io.StringIO()):
        return pycocotools.COCO(str(path))


def test_pycocotools_reads_it(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", [person(1), person(2), thing(3)])
    facts = export_set(source, tmp_path / "out", "coco")
    counts = {"clips": 2, "images": 40, "annotations": 38}
    assert (facts["splits"], facts["left_out"]) == ({"train": counts}, {"object": 1})
    coco = load(tmp_path / "out" / "annotations" / "person_keypoints_train.json")
    assert len(coco.getImgIds()) == 40
    (category,) = coco.loadCats(coco.getCatIds())
    assert category["keypoints"] == list(COCO17)
    assert {frozenset(bone) for bone in category["skeleton"]} >= {frozenset((16, 14))}
    rows = all_rows(source)
    for found in coco.loadAnns(coco.getAnnIds()):
        (image,) = coco.loadImgs(found["image_id"])
        points = rows[found["sample_id"]]["m2d"][image["frame_index"], :17]
        given = np.array(found["keypoints"]).reshape(17, 3)
        seen = points[:, 2] >= 0.3
        np.testing.assert_array_equal(given[:, 2], np.where(seen, 2, 0))
        np.testing.assert_array_equal(given[seen, :2], points[seen, :2])
        assert not given[~seen].any()
        assert found["num_keypoints"] == seen.sum()
        x, y, w, h = found["bbox"]
        np.testing.assert_allclose([x, y], points[seen, :2].min(0))
        np.testing.assert_allclose([x + w, y + h], points[seen, :2].max(0), atol=1e-4)
        assert found["area"] == pytest.approx(w * h, rel=1e-6)


def test_detections_of_it_evaluate_to_one(tmp_path: Path) -> None:
    """The file is fit to be the truth of COCO's own evaluation."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    export_set(make_set(tmp_path / "set", [person(1)]), tmp_path / "out", "coco")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = load(tmp_path / "out" / "annotations" / "person_keypoints_train.json")
        anns = truth.loadAnns(truth.getAnnIds())
        given = [{k: a[k] for k in ("image_id", "category_id", "keypoints")} | {"score": 0.9}
                 for a in anns if a["num_keypoints"]]  # fmt: skip
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(given), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def plain(**changes: Any) -> dict[str, Any]:
    """A foreign file: two videos, two persons in the first, keypoints in another order."""
    names = list(COCO17[::-1])
    images, annotations = [], []
    for video, frames in (("walk", (3, 4, 6)), ("run", (0, 1))):
        for frame in frames:
            image = len(images) + 1
            images.append({"id": image, "file_name": f"{video}/{frame}.jpg", "width": 64,
                           "height": 48, "vid_id": video, "frame_id": frame})  # fmt: skip
            for track in (0, 1) if video == "walk" else (0,):
                points = [v for k in range(17) for v in (k + track, frame, k % 3)]
                annotations.append({"id": len(annotations) + 1, "image_id": image,
                                    "category_id": 1, "track_id": track,
                                    "keypoints": points})  # fmt: skip
    categories = [{"id": 1, "name": "person", "keypoints": names}]
    return {"images": images, "annotations": annotations, "categories": categories, **changes}


def write(folder: Path, found: Any) -> Path:
    path = folder / "poses_val.json"
    path.write_text(json.dumps(found))
    return path


def test_plain_coco_becomes_clips_by_video_and_track(tmp_path: Path) -> None:
    made = import_set(write(tmp_path, plain()), tmp_path / "back", "coco", fps=25)
    assert made.samples == {"train": 0, "val": 3, "test": 0}
    samples = {s.sample_id: s for s in open_shards(tmp_path / "back").samples()}
    assert sorted(samples) == ["run-0", "walk-0", "walk-1"]
    walk = samples["walk-1"]
    assert (walk.frames, walk.fps, walk.first, walk.last) == (4, 25, 3, 6)
    assert walk.m2d[0, 16].tolist() == [1, 3, 0]  # the file's first is our last
    assert walk.m2d[3, 15].tolist() == [2, 6, 1]
    assert not walk.m2d[2, :17].any()  # frame 5 is not in the file
    assert (walk.m2d[:, 17] == (64, 48, 1)).all()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"images": [{"id": 1, "width": 9, "height": 9}]}, "coco-no-clips"),
        ({"images": [{"id": 1, "video_id": 1}, {"id": 2, "video_id": 2}]}, "coco-no-clips"),
        ({"images": []}, "coco-no-clips"),
        ({"categories": [{"id": 1, "keypoints": ["nose", "head_top"]}]}, "coco-keypoints"),
        ({"categories": [{"id": 1, "name": "dog"}]}, "coco-keypoints"),
        ({"images": "x"}, "coco-unreadable"),
        ({"annotations": [3]}, "coco-unreadable"),
    ],
)
def test_what_is_no_set_of_clips_is_refused(tmp_path: Path, changes: Any, code: str) -> None:
    with pytest.raises(InputError) as caught:
        list(read_coco(write(tmp_path, plain(**changes)), Counter(), fps=25))
    assert caught.value.code == code


def test_a_rate_is_needed_and_damaged_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        list(read_coco(write(tmp_path, plain()), Counter()))
    assert (caught.value.code, caught.value.hint) == ("coco-no-rate", "give one with --fps")
    (row, *_) = read_coco(write(tmp_path, plain(info={"fps": 50})), Counter())
    assert row["fps"] == 50
    path = write(tmp_path, plain())
    for text in (path.read_bytes()[:-20], b"", b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(text)
        with pytest.raises(InputError) as caught:
            list(read_coco(path, Counter()))
        assert caught.value.code == "coco-unreadable"


def test_bad_annotations_cost_their_person_alone(tmp_path: Path) -> None:
    found = plain()
    found["annotations"][0]["keypoints"] = [1, 2, 3]
    left_out: Counter[str] = Counter()
    rows = list(read_coco(write(tmp_path, found), left_out, fps=25))
    assert [row["sample_id"] for row in rows] == ["walk-1", "run-0"]
    assert left_out == {"malformed-sample": 1}
    found = plain()
    found["annotations"].append(dict(found["annotations"][0]))
    found["images"][-1]["frame_id"] = 2**30
    left_out.clear()
    rows = list(read_coco(write(tmp_path, found), left_out, fps=25))
    assert [row["sample_id"] for row in rows] == ["walk-1"]
    assert left_out == {"two-persons-one-track": 1, "malformed-sample": 1}

"""MeViS folders through the command line: ingest, expressions, tracks, shards."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import pytest

from motionkit import catalogue
from motionkit.engines.local import EngineOptions
from motionkit.pipeline import retry_failed, run_recipe
from motionkit.recipes import load_recipe
from motionkit.rle import decode_rle
from motionkit.workspace import Workspace
from tests.video.mevis_tree import HEIGHT, WIDTH, object_mask, write_split

ENGINE = EngineOptions(workers=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mevis")
    write_split(root, "train", ("walk", "turn"))
    write_split(root, "valid_u", ("run",))
    write_split(root, "valid", ("hop",), masks=False)
    (root / "train/JPEGImages/turn/00002.jpg").write_bytes(b"damaged")
    (root / "valid_u/JPEGImages/void").mkdir()
    return root


@pytest.fixture(scope="module")
def workspace(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.create(tmp_path_factory.mktemp("run") / "ws")
    run_recipe(workspace, load_recipe("mevis"), [str(data)], engine=ENGINE)
    return workspace


def ask(workspace: Workspace, sql: str) -> list[dict[str, Any]]:
    return catalogue.query(workspace, sql).to_pylist()


def test_sentences_of_every_split_are_there_and_failures_have_codes(workspace: Workspace) -> None:
    counts = ask(
        workspace,
        "SELECT source_split AS split, coalesce(reason, outcome) AS what, count(*) AS n "
        "FROM expressions GROUP BY ALL ORDER BY ALL",
    )
    assert [(c["split"], c["what"], c["n"]) for c in counts] == [
        ("train", "kept", 2),
        ("train", "video-missing", 2),
        ("valid", "kept", 2),
        ("valid_u", "kept", 2),
    ]
    failed = [f for f in catalogue.failures(workspace) if f["stage"] == "ingest"]
    assert sorted(f["code"] for f in failed) == ["corrupt", "no-frames"]
    tracks = ask(
        workspace,
        "SELECT coalesce(reason, outcome) AS what, count(*) AS n FROM tracks "
        "GROUP BY ALL ORDER BY ALL",
    )
    assert tracks == [{"what": "kept", "n": 4}, {"what": "no-mask", "n": 2}]


def test_samples_hold_text_masks_and_tracks(workspace: Workspace) -> None:
    files = pyarrow.dataset.dataset(workspace.path / "shards" / "data", format="parquet")
    samples = files.to_table().to_pylist()
    assert {s["kind"] for s in samples} == {"object"}
    assert sorted((s["split"], s["captions"][0]["text"]) for s in samples) == [
        ("test", "both squares"),
        ("test", "the square moving right"),
        ("train", "both squares"),
        ("train", "the square moving right"),
    ]
    for sample in samples:
        seen = decode_rle({"size": [HEIGHT, WIDTH], "counts": sample["masks"][0]})
        np.testing.assert_array_equal(seen, object_mask(0, 0))
        assert sample["track_frames"] == 8
        assert len(sample["track_points"]) == 8 * 36 * 2


def test_a_folder_without_pictures_can_be_retried(workspace: Workspace) -> None:
    (result,) = retry_failed(workspace, ENGINE, "ingest", ("no-frames",))
    assert result.summary["failed"] == {"no-frames": 1}


def test_a_second_run_does_nothing_and_a_mended_frame_is_caught_up(
    workspace: Workspace, data: Path
) -> None:
    again = run_recipe(workspace, load_recipe("mevis"), [str(data)], engine=ENGINE)
    assert all(not r.summary["processed"] for r in again if "processed" in r.summary)
    frames = data / "train/JPEGImages/turn"
    shutil.copy(frames / "00003.jpg", frames / "00002.jpg")
    results = run_recipe(workspace, load_recipe("mevis"), [str(data)], engine=ENGINE)
    made = {r.step: r.summary.get("kept") for r in results}
    assert (made["ingest"], made["expressions"], made["scan"], made["track"]) == (1, 2, 1, 2)


def test_a_corrected_mask_file_is_worked_on_again(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "valid_u", tmp_path / "valid_u")
    masks = tmp_path / "valid_u" / "mask_dict.json"
    sound = masks.read_text()
    content = json.loads(sound)
    del content["1"]
    masks.write_text(json.dumps(content))
    shutil.rmtree(tmp_path / "valid_u" / "JPEGImages" / "void")
    workspace = Workspace.create(tmp_path / "ws")
    recipe = load_recipe("mevis")
    steps = {name: recipe.steps[name] for name in ("ingest", "expressions")}
    recipe = dataclasses.replace(recipe, steps=steps)
    first = {r.step: r for r in run_recipe(workspace, recipe, [str(tmp_path)], engine=ENGINE)}
    assert first["expressions"].summary["failed"] == {"mask-missing": 1}
    assert retry_failed(workspace, ENGINE, "expressions")[0].failed == 1
    masks.write_text(sound)
    second = {r.step: r for r in run_recipe(workspace, recipe, [str(tmp_path)], engine=ENGINE)}
    assert second["expressions"].summary["kept"] == 2  # both: their file changed
    meta = tmp_path / "valid_u" / "meta_expressions.json"
    sound = meta.read_text()
    meta.write_text(sound[:-9])
    third = {r.step: r for r in run_recipe(workspace, recipe, [str(tmp_path)], engine=ENGINE)}
    assert third["expressions"].summary["failed"] == {"meta-unreadable": 1}
    meta.write_text(sound)
    fourth = {r.step: r for r in run_recipe(workspace, recipe, [str(tmp_path)], engine=ENGINE)}
    assert fourth["expressions"].summary["dropped"] == {"row-corrected": 1}
    assert not catalogue.failures(workspace)

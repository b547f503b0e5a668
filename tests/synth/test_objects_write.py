"""Worlds on disk: MeViS' layout, the same bytes, and the way through the stages into shards."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.dataset
import pytest
from typer.testing import CliRunner

from motionkit.engines.local import EngineOptions
from motionkit.errors import InputError, UsageError
from motionkit.pipeline import run_recipe
from motionkit.recipes import load_recipe
from motionkit.rle import decode_rle
from motionkit.synth.objects.spec import WorldSpec
from motionkit.synth.objects.truth import load_truth
from motionkit.synth.objects.write import counts_of, read_shares, truth_path, write_world
from motionkit.workspace import Workspace

SPEC = WorldSpec(width=160, height=96, frames=12)
COUNTS = {"train": 2, "valid_u": 1, "valid": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "out"
    write_world(folder, SPEC, COUNTS)
    return folder


def read(world: Path, split: str) -> dict[str, Any]:
    return json.loads((world / split / "meta_expressions.json").read_text())["videos"]


def test_the_layout_is_mevis(world: Path) -> None:
    assert sorted(p.name for p in world.iterdir()) == [
        "README.md", "train", "valid", "valid_u", "world.json",
    ]  # fmt: skip
    assert not (world / "valid" / "mask_dict.json").exists()
    for entry in read(world, "valid").values():
        assert all(set(said) == {"exp"} for said in entry["expressions"].values())
    videos = read(world, "train")
    masks = json.loads((world / "train" / "mask_dict.json").read_text())
    used = set()
    for name, entry in videos.items():
        assert entry["frames"] == [f"{k:05d}" for k in range(12)]
        frames = sorted((world / "train" / "JPEGImages" / name).iterdir())
        assert [f.stem for f in frames] == entry["frames"]
        picture = cv2.imread(str(frames[0]))
        assert picture is not None and picture.shape == (96, 160, 3)
        for said in entry["expressions"].values():
            assert len(said["obj_id"]) == len(said["anno_id"]) >= 1
            used |= set(said["anno_id"])
    assert used <= set(map(int, masks))
    for track in masks.values():
        assert len(track) == 12
        assert decode_rle(track[0]).sum() > 36 and track[0]["size"] == [96, 160]


def test_masks_are_those_of_the_truth(world: Path) -> None:
    truth = load_truth(truth_path(world, "train", 0))
    masks = json.loads((world / "train" / "mask_dict.json").read_text())
    assert [list(track) for track in truth.masks] == [
        masks[str(k)] for k in range(len(truth.masks))
    ]
    with np.load(truth_path(world, "train", 0)) as found:
        assert found["points"].shape == (len(truth.objects), 12, 36, 2)
        assert (found["visible"] == (found["hidden"] == 0)).all()


def test_more_videos_are_the_same_ones_and_bytes_do_not_depend_on_workers(
    world: Path, tmp_path: Path
) -> None:
    larger = write_world(tmp_path / "w", SPEC, {"train": 3, "valid_u": 1, "valid": 1}, workers=2)
    assert larger.rendered == 5
    for path in sorted(world.rglob("*.jpg")) + sorted(world.rglob("*.npz")):
        assert (tmp_path / "w" / path.relative_to(world)).read_bytes() == path.read_bytes()
    before = (tmp_path / "w" / "train" / "mask_dict.json").read_bytes()
    again = write_world(tmp_path / "w", SPEC, {"train": 3, "valid_u": 1, "valid": 1})
    assert again.rendered == 0 and again.sentences == larger.sentences
    assert (tmp_path / "w" / "train" / "mask_dict.json").read_bytes() == before


def test_another_world_is_not_written_over(world: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another world"):
        write_world(world, WorldSpec(width=160, height=96, frames=12, seed=1), COUNTS)
    with pytest.raises(UsageError, match="a larger world"):
        write_world(world, SPEC, {"train": 1})
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        write_world(tmp_path, SPEC, COUNTS)


def test_a_truth_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"no truth")
    with pytest.raises(InputError) as caught:
        load_truth(tmp_path / "x.npz")
    assert caught.value.code == "truth-unreadable"


def test_splits_get_their_shares() -> None:
    assert counts_of(200, read_shares("train=0.8,valid_u=0.15,valid=0.05")) == {
        "train": 159, "valid_u": 30, "valid": 11,
    }  # fmt: skip
    assert counts_of(3, read_shares("train,valid_u,valid")) == {
        "train": 1,
        "valid_u": 1,
        "valid": 1,
    }
    for wrong in ("test=1", "train=x", "train=-1", "train=nan"):
        with pytest.raises(UsageError):
            counts_of(10, read_shares(wrong))
    with pytest.raises(UsageError, match="too few"):
        counts_of(2, read_shares("train,valid_u,valid"))


def test_a_world_becomes_shards_with_tracks_and_captions(world: Path, tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    recipe = load_recipe("mevis")
    steps = {
        name: recipe.steps[name] for name in ("ingest", "expressions", "scan", "track", "shards")
    }
    recipe = dataclasses.replace(recipe, steps=steps)  # training has tests of its own
    results = run_recipe(workspace, recipe, [str(world)], engine=EngineOptions(workers=1))
    assert not any(r.summary.get("failed") for r in results)
    samples = (
        pyarrow.dataset.dataset(workspace.path / "shards" / "data", format="parquet")
        .to_table()
        .to_pylist()
    )
    said = {e["exp"] for split in ("train", "valid_u") for v in read(world, split).values()
            for e in v["expressions"].values()}  # fmt: skip
    assert {s["captions"][0]["text"] for s in samples} <= said and len(samples) > 3
    for sample in samples:
        assert sample["kind"] == "object" and sample["track_frames"] == 12
        points = np.array(sample["track_points"]).reshape(12, 36, 2)
        assert np.isfinite(points).all()


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    import motionkit.cli.commands  # noqa: F401 - registers them
    from motionkit.cli.app import app

    out = tmp_path / "w"
    asked = ["--json", "synth", str(out), "--kind", "objects", "--videos", "1", "--splits", "train",
             "--width", "128", "--height", "72", "--frames", "4", "--workers", "1"]  # fmt: skip
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["videos"] == {"train": 1} and told["rendered"] == 1


def test_what_it_says_to_go_on_with_names_the_frame_rate(tmp_path: Path) -> None:
    world = write_world(tmp_path / "w", SPEC, {"train": 1})
    assert "--set ingest.frame_rate=20" in world.lines()[-1]
    assert world.as_dict()["fps"] == 20.0

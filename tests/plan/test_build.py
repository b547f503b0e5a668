"""A plan of a small recipe, beside what the run took."""

import json
from pathlib import Path
from typing import Any

import pytest

from motionkit.cli.app import run
from motionkit.errors import UsageError
from motionkit.forecast import Forecast, read_plan
from motionkit.plan.build import PlanOptions, make_plan
from motionkit.recipes import Recipe, load_recipe
from tests.video import films
from tests.video.encode import write_video


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, frames in enumerate((30, 60, 45, 30)):
        write_video(folder / f"v{number}.mp4", films.numbered(frames))
    (folder / "empty.mp4").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text("[engine]\nworkers = 1\n[ingest]\n[scan]\n[shards]\n")
    return path


@pytest.fixture
def recipe(recipe_file: Path) -> Recipe:
    return load_recipe(str(recipe_file))


@pytest.fixture(scope="module")
def made(videos: Path, recipe_file: Path) -> Forecast:
    options = PlanOptions(sample=2, workers=(4,), price_in=3.0)
    return make_plan(load_recipe(str(recipe_file)), [str(videos)], options)


def test_a_plan_says_what_there_is_and_what_every_step_takes(made: Forecast) -> None:
    assert made.whole["videos"] == 5
    assert made.whole["unreadable"] == 1
    assert made.whole["seconds"] == pytest.approx(5.5, abs=0.1)
    ingest, scan, shards = made.steps
    assert (ingest.step, ingest.items.value, ingest.sample_items) == ("ingest", 5, 2)
    assert scan.kept_share == 1
    assert scan.per_video_s is not None
    assert 0 < scan.per_video_s < 60
    assert scan.processor_s.value > 0
    assert 0 < scan.hours["4"].value <= scan.hours["1"].value
    assert scan.bytes.value > 0
    assert any("not tried" in note for note in shards.notes)  # no clips: nothing to build
    assert made.cost is not None
    assert made.cost.value == 0
    assert made.hours["1"].low is not None
    assert made.hours["1"].low < made.hours["1"].value < made.hours["1"].high  # type: ignore[operator]


def test_a_plan_is_read_again_as_it_was_saved(made: Forecast, tmp_path: Path) -> None:
    made.save(tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == json.loads(json.dumps(made.as_dict()))


def test_long_videos_are_tried_by_a_stretch(videos: Path, recipe: Recipe) -> None:
    made = make_plan(recipe, [str(videos)], PlanOptions(seconds_each=0.5, skip=("shards",)))
    tried = {Path(v["path"]).name: v["tried_s"] for v in made.sample["videos"]}
    assert set(tried) == {"v0.mp4", "v1.mp4", "v2.mp4", "v3.mp4"}
    assert all(length < 1.2 for length in tried.values())
    assert [step.step for step in made.steps] == ["ingest", "scan"]
    assert made.steps[1].items.value == 5


def test_addresses_and_wrong_steps_are_refused(videos: Path, recipe: Recipe) -> None:
    with pytest.raises(UsageError, match="addresses"):
        make_plan(recipe, ["https://example.org/a.mp4"])
    with pytest.raises(UsageError, match="--skip pose"):
        make_plan(recipe, [str(videos)], PlanOptions(skip=("pose",)))


def test_status_puts_the_run_beside_the_plan(
    videos: Path, recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["-w", str(tmp_path / "ws"), "--quiet"]
    assert run([*place, "ingest", str(videos / "v0.mp4"), "--workers", "1"]) == 0
    capsys.readouterr()
    assert run([*place, "status", "--json"]) == 0
    assert "plan" not in json.loads(capsys.readouterr().out)
    command = ["plan", str(recipe_file), "--source", str(videos), "--sample", "2"]
    assert run([*place, *command, "--skip", "shards"]) == 0
    printed = capsys.readouterr().out
    assert "5 videos" in printed
    assert "what a run takes by itself" in printed
    assert run([*place, "ingest", str(videos), "--workers", "1"]) == 0
    capsys.readouterr()
    assert run([*place, "status", "--json"]) == 0
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)["plan"]
    ingest, scan = plan["steps"]
    assert ingest["items"] == ingest["predicted_items"] == 5
    assert ingest["actual_s"] > 0
    assert ingest["same_parameters"] is True
    assert plan["actual_s"] == ingest["actual_s"]
    assert (scan["items"], scan["actual_s"]) == (None, None)
    assert run([*place, "status"]) == 0
    assert "predicted" in capsys.readouterr().out

"""Recipes: unknown keys, wrong values, order, names."""

import subprocess
import sys
from pathlib import Path

import pytest

from motionkit.errors import UsageError
from motionkit.recipes import find_recipe, load_recipe, recipe_folder

SHIPPED = sorted(path.stem for path in recipe_folder().glob("*.toml"))


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_loads_by_name(name: str) -> None:
    if name in ("demo", "k2m-paper"):  # they train
        pytest.importorskip("torch")
    assert load_recipe(name).name == name


def test_steps_run_in_the_pipelines_order(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, "[track]\ngrid = 4\n[scan]\n[shards]\n"))
    assert list(recipe.steps) == ["scan", "track", "shards"]
    assert recipe.steps["track"].grid == 4


def test_single_values_are_replaced_and_checked_like_the_rest(tmp_path: Path) -> None:
    path = written(tmp_path, "[track]\ngrid = 4\nframes = 12\n[engine]\nbatch = 2\n")
    recipe = load_recipe(path, ["track.grid=5", "scan.edge_band=0.1", "engine.device=cpu"])
    assert list(recipe.steps) == ["scan", "track"]
    assert (recipe.steps["track"].grid, recipe.steps["track"].frames) == (5, 12)
    assert (recipe.engine.batch, recipe.engine.device) == (2, "cpu")
    with pytest.raises(UsageError, match="did you mean 'grid'"):
        load_recipe(path, ["track.gird=5"])
    with pytest.raises(UsageError, match=r"write \[track\]"):
        load_recipe(path, ["track=5"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tracks]\n", "did you mean 'track'"),
        ("[track]\ngird = 4\n", "did you mean 'grid'"),
        ("[track]\ngrid = 'six'\n", "grid = 'six'"),
        ("[track\n", "not valid TOML"),
        ("track = 3\n", r"write \[track\]"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_recipe(written(tmp_path, text))


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(UsageError) as caught:
        find_recipe("no-such")
    assert "people" in str(caught.value.hint)


def test_a_recipe_that_trains_names_the_missing_extra(tmp_path: Path) -> None:
    # In a process of its own: modules that were imported before know torch already.
    recipe = written(tmp_path, "[train.k2m]\n")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from motionkit.errors import MissingExtraError\n"
        "from motionkit.recipes import load_recipe\n"
        f"try: load_recipe({str(recipe)!r})\n"
        "except MissingExtraError as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "install it with: pip install 'motionkit[train]'"

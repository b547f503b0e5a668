"""Recipes: unknown keys, wrong values, order, names."""

import sys
from pathlib import Path

import pytest

from motionkit.errors import MissingExtraError, UsageError
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


def test_a_recipe_that_trains_names_the_missing_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = written(tmp_path, "[train.k2m]\n")
    for name in [*sys.modules]:
        if name.startswith(("torch", "motionkit.training", "motionkit.models")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # import torch: ModuleNotFoundError
    with pytest.raises(MissingExtraError) as caught:
        load_recipe(recipe)
    assert caught.value.hint == "install it with: pip install 'motionkit[train]'"

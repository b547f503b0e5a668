"""Importing a checkout that is no installed package: a stand-in for CoTracker3's."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from motionkit.backends.cotracker_code import import_library
from motionkit.errors import UsageError

torch = pytest.importorskip("torch")

BUILD = """
import torch
from cotracker.models.core import model_utils
torch.manual_seed(0)
def build_cotracker():
    return "built with " + model_utils.get_points_on_a_grid()
"""
POINTS = "def get_points_on_a_grid():\n    return 'its own grid'\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    core = tmp_path / "cotracker" / "models" / "core"
    core.mkdir(parents=True)
    for folder in (core, core.parent, core.parent.parent):
        (folder / "__init__.py").touch()
    (core.parent / "build_cotracker.py").write_text(BUILD)
    (core / "model_utils.py").write_text(POINTS)
    return tmp_path


def test_another_module_of_the_name_is_neither_used_nor_lost(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {name: types.ModuleType(name) for name in ("cotracker", "cotracker.models")}
    for name, other in others.items():
        monkeypatch.setitem(sys.modules, name, other)
    path, before = list(sys.path), set(sys.modules)
    assert import_library(str(checkout)).build() == "built with its own grid"
    assert sys.path == path
    assert {n for n in sys.modules if n.startswith("cotracker")} == set(others)
    assert all(sys.modules[name] is other for name, other in others.items())
    assert not {n for n in set(sys.modules) - before if n.startswith("cotracker")}


def test_nothing_is_left_behind(checkout: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    files = sorted(checkout.rglob("*"))
    import_library(str(checkout))
    assert torch.rand(1) == expected  # the checkout sets a seed of its own
    assert "cotracker" not in sys.modules
    assert sorted(checkout.rglob("*")) == files  # no byte code: the files are hashed


@pytest.mark.parametrize("broken", ["absent", "other"])
def test_what_is_no_checkout_is_told(checkout: Path, broken: str) -> None:
    if broken == "other":
        (checkout / "cotracker" / "models" / "build_cotracker.py").write_text("x = 1\n")
    folder = checkout / "nowhere" if broken == "absent" else checkout
    with pytest.raises(UsageError, match="no checkout of CoTracker3") as caught:
        import_library(str(folder))
    assert caught.value.hint == "motionkit models verify cotracker3:code"
    assert "cotracker" not in sys.modules

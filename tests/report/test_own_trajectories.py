from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from motionkit.pipeline import ReportOptions, make_report
from motionkit.report.own_trajectories import MOST, own_trajectories
from motionkit.report.trajectory_section import trajectory_section
from tests.report.test_build import HOSTILE, Page
from tests.training import lines


def write(path: Path, text: str = "it goes left", **changes) -> Path:
    points = lines.line("left", 1)
    np.savez(path, **{"points_px": points, "size": (640, 360), "text": text, **changes})
    return path


def same(text: str) -> str:
    return text


def test_a_file_is_drawn_with_its_sentence(tmp_path):
    (card,) = own_trajectories([write(tmp_path / "a.npz")], same)
    assert (card["prompt"], card["problem"], card["frames"]) == ("it goes left", "", 8)
    assert card["svg"].count("<circle") == 9 and "ghost" not in card["svg"]
    (card,) = own_trajectories([write(tmp_path / "b.npz", text="")], same)
    assert card["prompt"] == "b"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"points_px": np.zeros((4, 7, 2), np.float32)}, "7 points are no square grid"),
        ({"points_px": np.full((4, 9, 2), np.nan, np.float32)}, "not finite"),
        ({"size": (0, 0)}, "picture is 0×0"),
        ({"points_px": np.array([{}], dtype=object)}, "holds no trajectory"),
    ],
)
def test_what_cannot_be_drawn_says_why(tmp_path, changes, problem):
    (card,) = own_trajectories([write(tmp_path / "a.npz", **changes)], same)
    assert problem in card["problem"] and str(tmp_path) not in card["problem"]


def test_some_of_many_are_shown(tmp_path):
    paths = [write(tmp_path / f"{i}.npz") for i in range(MOST + 2)]
    found = trajectory_section(None, None, own=paths)
    assert len(found["own"]) == MOST and f"The first {MOST} of {MOST + 2}" in found["own_says"]


def test_the_workspace_s_files_stand_on_the_page(factory):
    folder = factory.workspace.path / "trajectories"
    folder.mkdir()
    write(folder / "a.npz", text=HOSTILE)
    made = make_report(factory.workspace, ReportOptions())
    html = Path(made.summary["path"]).read_text("utf-8")
    page = Page(html)
    assert "Of your own sentences" in page.text and "window.hacked = 1" in page.text
    assert sum(tag == "script" for tag, _ in page.tags) == 2
    assert sum(attrs.get("class") == "way" for _, attrs in page.tags) == 1
    json.loads(page.scripts[0])

"""Libraries of clips: the mix, names, index, and a second run that does nothing."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from motionkit.errors import UsageError
from motionkit.synth.library import ORDER, library_spec, render_library
from motionkit.synth.motions import KINDS

SMALL = {"width": 160, "height": 90, "seconds": 0.8, "fps": 10.0}


def test_every_kind_has_its_place_in_the_order() -> None:
    assert sorted(ORDER) == sorted(KINDS)


def test_most_clips_are_one_person_before_a_still_camera() -> None:
    specs = [library_spec(k, seed=1) for k in range(100)]
    plain = [s for s in specs if s.camera == "still" and s.people == 1 and len(s.kinds) == 1]
    assert len(plain) >= 60
    assert {s.camera for s in specs} >= {"still", "pan", "zoom", "shake", "part", "follow"}
    assert any(len(s.kinds) > 1 for s in specs) and any(s.people == 2 for s in specs)
    assert len({s.seed for s in specs}) == 100
    still = [library_spec(k, seed=1, static_only=True) for k in range(90)]
    assert all(s.camera == "still" and s.people == 1 and len(s.kinds) == 1 for s in still)
    assert set(Counter(s.kinds[0] for s in still).values()) == {2}  # in turn


def test_library_is_whole_and_a_second_run_keeps_it(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    videos = render_library(
        tmp_path, count=4, seed=2, progress=lambda done, total: seen.append((done, total)), **SMALL
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    rows = list(csv.DictReader((tmp_path / "index.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["name"] for row in rows] == [video.path.name for video in videos]
    assert [row["kinds"] for row in rows] == list(ORDER[:4])
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.glob("**/*.[mjn]p*")}
    again = render_library(tmp_path, count=5, seed=2, **SMALL)
    assert [video.skipped for video in again] == [True] * 4 + [False]
    for path, (content, changed) in before.items():
        assert path.read_bytes() == content and path.stat().st_mtime_ns == changed


def test_kinds_can_be_chosen_and_nonsense_is_refused(tmp_path: Path) -> None:
    spec = library_spec(1, seed=0, kinds=["walk", "squat"])
    assert spec.kinds == ("squat",)
    for wrong in ({"count": 0}, {"count": 1, "workers": 0}, {"count": 1, "kinds": ["fly"]}):
        with pytest.raises(UsageError):
            render_library(tmp_path / "none", seed=0, **wrong)
    assert not (tmp_path / "none").exists()

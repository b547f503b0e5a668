"""What the metadata asks for, and whether it is there."""

import sys
from pathlib import Path

import pytest

from motionkit.doctor import packages
from motionkit.doctor.packages import EXTRAS, Requirement, extras, fits, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("numpy<3,>=1.26", Requirement("numpy", (("<", "3"), (">=", "1.26")), None)),
        ("lap>=0.5; extra == 'yolo'", Requirement("lap", ((">=", "0.5"),), "yolo")),
        (
            'motionkit[mediapipe-lean,train]; extra == "demo"',
            Requirement("motionkit", (), "demo", ("mediapipe-lean", "train")),
        ),
        ("fsspec[http] (>=2024.6) ; extra == 'web'",
         Requirement("fsspec", ((">=", "2024.6"),), "web", ("http",))),
    ],
)  # fmt: skip
def test_lines_of_the_metadata(line: str, expected: Requirement) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("version", "limits", "fit"),
    [
        ("2.4.6", ((">=", "1.26"), ("<", "3")), True),
        ("1.9", ((">=", "1.26"),), False),
        ("19.0.1", ((">=", "14"), ("<", "19")), False),
        ("0.10.21", (("==", "0.10.21"),), True),
        ("0.10.35", (("==", "0.10.21"),), False),
        ("2.13.0+cpu", ((">=", "2.5"),), True),
        ("5", (("<", "5.0"),), False),
    ],
)
def test_versions_are_compared_by_their_numbers(
    version: str, limits: tuple[tuple[str, str], ...], fit: bool
) -> None:
    assert fits(version, limits) is fit


def test_every_extra_says_what_it_is_for() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    named = set(data["project"]["optional-dependencies"]) - {"dev"}
    assert named == set(EXTRAS), f"see EXTRAS in doctor/packages.py: {named ^ set(EXTRAS)}"


def wanted(monkeypatch: pytest.MonkeyPatch, lines: list[str], there: dict[str, str]) -> None:
    monkeypatch.setattr(packages.importlib.metadata, "requires", lambda name: lines)
    monkeypatch.setattr(packages, "version_of", there.get)


def test_an_extra_is_whole_missing_or_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "lap>=0.5; extra == 'yolo'", "ultralytics>=8.3; extra == 'yolo'",
        "torch>=2.5; extra == 'train'", "yt-dlp>=2025.1; extra == 'web'",
        "motionkit[train,web]; extra == 'demo'", "pytest; extra == 'dev'",
    ]  # fmt: skip
    wanted(monkeypatch, lines, {"lap": "0.5", "torch": "2.1", "yt-dlp": "2025.3.1"})
    found = {finding.name: finding for finding in extras()}
    assert found["extra yolo"].state == "absent"
    assert "not installed: ultralytics" in found["extra yolo"].found
    assert found["extra yolo"].cure == "pip install 'motionkit[yolo]'"
    assert found["extra train"].state == "wrong"
    assert "torch 2.1, and >=2.5 is needed" in found["extra train"].found
    assert found["extra web"].state == "ok"
    assert found["extra demo"].state == "wrong"  # for the torch of `train`
    assert "extra dev" not in found


def test_a_missing_package_of_the_core_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted(monkeypatch, ["numpy<3,>=1.26", "duckdb>=1.2"], {"numpy": "2.0"})
    found = {finding.name: finding for finding in packages.core()}
    assert found["numpy"].state == "ok"
    assert (found["duckdb"].state, found["duckdb"].cure) == (
        "wrong", "pip install --upgrade 'duckdb>=1.2'",
    )  # fmt: skip


def test_two_versions_of_opencv_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted(monkeypatch, [], {"opencv-python": "4.9", "opencv-python-headless": "5.0"})
    assert packages.core()[-1].state == "wrong"


def test_opencv_with_windows_does_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted(monkeypatch, ["opencv-python-headless>=4.10"], {"opencv-python": "4.13"})
    assert [finding.state for finding in packages.core()] == ["ok", "ok"]
    wanted(monkeypatch, ["opencv-python-headless>=4.10"], {})
    assert packages.core()[0].state == "wrong"

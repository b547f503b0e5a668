from __future__ import annotations

import pytest

from motionkit.shards.terms import licence_terms, model_terms, why_not_commercial


@pytest.mark.parametrize(
    "licence",
    [
        "CC0",
        "CC0 1.0 Universal",
        "cc-by-4.0",
        "CC BY 4.0",
        "CC BY-SA 3.0 Unported",
        "Creative Commons Attribution license (reuse allowed)",
        "Creative Commons Attribution-ShareAlike 4.0 International",
        "https://creativecommons.org/licenses/by/4.0/",
        "http://creativecommons.org/publicdomain/zero/1.0/deed.en",
        "Public Domain Mark 1.0",
        "Apache-2.0",
        "MIT License",
    ],
)
def test_known_open_licences_allow_commercial_use(licence):
    assert licence_terms(licence).commercial is True


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        (None, None),
        (" ", None),
        ("free", None),
        ("CC", None),
        ("CC BY 4.0 but ask me first", None),
        ("Creative Commons", None),
        ("https://creativecommons.org/licenses/by-nc/4.0/", False),
        ("CC BY-NC-SA 4.0", False),
        ("CC BY-ND 4.0", False),
        ("Creative Commons Attribution-NonCommercial 4.0", False),
        ("for research only", False),
        ("Standard YouTube License", False),
    ],
)
def test_everything_else_does_not(licence, expected):
    assert licence_terms(licence).commercial is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mediapipe", True),
        ("mediapipe:heavy", True),
        ("vitpose-b", True),
        ("yolo11", False),
        ("cotracker3:offline", False),
        ("mediapipeline", None),
        ("my-captioner", None),
    ],
)
def test_models_are_known_by_the_first_part_of_their_name(name, expected):
    assert model_terms(name).commercial is expected


@pytest.mark.parametrize(
    ("licence", "models", "reason"),
    [
        ("CC0", ["mediapipe", "kinematic"], None),
        ("CC0", [], None),
        (None, ["mediapipe"], "licence-unknown"),
        ("CC BY-NC 4.0", ["mediapipe"], "licence-not-commercial"),
        ("CC0", ["mediapipe", "somebody"], "model-unknown"),
        ("CC0", ["cotracker3", "somebody"], "model-not-commercial"),
    ],
)
def test_reasons_against_commercial_use(licence, models, reason):
    assert why_not_commercial(licence, models) == reason

import pytest

from motionkit.recipes import load_recipe
from motionkit.weights.known import KNOWN
from motionkit.weights.licences import licence_of
from motionkit.weights.sources import DEFAULTS, needed_by, needed_by_recipe, source_of


@pytest.mark.parametrize(
    ("spec", "text", "commercial"),
    [
        ("yolo:yolo11x-pose", "AGPL-3.0", False),
        ("yolo-seg:yolo11n-seg", "AGPL-3.0", False),
        ("yolo11", "AGPL-3.0", False),
        ("vitpose:usyd-community/vitpose-base", "Apache-2.0", True),
        ("vitpose:somebody/finetune", "not known", None),
        ("cotracker3", "CC BY-NC 4.0", False),
        ("cotracker3:code", "CC BY-NC 4.0", False),
        ("sam2:facebook/sam2.1-hiera-large", "Apache-2.0", True),
        ("sam2:somebody/sam2", "not known", None),
        ("grabcut", "Apache-2.0", True),
        ("file", "text or masks that came", True),
        ("clip:openai/clip-vit-base-patch32", "MIT", True),
        ("openai:Qwen/Qwen2.5-VL-3B-Instruct", "Qwen Research", False),
        ("transformers:Qwen/Qwen2.5-VL-7B-Instruct", "Apache-2.0", True),
        ("openai:wchai/AuroraCap-7B-VID-xtuner", "Apache-2.0", None),
        ("openai:gpt-something", "not known", None),
        ("minilm", "MIT", True),
        ("minilmish", "not known", None),
    ],
)
def test_licences_are_those_of_the_models(spec: str, text: str, commercial: bool | None) -> None:
    licence = licence_of(spec)
    assert licence.text.startswith(text)
    assert licence.commercial is commercial
    assert licence.meaning


def test_every_known_model_has_a_licence_and_a_source() -> None:
    for known in KNOWN:
        assert not licence_of(known.spec).text.startswith("not known"), known.spec
        source_of(known.spec)


@pytest.mark.parametrize(
    ("backend", "models"),
    [
        ("mediapipe", []),
        ("kinematic", []),
        ("openai:any-model", []),
        ("yolo:yolo11x-pose", ["yolo:yolo11x-pose"]),
        ("cotracker3", ["cotracker3:offline", "cotracker3:online", "cotracker3:code"]),
        ("yolo", ["yolo:yolo11x-pose"]),
        ("cotracker3:online", ["cotracker3:online", "cotracker3:code"]),
        ("vitpose:a/b", ["vitpose:a/b"]),
    ],
)
def test_a_backend_needs_its_files_and_cotracker_its_code(backend: str, models: list[str]) -> None:
    assert needed_by(backend) == models


def test_plain_names_mean_what_the_backends_mean() -> None:
    from motionkit.backends import vitpose, yolo

    assert {"yolo": yolo.DEFAULT, "vitpose": vitpose.HUGE} == DEFAULTS


def test_the_shipped_recipe_of_the_paper_names_its_models() -> None:
    resolved = load_recipe("motionweb").resolved()
    assert needed_by_recipe(resolved) == [
        "yolo:yolo11x-pose", "vitpose:usyd-community/vitpose-plus-huge",
        "sam2:facebook/sam2.1-hiera-large", "cotracker3:offline", "cotracker3:code",
    ]  # fmt: skip
    assert needed_by_recipe(load_recipe("people").resolved()) == []


def test_a_recipe_needs_what_its_parameters_name() -> None:
    resolved = {
        "recipe": "x",
        "detect": {"backend": "yolo:yolo11x-pose", "score_min": 0.5},
        "pose": {"backend": "vitpose:a/b", "note": "see https://example.com"},
        "track": {"backend": "cotracker3:offline", "again": ["cotracker3:offline"]},
    }
    assert needed_by_recipe(resolved) == [
        "yolo:yolo11x-pose", "vitpose:a/b", "cotracker3:offline", "cotracker3:code",
    ]  # fmt: skip

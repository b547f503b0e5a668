"""What `weights.find` finds, records and refuses."""

import copy
import json
import logging
import os
from pathlib import Path

import pytest

from motionkit import weights
from motionkit.errors import UsageError
from motionkit.file_hash import sha256_of
from motionkit.weights.known import here, models, state_of, verify
from motionkit.weights.places import place_of

SPEC = "vitpose:lab/pose"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path))
    return tmp_path


def placed(folder: Path, **files: bytes) -> Path:
    """A model in the Hugging Face layout, put there by hand."""
    model = folder / "vitpose" / "lab" / "pose"
    model.mkdir(parents=True)
    for name, data in {"config.json": b"{}", "model.safetensors": b"weights", **files}.items():
        (model / name).write_bytes(data)
    return model


def test_the_folder_is_the_variable_or_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTIONKIT_MODELS")
    assert weights.models_folder() == Path.home() / ".cache" / "motionkit" / "models"


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ("vitpose:lab/pose", "vitpose/lab/pose"),
        ("sam2:facebook/sam2.1-hiera-tiny", "sam2/facebook/sam2.1-hiera-tiny"),
        ("yolo:yolo11x-pose", "yolo/yolo11x-pose.pt"),
        ("yolo:yolo11x-pose.pt", "yolo/yolo11x-pose.pt"),
        ("yolo-seg:yolo11n-seg", "yolo-seg/yolo11n-seg.pt"),
        ("cotracker3:offline", "cotracker3/scaled_offline.pth"),
        ("cotracker3:online", "cotracker3/scaled_online.pth"),
        ("cotracker3:code", "cotracker3/code"),
    ],
)
def test_a_spec_has_one_place(folder: Path, spec: str, where: str) -> None:
    assert place_of(spec).path == folder / where


@pytest.mark.parametrize(
    "spec",
    ["", "mediapipe", ":x", "yolo:", "yolo:../x", "vitpose:a//b", "vitpose:/etc", "../k:x",
     "yolo:.hidden", "clip:a/../../b", "clip:a\nb", "clip:a b", "yolo:x.motionkit.json", "KIND:x"],
)  # fmt: skip
def test_what_is_no_spec_never_becomes_a_path(spec: str) -> None:
    with pytest.raises(UsageError):
        weights.find(spec)


def test_a_missing_model_names_the_command_that_fetches_it() -> None:
    with pytest.raises(weights.ModelMissing) as error:
        weights.find(SPEC)
    assert f"motionkit models fetch {SPEC}" in str(error.value.hint)
    again = copy.copy(error.value)  # by the way it crosses processes
    assert isinstance(again, weights.ModelMissing) and again.hint == error.value.hint


def test_a_model_placed_by_hand_is_recorded_at_first_use_and_that_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = placed(folder)
    with caplog.at_level(logging.WARNING):
        found = weights.find(SPEC)
        assert weights.find(SPEC) == found
    assert [r.message.count("placed by hand") for r in caplog.records] == [1]
    assert found.path == model and found.licence
    record = json.loads((folder / "vitpose" / "lab" / "pose.motionkit.json").read_text())
    assert record["source"] == "placed by hand" and record["sha256"] == found.sha256
    assert record["files"]["config.json"]["sha256"] == sha256_of(model / "config.json")


def test_what_nothing_loads_is_no_part_of_the_hash(folder: Path) -> None:
    model = placed(folder)
    first = weights.find(SPEC).sha256
    (model / "README.md").write_text("hello")
    (model / "LICENSE").write_text("hello")
    (model / ".cache").mkdir()
    (model / ".cache" / "x.json").write_text("{}")
    (model / "pytorch_model.bin").write_bytes(b"a pickle that nothing loads")
    assert weights.find(SPEC).sha256 == first


def test_a_file_of_the_same_size_and_content_may_be_copied_anew(folder: Path) -> None:
    model = placed(folder)
    first = weights.find(SPEC).sha256
    os.utime(model / "model.safetensors", ns=(1, 1))
    assert weights.find(SPEC).sha256 == first
    assert state_of(SPEC).state == "present"  # the new time is recorded


@pytest.mark.parametrize(
    ("content", "words"), [(b"weightz", "another SHA-256"), (b"weights!", "8 bytes, not 7")]
)
def test_a_changed_file_is_refused(folder: Path, content: bytes, words: str) -> None:
    model = placed(folder)
    weights.find(SPEC)
    (model / "model.safetensors").write_bytes(content)
    os.utime(model / "model.safetensors", ns=(1, 1))
    with pytest.raises(weights.ModelChanged, match=words) as error:
        weights.find(SPEC)
    assert "--accept" in str(error.value.hint)
    changed = verify(SPEC, accept=True)
    assert weights.find(SPEC).sha256 == changed.sha256


def test_a_new_file_that_could_be_loaded_is_refused(folder: Path) -> None:
    model = placed(folder)
    weights.find(SPEC)
    (model / "tokenizer.json").write_text("{}")
    with pytest.raises(weights.ModelChanged, match=r"tokenizer\.json is new"):
        weights.find(SPEC)


def test_a_change_that_keeps_size_and_time_is_found_by_verify(folder: Path) -> None:
    model = placed(folder)
    weights.find(SPEC)
    path = model / "model.safetensors"
    before = path.stat().st_mtime_ns
    path.write_bytes(b"weightz")
    os.utime(path, ns=(before, before))
    weights.find(SPEC)  # cheap: sizes and times only
    with pytest.raises(weights.ModelChanged, match="another SHA-256"):
        verify(SPEC)


@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        ({"model.safetensors": b"w"}, "config.json"),
        ({"config.json": b"{}"}, "weights"),
        ({"config.json": b"{}", "model.safetensors": b""}, "model.safetensors"),
        (
            {
                "config.json": b"{}",
                "model-00001-of-00002.safetensors": b"w",
                "model.safetensors.index.json": b'{"weight_map": {'
                b'"a": "model-00001-of-00002.safetensors", '
                b'"b": "model-00002-of-00002.safetensors"}}',
            },
            "model-00002-of-00002.safetensors",
        ),
    ],
)
def test_a_model_that_is_not_whole_is_missing(
    folder: Path, files: dict[str, bytes], lacks: str
) -> None:
    model = folder / "vitpose" / "lab" / "pose"
    model.mkdir(parents=True)
    for name, data in files.items():
        (model / name).write_bytes(data)
    with pytest.raises(weights.ModelMissing, match=f"has no {lacks}"):
        weights.find(SPEC)


def test_a_folder_that_cannot_be_written_still_serves(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    placed(folder)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("motionkit.weights.record.tempfile.mkstemp", refuse)
    assert weights.find(SPEC).sha256
    assert "not recorded" in caplog.text


def test_a_broken_record_is_said(folder: Path) -> None:
    placed(folder)
    weights.find(SPEC)
    (folder / "vitpose" / "lab" / "pose.motionkit.json").write_text('{"version": 7}')
    with pytest.raises(weights.ModelChanged, match="version 7"):
        weights.find(SPEC)
    verify(SPEC, accept=True)
    assert weights.find(SPEC).sha256


def test_the_list_has_the_known_models_and_those_that_are_here(folder: Path) -> None:
    placed(folder)
    weights.find(SPEC)
    (folder / "vitpose" / "odd name.motionkit.json").write_text("no json")
    (folder / "yolo").mkdir()
    (folder / "yolo" / "mine.pt").write_bytes(b"PK")
    listed = {model.spec: model for model in models()}
    assert listed["yolo:yolo11x-pose"].state == "absent"
    assert listed["cotracker3:offline"].licence.startswith("CC BY-NC 4.0")
    assert listed[SPEC].state == "present" and listed[SPEC].sha256
    assert listed["yolo:mine"].state == "present" and listed["yolo:mine"].sha256 is None
    assert here() == [SPEC, "yolo:mine"]
    (folder / "vitpose" / "lab" / "pose" / "model.safetensors").write_bytes(b"")
    assert state_of(SPEC).state == "broken"


def test_a_whole_checkout_and_what_fetch_takes_of_it_are_the_same_code(folder: Path) -> None:
    code = folder / "cotracker3" / "code"
    (code / "cotracker").mkdir(parents=True)
    (code / "cotracker" / "predictor.py").write_text("x = 1")
    (code / "hubconf.py").write_text("y = 1")
    first = weights.find("cotracker3:code").sha256
    (code / "setup.py").write_text("z = 1")
    (code / "assets").mkdir()
    (code / "assets" / "apple.mp4").write_bytes(b"film")
    (code / "cotracker" / "__pycache__").mkdir()
    (code / "cotracker" / "__pycache__" / "predictor.py").write_text("cached")
    assert weights.find("cotracker3:code").sha256 == first
    (code / "cotracker" / "predictor.py").write_text("x = 2")
    with pytest.raises(weights.ModelChanged):
        weights.find("cotracker3:code")
    for name in ("offline", "online"):
        (folder / "cotracker3" / f"scaled_{name}.pth").write_bytes(name.encode())
        weights.find(f"cotracker3:{name}")
    assert here() == ["cotracker3:code", "cotracker3:offline", "cotracker3:online"]

"""Models are fetched whole or not at all: against a Hub and a GitHub on loopback."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motionkit import weights
from motionkit.errors import UsageError
from motionkit.weights import http
from motionkit.weights import hub as hub_module
from motionkit.weights.errors import FetchError
from motionkit.weights.fetch import fetch
from motionkit.weights.sources import COTRACKER_CODE_COMMIT, COTRACKER_COMMIT
from tests.weights.hub_server import COMMIT, Hub, serve

SPEC = "vitpose:some-lab/pose-base"
REPO = "some-lab/pose-base"
HEADER = b'{"a":{"dtype":"F32","shape":[2000],"data_offsets":[0,8000]}}'
TENSORS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(range(250)) * 32
YOLO = "ultralytics/assets/releases/download/v8.3.0/yolo11n-pose.pt"
WAYS = ["library", "plain"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub()
    made.repos[REPO] = {
        "config.json": b'{"model_type": "vitpose"}',
        "preprocessor_config.json": b"{}",
        "model.safetensors": TENSORS,
        "pytorch_model.bin": b"\x80 a pickle",
        "modeling.py": b"raise SystemExit",
        "README.md": b"# hello",
        ".gitattributes": b"",
        "onnx/config.json": b"{}",
    }
    with serve(made):
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        monkeypatch.setenv("MOTIONKIT_GITHUB", made.url)
        monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path / "models"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr("motionkit.weights.http.PAUSE_S", 0.0)
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "MOTIONKIT_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        yield made


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With huggingface_hub, and with the standard library alone."""
    if request.param == "library":
        pytest.importorskip("huggingface_hub")
        import huggingface_hub.constants as constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    else:
        monkeypatch.setattr(hub_module, "has_library", lambda: False)
    return str(request.param)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "has_library", lambda: False)


def left(folder: Path) -> list[str]:
    """Everything below a folder, by name."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_repository_is_fetched_without_pickles_code_and_other_formats(hub: Hub, way: str) -> None:
    assert fetch(SPEC) is True
    folder = weights.models_folder() / "vitpose" / "some-lab"
    assert left(folder) == [
        "pose-base.motionkit.json",
        "pose-base/config.json",
        "pose-base/model.safetensors",
        "pose-base/preprocessor_config.json",
    ]
    assert (folder / "pose-base" / "model.safetensors").read_bytes() == TENSORS
    record = json.loads((folder / "pose-base.motionkit.json").read_text())
    assert record["source"] == f"{hub.url}/{REPO}@{COMMIT}"
    assert record["files"]["model.safetensors"]["sha256"] == hashlib.sha256(TENSORS).hexdigest()
    found = weights.find(SPEC)
    assert found.path == folder / "pose-base" and found.sha256 == record["sha256"]
    asked = len(hub.asked)
    assert fetch(SPEC) is False and len(hub.asked) == asked


def test_both_ways_give_the_same_model(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    fetch(SPEC)
    first = weights.find(SPEC).sha256
    monkeypatch.setattr(hub_module, "has_library", lambda: False)
    assert fetch(SPEC, again=True) is True
    assert weights.find(SPEC).sha256 == first


def test_a_pickle_is_fetched_only_where_there_are_no_safetensors(hub: Hub, plain: None) -> None:
    hub.repos[REPO].pop("model.safetensors")
    fetch(SPEC)
    assert "pytorch_model.bin" in left(weights.find(SPEC).path)


def test_second_copies_of_the_weights_stay_away(hub: Hub, plain: None) -> None:
    hub.repos[REPO] |= {"model.fp16.safetensors": TENSORS, "open_clip.safetensors": TENSORS}
    fetch(SPEC)
    assert "model.fp16.safetensors" not in left(weights.find(SPEC).path)


def test_a_repository_without_weights_is_refused(hub: Hub, plain: None) -> None:
    hub.repos[REPO] = {"config.json": b"{}", "model.gguf": b"x"}
    with pytest.raises(UsageError, match="no weights"):
        fetch(SPEC)


def test_a_broken_transfer_goes_on_where_it_broke(hub: Hub, plain: None) -> None:
    hub.cut["model.safetensors"] = 2
    fetch(SPEC)
    ranges = [h["Range"] for p, h in hub.asked if p.endswith("tensors") and "Range" in h]
    half = len(TENSORS) // 2
    assert ranges == [f"bytes={half}-", f"bytes={half + (len(TENSORS) - half) // 2}-"]
    assert (weights.find(SPEC).path / "model.safetensors").read_bytes() == TENSORS


def test_a_transfer_that_stays_broken_leaves_no_model_and_is_gone_on_with(
    hub: Hub, plain: None
) -> None:
    hub.cut["model.safetensors"] = 4
    with pytest.raises(FetchError, match="could not be fetched") as error:
        fetch(SPEC)
    assert "what has arrived is kept" in str(error.value.hint)
    with pytest.raises(weights.ModelMissing):
        weights.find(SPEC)
    hub.asked.clear()
    fetch(SPEC)
    assert not any(path.endswith("/config.json") for path in hub.paths())
    assert weights.find(SPEC).path.is_dir()


def test_content_that_is_not_what_the_hub_says_is_refused(hub: Hub, way: str) -> None:
    hub.lie["model.safetensors"] = TENSORS[:-1] + b"!"
    with pytest.raises(FetchError, match="SHA-256"):
        fetch(SPEC)
    with pytest.raises(weights.ModelMissing):
        weights.find(SPEC)
    hub.lie.clear()
    assert fetch(SPEC) is True


@pytest.mark.parametrize(("code", "words"), [(404, ""), (401, "HF_TOKEN"), (403, "HF_TOKEN")])
def test_refusals_say_what_to_do(hub: Hub, plain: None, code: int, words: str) -> None:
    hub.status["some-lab"] = code
    with pytest.raises(FetchError, match=str(code)) as error:
        fetch(SPEC)
    assert words in str(error.value.hint)
    assert len(hub.asked) == 1


def test_a_server_that_is_down_is_asked_again_then_given_up(hub: Hub, plain: None) -> None:
    hub.status["resolve"] = 503
    with pytest.raises(FetchError, match="503"):
        fetch(SPEC)
    assert sum("config.json" in path for path in hub.paths()) == 4


def test_an_unknown_repository_fails_through_the_library_too(hub: Hub, way: str) -> None:
    hub.status["resolve"] = 404
    with pytest.raises(FetchError):
        fetch(SPEC)
    assert not (weights.models_folder() / "vitpose" / "some-lab" / "pose-base").exists()


@pytest.mark.parametrize("name", ["../../evil.json", "/etc/evil.json", "a/../b.json", "-rf.json"])
def test_names_that_lead_elsewhere_are_refused(hub: Hub, plain: None, name: str) -> None:
    hub.repos[REPO][name] = b"{}"
    with pytest.raises(FetchError, match="it is not fetched"):
        fetch(SPEC)
    assert not any("resolve" in path for path in hub.paths())


def test_a_token_goes_to_the_hub_only_and_into_no_message(
    hub: Hub, plain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.status["/resolve/"] = 403
    with pytest.raises(FetchError) as error:
        fetch(SPEC)
    assert hub.asked[0][1]["Authorization"] == "Bearer hf_secret"
    assert "hf_secret" not in f"{error.value} {error.value.hint}"
    hub.files[YOLO] = b"PK\x03\x04weights"
    fetch("yolo:yolo11n-pose")
    assert "Authorization" not in hub.asked[-1][1]


def test_a_file_of_a_release_lands_under_its_name(hub: Hub) -> None:
    hub.files[YOLO] = b"PK\x03\x04weights"
    assert fetch("yolo:yolo11n-pose") is True
    found = weights.find("yolo:yolo11n-pose")
    assert found.path == weights.models_folder() / "yolo" / "yolo11n-pose.pt"
    assert found.sha256 == hashlib.sha256(b"PK\x03\x04weights").hexdigest()
    assert left(found.path.parent) == ["yolo11n-pose.pt", "yolo11n-pose.pt.motionkit.json"]


def test_a_login_page_in_place_of_weights_is_refused(hub: Hub) -> None:
    hub.files[YOLO] = b"<html>sign in</html>"
    with pytest.raises(FetchError, match="no pt file"):
        fetch("yolo:yolo11n-pose")
    with pytest.raises(weights.ModelMissing):
        weights.find("yolo:yolo11n-pose")


def test_cotracker_is_fetched_with_its_code_at_a_pinned_commit(hub: Hub, way: str) -> None:
    hub.repos["facebook/cotracker3"] = {"scaled_offline.pth": b"PK\x03\x04o", "x.pth": b"PK"}
    archive = f"facebookresearch/co-tracker/archive/{COTRACKER_CODE_COMMIT}.tar.gz"
    hub.files[archive] = tar({
        "co-tracker-82/hubconf.py": b"h", "co-tracker-82/cotracker/predictor.py": b"p",
        "co-tracker-82/cotracker/models/core/a_b.py": b"m", "co-tracker-82/setup.py": b"s",
        "co-tracker-82/assets/apple.mp4": b"v", "co-tracker-82/cotracker/../../evil.py": b"e",
        "../cotracker/evil.py": b"e", "/cotracker/other.py": b"e",
    })  # fmt: skip
    fetch("cotracker3:offline")
    fetch("cotracker3:code")
    assert any(f"/resolve/{COMMIT}/scaled_offline.pth" in path for path in hub.paths())
    assert any(f"revision/{COTRACKER_COMMIT}" in path for path in hub.paths())
    assert weights.find("cotracker3:offline").path.name == "scaled_offline.pth"
    code = weights.find("cotracker3:code").path
    assert left(code) == [
        "cotracker/evil.py", "cotracker/models/core/a_b.py", "cotracker/other.py",
        "cotracker/predictor.py", "hubconf.py",
    ]  # fmt: skip
    outside = weights.models_folder().parent.rglob("evil.py")
    assert all(path.is_relative_to(code) for path in outside)


def test_a_link_in_an_archive_is_not_followed(hub: Hub) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        link = tarfile.TarInfo("c/cotracker/predictor.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    path = f"facebookresearch/co-tracker/archive/{COTRACKER_CODE_COMMIT}.tar.gz"
    hub.files[path] = data.getvalue()
    with pytest.raises(weights.ModelMissing, match="not whole"):
        fetch("cotracker3:code")
    assert not (weights.models_folder() / "cotracker3" / "code").exists()


def test_offline_mode_fetches_nothing_and_finds_what_is_there(
    hub: Hub, plain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(SPEC)
    hub.asked.clear()
    for name in ("MOTIONKIT_OFFLINE", "HF_HUB_OFFLINE"):
        with monkeypatch.context() as context:
            context.setenv(name, "1")
            assert fetch(SPEC) is False
            assert weights.find(SPEC).path.is_dir()
            with pytest.raises(UsageError, match="offline"):
                fetch("vitpose:some-lab/other")
    assert hub.asked == []


def test_a_full_disk_is_said_before_anything_is_fetched(
    hub: Hub, plain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("motionkit.weights.fetch.shutil.disk_usage", lambda _: usage)
    with pytest.raises(FetchError, match="the disk is full") as error:
        fetch(SPEC)
    assert "MOTIONKIT_MODELS" in str(error.value.hint)
    assert not any("resolve" in path for path in hub.paths())


def test_a_disk_that_fills_up_in_between_is_said(
    hub: Hub, plain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("motionkit.weights.fetch._sync", full)
    with pytest.raises(FetchError, match="the disk is full"):
        fetch(SPEC)
    with pytest.raises(weights.ModelMissing):
        weights.find(SPEC)


def test_a_killed_fetch_leaves_no_model_and_the_next_one_goes_on(hub: Hub, plain: None) -> None:
    hub.wait.add("model.safetensors")
    script = (
        "from motionkit.weights import hub; hub.has_library = lambda: False\n"
        f"from motionkit.weights.fetch import fetch; fetch({SPEC!r})"
    )
    with subprocess.Popen([sys.executable, "-c", script], env=os.environ.copy()) as process:
        assert hub.started.wait(20)
        with pytest.raises(FetchError, match="by another process"):
            fetch(SPEC)
        process.send_signal(signal.SIGKILL)
    with pytest.raises(weights.ModelMissing):
        weights.find(SPEC)
    hub.wait.clear()
    hub.asked.clear()
    fetch(SPEC)
    assert not any(path.endswith("/config.json") for path in hub.paths())
    folder = weights.models_folder() / "vitpose" / "some-lab"
    assert sorted(p.name for p in folder.iterdir()) == ["pose-base", "pose-base.motionkit.json"]


def test_a_changed_model_is_replaced_only_when_asked(hub: Hub, plain: None) -> None:
    fetch(SPEC)
    path = weights.find(SPEC).path / "model.safetensors"
    path.write_bytes(TENSORS[:-1] + b"!")
    with pytest.raises(weights.ModelChanged, match=r"model\.safetensors"):
        fetch(SPEC)
    assert fetch(SPEC, again=True) is True
    assert path.read_bytes() == TENSORS


def test_a_model_that_lost_a_file_is_fetched_anew(hub: Hub, plain: None) -> None:
    fetch(SPEC)
    (weights.find(SPEC).path / "model.safetensors").unlink()
    assert fetch(SPEC) is True
    assert weights.find(SPEC).path.is_dir()


def test_files_placed_by_hand_are_not_overwritten(hub: Hub, plain: None) -> None:
    path = weights.models_folder() / "yolo" / "yolo11n-pose.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK mine")
    with pytest.raises(UsageError, match="not put there by a fetch"):
        fetch("yolo:yolo11n-pose")
    assert path.read_bytes() == b"PK mine"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("mmpose:td-hm", "are not fetched"),
        ("vitpose:base", "OWNER/NAME"),
        ("cotracker3:huge", "no model"),
        ("yolo:../../x", "names no model"),
        ("yolo:Nothing Here", "names no model"),
    ],
)
def test_specs_that_cannot_be_fetched_say_why(hub: Hub, spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fetch(spec)
    assert hub.asked == []


def test_a_revision_is_a_name_and_no_path(hub: Hub) -> None:
    for revision in ("../../evil", "a b", "", "/x", "v1/../x"):
        with pytest.raises(UsageError, match="no branch"):
            fetch("yolo:yolo11n-pose", revision=revision)
    assert hub.asked == []


def test_an_encrypted_way_is_not_left() -> None:
    request = urllib.request.Request("https://example.org/a")
    with pytest.raises(FetchError, match="not encrypted"):
        http._Redirects().redirect_request(request, None, 302, "", {}, "http://example.org/a")


def tar(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()

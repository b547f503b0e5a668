"""The `caption` stage with a captioner: what is shown, what is asked, and what is stored."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from motionkit.backends.captioners import Answer, Sampling
from motionkit.backends.captioners.openai_endpoint import OpenAIEndpoint
from motionkit.backends.captioners.pictures import jpegs
from motionkit.backends.captioners.prompts import prompt_hash, prompt_text
from motionkit.errors import InputError, UsageError
from motionkit.stage import Chunk, Dropped, Item, Kept, mode_of, run_alone
from motionkit.stages.caption import Caption
from tests.stages.fake_tables import FakeTables
from tests.stages.test_caption import standing
from tests.video.encode import write_video

WIDTH, HEIGHT = 200, 120


class Asked:
    """Answers of a captioner that is not there; keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Chunk, Sampling]] = []
        self.texts = ["The person waves.", "A person waves once."]

    def describe(self, captioner: Any, prompt: str, pictures: Chunk, sampling: Sampling) -> Answer:
        self.calls.append((prompt, pictures, sampling))
        return Answer(self.texts[int(sampling.temperature > 0)], "toy-7b", "stop", 900, 8)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked()
    monkeypatch.setattr(OpenAIEndpoint, "setup", lambda self: None)
    monkeypatch.setattr(OpenAIEndpoint, "describe", lambda *args: made.describe(*args))
    return made


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    rows = np.arange(HEIGHT)[:, None, None] + np.zeros((1, WIDTH, 3))
    frames = [np.clip(rows + 2 * i, 0, 180).astype(np.uint8) for i in range(40)]
    write_video(path, frames, quality=5)
    return path


def tables(film: Path | None, texts: tuple[str, ...] = (), box: Any = (90, 20, 130, 100)) -> Any:
    m2d = standing(40)
    boxes = np.zeros((40, 5), np.float32)
    if box is not None:
        boxes[:] = (*box, 0.9)
        boxes[:, [0, 2]] += np.arange(40)[:, None]
    videos = []
    if film is not None:
        sidecar = [{"text": t, "source": "sidecar", "detail": "{}"} for t in texts]
        row = {"item_id": "s", "video_id": "v", "path": str(film), "decoder": "pyav"}
        videos = [{**row, "captions": sidecar, "frames_decoded": 40}]
    shot = {"t0_s": 0.0, "t1_s": 2.0, "range": None}
    clip = {"item_id": "c", "video_id": "v", "clip_id": "c", "fps": 30.0, "t0_s": 0.0}
    clip |= {"t1_s": 1.3, "width": WIDTH, "height": HEIGHT, "ordinals": np.arange(40)}
    return FakeTables(
        videos=videos,
        scans=[{"item_id": "v", "video_id": "v", "shots": [shot]}],
        keypoints=[{**clip, "m2d": m2d.ravel(), "boxes": boxes.ravel()}],
    )


def stage(folder: Path, **changes: Any) -> Caption:
    given = {"captioner": "openai:toy", "sampled_frames": 4, "workspace": str(folder), **changes}
    made = Caption(**given)
    made.setup()
    return made


def item_of(made: Caption, found: FakeTables) -> Item:
    (item,) = made.items(found)
    return pickle.loads(pickle.dumps(item))  # noqa: S301 - our own


def captions(made: Caption, found: FakeTables) -> list[tuple[str, str]]:
    outcome = run_alone(made, item_of(made, found))
    assert isinstance(outcome, Kept)
    return [(caption["source"], caption["text"]) for caption in outcome.row["captions"]]


def test_auto_puts_the_captioner_between_sidecar_and_kinematic(
    asked: Asked, film: Path, tmp_path: Path
) -> None:
    found = captions(stage(tmp_path, captions_each=2), tables(film, ("someone waits",)))
    assert found == [
        ("sidecar", "someone waits"),
        ("openai:toy", "The person waves."),
        ("openai:toy", "A person waves once."),
        ("kinematic", "a person stands almost still"),
    ]


@pytest.mark.parametrize(
    ("most", "sources", "calls"),
    [
        (5, ["sidecar", "sidecar", "openai:toy", "openai:toy", "kinematic"], 2),
        (3, ["sidecar", "openai:toy", "openai:toy"], 2),
        (2, ["sidecar", "openai:toy"], 1),
        (1, ["sidecar"], 0),
    ],
)
def test_a_caption_without_a_place_is_not_paid_for(
    most: int, sources: list[str], calls: int, asked: Asked, film: Path, tmp_path: Path
) -> None:
    made = stage(tmp_path, captions_each=2, most=most)
    found = captions(made, tables(film, ("a b", "c d", "e f", "g h")))
    assert [source for source, _ in found] == sources
    assert len(asked.calls) == calls


def test_model_alone(asked: Asked, film: Path, tmp_path: Path) -> None:
    found = captions(stage(tmp_path, source="model"), tables(film, ("someone waits",)))
    assert found == [("openai:toy", "The person waves.")]


def test_a_second_caption_that_says_the_same_is_given_once(
    asked: Asked, film: Path, tmp_path: Path
) -> None:
    asked.texts[1] = asked.texts[0]
    made = stage(tmp_path, source="model", captions_each=2)
    assert captions(made, tables(film)) == [("openai:toy", "The person waves.")]


def test_the_captioner_sees_even_frames_with_a_red_box_where_the_person_is(
    asked: Asked, film: Path, tmp_path: Path
) -> None:
    captions(stage(tmp_path, source="model", max_side=100), tables(film))
    ((prompt, pictures, sampling),) = asked.calls
    assert prompt == prompt_text("motion-in-red-box")
    assert sampling == Sampling(0.0, 0, 160)
    shown = [cv2.imdecode(np.frombuffer(f, np.uint8), 1)[:, :, ::-1] for f in jpegs(pictures)]
    assert [picture.shape for picture in shown] == [(60, 100, 3)] * 4
    for picture, ordinal in zip(shown, [0, 13, 26, 39], strict=True):
        red = (picture[..., 0].astype(int) - picture[..., 1]) > 120
        ys, xs = np.nonzero(red)
        left, right = (90 + ordinal) / 2, (130 + ordinal) / 2  # half the size
        assert abs(xs.min() - (left - 2)) <= 1.5 and abs(xs.max() - (right + 1)) <= 1.5
        assert abs(ys.min() - 8) <= 1 and abs(ys.max() - 51) <= 1
        grey = picture[30, 5].astype(int)
        assert abs(grey.mean() - min(61 + 2 * ordinal, 180)) < 6  # the frame of that time


def test_a_caption_says_where_it_comes_from(asked: Asked, film: Path, tmp_path: Path) -> None:
    made = stage(tmp_path, source="model", captions_each=2, seed=4)
    outcome = run_alone(made, item_of(made, tables(film)))
    assert isinstance(outcome, Kept)
    first, second = (json.loads(c["detail"]) for c in outcome.row["captions"])
    assert first == {
        "captioner": "openai:toy",
        "model": "toy-7b",
        "prompt": "motion-in-red-box",
        "prompt_hash": prompt_hash("motion-in-red-box"),
        "frames": [0, 13, 26, 39],
        "max_side": 768,
        "temperature": 0.0,
        "seed": None,
        "finish": "stop",
        "precision": None,
        "usage": {"prompt_tokens": 900, "completion_tokens": 8},
        "request": first["request"],
    }
    assert (second["temperature"], second["seed"]) == (0.7, 5)
    assert second["request"] != first["request"]
    kept = list((tmp_path / "cache" / "captions").rglob("*.json"))
    assert {path.stem[:16] for path in kept} == {first["request"], second["request"]}


def test_nobody_is_asked_twice(asked: Asked, film: Path, tmp_path: Path) -> None:
    first = captions(stage(tmp_path, source="model"), tables(film))
    again = captions(stage(tmp_path, source="model", retries=0, requests=1), tables(film))
    assert again == first
    assert len(asked.calls) == 1
    captions(stage(tmp_path, source="model", max_side=64), tables(film))
    captions(stage(tmp_path, source="model", sampled_frames=2), tables(film))
    assert len(asked.calls) == 3


def test_a_clip_without_a_box_gets_a_reason_and_no_caption(
    asked: Asked, film: Path, tmp_path: Path
) -> None:
    made = stage(tmp_path, source="model")
    assert run_alone(made, item_of(made, tables(film, box=None))) == Dropped("no-box")
    other = stage(tmp_path)
    found = captions(other, tables(film, ("someone waits",), box=None))
    assert [source for source, _ in found] == ["sidecar", "kinematic"]
    assert not asked.calls


def test_a_video_that_is_gone_is_a_failure(asked: Asked, tmp_path: Path) -> None:
    made = stage(tmp_path, source="model")
    item = item_of(made, tables(None))
    with pytest.raises(InputError) as caught:
        run_alone(made, item)
    assert caught.value.code == "video-missing"
    assert made.context(item) == {"video_id": "v", "clip_id": "c"}


def test_frames_that_are_gone_are_a_failure(asked: Asked, film: Path, tmp_path: Path) -> None:
    found = tables(film)
    found.tables["keypoints"][0]["ordinals"] = np.arange(10, 50)
    made = stage(tmp_path, source="model")
    with pytest.raises(InputError) as caught:
        run_alone(made, item_of(made, found))
    assert caught.value.code == "frames-missing"
    assert not asked.calls


def test_what_decides_the_text_is_in_the_identity_and_manners_are_not(tmp_path: Path) -> None:
    found = tables(None)
    base = Caption(captioner="openai:toy").identity(found)
    same = Caption(
        captioner="openai:toy",
        requests=2,
        retries=1,
        backoff_s=9.0,
        request_timeout_s=3.0,
        workspace=str(tmp_path),
    )
    assert same.identity(found) == base
    for change in (
        {"captioner": "openai:other"},
        {"captions_each": 2},
        {"sampled_frames": 4},
        {"max_side": 512},
        {"max_new_tokens": 20},
        {"temperature": 0.2},
        {"seed": 1},
        {"request_extra": '{"top_p": 1}'},
        {"source": "model"},
    ):
        assert Caption(**{"captioner": "openai:toy", **change}).identity(found) != base
    assert Caption(source="kinematic", captioner="openai:toy").identity(found) == Caption(
        source="kinematic"
    ).identity(found)


def test_its_mode_follows_the_captioner() -> None:
    assert mode_of(Caption()) == "items"
    assert mode_of(Caption(source="sidecar", captioner="openai:toy")) == "items"
    made = Caption(captioner="openai:toy", requests=5)
    assert (mode_of(made), made.at_once, made.needs_device) == ("calls", 5, False)


def test_it_travels_to_other_processes_after_its_setup(asked: Asked, tmp_path: Path) -> None:
    made = pickle.loads(pickle.dumps(stage(tmp_path)))  # noqa: S301 - our own
    assert made == Caption(captioner="openai:toy", sampled_frames=4, workspace=str(tmp_path))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"source": "model"}, "needs a captioner"),
        ({"captioner": "gpt"}, "no captioner 'gpt'"),
        ({"captions_each": 3}, "1 or 2"),
        ({"sampled_frames": 0}, "--sampled-frames"),
        ({"max_side": 8}, "--max-side"),
        ({"max_new_tokens": 0}, "--max-new-tokens"),
        ({"prompt": "poem"}, "no prompt"),
        ({"temperature": 0.0}, "temperature"),
        ({"requests": 0}, "--requests"),
        ({"retries": -1}, "--retries"),
        ({"request_timeout_s": 0.0}, "request_timeout_s"),
        ({"captioner": "openai:m", "request_extra": "["}, "extra is not JSON"),
    ],
)
def test_parameters_that_make_no_sense(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Caption(**wrong)


def test_without_a_workspace_nothing_is_asked(asked: Asked) -> None:
    with pytest.raises(UsageError, match="workspace"):
        Caption(captioner="openai:toy").setup()

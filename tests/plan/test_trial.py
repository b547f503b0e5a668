"""What a step left behind, given to the videos of the sample."""

import json
from pathlib import Path

import pytest

from motionkit.engines.local import EngineOptions
from motionkit.plan.population import Video
from motionkit.plan.sample import Drawn
from motionkit.plan.trial import StepTrial, Trial, Tried, VideoCost
from motionkit.workspace import Workspace

PRINT = "ab" * 16


def test_tokens_rows_and_bytes_go_to_the_video_that_they_are_of(tmp_path: Path) -> None:
    tried = [
        Tried(Drawn(Video(p, "file", 1, 1.0, 1.0, 1, 1.0, True), 1.0, True), p, 1.0, 1.0)
        for p in ("/a.mp4", "/b.mp4")
    ]
    trial = Trial(tmp_path, tried, EngineOptions(workers=1), {})
    trial.by_video.update(v1=0, v2=1)
    detail = json.dumps({"usage": {"prompt_tokens": 700, "completion_tokens": 40}})
    caption = {"text": "a person walks", "source": "x", "detail": detail}
    rows = [
        {"item_id": f"{video}-{n}", "video_id": video, "outcome": outcome, "attempt": 1,
         "fingerprint": PRINT, "captions": [caption] * captions}
        for video, n, outcome, captions in (
            ("v1", 1, "kept", 2), ("v1", 2, "kept", 1), ("v2", 1, "dropped", 0)
        )
    ]  # fmt: skip
    workspace = Workspace(trial.place)
    workspace.write_part("captions", rows)
    workspace.set_current("captions", PRINT, {})
    made = StepTrial("caption", "calls", [VideoCost(), VideoCost()])
    trial._rows(made, workspace, "captions")
    first, second = made.costs
    assert (first.items, first.kept, second.items, second.kept) == (2, 2, 1, 0)
    assert (first.prompt_tokens, first.completion_tokens) == (2100, 120)
    assert second.prompt_tokens == 0
    assert first.bytes == pytest.approx(2 * second.bytes)
    size = sum(p.stat().st_size for p in workspace.parts("captions"))
    assert made.bytes_fixed + first.bytes + second.bytes == pytest.approx(size)

"""Rendered clips: files that decode, truth that fits the pictures, bytes that repeat."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.synth.clip import SynthVideo, render_clip
from motionkit.synth.mesh import ZONE
from motionkit.synth.shot import make_shot
from motionkit.synth.spec import SynthSpec


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def cut_clip(tmp_path_factory: pytest.TempPathFactory) -> SynthVideo:
    spec = SynthSpec(kinds=("wave_left", "walk", "squat"), seed=4, seconds=3, width=320, height=180)
    return render_clip(tmp_path_factory.mktemp("cuts") / "three.mp4", spec)


def test_a_clip_has_the_right_frames_and_truth(tmp_path: Path) -> None:
    spec = SynthSpec(kinds=("wave_right",), seed=1, seconds=1.5, people=2)
    video = render_clip(tmp_path / "wave.mp4", spec)
    frames = decode(video.path)
    assert len(frames) == video.frames == 45
    assert frames[0].shape == (360, 640, 3)
    truth = np.load(video.truth)
    assert truth["keypoints"].shape == (45, 2, 17, 3)
    assert truth["joints"].shape == (45, 24, 3)
    assert truth["camera_moving"].dtype == bool and not truth["camera_moving"].any()
    assert truth["camera_motion"].shape == (45,)
    assert truth["cuts"].shape == (0,)
    assert float(truth["fps"]) == 30.0
    assert (truth["joints"][..., 2] > 1).all()  # z is forward
    assert (truth["joints"][:, 15, 1] < truth["joints"][:, 7, 1]).all()  # y is down
    sidecar = json.loads(video.sidecar.read_text())
    assert sidecar["captions"] == list(video.captions)
    assert any("right" in caption for caption in sidecar["captions"])
    assert "left" not in " ".join(sidecar["captions"])
    assert "CC0" in sidecar["licence"]
    record = json.loads(video.truth.with_suffix(".json").read_text())
    assert record["kind"] == "wave_right" and record["seed"] == 1
    assert not list(tmp_path.rglob("*.part"))


def test_projected_keypoints_lie_on_the_drawn_figure() -> None:
    shot = make_shot(SynthSpec(kinds=("jumping_jacks",), seed=2, noise=False), 0, 24)
    keypoints = shot.keypoints()[:, 0]
    hits = []
    for f, frame in enumerate(shot.frames()):
        figure = np.abs(frame.astype(int) - shot.background).sum(-1) > 40
        near = cv2.dilate(figure.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        x, y = keypoints[f, :, 0].astype(int), keypoints[f, :, 1].astype(int)
        hits.append(near[y, x])
        assert figure.mean() < 0.3
    assert np.mean(hits) > 0.95
    assert (keypoints[..., 2] == 1).all()


def test_face_is_drawn_only_where_it_can_be_seen() -> None:
    """Skin before the eyes from the front, hair from behind."""

    def skin_share(azimuth: float) -> float:
        spec = SynthSpec(kinds=("hands_on_hips",), seed=3, azimuth_deg=azimuth, noise=False)
        shot = make_shot(spec, 0, 4)
        assert shot.people[0].look.cut.hair != "bald"
        frame = next(iter(shot.frames())).astype(float)
        x, y = shot.keypoints()[0, 0, 0, :2].astype(int)
        face = frame[y - 7 : y + 3, x - 6 : x + 7].reshape(-1, 3)
        skin = shot.people[0].look.colours[ZONE["skin"]]
        tone = face / face.sum(-1, keepdims=True) - skin / skin.sum()
        bright = face.sum(-1) > 0.4 * skin.sum()
        return float(((np.abs(tone).max(-1) < 0.035) & bright).mean())

    assert skin_share(0) > 0.5
    assert skin_share(180) < 0.25


def test_cuts_are_where_the_truth_says(cut_clip: SynthVideo) -> None:
    truth = np.load(cut_clip.truth)
    cuts = truth["cuts"].tolist()
    assert len(cuts) == 2 and list(cut_clip.cuts) == cuts
    frames = decode(cut_clip.path)
    change = [0.0] + [
        float(np.abs(b.astype(int) - a).mean()) for a, b in itertools.pairwise(frames)
    ]
    assert sorted(np.argsort(change)[-2:].tolist()) == cuts
    assert not truth["camera_moving"][cuts].any()
    assert (truth["camera_motion"][cuts] == 0).all()
    # Captions of one shot would be wrong for the others: they are in the truth, per shot.
    assert json.loads(cut_clip.sidecar.read_text())["captions"] == []
    record = json.loads(cut_clip.truth.with_suffix(".json").read_text())
    assert [shot["kind"] for shot in record["shots"]] == ["wave_left", "walk", "squat"]
    assert [shot["first"] for shot in record["shots"]] == [0, *cuts]


def test_the_background_moves_as_the_truth_says() -> None:
    shot = make_shot(SynthSpec(kinds=("clap",), seed=7, camera="pan", outdoors=False), 0, 16)
    frames = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in shot.frames()]
    shifts = shot.camera.shifts()
    body = shot.keypoints()[:, 0, :, :2]
    measured = []
    for f in range(1, 16):
        mask = np.full((360, 640), 255, np.uint8)
        x0, y0 = (body[f].min(0) - 60).astype(int)
        x1, y1 = (body[f].max(0) + 60).astype(int)
        mask[max(y0, 0) : y1, max(x0, 0) : x1] = 0
        points = cv2.goodFeaturesToTrack(frames[f - 1], 200, 0.01, 6, mask=mask)
        moved, found, _ = cv2.calcOpticalFlowPyrLK(frames[f - 1], frames[f], points, None)
        step = np.linalg.norm((moved - points).reshape(-1, 2), axis=-1)[found.ravel() == 1]
        measured.append(np.median(step))
    assert np.median(measured) == pytest.approx(np.median(shifts[1:]), rel=0.15)


def test_a_still_cameras_background_is_still() -> None:
    shot = make_shot(SynthSpec(kinds=("clap",), seed=7, noise=False), 0, 6)
    frames = list(shot.frames())
    edge = [np.concatenate([f[:200, :40], f[:200, -40:]], 1).astype(int) for f in frames]
    assert all((e == edge[0]).all() for e in edge)


def test_same_spec_same_bytes_and_a_finished_clip_is_kept(tmp_path: Path) -> None:
    spec = SynthSpec(kinds=("bow",), seed=3, seconds=0.5, camera="shake", width=320, height=180)
    first = render_clip(tmp_path / "a" / "bow.mp4", spec)
    second = render_clip(tmp_path / "b" / "bow.mp4", spec)
    for one, two in (
        (first.path, second.path),
        (first.sidecar, second.sidecar),
        (first.truth, second.truth),
        (first.truth.with_suffix(".json"), second.truth.with_suffix(".json")),
    ):
        assert one.read_bytes() == two.read_bytes()
    assert not first.skipped and render_clip(first.path, spec).skipped
    other = SynthSpec(kinds=("bow",), seed=4, seconds=0.5, width=320, height=180)
    assert not render_clip(first.path, other).skipped
    first.path.write_bytes(b"cut short")
    assert not render_clip(first.path, other).skipped
    assert len(decode(first.path)) == 15


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": ("fly",)},
        {"kinds": ()},
        {"camera": "crane"},
        {"style": "angry"},
        {"width": 641},
        {"people": 3},
        {"seconds": 0.05},
    ],
)
def test_impossible_specs_are_refused(wrong: dict) -> None:
    with pytest.raises(UsageError) as caught:
        SynthSpec(**wrong)
    assert caught.value.hint

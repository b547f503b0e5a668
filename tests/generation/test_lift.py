import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more
pytest.importorskip("safetensors")

from motionkit.bodies.bvh import read_bvh  # noqa: E402
from motionkit.bodies.export import read_npz  # noqa: E402
from motionkit.bodies.gltf_read import read_glb  # noqa: E402
from motionkit.errors import InputError, UsageError  # noqa: E402
from motionkit.generation.lift import LiftOptions, LiftSummary, lift  # noqa: E402
from motionkit.generation.lift_inputs import (  # noqa: E402
    KeypointClip,
    UnreadClip,
    at_rate,
    check,
)
from tests.generation.lift_models import person, tiny_checkpoint  # noqa: E402

PLAIN = LiftOptions(formats=("npz",), refine=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("model"))


def clip(name: str = "a", frames: int = 30, seed: int = 0, fps: float = 30.0) -> KeypointClip:
    return KeypointClip(name, person(frames, seed), fps, {"clip_id": f"id-{name}"})


def run(model: Path, out: Path, *clips: object, options: LiftOptions = PLAIN) -> LiftSummary:
    return lift(model, clips, out, options)  # type: ignore[arg-type]


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_the_npz_holds_the_motion_its_source_and_how_well_it_fits(
    model: Path, tmp_path: Path
) -> None:
    m2d = person(30)
    m2d[4, :, 2] = 0  # nobody is seen in one frame
    made = run(
        model, tmp_path, KeypointClip("a", m2d, 30.0, {"clip_id": "id-a"}),
        options=LiftOptions(formats=("npz", "bvh", "glb"), camera=True),
    )  # fmt: skip
    assert [row.outcome for row in made.rows] == ["lifted"]
    with np.load(tmp_path / "a.npz") as file:
        found = {name: file[name] for name in file.files}
    assert found["poses"].shape == (30, 72)
    assert found["joints_camera"].shape == (30, 24, 3)
    assert str(found["clip_id"]) == "id-a"
    assert str(found["model"]) == made.model
    assert found["confidence"][4] == 0
    assert np.isnan(found["reprojection_px"][4])
    assert np.isfinite(np.delete(found["reprojection_px"], 4)).all()
    assert found["times_s"][-1] == pytest.approx(29 / 30)
    motion = read_npz(tmp_path / "a.npz")
    assert np.allclose(motion.joints(), found["joints"], atol=1e-4)
    assert motion.joints()[0, 0, [0, 2]] == pytest.approx([0, 0], abs=1e-5)
    assert read_bvh(tmp_path / "a.bvh").positions().shape[0] == 30
    assert np.allclose(read_glb(tmp_path / "a.glb").joints(), found["joints"], atol=1e-4)


def test_the_reported_error_is_that_of_the_projected_joints(model: Path, tmp_path: Path) -> None:
    made = run(model, tmp_path, clip(), options=LiftOptions(formats=("npz",), camera=True))
    with np.load(tmp_path / "a.npz") as file:
        points, px, height = file["points_camera"], file["reprojection_px"], file["height_px"]
        m2d = file["m2d"]
    pixels = 5000 * points[..., :2] / points[..., 2:] + np.array([320, 180])
    gap = np.linalg.norm(pixels - m2d[:, :17, :2], axis=-1).mean(1)
    assert np.allclose(gap, px, atol=0.05)
    row = made.rows[0]
    assert row.error_percent == pytest.approx(100 * gap.mean() / float(height), abs=0.05)
    assert row.seen == 1.0


def test_a_second_call_changes_nothing_and_a_lost_file_comes_back_the_same(
    model: Path, tmp_path: Path
) -> None:
    clips = clip("a"), clip("b", 21, 1)
    run(model, tmp_path, *clips)
    before = digests(tmp_path)
    again = run(model, tmp_path, *clips)
    assert [row.outcome for row in again.rows] == ["done-before"] * 2
    assert again.rows[0].error_percent is not None
    (tmp_path / "b.npz").unlink()
    third = run(model, tmp_path, *clips)
    assert [row.outcome for row in third.rows] == ["done-before", "lifted"]
    assert digests(tmp_path) == before


@pytest.mark.parametrize("change", ["model", "options", "input"])
def test_another_model_option_or_input_is_lifted_again(
    change: str, model: Path, tmp_path: Path
) -> None:
    run(model, tmp_path / "out", clip())
    other = tiny_checkpoint(tmp_path / "model", seed=1) if change == "model" else model
    options = replace(PLAIN, smooth=5) if change == "options" else PLAIN
    source = clip(seed=3) if change == "input" else clip()
    assert run(other, tmp_path / "out", source, options=options).rows[0].outcome == "lifted"


def test_a_clip_that_cannot_be_lifted_is_listed_and_the_others_go_on(
    model: Path, tmp_path: Path
) -> None:
    unseen, broken = person(20), person(20)
    unseen[:, :17, 2] = 0.1
    broken[3, 2, 0] = np.nan
    made = run(
        model, tmp_path, clip("short", 3), KeypointClip("unseen", unseen, 30.0),
        UnreadClip("file", "keypoints-unreadable", "no"), KeypointClip("nan", broken, 30.0),
        clip("good"),
    )  # fmt: skip
    assert [(r.name, r.code) for r in made.rows] == [
        ("short", "clip-too-short"), ("unseen", "keypoints-unseen"),
        ("file", "keypoints-unreadable"), ("nan", "malformed-sample"), ("good", ""),
    ]  # fmt: skip
    assert [r.name for r in made.failed] == ["short", "unseen", "file", "nan"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["good.lift.json", "good.npz"]


def test_a_kill_between_two_files_leaves_no_clip_that_counts_as_done(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = LiftOptions(formats=("npz", "bvh"))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("motionkit.bodies.export.write_bvh", stop)
        with pytest.raises(KeyboardInterrupt):
            run(model, tmp_path, clip(), options=options)
    assert not (tmp_path / "a.lift.json").exists()
    assert run(model, tmp_path, clip(), options=options).rows[0].outcome == "lifted"


@pytest.mark.parametrize(
    "options",
    [
        replace(PLAIN, through_tokens=True),
        replace(PLAIN, flip_average=False),
        replace(PLAIN, window=8),
        replace(PLAIN, window=0),
        replace(PLAIN, smooth=7),
    ],
    ids=["tokens", "one way", "short windows", "whole", "smooth"],
)
def test_options_change_the_motion(options: LiftOptions, model: Path, tmp_path: Path) -> None:
    run(model, tmp_path / "plain", clip(frames=40))
    run(model, tmp_path / "other", clip(frames=40), options=options)
    plain, other = (read_npz(tmp_path / n / "a.npz") for n in ("plain", "other"))
    assert plain.poses.shape == other.poses.shape
    assert not np.allclose(plain.poses, other.poses, atol=1e-4)


def test_refining_brings_the_motion_closer_to_the_keypoints(model: Path, tmp_path: Path) -> None:
    plain = run(model, tmp_path / "plain", clip(frames=20)).rows[0]
    options = replace(PLAIN, refine=15)
    refined = run(model, tmp_path / "refined", clip(frames=20), options=options).rows[0]
    assert plain.error_percent is not None
    assert refined.error_percent is not None
    assert refined.error_percent < 0.8 * plain.error_percent


def test_another_rate_is_lifted_at_thirty_frames_a_second(model: Path, tmp_path: Path) -> None:
    made = run(model, tmp_path, clip("slow", 25, fps=15.0))
    assert made.rows[0].frames == 49
    assert read_npz(tmp_path / "slow.npz").fps == 30.0


def test_resampling_interpolates_places_and_never_invents_confidence() -> None:
    m2d = person(3)
    m2d[:, 0] = [[0, 0, 1], [10, 20, 0.2], [20, 40, 1]]
    even = at_rate(KeypointClip("a", m2d, 15.0))
    wanted = [[0, 0, 1], [5, 10, 0.2], [10, 20, 0.2], [15, 30, 0.2], [20, 40, 1]]
    assert np.allclose(even.m2d[:, 0], wanted)
    same = KeypointClip("a", m2d, 30.0)
    assert at_rate(same) is same
    fast = at_rate(KeypointClip("a", person(61), 60.0))
    assert np.array_equal(fast.m2d, person(61)[::2])
    with pytest.raises(InputError) as error:
        at_rate(KeypointClip("a", m2d, 0.0))
    assert error.value.code == "malformed-sample"


def test_keypoints_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError) as error:
        check(KeypointClip("a", person(9)[:, :17], 30.0), frames=4, confidence=0.5)
    assert error.value.code == "malformed-sample"


def test_wrong_options_are_refused() -> None:
    with pytest.raises(UsageError, match="'fbx'"):
        LiftOptions(formats=("npz", "fbx"))
    with pytest.raises(UsageError, match="no format"):
        LiftOptions(formats=())
    with pytest.raises(UsageError, match="hop"):
        LiftOptions(hop=0)


def test_the_report_beside_the_files_names_model_input_and_options(
    model: Path, tmp_path: Path
) -> None:
    made = run(model, tmp_path, clip())
    found = json.loads((tmp_path / "a.lift.json").read_text())
    assert found["model"] == made.model
    assert found["options"]["through_tokens"] is False
    assert found["row"]["files"] == ["a.npz"]

"""The first pass with a YOLO of random weights on real videos, against ultralytics' own call."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.stage import Item, Kept, joined, run_alone
from motionkit.stages.detect import Detect, Seen
from motionkit.video.decode import read_frames
from motionkit.video.probe import index_packets


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if importlib.util.find_spec("ultralytics") is None:
        pytest.skip("needs the package ultralytics")
    from tests.backends.random_models import save_yolo_pose

    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTIONKIT_MODELS", str(folder))
        save_yolo_pose(folder, "yolo11n-pose", bias=3.5)
        yield folder


def item_of(path: Path, frames: int) -> Item:
    """The first ``frames`` of a video as a shot."""
    index = index_packets(str(path))
    (first,) = read_frames(str(path), decoder="pyav", ordinals=[0])
    height, width = first.frames.shape[1:3]
    times = np.asarray(index.times_s)[:frames]
    data = {"video_id": "v", "path": str(path), "decoder": "pyav", "width": width,
            "height": height, "first": 0, "last": len(times) - 1, "times_s": times,
            "end_s": float(times[-1]) + 0.04, "camera": np.zeros(len(times), np.float32),
            "camera_kind": "static"}  # fmt: skip
    return Item("v-shot", data)


def test_shots_of_several_videos_in_one_batch_are_measured_as_by_the_library(
    models: Path, real_data: Path
) -> None:
    from motionkit.backends.ultralytics_import import import_ultralytics

    library = import_ultralytics("tests").YOLO(str(models / "yolo" / "yolo11n-pose.pt"))
    stage = Detect(backend="yolo:yolo11n-pose", max_height=270)
    stage.setup()
    videos = [real_data / "videos" / name for name in ("decord_rot_90.mov", "stgcn_ta_chi.mp4")]
    items = [item_of(path, frames) for path, frames in zip(videos, (3, 7), strict=True)]
    chunks = [chunk for item in items for chunk in stage.read(item)]
    shapes = {chunk["image"].shape[1:] for chunk in chunks}
    assert len(shapes) == 2  # upright and wide: such units never share a batch
    for shape in shapes:
        units = joined([chunk for chunk in chunks if chunk["image"].shape[1:] == shape])
        seen: list[Seen] = stage.infer(units)
        (item,) = (
            i for i in items if (i.data["height"] > i.data["width"]) == (shape[0] > shape[1])
        )
        frames = np.concatenate([
            chunk.frames
            for chunk in read_frames(
                item.data["path"], decoder="pyav", ordinals=stage._ordinals(item.data),
                max_height=270,
            )
        ])  # fmt: skip
        theirs = library.predict([frame[..., ::-1] for frame in frames], verbose=False)
        for one, result in zip(seen, theirs, strict=True):
            assert one.size == (frames.shape[2], frames.shape[1])
            wanted = result.keypoints.data.numpy()
            np.testing.assert_allclose(one.people.keypoints, wanted, atol=1e-3)
    assert sum(len(one.people.boxes) for one in seen) > 0


def test_a_turned_video_is_measured_in_pixels_as_shown(models: Path, real_data: Path) -> None:
    stage = Detect(backend="yolo:yolo11n-pose", score_min=0.2, target="all")
    stage.setup()
    item = item_of(real_data / "videos" / "decord_rot_90.mov", 3)
    assert item.data["height"] > item.data["width"]
    outcome = run_alone(stage, item)
    assert isinstance(outcome, Kept)
    people = [outcome.row, *outcome.row["others"]]
    corners = np.concatenate([np.reshape(p["boxes"], (-1, 5))[:, 2:4] for p in people]).max(0)
    assert (corners <= [item.data["width"], item.data["height"]]).all()
    assert corners[1] > item.data["width"]  # it reaches further down than the picture is wide
    assert outcome.row["precision"] == "fp32"

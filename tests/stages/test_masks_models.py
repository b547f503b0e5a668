"""The `masks` stage with models, on a small real video file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit import devices
from motionkit.rle import decode_rle
from motionkit.stage import Kept, run_alone
from motionkit.stages.masks import Masks
from tests.backends.random_models import save_sam2, save_yolo_seg
from tests.stages.test_masks import SHOWN, with_boxes
from tests.stages.test_track import HEIGHT, WIDTH, video  # noqa: F401 - a fixture

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


def row_of(stage: Masks, path: Path, unseen: tuple[int, ...]) -> dict[str, Any]:
    (item,) = stage.items(with_boxes(path, unseen))
    stage.check()
    stage.setup_reader()
    stage.setup()
    outcome = run_alone(stage, item, batch=3)
    assert isinstance(outcome, Kept)
    return outcome.row


def pixels(counts: object) -> np.ndarray:
    return decode_rle({"size": [HEIGHT, WIDTH], "counts": counts})


def test_sam2_follows_the_clip_and_names_its_precision(models: Path, video: Path) -> None:  # noqa: F811
    pytest.importorskip("transformers")
    spec = save_sam2(models)
    stage = Masks(backend=spec, max_height=120)
    assert stage.mode == "streams"
    row = row_of(stage, video, unseen=(0, 1, 5))
    masks = row["masks"]
    assert [mask is None for mask in masks] == [i in (0, 1, 5) for i in range(len(SHOWN))]
    assert all(0 < pixels(mask).mean() < 1 for mask in masks if mask)
    assert (row["mask_source"], row["backend"], row["precision"]) == ("sam2", spec, "fp32")
    everywhere = row_of(Masks(backend=spec, max_height=120, beyond_boxes=True), video, (0, 1, 5))
    assert everywhere["masks"][0] is not None
    assert everywhere["masks"][2] == masks[2]


def test_yolo_takes_the_frames_with_a_box(models: Path, video: Path) -> None:  # noqa: F811
    pytest.importorskip("ultralytics")
    spec = save_yolo_seg(models, bias=9.0)
    stage = Masks(backend=spec)
    assert stage.mode == "batches"
    object.__setattr__(stage.segmenter, "box_overlap_min", 0.01)  # random boxes lie anywhere
    row = row_of(stage, video, unseen=(3,))
    assert row["masks"][3] is None and any(row["masks"])
    assert (row["mask_source"], row["precision"]) == ("yolo-seg", devices.current().precision)

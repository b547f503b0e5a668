"""From shards to items: units, lengths, several sentences an item, mirroring."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from motionkit.errors import TrainingError  # noqa: E402
from motionkit.shards.reader import open_shards  # noqa: E402
from motionkit.training.lang2motion_data import (  # noqa: E402
    fitted,
    in_pixels,
    load_items,
    mirrored_points,
    normalised,
    prepare,
)
from tests.training import lines  # noqa: E402


def sample(number: int = 0, **changes: Any) -> SimpleNamespace:
    points = lines.line("right", number)
    tracks = SimpleNamespace(points=points, visible=np.ones(points.shape[:2], bool))
    given: dict[str, Any] = {
        "sample_id": f"s{number}",
        "video_id": f"v{number}",
        "width": 640,
        "height": 360,
        "captions": [("it goes right", "expression")],
        "tracks": tracks,
    }
    return SimpleNamespace(**{**given, **changes})


def load(*samples: SimpleNamespace, **changes: Any) -> tuple:
    return load_items(samples, **{"grid": 3, "frames": 8, **changes})


def test_pixels_become_the_paper_s_units_and_come_back() -> None:
    points = np.array([[0, 0], [640, 360], [320, 90], [-64, 400]], np.float32)
    made = normalised(points, 640, 360)
    assert made.tolist()[:3] == [[-1, -1], [1, 1], [0, -0.5]]
    assert made[3] == pytest.approx([-1.2, 1.2222222])
    assert in_pixels(made, 640, 360) == pytest.approx(points, abs=1e-4)


def test_samples_about_the_same_tracks_are_one_item(tmp_path: Path) -> None:
    opened = open_shards(lines.shards(tmp_path / "s", count=3))
    items, left = load_items(opened.samples("train"), grid=3, frames=8)
    assert len(items) == 3 and not left
    first = items[0]
    assert first.samples == ("v0000-0", "v0000-1") and first.item_id == "v0000-0"
    assert first.texts == ("the thing moves left", "something that goes left")
    assert first.points.shape == (8, 9, 2) and first.points.dtype == np.float32
    stored = next(iter(opened.samples("train"))).tracks.points
    assert in_pixels(first.points, *first.size) == pytest.approx(stored, abs=1e-3)


def test_equal_tracks_of_another_video_are_another_item() -> None:
    items, _ = load(sample(), sample(video_id="v9", sample_id="s9"), sample(sample_id="s8"))
    assert [item.samples for item in items] == [("s0", "s8"), ("s9",)]


def test_what_cannot_be_used_is_left_out_and_counted() -> None:
    short = sample(1)
    short.tracks.points, short.tracks.visible = short.tracks.points[:3], short.tracks.visible[:3]
    items, left = load(
        sample(tracks=None),
        sample(captions=[]),
        sample(captions=[("  ", "sidecar")]),
        short,
        sample(2),
        min_frames=4,
    )
    assert len(items) == 1
    assert left == {"no-tracks": 1, "no-caption": 2, "too-short": 1}
    assert load(sample(), grid=6)[1] == {"other-grid": 1}
    broken = sample()
    broken.tracks.points[2, 3] = np.nan
    with pytest.raises(TrainingError, match="s0 holds tracks that are not finite"):
        load(broken)


def test_padding_holds_still_and_counts_nowhere() -> None:
    points = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    seen = np.array([[True, True], [True, False], [True, True]])
    made, visible, real = fitted(points, seen, 5, "pad")
    assert made[:, 0, 0].tolist() == [0, 1, 2, 2, 2]
    assert real.tolist() == [True] * 3 + [False] * 2
    assert visible[:3].tolist() == seen.tolist() and not visible[3:].any()
    cut, _, real = fitted(points, seen, 2, "pad")
    assert cut[:, 0, 0].tolist() == [0, 1] and real.all()


def test_resampling_keeps_the_ends_and_hides_what_lies_beside_the_hidden() -> None:
    points = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    seen = np.array([[True, True], [True, False], [True, True]])
    made, visible, real = fitted(points, seen, 5, "resample")
    assert made[:, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2] and real.all()
    assert visible[:, 1].tolist() == [True, False, False, False, True]
    assert visible[:, 0].all()
    same, _, _ = fitted(points, seen, 3, "resample")
    assert np.array_equal(same, points)


def test_mirrored_tracks_again_run_from_the_left() -> None:
    points = normalised(lines.line("right", 3), 640, 360)
    turned = mirrored_points(points, 3)
    assert turned[0, 0].tolist() == [-points[0, 2, 0], points[0, 2, 1]]
    assert (np.diff(turned[0].reshape(3, 3, 2)[..., 0], axis=1) > 0).all()
    assert (np.diff(turned[:, 0, 0]) < 0).all()
    assert np.array_equal(mirrored_points(turned, 3), points)
    seen = np.arange(9)[None] == 2
    assert mirrored_points(seen, 3)[0].tolist() == [True] + [False] * 8


def test_every_sentence_is_encoded_once_with_its_mirrored_one() -> None:
    items, _ = load(sample(captions=[("goes right", "a"), ("spins", "a")]), sample(1))
    data = prepare(items, 3, lines.DirectionWords())
    said = [[data.sentences[i] for i in row[1:]] for row in data.pairs.tolist()]
    assert said == [
        ["goes right", "goes left"],
        ["spins", "spins"],
        ["it goes right", "it goes left"],
    ]
    assert data.pairs[:, 0].tolist() == [0, 0, 1] and len(data.features) == 5
    texts, words, item_of = data.own_texts()
    assert words == ["goes right", "spins", "it goes right"] and item_of.tolist() == [0, 0, 1]
    assert np.array_equal(texts.numpy(), lines.DirectionWords().encode(words))


def test_pictures_stay_with_their_frames_and_not_with_mirrored_ones() -> None:
    features = np.arange(8 * 4, dtype=np.float16).reshape(8, 4)
    items, _ = load(sample(), sample(1), images={"s0": features}, frames=10)
    assert items[0].images.shape == (10, 4) and items[1].images is None
    assert np.array_equal(items[0].images[:8], features) and not items[0].images[8:].any()
    data = prepare(items, 3, lines.DirectionWords())
    batch = data.tensors([0, 1, 0], [False, False, True])
    assert batch["has_images"].tolist() == [True, False, False]
    assert batch["images"].shape == (3, 10, 4) and not batch["images"][1:].any()
    halved, _ = load(sample(), images={"s0": features}, frames=4, length="resample")
    assert halved[0].images[:, 0].tolist() == features[[0, 2, 5, 7], 0].tolist()
    plain = prepare([replace(i, images=None) for i in items], 3, lines.DirectionWords())
    assert "images" not in plain.tensors([0])

"""ADE, FDE, smoothness, TAP-Vid's numbers and the baselines, worked out by hand."""

import numpy as np
import pytest

from motionkit.metrics.trajectories import (
    ade,
    fde,
    quality,
    smoothness,
    tap_vid,
    to_normalised,
    to_pixels,
)
from motionkit.metrics.trajectory_baselines import (
    borrowed,
    mean_motion,
    nearest_text,
    random_motion,
    static,
)


def line(frames: int = 4, points: int = 2, step: float = 0.1) -> np.ndarray:
    """[T, N, 2] moving right by ``step`` a frame."""
    made = np.zeros((frames, points, 2))
    made[..., 0] = np.arange(frames)[:, None] * step
    return made


def test_pixels_and_back() -> None:
    points = np.array([[-1.0, -1], [1, 1], [0, 0.5]])
    assert to_pixels(points, (640, 360)).tolist() == [[0, 0], [640, 360], [320, 270]]
    assert to_normalised(to_pixels(points, (640, 360)), (640, 360)) == pytest.approx(points)


def test_ade_leaves_the_given_frame_out_and_fde_is_the_last() -> None:
    true = line()
    made = static(true[:1], 4)[0]
    assert ade(made, true) == pytest.approx((0.1 + 0.2 + 0.3) / 3)
    assert fde(made, true) == pytest.approx(0.3)
    # 0.1 is 32 px of 640; up and down 0.1 is 18 px of 360
    assert ade(made, true, size=(640, 360)) == pytest.approx(64)
    assert fde(made[..., ::-1], true[..., ::-1], size=(640, 360)) == pytest.approx(54)


def test_hidden_points_do_not_count_and_the_last_seen_frame_is_the_end() -> None:
    true = line()
    made = static(true[:1], 4)[0]
    seen = np.ones((4, 2), bool)
    seen[2:, 0] = False  # point 0 ends in frame 1
    assert ade(made, true, seen) == pytest.approx((0.1 + 0.1 + 0.2 + 0.3) / 4)
    assert fde(made, true, seen) == pytest.approx((0.1 + 0.3) / 2)
    seen[1:, 0] = False  # seen in the first frame alone
    assert fde(made, true, seen) == pytest.approx(0.3)
    assert np.isnan(ade(made, true, np.zeros((4, 2), bool)))


def test_smoothness_is_one_for_uniform_motion() -> None:
    assert smoothness(line()) == pytest.approx(1)
    jump = line(points=1, step=0.0)
    jump[2:, 0] = (0.3, 0.4)  # one jump of length 0.5: two changes of velocity of 0.5
    assert smoothness(jump) == pytest.approx(0.5)
    seen = np.array([[True], [True], [True], [False]])
    assert smoothness(jump, seen) == pytest.approx(0.5)
    assert np.isnan(smoothness(jump[:2]))


def test_tap_vid_by_hand() -> None:
    """One point, five frames: asked in frame 0, so frames 1..4 count."""
    true = np.zeros((5, 1, 2))
    made = np.zeros((5, 1, 2))
    made[:, 0, 0] = [99, 0.5, 3, 0, 20]  # the query's own frame does not matter
    seen = np.array([1, 1, 1, 0, 1], bool)[:, None]
    said = np.array([0, 1, 1, 1, 0], bool)[:, None]
    found = tap_vid(made, said, true, seen)
    assert found.occlusion_accuracy == pytest.approx(2 / 4)
    # visible: frames 1, 2, 4. Within 1: {1}; within 4, 8, 16: {1, 2}
    assert found.points_within == {1: 1 / 3, 2: 1 / 3, 4: 2 / 3, 8: 2 / 3, 16: 2 / 3}
    # false positives: frame 3 always (hidden), frame 2 while it is too far
    near, far = 2 / (3 + 1), 1 / (3 + 2)
    assert found.jaccard == pytest.approx({1: far, 2: far, 4: near, 8: near, 16: near})
    assert found.average_jaccard == pytest.approx((2 * far + 3 * near) / 5)
    assert found.within == pytest.approx((2 / 3 + 3 * 2 / 3) / 5)


def test_a_distance_equal_to_the_threshold_is_not_within_it() -> None:
    made = np.zeros((2, 1, 2))
    made[1, 0, 0] = 4
    found = tap_vid(made, np.ones((2, 1), bool), np.zeros((2, 1, 2)), np.ones((2, 1), bool))
    assert found.points_within == {1: 0, 2: 0, 4: 0, 8: 1, 16: 1}


def test_points_count_from_behind_their_query_and_never_seen_ones_not_at_all() -> None:
    true = np.zeros((4, 3, 2))
    made = np.full((4, 3, 2), 50.0)
    made[3] = 0
    seen = np.zeros((4, 3), bool)
    seen[2:, 0] = True  # asked for in frame 2: frame 3 counts
    seen[3, 1] = True  # asked for in the last frame: nothing counts
    found = tap_vid(made, np.ones((4, 3), bool), true, seen)
    assert found.average_jaccard == 1 and found.occlusion_accuracy == 1
    later = tap_vid(made, np.ones((4, 3), bool), true, seen, query=np.array([0, 0, 0]))
    # point 0: frames 1 (hidden), 2 (far), 3 right; point 1: frames 1, 2 hidden, 3 right
    assert later.jaccard[16] == pytest.approx(2 / (3 + 4))
    assert np.isnan(tap_vid(made, seen, true, np.zeros((4, 3), bool)).average_jaccard)
    with pytest.raises(ValueError, match="shapes differ"):
        tap_vid(made, seen[:, :2], true, seen)


def test_quality_averages_items() -> None:
    true = np.stack([line(), line(step=0.0)])
    seen = np.ones(true.shape[:3], bool)
    seen[0, 2:] = False
    found = quality(static(true[:, 0], 4), true, seen, frame_size=(200, 100))
    assert found.ade == pytest.approx((0.1 + 0) / 2) and found.ade_px == pytest.approx(5)
    assert found.fde_px == pytest.approx(5) and found.smoothness == 1 and found.count == 2
    # item 0: one of three frames visible, 12.8 px away; item 1 exact
    assert found.occlusion_accuracy == pytest.approx((1 / 3 + 1) / 2)
    assert found.average_jaccard == pytest.approx((1 / 5 * (1 / 3) + 1) / 2)


def test_baselines_start_on_the_given_grid() -> None:
    train = np.stack([line(), line(step=-0.3), line(step=0.2)]) + 0.5
    seen = np.ones(train.shape[:3], bool)
    first = np.array([[[-0.9, 0], [-0.8, 0]], [[0, 0.7], [0.1, 0.7]]])
    mean = mean_motion(first, train, seen)
    assert mean[0, :, 0, 0] == pytest.approx(-0.9 + np.arange(4) * 0.0)
    seen[1, 2:] = False
    mean = mean_motion(first, train, seen)
    assert mean[1, :, 1, 0] == pytest.approx([0.1, 0.1, 0.1 + 0.3, 0.1 + 0.45])
    seen[:, 3, 0] = False
    assert mean_motion(first, train, seen)[0, 3, 0] == pytest.approx([-0.9 + 0.3, 0])
    copied = borrowed(first, train, np.array([2, 1]))
    assert copied[0, -1, 1] == pytest.approx([-0.8 + 0.6, 0])
    for made in (mean, copied, static(first, 4), random_motion(first, train)):
        assert made.shape == (2, 4, 2, 2) and np.array_equal(made[:, 0], first)
    again = random_motion(first, train, seed=0)
    assert np.array_equal(again, random_motion(first, train))


def test_the_nearest_text_lends_its_motion() -> None:
    asked = np.array([[1.0, 0.1], [0, 2.0]])
    train_texts = np.array([[0, 1.0], [0.9, 0], [1.0, 0]])
    assert nearest_text(asked, train_texts, np.array([5, 7, 7])).tolist() == [7, 5]

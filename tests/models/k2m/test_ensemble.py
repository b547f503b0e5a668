from dataclasses import fields, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from motionkit.bodies.body_torch import TorchBody  # noqa: E402
from motionkit.bodies.rotations_torch import axis_angle_to_matrix  # noqa: E402
from motionkit.keypoints import mirror_m2d  # noqa: E402
from motionkit.models.k2m.config import (  # noqa: E402
    AdapterConfig,
    QuantiserConfig,
    TokenizerConfig,
)
from motionkit.models.k2m.ensemble import (  # noqa: E402
    EnsembleConfig,
    facing,
    lift_clips,
    mirrored,
    mirrored_m2d,
    nearest_rotation,
    spans,
    steadied,
)
from motionkit.models.k2m.observe import _quantile, smooth  # noqa: E402
from motionkit.models.k2m.tokenizer import Lifted, Tokenizer  # noqa: E402


def tokenizer() -> Tokenizer:
    torch.manual_seed(0)
    config = TokenizerConfig(
        adapter=AdapterConfig(width=8, heads=2, patch_frames=2),
        quantiser=QuantiserConfig(layers=2, codes=8, dim=8),
        width=16,
        blocks=1,
    )
    model = Tokenizer(config).eval()
    model.quantiser.seed(torch.randn(64, 8))
    with torch.no_grad():
        model.decoder.leave.weight.mul_(5)  # a random network hardly moves otherwise
    return model


def person(frames: int, seed: int = 0) -> "torch.Tensor":
    rng = np.random.default_rng(seed)
    y = np.array([-47, -48, -48, -46, -46, -36, -36, -20, -20, -8, -8, 0, 0, 25, 25, 50, 50.0])
    x = np.array([0, 1, -1, 3, -3, 9, -9, 11, -11, 12, -12, 6, -6, 6, -6, 6, -6.0])
    sway = 6 * np.sin(np.arange(frames)[:, None, None] / 7 + rng.uniform(0, 6, (17, 2)))
    m2d = np.ones((frames, 18, 3), np.float32)
    m2d[:, :17, :2] = np.stack([x, y], -1) * 2 + np.array([300, 180]) + sway
    m2d[:, 17] = [640, 360, 1]
    return torch.tensor(m2d)


def joints(model: Tokenizer, seen, lifted: Lifted) -> "torch.Tensor":  # type: ignore[no-untyped-def]
    return model.place(lifted, seen.height, seen.centre, seen.size).joints


@pytest.mark.parametrize(
    ("frames", "window"), [(4, 64), (64, 64), (66, 64), (7, 64), (203, 64), (203, 8)]
)
def test_windows_cover_every_frame_and_none_beyond(frames: int, window: int) -> None:
    covered = np.zeros(frames, bool)
    for start, length in spans(frames, window=window, hop=16, down=4):
        assert length % 4 == 0
        assert length <= window
        assert start + length <= frames
        covered[start : start + length] = True
    assert covered.all()


def test_the_whole_clip_is_one_window_where_its_length_allows() -> None:
    assert spans(120, window=None, hop=16, down=4) == [(0, 120)]
    assert spans(122, window=None, hop=16, down=4) == [(0, 120), (2, 120)]
    with pytest.raises(ValueError, match="3 frames"):
        spans(3, window=None, hop=16, down=4)


def test_a_mirrored_motion_stands_where_the_mirror_shows_it() -> None:
    assert {f.name for f in fields(Lifted)} == {
        "pose", "root", "yaw", "path", "offset", "depth", "betas", "flat",
    }, "a new part of a motion needs its mirror image in ensemble.mirrored"  # fmt: skip
    torch.manual_seed(0)
    root = axis_angle_to_matrix(torch.randn(1, 5, 3))
    at = facing(root)
    motion = Lifted(
        torch.randn(1, 5, 23, 3) * 0.5, root, at, torch.randn(1, 5, 2), torch.randn(1, 5, 2),
        torch.randn(1, 5), torch.zeros(1, 10), torch.randn(1, 5, 17, 2),
    )  # fmt: skip
    body = TorchBody()
    # the rest skeleton is not quite symmetric: compare on one that is
    swap = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]
    flip = torch.tensor([-1.0, 1, 1])
    body.offsets = (body.offsets + body.offsets[swap] * flip) / 2

    def placed(m: Lifted) -> "torch.Tensor":
        turns = torch.cat([m.root[:, :, None], axis_angle_to_matrix(m.pose)], 2)
        return body(turns, torch.zeros(1, 5, 3), m.betas[:, None].expand(-1, 5, -1))[0]

    other = mirrored(motion)
    assert torch.allclose(placed(other), placed(motion)[:, :, swap] * flip, atol=1e-5)
    assert torch.allclose(facing(other.root), other.yaw, atol=1e-5)
    again = mirrored(other)
    for field in fields(Lifted):
        assert torch.allclose(getattr(again, field.name), getattr(motion, field.name), atol=1e-5)


def test_the_mirrored_keypoints_are_those_of_the_mirrored_video() -> None:
    m2d = person(6)
    assert np.allclose(mirrored_m2d(m2d).numpy(), mirror_m2d(m2d.numpy()))


def test_a_clip_and_its_mirror_image_lift_to_mirror_images() -> None:
    model, m2d = tokenizer(), person(50)
    config = EnsembleConfig(window=32, hop=8)
    (_, one), (_, other) = lift_clips(model, [m2d, mirrored_m2d(m2d)], config)
    back = mirrored(other)
    assert torch.allclose(one.root, back.root, atol=1e-3)
    turns = axis_angle_to_matrix(one.pose), axis_angle_to_matrix(back.pose)
    assert torch.allclose(*turns, atol=1e-3)
    alone = lift_clips(model, [m2d], replace(config, flip=False))[0][1]
    assert not torch.allclose(one.root, alone.root, atol=1e-3)  # the mirror image had a say


def test_one_window_without_the_mirror_is_the_tokeniser_alone() -> None:
    model, m2d = tokenizer(), person(40)
    config = EnsembleConfig(window=None, flip=False, quantise=True)
    seen, lifted = lift_clips(model, [m2d], config)[0]
    with torch.no_grad():
        plain = model.lift(model.observe(m2d[None], torch.ones(1, 40, dtype=torch.bool)))
    assert torch.allclose(
        axis_angle_to_matrix(lifted.pose), axis_angle_to_matrix(plain.pose), atol=1e-4
    )
    assert torch.allclose(lifted.depth, plain.depth, atol=1e-4)
    assert torch.equal(lifted.path, seen.hip)


def test_other_clips_of_the_batch_change_nothing() -> None:
    model = tokenizer()
    clips = [person(50), person(23, 1), person(7, 2)]
    config = EnsembleConfig(window=32, hop=8, batch=3)
    for clip, (seen, lifted) in zip(clips, lift_clips(model, clips, config), strict=True):
        alone = lift_clips(model, [clip], config)[0]
        assert lifted.pose.shape == (1, len(clip), 23, 3)
        there, here = joints(model, seen, lifted), joints(model, alone[0], alone[1])
        assert torch.allclose(there, here, atol=1e-3)


def test_windows_agree_on_the_distance_though_each_has_its_own_scale() -> None:
    """A person who walks up to the camera: every window has another body height in pixels."""
    model, m2d = tokenizer(), person(96)
    grow = torch.linspace(0.5, 1.5, 96)[:, None, None]
    m2d[:, :17, :2] = (m2d[:, :17, :2] - 300) * grow + 300
    seen, lifted = lift_clips(model, [m2d], EnsembleConfig(window=16, hop=4))[0]
    z = joints(model, seen, lifted)[0, :, 0, 2]
    shown = 5000.0 * 1.55 / (200 * grow.flatten())
    ratio = (z / shown)[8:-8]
    assert ratio.max() / ratio.min() < 1.35  # without the change of scale: 2.3


def test_the_nearest_rotation_is_one_and_keeps_rotations() -> None:
    torch.manual_seed(0)
    turns = axis_angle_to_matrix(torch.randn(20, 3))
    assert torch.allclose(nearest_rotation(turns * 3), turns, atol=1e-5)
    found = nearest_rotation(torch.randn(50, 3, 3))
    assert torch.allclose(found @ found.transpose(-1, -2), torch.eye(3).expand(50, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(found), torch.ones(50), atol=1e-5)


def test_smoothing_takes_the_jitter_and_leaves_a_steady_turn() -> None:
    frames = 60
    steady = torch.linspace(-3.0, 3.0, frames)
    turn = axis_angle_to_matrix(torch.stack([steady * 0, steady, steady * 0], -1))[None]
    zero = torch.zeros(1, frames)
    noise = 0.1 * (-1.0) ** torch.arange(frames)
    pose = torch.zeros(1, frames, 23, 3)
    pose[..., 0] = noise[None, :, None]
    motion = Lifted(
        pose, turn, facing(turn), torch.zeros(1, frames, 2), torch.zeros(1, frames, 2), zero,
        torch.zeros(1, 10), torch.zeros(1, frames, 17, 2),
    )  # fmt: skip
    calm = steadied(motion, 5)
    assert calm.pose[:, 3:-3].abs().max() < 0.03
    assert torch.allclose(calm.root[:, 3:-3], turn[:, 3:-3], atol=1e-4)
    assert steadied(motion, 1) is motion


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="start at 1"):
        EnsembleConfig(hop=0)


def test_long_clips_are_smoothed_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    values, real = torch.randn(2, 40, 3), torch.rand(2, 40) < 0.8
    for width in (3, 5, 9):
        short = smooth(values, real, width)
        with monkeypatch.context() as patch:
            patch.setattr("motionkit.models.k2m.observe._BAND_FRAMES", 10)
            assert torch.allclose(smooth(values, real, width), short, atol=1e-6)


def test_the_height_is_the_quantile_of_the_real_frames() -> None:
    torch.manual_seed(0)
    for frames in (1, 2, 7, 64):
        values, real = torch.rand(50, frames) * 500, torch.rand(50, frames) < 0.7
        real[:-1, 0] = True
        real[-1] = False
        gaps = torch.where(real, values, torch.nan)
        assert torch.equal(_quantile(values, real, 0.9)[:-1], torch.nanquantile(gaps, 0.9, 1)[:-1])
        assert _quantile(values, real, 0.9)[-1] == 0

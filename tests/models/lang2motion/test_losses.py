"""The six losses on numbers that can be worked out by hand."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from motionkit.errors import UsageError  # noqa: E402
from motionkit.models.lang2motion.losses import (  # noqa: E402
    LossConfig,
    Prediction,
    Target,
    image_loss,
    range_loss,
    recon_loss,
    trajectory_losses,
    vel_loss,
)


def still(frames: int = 3, points: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Points at rest [1, T, N, 2], x = 0 and 1, all seen."""
    points_ = torch.zeros(1, frames, points, 2)
    points_[..., 1, 0] = 1
    return points_, torch.ones(1, frames, points, dtype=torch.bool)


def test_recon_sums_over_x_and_y_and_averages_over_points_and_predicted_frames() -> None:
    true, seen = still()
    made = true.clone()
    made[0, 1, 0] += torch.tensor([0.3, -0.4])  # one of four predicted points
    assert recon_loss(made, true, seen).item() == pytest.approx(0.7 / 4)
    assert recon_loss(made, true, seen, "l2").item() == pytest.approx(0.25 / 4)


def test_vel_compares_steps() -> None:
    true, seen = still()
    made = true + torch.tensor([0.0, 0.1, 0.3])[None, :, None, None] * torch.tensor([1.0, 0.0])
    # steps 0.1 and 0.2 of both points where there are none
    assert vel_loss(made, true, seen).item() == pytest.approx((0.01 + 0.04) / 2)


def test_range_sums_over_frames() -> None:
    true, seen = still()
    made = true.clone()
    made[0, 1, 1, 0] = 1.5  # half wider in frame 1
    made[0, 2, 1, 1] = 0.2  # taller in frame 2
    assert range_loss(made, true, seen).item() == pytest.approx(0.25 + 0.04)


def test_what_the_tracker_did_not_see_enters_nothing() -> None:
    true, seen = still(points=3)
    made = true.clone()
    made[0, 1, 2] = torch.nan
    made[0, 2, 2] = 50
    seen[0, 1:, 2] = False
    assert recon_loss(made, true, seen).item() == 0
    assert vel_loss(made, true, seen).item() == 0
    assert range_loss(made, true, seen).item() == 0
    for loss in (recon_loss, vel_loss, range_loss):
        wild = made.clone().requires_grad_()
        loss(wild, true, seen).backward()
        assert torch.isfinite(wild.grad).all()


def test_a_frame_with_one_seen_point_has_no_range() -> None:
    true, seen = still()
    seen[0, 1:, 1] = False
    assert range_loss(true + 3, true, seen).item() == 0
    assert torch.isfinite(range_loss(true, true, torch.zeros_like(seen)))


def test_image_averages_the_real_frames_of_those_that_have_pictures() -> None:
    latent = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    images = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]], [[0.0, 1.0]] * 3])
    real = torch.tensor([[True, True, False], [True, True, True]])
    both = torch.tensor([True, True])
    cos = 0.5**0.5
    assert image_loss(latent, images, real, both).item() == pytest.approx((1 - cos + 1) / 2)
    first = torch.tensor([True, False])
    assert image_loss(latent, images, real, first).item() == pytest.approx(1 - cos)
    assert image_loss(latent, images, real, ~both).item() == 0


def batch() -> tuple[Prediction, Target, torch.Tensor]:
    true, seen = still()
    latent = torch.tensor([[0.0, 2.0]])
    made = Prediction(latent, true + 0.1, true + 0.2)
    target = Target(true, seen, torch.tensor([[1.0, 0.0]]), torch.ones(1, 3, 2))
    return made, target, torch.ones(1, 3, dtype=torch.bool)


def test_the_paper_s_weights() -> None:
    made, target, real = batch()
    total, terms = trajectory_losses(made, target, real, LossConfig())
    found = {name: value.item() for name, value in terms.items()}
    assert found["recon"] == pytest.approx(0.2) and found["text_recon"] == pytest.approx(0.4)
    assert found["text"] == pytest.approx(1) and found["image"] == pytest.approx(1 - 0.5**0.5)
    weights = {"recon": 1, "vel": 0.01, "range": 0.1, "text": 0.1, "image": 0.1, "text_recon": 0.5}
    assert total.item() == pytest.approx(sum(w * found[n] for n, w in weights.items()))


ON = [name for name, weight in LossConfig().weights().items() if weight]


@pytest.mark.parametrize("name", ON)
def test_a_weight_of_zero_switches_a_term_off(name: str) -> None:
    made, target, real = batch()
    _, terms = trajectory_losses(made, target, real, replace(LossConfig(), **{name: 0.0}))
    assert set(terms) == set(ON) - {name}


def test_without_pictures_there_is_no_image_term() -> None:
    made, target, real = batch()
    _, terms = trajectory_losses(made, replace(target, images=None), real, LossConfig())
    assert "image" not in terms and len(terms) == 5


def test_weights_and_norm_are_checked() -> None:
    with pytest.raises(UsageError, match="norm is 'huber'"):
        LossConfig(norm="huber")
    with pytest.raises(UsageError, match=r"losses\.vel is -1"):
        LossConfig(vel=-1)

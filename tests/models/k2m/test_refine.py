import pytest

torch = pytest.importorskip("torch")

from motionkit.models.k2m.config import (  # noqa: E402
    AdapterConfig,
    QuantiserConfig,
    TokenizerConfig,
)
from motionkit.models.k2m.refine import RefineConfig, refine  # noqa: E402
from motionkit.models.k2m.tokenizer import Lifted, Tokenizer  # noqa: E402


def tokenizer(seed: int = 0) -> Tokenizer:
    torch.manual_seed(seed)
    config = TokenizerConfig(
        adapter=AdapterConfig(width=8, heads=2, patch_frames=4),
        quantiser=QuantiserConfig(layers=2, codes=8, dim=8),
        width=16,
        blocks=1,
    )
    return Tokenizer(config).eval()


def seen_motion(model: Tokenizer, frames: int = 16) -> torch.Tensor:
    """M_2D [1, F, 18, 3] of a motion that the body can make: another network's answer."""
    other = tokenizer(seed=3)
    with torch.no_grad():
        for parameter in other.decoder.leave.parameters():
            parameter.mul_(1.5)
        real = torch.ones(1, frames // 4, dtype=torch.bool)
        lifted = other.decoder(torch.randn(1, frames // 4, 8), real)
        size = torch.tensor([[640.0, 360.0]])
        placed = other.place(lifted, torch.tensor([300.0]), size / 2, size)
    m2d = torch.ones(1, frames, 18, 3)
    m2d[:, :, :17, :2] = placed.pixels * 300 + torch.tensor([320.0, 180.0])
    m2d[:, :, 17, :2] = torch.tensor([640.0, 360.0])
    return m2d


def misfit(model: Tokenizer, seen: object, lifted: Lifted) -> float:
    placed = model.place(lifted, seen.height, seen.centre, seen.size, path=seen.hip)  # type: ignore[attr-defined]
    return float((placed.pixels - seen.points).norm(dim=-1).mean())  # type: ignore[attr-defined]


@torch.no_grad()
def test_the_motion_moves_towards_its_keypoints() -> None:
    model = tokenizer()
    seen = model.observe(seen_motion(model), torch.ones(1, 16, dtype=torch.bool))
    start = model.lift(seen, quantise=False)
    moved = refine(model, seen, start, RefineConfig(steps=30))
    assert misfit(model, seen, moved) < 0.5 * misfit(model, seen, start)


@torch.no_grad()
def test_limits_hold_and_weights_stay() -> None:
    model = tokenizer()
    before = {n: v.clone() for n, v in model.state_dict().items()}
    seen = model.observe(seen_motion(model), torch.ones(1, 16, dtype=torch.bool))
    moved = refine(model, seen, model.lift(seen, quantise=False), RefineConfig(steps=20, prior=0))
    low, reach = model.decoder.low, model.decoder.reach
    flat = moved.pose.flatten(-2)
    assert bool(((flat >= low - 1e-5) & (flat <= low + 2 * reach + 1e-5)).all())
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not moved.pose.requires_grad


@torch.no_grad()
def test_unseen_keypoints_pull_nowhere() -> None:
    model = tokenizer()
    m2d = seen_motion(model)
    m2d[:, :, :17, 2] = 0.0
    seen = model.observe(m2d, torch.ones(1, 16, dtype=torch.bool))
    start = model.lift(seen, quantise=False)
    moved = refine(model, seen, start, RefineConfig(steps=5, smooth=0.0))
    assert torch.allclose(moved.pose, start.pose, atol=1e-4)


@torch.no_grad()
def test_no_steps_change_nothing_and_two_calls_agree() -> None:
    model = tokenizer()
    seen = model.observe(seen_motion(model), torch.ones(1, 16, dtype=torch.bool))
    start = model.lift(seen, quantise=False)
    assert refine(model, seen, start, RefineConfig(steps=0)) is start
    one, two = (refine(model, seen, start, RefineConfig(steps=4)) for _ in range(2))
    assert torch.equal(one.pose, two.pose) and torch.equal(one.betas, two.betas)

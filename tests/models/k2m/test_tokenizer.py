from dataclasses import fields, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from motionkit.bodies.limits import pose_limits  # noqa: E402
from motionkit.errors import TrainingError  # noqa: E402
from motionkit.models.k2m.config import (  # noqa: E402
    AdapterConfig,
    QuantiserConfig,
    TokenizerConfig,
    paper,
    small,
)
from motionkit.models.k2m.losses import LossConfig, tokenizer_losses  # noqa: E402
from motionkit.models.k2m.observe import fill_gaps, smooth  # noqa: E402
from motionkit.models.k2m.tokenizer import Tokenizer  # noqa: E402


def tiny(**changes: object) -> TokenizerConfig:
    base = TokenizerConfig(
        adapter=AdapterConfig(width=8, heads=2, patch_frames=2),
        quantiser=QuantiserConfig(layers=3, codes=8, dim=8),
        width=16,
        blocks=1,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def person(frames: int, *, seed: int = 0) -> "torch.Tensor":
    """A standing figure that drifts to the right, with some noise: M_2D [F, 18, 3]."""
    rng = np.random.default_rng(seed)
    y = np.array([-47, -48, -48, -46, -46, -36, -36, -20, -20, -8, -8, 0, 0, 25, 25, 50, 50.0])
    x = np.array([0, 1, -1, 3, -3, 9, -9, 11, -11, 12, -12, 6, -6, 6, -6, 6, -6.0])
    xy = np.stack([x, y], -1) * 2 + np.array([300, 180]) + rng.normal(0, 2, (frames, 17, 2))
    xy[..., 0] += np.arange(frames)[:, None]
    m2d = np.ones((frames, 18, 3), np.float32)
    m2d[:, :17, :2] = xy
    m2d[:, 17] = [640, 360, 1]
    return torch.tensor(m2d)


def limits() -> "tuple[torch.Tensor, torch.Tensor]":
    low, high = pose_limits()
    return torch.tensor(low, dtype=torch.float32), torch.tensor(high, dtype=torch.float32)


def run(model: Tokenizer, m2d: "torch.Tensor", real: "torch.Tensor", config: LossConfig):
    seen = model.observe(m2d, real)
    latent, steps = model.encode(seen)
    lifted = model.decoder(latent, steps)
    placed = model.place(lifted, seen.height, seen.centre, seen.size)
    loss, terms = tokenizer_losses(seen, lifted, placed, latent.new_zeros(()), limits(), config)
    return loss, terms, lifted, placed


def test_padding_changes_neither_output_nor_loss_nor_gradient() -> None:
    torch.manual_seed(0)
    model = Tokenizer(tiny())
    alone = person(16)[None]
    padded = torch.full((1, 28, 18, 3), 1e3)
    padded[:, :16] = alone
    padded[:, 16:, 17] = alone[0, 0, 17]
    real = torch.arange(28)[None] < 16
    config = LossConfig()
    results = []
    for m2d, mask in ((alone, torch.ones(1, 16, dtype=torch.bool)), (padded, real)):
        model.zero_grad()
        loss, terms, lifted, _ = run(model, m2d, mask, config)
        loss.backward()
        grads = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        results.append((loss.item(), terms, lifted.pose[:, :16], grads))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    assert torch.allclose(results[0][2], results[1][2], atol=1e-5)
    assert torch.allclose(results[0][3], results[1][3], atol=1e-4, rtol=1e-3)


def test_low_confidence_keypoints_have_no_influence() -> None:
    torch.manual_seed(0)
    model = Tokenizer(tiny())
    real = torch.ones(1, 16, dtype=torch.bool)
    one, two = person(16), person(16)
    one[4:9, 9, 2] = two[4:9, 9, 2] = 0.1
    two[4:9, 9, :2] = 5000.0
    a = run(model, one[None], real, LossConfig())[0]
    b = run(model, two[None], real, LossConfig())[0]
    assert a.item() == b.item()


@pytest.mark.parametrize("name", ["rvq", "rec", "smooth", "vel", "boundary", "pose", "shape"])
def test_every_loss_can_be_switched_off(name: str) -> None:
    torch.manual_seed(0)
    model = Tokenizer(tiny())
    real = torch.ones(1, 16, dtype=torch.bool)
    # shape and pose must bite to be seen: no free shape, and a pose outside narrowed limits
    on = LossConfig(shape_free=-1.0)
    seen = model.observe(person(16)[None], real)
    latent, steps = model.encode(seen)
    lifted = model.decoder(latent, steps)
    placed = model.place(lifted, seen.height, seen.centre, seen.size)
    narrow = tuple(v * 0.01 for v in limits())
    commitment = torch.tensor(2.0)
    total, terms = tokenizer_losses(seen, lifted, placed, commitment, narrow, on)
    less, left = tokenizer_losses(
        seen, lifted, placed, commitment, narrow, replace(on, **{name: 0.0})
    )
    assert set(terms) - set(left) == {name}
    assert terms[name].item() > 0
    assert (total - less).item() == pytest.approx(
        on.weights()[name] * terms[name].item(), rel=1e-3, abs=1e-6
    )


def test_pixel_losses_scale_with_resolution_and_body_losses_do_not() -> None:
    torch.manual_seed(0)
    model = Tokenizer(tiny())
    real = torch.ones(1, 16, dtype=torch.bool)
    small_picture, large = person(16)[None], person(16)[None]
    large[..., :2] *= 3
    for reference, ratio in ((600.0, 1.0), (None, 3.0)):
        config = LossConfig(reference_px=reference)
        a = run(model, small_picture, real, config)[1]["rec"]
        b = run(model, large, real, config)[1]["rec"]
        assert (b / a).item() == pytest.approx(ratio, rel=0.03)


def test_a_body_facing_the_camera_projects_like_one() -> None:
    """Left shoulder on the picture's right, head above the feet, at the person's own size."""
    model = Tokenizer(tiny())
    with torch.no_grad():
        model.decoder.leave.weight.zero_()
    seen = model.observe(person(16)[None], torch.ones(1, 16, dtype=torch.bool))
    latent, steps = model.encode(seen)
    placed = model.place(model.decoder(latent, steps), seen.height, seen.centre, seen.size)
    points = placed.pixels[0, 8]
    assert points[5, 0] > points[6, 0]
    assert points[0, 1] < points[11, 1] < points[15, 1]
    assert 0.8 < (points[15, 1] - points[0, 1]).item() < 1.2
    assert placed.front.all()


def test_the_view_cue_tells_front_back_and_sides() -> None:
    model = Tokenizer(tiny())
    real = torch.ones(1, 16, dtype=torch.bool)
    front = person(16)[None]
    back = front.clone()
    back[:, :, :17, 0] = 640 - back[:, :, :17, 0]
    assert model.observe(front, real).cue[0, 8, 1] > 0.9
    assert model.observe(back, real).cue[0, 8, 1] < -0.9
    side = front.clone()
    side[:, :, 5:17, 0] = 300.0
    side[:, :, 0, 0] = 316.0  # the nose ahead of the ears, towards the picture's right
    side[:, :, 3:5, 0] = 300.0
    assert model.observe(side, real).cue[0, 8, 0] > 0.9


def test_gaps_are_filled_in_time_and_smoothing_skips_padding() -> None:
    points = torch.arange(6.0)[None, :, None, None].expand(1, 6, 1, 2).clone()
    seen = torch.tensor([True, True, False, False, True, False])[None, :, None]
    points[~seen] = 99
    assert fill_gaps(points, seen)[0, :, 0, 0].tolist() == [0, 1, 2, 3, 4, 4]
    real = torch.tensor([[True] * 4 + [False] * 2])
    values = torch.tensor([1.0, 1, 1, 1, 50, 50])[None, :, None]
    assert smooth(values, real, 5)[0, :4, 0].tolist() == pytest.approx([1, 1, 1, 1])


def test_tokens_alone_give_the_same_motion_as_lifting() -> None:
    torch.manual_seed(0)
    model = Tokenizer(tiny()).eval()
    seen = model.observe(person(32)[None], torch.ones(1, 32, dtype=torch.bool))
    with torch.no_grad():
        latent, real = model.encode(seen)
        model.quantiser.seed(torch.cat([latent[real]] * 2) + 0.1)
        quantised = model.tokens(seen)
        direct, decoded = model.lift(seen), model.decode(quantised.tokens, real)
    for field in fields(direct):
        assert torch.allclose(getattr(direct, field.name), getattr(decoded, field.name), atol=1e-5)


def test_presets_have_the_papers_sizes() -> None:
    full = paper()
    assert (full.tokenizer.adapter.width, full.tokenizer.adapter.heads) == (512, 8)
    assert full.tokenizer.adapter.patch_frames == 1
    q = full.tokenizer.quantiser
    assert (q.layers, q.codes, q.dim) == (7, 512, 512)
    t = full.transformer
    assert (t.layers, t.heads, t.width) == (6, 6, 384)
    assert small().tokenizer.quantiser.layers == 7


def test_a_patch_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TrainingError, match="patch_frames"):
        Tokenizer(tiny(adapter=AdapterConfig(width=8, heads=2, patch_frames=3)))


def test_a_lifted_body_has_the_usual_stature_whatever_its_proportions() -> None:
    from motionkit.bodies.skeleton import REST_OFFSETS
    from motionkit.models.k2m.tokenizer import JOINT, UPRIGHT, Lifted

    torch.manual_seed(0)
    model = Tokenizer(tiny())
    betas, depth = torch.randn(5, 10) * 6, torch.randn(5, 8)
    held, moved = model.decoder.of_usual_stature(betas, depth)
    joints = [JOINT[name] for name in UPRIGHT]
    bones = model.body.rest_offsets(held)[:, joints].norm(dim=-1).sum(-1)
    usual = torch.tensor(REST_OFFSETS[joints], dtype=torch.float32).norm(dim=-1).sum()
    assert torch.allclose(bones, usual.expand(5), atol=1e-4)
    assert torch.equal(held[:, 1:], betas[:, 1:])

    def pixels(b: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        root = torch.eye(3).expand(5, 8, 3, 3)
        zeros = torch.zeros(5, 8, 2)
        lifted = Lifted(
            torch.zeros(5, 8, 23, 3), root, zeros, zeros, zeros, d, b, torch.zeros(5, 8, 17, 2)
        )
        height, size = torch.full((5,), 300.0), torch.full((5, 2), 640.0)
        return model.place(lifted, height, size / 2, size).pixels

    assert torch.allclose(pixels(held, moved), pixels(betas, depth), atol=1e-4)

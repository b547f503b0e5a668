"""Shapes, the given first frame, bounds, and the two ways through the decoder."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from motionkit.errors import UsageError  # noqa: E402
from motionkit.models.lang2motion.config import (  # noqa: E402
    DecoderConfig,
    EncoderConfig,
    Lang2MotionConfig,
    paper,
)
from motionkit.models.lang2motion.decoder import as_direction  # noqa: E402
from motionkit.models.lang2motion.model import Lang2Motion  # noqa: E402

TINY = Lang2MotionConfig(
    grid=3,
    frames=6,
    latent=8,
    encoder=EncoderConfig(layers=2, heads=2, feed_forward=16, dropout=0.0),
    decoder=DecoderConfig(hidden=16),
)


def make(config: Lang2MotionConfig = TINY, *, wild: bool = True) -> Lang2Motion:
    """A model; ``wild``: with outputs as large as a trained one's, and larger."""
    torch.manual_seed(0)
    model = Lang2Motion(config).eval()
    if wild:
        with torch.no_grad():
            model.decoder.mlp.last.weight.normal_(0, 2)
            model.decoder.mlp.last.bias.normal_(0, 2)
    return model


def tracks(batch: int = 4, frames: int = 6, points: int = 9) -> torch.Tensor:
    return torch.rand(batch, frames, points, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_the_paper_s_sizes() -> None:
    model = Lang2Motion(paper())
    mlp = model.decoder.mlp
    inside = mlp.from_latent.in_features + mlp.from_points.in_features
    assert (inside, mlp.middle.in_features, mlp.middle.out_features) == (584, 1024, 1024)
    assert mlp.last.out_features == 72
    encoder = model.encoder
    assert len(encoder.layers.layers) == 4
    assert encoder.layers.layers[0].self_attn.num_heads == 4
    assert encoder.layers.layers[0].linear1.out_features == 1024
    assert encoder.points_in.weight.shape == (512, 72) and encoder.prefix.shape == (512,)
    assert isinstance(encoder.out, torch.nn.Identity)


@pytest.mark.parametrize("grid", [1, 3, 10])
@pytest.mark.parametrize("frames", [2, 45])
def test_any_grid_and_length(grid: int, frames: int) -> None:
    model = make(replace(TINY, grid=grid, frames=frames))
    points = tracks(2, frames, grid * grid)
    latent = model.encode(points)
    assert latent.shape == (2, 8)
    assert model.generate(latent, points[:, 0]).shape == points.shape


def test_the_split_first_layer_is_the_paper_s_one_layer() -> None:
    model = make()
    z, p = torch.randn(4, 8), tracks()[:, 0].flatten(1)
    mlp = model.decoder.mlp
    whole = torch.cat([mlp.from_latent.weight, mlp.from_points.weight], 1)
    x = torch.nn.functional.linear(torch.cat([z, p], 1), whole, mlp.from_latent.bias)
    x = mlp.last(torch.nn.functional.gelu(mlp.middle(torch.nn.functional.gelu(x))))
    torch.testing.assert_close(mlp(mlp.from_latent(z), p), x)


def test_teacher_forcing_is_one_true_step_each() -> None:
    model, points, z = make(), tracks(), torch.randn(4, 8)
    taught = model.decoder.taught(z, points)
    assert torch.equal(taught[:, 0], points[:, 0])
    for t in range(1, 6):
        one = model.generate(z, points[:, t - 1], frames=2)[:, 1]
        torch.testing.assert_close(taught[:, t], one)


def test_scheduled_sampling_lies_between_the_two() -> None:
    model, points, z = make(), tracks(), torch.randn(4, 8)
    own = torch.zeros(4, 6, dtype=torch.bool)
    torch.testing.assert_close(model.decoder.mixed(z, points, own), model.decoder.taught(z, points))
    free = model.generate(z, points[:, 0])
    torch.testing.assert_close(model.decoder.mixed(z, points, ~own), free)
    own[:, 3:] = True
    mixed = model.decoder.mixed(z, points, own)
    after = model.generate(z, mixed[:, 3], frames=3)
    torch.testing.assert_close(mixed[:, 3:], after)


@pytest.mark.parametrize("kind", ["autoregressive", "direct"])
def test_the_first_frame_is_the_given_one_to_the_bit(kind: str) -> None:
    model = make(replace(TINY, decoder=DecoderConfig(kind=kind, hidden=16)))
    first = tracks()[:, 0] * 1.7  # some outside the frame
    made = model.generate(torch.randn(4, 8), first)
    assert torch.equal(made[:, 0], first) and not torch.equal(made[:, 1], first)


def test_ten_times_the_trained_length_stays_finite_and_inside_its_bound() -> None:
    model = make()
    with torch.no_grad():
        model.decoder.mlp.last.weight.mul_(1e6)
    first = tracks()[:, 0]
    made = model.generate(torch.randn(4, 8) * 1e4, first, frames=60)
    assert torch.isfinite(made).all()
    steps = (made[:, 1:] - made[:, :-1]).abs()
    assert steps.max() <= TINY.decoder.max_step * 1.001 and steps.max() > 0.4
    assert (made - first[:, None]).abs().max() <= 60 * TINY.decoder.max_step


def test_small_outputs_pass_the_bound_unchanged() -> None:
    model = make(wild=False)
    with torch.no_grad():
        model.decoder.mlp.last.weight.zero_()
        model.decoder.mlp.last.bias.fill_(0.01)
    made = model.generate(torch.randn(1, 8), torch.zeros(1, 9, 2))
    torch.testing.assert_close(made[0, :, 0, 0], torch.arange(6) * 0.01, rtol=2e-4, atol=0)


def test_a_batch_gives_what_each_alone_gives() -> None:
    model, z, first = make(), torch.randn(5, 8), tracks(5)[:, 0]
    together = model.generate(z, first)
    for i in range(5):
        torch.testing.assert_close(together[i : i + 1], model.generate(z[i : i + 1], first[i:][:1]))


def test_the_latent_s_length_does_not_matter() -> None:
    model, z, first = make(), torch.randn(2, 8), tracks(2)[:, 0]
    torch.testing.assert_close(model.generate(z, first), model.generate(z * 7, first))
    assert torch.equal(as_direction(torch.zeros(1, 8)), torch.zeros(1, 8))


def test_padding_does_not_reach_the_latent() -> None:
    model, points = make(), tracks()
    padded = torch.cat([points, torch.full((4, 3, 9, 2), 9.0)], 1)
    real = torch.arange(9)[None].expand(4, -1) < 6
    torch.testing.assert_close(model.encode(padded, real), model.encode(points))
    assert not torch.allclose(model.encode(padded), model.encode(points))


def test_pictures_are_added_and_their_absence_adds_nothing() -> None:
    model = make(replace(TINY, image=8))
    points, images = tracks(), torch.randn(4, 6, 8)
    with_them = model.encode(points, images=images)
    assert not torch.allclose(with_them, model.encode(points))
    images[2] = 0
    torch.testing.assert_close(model.encode(points, images=images)[2], model.encode(points)[2])


def test_the_direct_decoder_ends_with_its_frames() -> None:
    model = make(replace(TINY, decoder=DecoderConfig(kind="direct", hidden=16)))
    z, points = torch.randn(4, 8), tracks()
    whole = model.generate(z, points[:, 0])
    assert torch.equal(model.generate(z, points[:, 0], frames=3), whole[:, :3])
    assert torch.equal(model.decoder.taught(z, points), whole)
    with pytest.raises(UsageError, match="6 frames cannot make 7"):
        model.generate(z, points[:, 0], frames=7)


def test_mistakes_are_told() -> None:
    model = make()
    with pytest.raises(UsageError, match="reads 9 points a frame"):
        model.encode(tracks(points=8))
    with pytest.raises(UsageError, match="reads 9 points a frame"):
        model.generate(torch.zeros(4, 8), tracks(points=16)[:, 0])
    with pytest.raises(UsageError, match="have 8 numbers"):
        model.generate(torch.zeros(4, 9), tracks()[:, 0])
    with pytest.raises(UsageError, match="have 8 numbers"):
        model.generate(torch.zeros(3, 8), tracks()[:, 0])
    with pytest.raises(UsageError, match="0 frames"):
        model.generate(torch.zeros(4, 8), tracks()[:, 0], frames=0)
    with pytest.raises(UsageError, match="not finite"):
        model.generate(torch.zeros(4, 8), tracks()[:, 0] * torch.inf)
    with pytest.raises(UsageError, match="without pictures"):
        model.encode(tracks(), images=torch.zeros(4, 6, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": 0}, "has no motion"),
        ({"frames": 1}, "has no motion"),
        ({"image": 512}, "not of one space"),
        ({"decoder": DecoderConfig(kind="diffusion")}, "no decoder 'diffusion'"),
        ({"decoder": DecoderConfig(max_step=0)}, "max_step is 0"),
        ({"encoder": EncoderConfig(heads=3)}, "do not share"),
    ],
)
def test_sizes_are_checked_at_construction(changes: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(TINY, **changes)

"""The reader of text features and the decoder's switches beyond the paper."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from motionkit.errors import UsageError  # noqa: E402
from motionkit.models.lang2motion.config import (  # noqa: E402
    DecoderConfig,
    EncoderConfig,
    Lang2MotionConfig,
    ReaderConfig,
)
from motionkit.models.lang2motion.losses import contrast_loss  # noqa: E402
from motionkit.models.lang2motion.model import Lang2Motion  # noqa: E402

TINY = Lang2MotionConfig(
    grid=2,
    frames=6,
    latent=8,
    text=12,
    reader=ReaderConfig(kind="mlp", hidden=16),
    encoder=EncoderConfig(width=16, layers=1, heads=2, feed_forward=32, relative=True),
    decoder=DecoderConfig(hidden=16, clock=True, velocity=True, relative=True, affine=True),
)


def model(config: Lang2MotionConfig = TINY) -> Lang2Motion:
    torch.manual_seed(0)
    made = Lang2Motion(config).eval()
    with torch.no_grad():
        made.decoder.mlp.last.weight.mul_(20)
    return made


def test_centred_features_have_no_mean_and_an_even_spread() -> None:
    config = replace(TINY, latent=12, reader=ReaderConfig(kind="centred"))
    made = Lang2Motion(config)
    features = torch.randn(50, 12) * torch.linspace(0.5, 2, 12) + 3
    made.reader.fit(features)
    read = made.read(features)
    assert read.mean(0).abs().max() < 1e-5
    assert torch.allclose(read.std(0, correction=0), torch.ones(12), atol=1e-4)
    copy = Lang2Motion(config)
    copy.load_state_dict(made.state_dict())  # what was fitted is part of the model
    assert torch.equal(copy.read(features), read)


def test_without_a_reader_features_are_latents_and_another_size_is_refused() -> None:
    plain = Lang2Motion(replace(TINY, text=None, reader=ReaderConfig()))
    features = torch.randn(3, 8)
    assert plain.read(features) is features
    with pytest.raises(UsageError, match="text features of 12 numbers"):
        plain.read(torch.randn(3, 12))
    with pytest.raises(UsageError, match="are no latents of 8"):
        replace(TINY, reader=ReaderConfig(kind="centred"))
    with pytest.raises(UsageError, match="no reader 'huge'"):
        replace(TINY, reader=ReaderConfig(kind="huge"))


@pytest.mark.parametrize("switch", ["none", "clock", "velocity", "relative", "affine", "all"])
def test_free_running_is_the_mixed_form_that_sees_only_its_own_answers(switch: str) -> None:
    on = {name: switch in (name, "all") for name in ("clock", "velocity", "relative", "affine")}
    made = model(replace(TINY, decoder=DecoderConfig(hidden=16, **on)))
    points, latent = torch.rand(2, 6, 4, 2) - 0.5, torch.randn(2, 8)
    with torch.no_grad():
        free = made.decoder.free(latent, points[:, 0], 6)
        own = made.decoder.mixed(latent, points, torch.ones(2, 6, dtype=torch.bool))
        true = made.decoder.mixed(latent, points, torch.zeros(2, 6, dtype=torch.bool))
        taught = made.decoder.taught(latent, points)
    assert torch.allclose(free, own, atol=1e-6) and torch.equal(free[:, 0], points[:, 0])
    assert torch.allclose(true, taught, atol=1e-5)
    assert not torch.allclose(free, taught, atol=1e-3)
    assert torch.isfinite(made.generate(latent, points[:, 0], 60)).all()


def test_relative_motions_are_the_same_everywhere_in_the_picture() -> None:
    made, first, latent = model(), torch.rand(1, 4, 2) - 0.5, torch.randn(1, 8)
    away = torch.tensor([0.3, -0.2])
    here, there = made.generate(latent, first), made.generate(latent, first + away)
    assert torch.allclose(here + away, there, atol=1e-4)
    assert torch.allclose(made.encode(here), made.encode(here + away), atol=1e-4)


def test_the_clock_tells_steps_apart_that_look_the_same() -> None:
    points, latent = torch.zeros(1, 6, 4, 2), torch.randn(1, 8)
    for clock in (True, False):
        made = model(replace(TINY, decoder=DecoderConfig(hidden=16, clock=clock)))
        steps = made.decoder.taught(latent, points)[0, 1:]
        assert torch.allclose(steps[0], steps[3], atol=1e-5) != clock


def test_contrast_wants_each_with_its_own_and_spares_the_same_item() -> None:
    latents = torch.eye(3)
    right = contrast_loss(latents, latents, 0.1)
    wrong = contrast_loss(latents, latents.roll(1, 0), 0.1)
    assert right < 0.01 < 5 < wrong
    alike = latents[[0, 0, 1]]
    assert contrast_loss(alike, alike, 0.1) > 0.3
    assert contrast_loss(alike, alike, 0.1, torch.tensor([4, 4, 5])) < 0.01


def words_model(**changes: object) -> Lang2Motion:
    reader = replace(ReaderConfig(kind="words", hidden=16, heads=2, dropout=0.0), **changes)
    made = model(replace(TINY, text=5, word_vectors=(9, 6), reader=reader))
    vectors = torch.randn(9, 6, generator=torch.Generator().manual_seed(1))
    vectors[0] = 0
    made.reader.fit(torch.tensor([[1.0, 2, 3, 0, 0], [4, 5, 0, 0, 0]]), vectors)
    return made


def test_words_behind_the_last_one_do_not_count_and_their_order_only_with_context() -> None:
    made = words_model()
    one = made.read(torch.tensor([[1.0, 2, 3, 0, 0]]))
    assert one.shape == (1, 8) and torch.isfinite(one).all()
    turned = made.read(torch.tensor([[3.0, 2, 1, 0, 0]]))
    assert torch.allclose(one, turned, atol=1e-5)
    assert not torch.allclose(one, made.read(torch.tensor([[1.0, 2, 4, 0, 0]])), atol=1e-3)
    # In training, what is nobody's is left away: the same numbers.
    assert torch.allclose(made.train().read(torch.tensor([[1.0, 2, 3, 0, 0]])), one, atol=1e-5)
    ordered = words_model(context=3)
    first, second = ordered.read(torch.tensor([[1.0, 2, 3, 0, 0], [3.0, 2, 1, 0, 0]]))
    assert not torch.allclose(first, second, atol=1e-4)
    # What stands behind the last word is nothing to it, however much of that there is.
    alone = ordered.train().read(torch.tensor([[1.0, 2, 3, 0, 0]]))[0]  # cut to three words
    assert torch.allclose(alone, first, atol=1e-5)


def test_no_words_at_all_have_a_latent_too_and_many_shapes_are_read() -> None:
    made = words_model()
    assert torch.isfinite(made.read(torch.zeros(2, 5))).all()
    many = made.read(torch.ones(3, 4, 5))
    assert many.shape == (3, 4, 8) and torch.allclose(many[1, 2], made.read(torch.ones(1, 5))[0])


def test_the_vectors_are_part_of_the_model_and_fitted_to_the_words_in_use() -> None:
    made = words_model()
    copy = Lang2Motion(made.config)
    copy.load_state_dict(made.state_dict())
    text = torch.tensor([[1.0, 2, 3, 8, 0]])
    assert torch.equal(copy.eval().read(text), made.read(text))
    used = made.reader.words.vectors[1:6].float()
    assert torch.allclose(made.reader.mean, used.mean(0), atol=1e-6)
    assert "reader.words.vectors" not in dict(made.named_parameters())  # frozen
    with pytest.raises(UsageError, match="and context 2"):
        replace(TINY, reader=ReaderConfig(kind="words", context=2))

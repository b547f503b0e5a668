from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from motionkit.models.k2m.config import QuantiserConfig, small  # noqa: E402
from motionkit.models.k2m.quantiser import ResidualQuantiser  # noqa: E402
from motionkit.models.k2m.sampling import (  # noqa: E402
    SamplingConfig,
    predicted_lengths,
    sample_tokens,
)
from motionkit.models.k2m.transformers import TextToTokens  # noqa: E402


def model() -> TextToTokens:
    torch.manual_seed(0)
    base = small()
    sizes = replace(
        base,
        tokenizer=replace(base.tokenizer, quantiser=QuantiserConfig(layers=3, codes=12, dim=8)),
        transformer=replace(
            base.transformer,
            width=32,
            layers=1,
            heads=2,
            feed_forward=32,
            text_dim=6,
            dropout=0.0,
            sampled_layers=None,
        ),
    )
    return TextToTokens(sizes)


def test_padding_changes_no_logit() -> None:
    net = model().eval()
    tokens, text, drop = torch.randint(12, (1, 9, 3)), torch.randn(1, 6), torch.tensor([False])
    real = torch.arange(9)[None] < 5
    other = tokens.clone()
    other[:, 5:] = 3
    layer = torch.tensor([2])
    for whole, again in (
        (net.masked(tokens[..., 0], real, text, drop), net.masked(other[..., 0], real, text, drop)),
        (
            net.residual(tokens, layer, real, text, drop),
            net.residual(other, layer, real, text, drop),
        ),
    ):
        assert torch.allclose(whole[:, :5], again[:, :5], atol=1e-6)
    alone = net.masked(tokens[:, :5, 0], real[:, :5], text, drop)
    assert torch.allclose(alone, net.masked(tokens[..., 0], real, text, drop)[:, :5], atol=1e-5)


def test_the_residual_layer_reads_only_the_layers_before_it() -> None:
    net = model().eval()
    tokens, text = torch.randint(12, (1, 4, 3)), torch.randn(1, 6)
    real, drop = torch.ones(1, 4, dtype=torch.bool), torch.tensor([False])
    changed = tokens.clone()
    changed[..., 1:] = (changed[..., 1:] + 1) % 12
    one = torch.tensor([1])
    assert torch.equal(
        net.residual(tokens, one, real, text, drop), net.residual(changed, one, real, text, drop)
    )


def test_the_same_seed_draws_the_same_tokens_and_another_seed_others() -> None:
    net = model().eval()
    text, lengths = torch.randn(2, 6), torch.tensor([14, 9])

    def draw(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        config = SamplingConfig(temperature=1.0, top_share=1.0, guidance=1.0)
        return sample_tokens(net, text, lengths, generator=generator, config=config)[0]

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    tokens, real = sample_tokens(net, text, lengths, generator=torch.Generator().manual_seed(0))
    assert real.sum(1).tolist() == [14, 9]
    assert (tokens[1, 9:] == 0).all() and int(tokens.max()) < 12


def test_layers_that_are_not_drawn_add_nothing() -> None:
    net = model().eval()
    text, lengths = torch.randn(1, 6), torch.tensor([5])

    def draw(layers: int | None) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        config = SamplingConfig(layers=layers)
        return sample_tokens(net, text, lengths, generator=generator, config=config)[0]

    whole, two = draw(None), draw(2)
    assert (whole >= 0).all() and (two[..., 2] == -1).all()
    assert torch.equal(whole[..., :2], two[..., :2])
    net.sampled_layers = 1
    assert (draw(None)[..., 1:] == -1).all() and (draw(3) >= 0).all()
    quantiser = ResidualQuantiser(QuantiserConfig(layers=3, codes=12, dim=8))
    quantiser.codes.normal_()
    assert torch.equal(quantiser.look_up(two), quantiser.look_up(two[..., :2]))


def test_predicted_lengths_cover_three_in_four() -> None:
    net = model().eval()
    logits = torch.full((2, 80), -torch.inf)
    logits[0, [19, 29]] = torch.tensor([0.6, 0.4]).log()
    logits[1, [19, 29]] = torch.tensor([0.8, 0.2]).log()
    net.length.forward = lambda text: logits  # type: ignore[method-assign]
    assert predicted_lengths(net, torch.zeros(2, 6)).tolist() == [30, 20]


def test_texts_can_be_learned_apart() -> None:
    net = model()
    text = torch.randn(2, 6)
    net.fit_text(text)
    tokens = torch.stack([torch.full((6, 3), 2), torch.full((6, 3), 7)])
    real, lengths = torch.ones(2, 6, dtype=torch.bool), torch.tensor([6, 3])
    drop = torch.zeros(2, dtype=torch.bool)
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(60):
        loss = (
            net.masked.loss(tokens[..., 0], real, text, drop)
            + net.residual.loss(tokens, real, text, drop)
            + net.length.loss(text, lengths - 1)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.eval()
    got, _ = sample_tokens(
        net, text, torch.tensor([6, 6]), generator=torch.Generator().manual_seed(0)
    )
    assert (got == tokens).float().mean() > 0.95
    assert (net.length(text).argmax(-1) + 1).tolist() == [6, 3]

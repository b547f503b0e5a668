import math

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from motionkit.models.k2m.sampling import sample_tokens  # noqa: E402
from tests.models.k2m.tiny import text_model  # noqa: E402


def test_padding_changes_no_logit() -> None:
    net = text_model().eval()
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
    net = text_model().eval()
    tokens, text = torch.randint(12, (1, 4, 3)), torch.randn(1, 6)
    real, drop = torch.ones(1, 4, dtype=torch.bool), torch.tensor([False])
    changed = tokens.clone()
    changed[..., 1:] = (changed[..., 1:] + 1) % 12
    one = torch.tensor([1])
    assert torch.equal(
        net.residual(tokens, one, real, text, drop), net.residual(changed, one, real, text, drop)
    )


def test_texts_can_be_learned_apart() -> None:
    net = text_model()
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


def test_the_mask_schedule_is_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    net = text_model()
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(
        net.masked, "forward",
        lambda tokens, *rest: seen.append(tokens) or torch.zeros(*tokens.shape, 12),
    )  # fmt: skip
    tokens = torch.randint(12, (4000, 40))
    real = torch.arange(40)[None] < torch.randint(1, 41, (4000, 1))
    net.masked.loss(tokens, real, torch.zeros(4000, 6), torch.zeros(4000, dtype=torch.bool))
    fed = seen[0]
    assert torch.equal(fed[~real], tokens[~real])
    hidden = (fed == 12)[real].float().mean()
    # cos(π t / 2) is 2/π on average; of it 0.9 · 0.88 become the mask, 0.1 · 11/12 another code
    assert hidden == pytest.approx(2 / math.pi * 0.9 * 0.88, abs=0.02)
    other = ((fed != tokens) & (fed != 12))[real].float().mean()
    assert other == pytest.approx(2 / math.pi * 0.1 * 11 / 12, abs=0.006)
    share = (fed == 12).sum(1) / real.sum(1)
    assert share.max() > 0.9 and (share < 0.1).any()


def test_early_residual_layers_are_drawn_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    net = text_model(layers=7)
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(
        net.residual, "forward",
        lambda tokens, layer, *rest: seen.append(layer) or torch.zeros(*tokens.shape[:2], 12),
    )  # fmt: skip
    n = 20_000
    tokens, real = torch.zeros(n, 1, 7).long(), torch.ones(n, 1, dtype=torch.bool)
    net.residual.loss(tokens, real, torch.zeros(n, 6), torch.zeros(n, dtype=torch.bool))
    counts = torch.bincount(seen[0], minlength=7) / n
    u = torch.rand(200_000)
    wanted = torch.bincount(((1 - torch.cos(math.pi * u / 2)) * 5).round().long() + 1) / 200_000
    assert counts[0] == 0
    assert torch.allclose(counts, wanted, atol=0.02)
    assert counts[1] > counts[3] > counts[6]


@pytest.mark.parametrize("shared", [True, False])
def test_residual_logits_are_counted_once(shared: bool) -> None:
    net = text_model(shared=shared).eval()
    features = torch.randn(1, 4, 32)
    net.residual.trunk.forward = lambda *given: features  # type: ignore[method-assign]
    torch.nn.init.normal_(net.residual.bias)
    layer, none = torch.tensor([2]), torch.tensor([False])
    real = torch.ones(1, 4, dtype=torch.bool)
    got = net.residual(torch.zeros(1, 4, 3).long(), layer, real, torch.zeros(1, 6), none)
    table = net.residual.embed if shared else net.residual.leave
    assert (net.residual.leave is None) == shared
    assert torch.allclose(got[0], features[0] @ table[2].T + net.residual.bias[2], atol=1e-5)


def test_tokens_that_were_not_drawn_add_nothing_to_what_is_read() -> None:
    net = text_model().eval()
    tokens = torch.tensor([[3, -1]])
    read = net.residual.embedded(tokens, 1)
    assert torch.equal(read[0, 0], net.residual.embed[1, 3]) and not read[0, 1].any()


def test_a_quantiser_of_one_layer_has_nothing_residual_to_learn() -> None:
    net = text_model(layers=1)
    tokens, real = torch.zeros(2, 3, 1).long(), torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="one layer"):
        net.residual.loss(tokens, real, torch.zeros(2, 6), torch.zeros(2, dtype=torch.bool))


def test_a_motion_longer_than_the_time_codes_still_has_its_own() -> None:
    net = text_model().eval()
    tokens, text, none = torch.zeros(1, 90).long(), torch.randn(1, 6), torch.tensor([False])
    logits = net.masked(tokens, torch.ones(1, 90, dtype=torch.bool), text, none)
    assert logits.shape == (1, 90, 12) and not torch.allclose(logits[0, 85], logits[0, 86])

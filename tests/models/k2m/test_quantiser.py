import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from motionkit.models.k2m.config import QuantiserConfig  # noqa: E402
from motionkit.models.k2m.quantiser import ResidualQuantiser  # noqa: E402


def seeded(**changes: object) -> ResidualQuantiser:
    torch.manual_seed(0)
    config = QuantiserConfig(layers=3, codes=16, dim=4, decay=0.9, **changes)  # type: ignore[arg-type]
    quantiser = ResidualQuantiser(config)
    quantiser.seed(torch.randn(200, 4))
    return quantiser


def test_every_layer_brings_the_sum_nearer() -> None:
    quantiser = seeded().eval()
    latent, real = torch.randn(2, 50, 4), torch.ones(2, 50, dtype=torch.bool)
    errors = [
        (quantiser(latent, real, depth=d).latent - latent).square().mean().item() for d in (1, 2, 3)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_look_up_inverts_the_tokens() -> None:
    quantiser = seeded().eval()
    latent, real = torch.randn(2, 10, 4), torch.ones(2, 10, dtype=torch.bool)
    out = quantiser(latent, real)
    assert torch.allclose(quantiser.look_up(out.tokens), out.latent, atol=1e-5)


def test_gradients_pass_straight_through_and_codes_take_none() -> None:
    quantiser = seeded()
    latent = torch.randn(1, 8, 4, requires_grad=True)
    quantiser(latent, torch.ones(1, 8, dtype=torch.bool)).latent.sum().backward()
    assert latent.grad is not None and torch.equal(latent.grad, torch.ones_like(latent))
    assert not list(quantiser.parameters())


def test_codes_follow_the_running_mean_of_what_chose_them() -> None:
    quantiser = seeded(revive_share=0.0)
    code = quantiser.codes[0, 3].clone()
    target = code + 0.01
    latent = target.expand(1, 40, 4)
    real = torch.ones(1, 40, dtype=torch.bool)
    count, total = quantiser.counts[0, 3].clone(), quantiser.sums[0, 3].clone()
    quantiser.train()
    quantiser(latent, real)
    count = 0.9 * count + 0.1 * 16  # all of an even use of 16 codes
    total = 0.9 * total + 0.1 * 16 * target
    assert torch.allclose(quantiser.codes[0, 3], total / count, atol=1e-5)


def test_dead_codes_come_back_as_latents_of_the_batch() -> None:
    quantiser = seeded()
    far = torch.randn(1, 64, 4) * 0.1 + 50.0
    real = torch.ones(1, 64, dtype=torch.bool)
    quantiser.train()
    for _ in range(40):
        quantiser(far, real)
    used = quantiser.eval()(far, real).tokens[..., 0].unique()
    assert len(used) > 8
    assert quantiser.alive()[0] > 0.5


def test_padding_moves_no_code() -> None:
    one, two = seeded(), seeded()
    latent = torch.randn(2, 12, 4)
    real = torch.arange(12)[None].expand(2, 12) < 7
    other = torch.where(real[..., None], latent, torch.full_like(latent, 1e4))
    for quantiser, batch in ((one, latent), (two, other)):
        torch.manual_seed(3)
        quantiser.train()
        quantiser(batch, real)
    assert torch.equal(one.codes, two.codes) and torch.equal(one.counts, two.counts)


def test_a_restored_state_goes_on_exactly() -> None:
    one = seeded().train()
    real = torch.ones(1, 30, dtype=torch.bool)
    batches = [torch.randn(1, 30, 4) for _ in range(6)]
    for batch in batches[:3]:
        one(batch, real)
    two = ResidualQuantiser(one.config)
    two.load_state_dict(one.state_dict())
    for quantiser in (one, two):
        torch.manual_seed(9)
        quantiser.train()
        for batch in batches[3:]:
            quantiser(batch, real)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


def test_one_shared_codebook() -> None:
    quantiser = seeded(shared=True)
    assert quantiser.codes.shape[0] == 1
    out = quantiser.eval()(torch.randn(1, 5, 4), torch.ones(1, 5, dtype=torch.bool))
    assert out.tokens.shape == (1, 5, 3)


def test_too_few_latents_cannot_seed() -> None:
    with pytest.raises(ValueError, match="cannot seed"):
        ResidualQuantiser(QuantiserConfig(layers=1, codes=16, dim=4)).seed(torch.randn(10, 4))

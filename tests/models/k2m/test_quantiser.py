import math
import multiprocessing
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from torch import Tensor  # noqa: E402

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


def masked(seed: int, batch: int = 3, steps: int = 14) -> tuple[Tensor, Tensor]:
    """Latents and a mask with a different length in every row."""
    generator = torch.Generator().manual_seed(seed)
    real = torch.arange(steps)[None] < torch.tensor([steps, 9, 4])[:batch, None]
    return torch.randn(batch, steps, 4, generator=generator), real


def gradients(quantiser: ResidualQuantiser, latent: Tensor, real: Tensor) -> Tensor:
    given = latent.clone().requires_grad_()
    out = quantiser(given, real)
    weight = torch.arange(4.0)
    ((out.latent * weight).sum() + 3 * out.commitment).backward()
    assert given.grad is not None
    return given.grad


def plain(quantiser: ResidualQuantiser, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Total and commitment of rows [M, D] by autograd, straight from the definition."""
    left, total, commitment = rows, torch.zeros_like(rows), rows.new_zeros(())
    for codes in quantiser.codes.clone():
        chosen = codes[torch.cdist(left.detach(), codes).argmin(1)]
        commitment = commitment + (left - chosen).square().mean()
        left, total = left - chosen, total + chosen
    return rows + (total - rows).detach(), commitment


@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_are_those_of_the_definition(training: bool) -> None:
    quantiser = seeded().train(training)
    latent, real = masked(1)
    given = latent.clone().requires_grad_()
    through, commitment = plain(quantiser, given[real])
    ((through * torch.arange(4.0)).sum() + 3 * commitment).backward()
    assert given.grad is not None
    torch.testing.assert_close(gradients(quantiser, latent, real), given.grad)
    out = seeded().train(training)(latent, real)
    torch.testing.assert_close(out.commitment, commitment.detach())
    torch.testing.assert_close(out.latent[real], through.detach())
    assert not out.latent[~real].any() and not out.tokens[~real].any()


@pytest.mark.parametrize("training", [True, False])
def test_a_padded_batch_is_its_real_steps_alone(training: bool) -> None:
    one, two = seeded(revive_share=0.9).train(training), seeded(revive_share=0.9).train(training)
    latent, real = masked(2)
    spoiled = torch.where(real[..., None], latent, float("nan"))
    torch.manual_seed(4)
    padded = one(spoiled, real)
    torch.manual_seed(4)
    alone = two(latent[real][None], torch.ones(1, int(real.sum()), dtype=torch.bool))
    assert torch.equal(padded.tokens[real], alone.tokens[0])
    for name in ("commitment", "perplexity", "alive"):
        torch.testing.assert_close(getattr(padded, name), getattr(alone, name))
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, two.state_dict()[name], msg=name)
    assert torch.isfinite(padded.latent).all()


def test_health_of_every_layer() -> None:
    quantiser = seeded().train()
    latent = quantiser.codes[0, :5].repeat(8, 1)[None]  # five codes, evenly; nothing is left over
    out = quantiser(latent, torch.ones(1, 40, dtype=torch.bool), depth=2)
    assert out.perplexity[0] == pytest.approx(5, abs=1e-3)
    assert 1 <= out.perplexity[1] < 16 and out.perplexity[2] == 0
    assert torch.equal(out.alive, quantiser.alive())


def test_one_codes_use_is_a_perplexity_of_one_and_few_alive() -> None:
    quantiser = seeded(revive_share=0.0).train()
    real = torch.ones(1, 40, dtype=torch.bool)
    for _ in range(80):
        out = quantiser(quantiser.codes[0, 3].expand(1, 40, 4).clone(), real)
    assert out.perplexity[0] == pytest.approx(1, abs=1e-3)
    assert (quantiser.counts[0] > 0.01).sum() == 1


def test_an_empty_batch_changes_nothing_but_the_counts() -> None:
    quantiser = seeded(revive_share=0.9).train()
    before = quantiser.codes.clone()
    out = quantiser(torch.randn(2, 3, 4), torch.zeros(2, 3, dtype=torch.bool))
    torch.testing.assert_close(quantiser.codes, before)
    assert out.commitment == 0 and not out.latent.any()


def test_autocast_leaves_distances_and_statistics_in_32_bits() -> None:
    one, two = seeded().train(), seeded().train()
    latent, real = masked(5)
    torch.manual_seed(0)
    expected = one(latent, real)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = two(latent, real)
    assert torch.equal(expected.tokens, got.tokens) and torch.equal(one.codes, two.codes)
    assert torch.equal(expected.commitment, got.commitment)


def test_half_precision_latents_come_back_as_such() -> None:
    quantiser = seeded().train()
    latent, real = masked(5)
    given = latent.bfloat16().requires_grad_()
    out = quantiser(given, real)
    (out.latent.float().sum() + out.commitment).backward()
    assert out.latent.dtype == torch.bfloat16 and out.commitment.dtype == torch.float32
    assert given.grad is not None and given.grad.dtype == torch.bfloat16
    assert quantiser.codes.dtype == torch.float32


def test_temperature_draws_by_distance_in_training_alone() -> None:
    quantiser = seeded(revive_share=0.0, sample_temperature=0.5)
    quantiser.codes[0] = 100.0
    quantiser.codes[0, :2] = torch.tensor([[0.0, 0, 0, 0], [1.0, 0, 0, 0]])
    latent = torch.tensor([0.25, 0, 0, 0]).expand(1, 4000, 4)
    real = torch.ones(1, 4000, dtype=torch.bool)
    torch.manual_seed(0)
    drawn = quantiser.train()(latent, real, depth=1).tokens[..., 0].float().mean()
    # distances² 0.0625 and 0.5625: odds of exp(-1)
    assert drawn == pytest.approx(1 / (1 + math.e), abs=0.03)
    assert not quantiser.eval()(latent, real, depth=1).tokens.any()


def test_evaluation_compiles_without_a_break() -> None:
    quantiser = seeded().eval()
    latent, real = masked(6)
    expected = quantiser(latent, real)
    whole = torch.compile(quantiser, backend="eager", fullgraph=True)
    got = whole(latent, real)
    assert torch.equal(got.tokens, expected.tokens)
    torch.testing.assert_close(got.latent, expected.latent)


def test_agrees_with_vector_quantize_pytorch() -> None:
    """Same codes, same input: same tokens, sums, losses; same codes after a step of EMA."""
    library = pytest.importorskip("vector_quantize_pytorch")
    c = QuantiserConfig(layers=3, codes=16, dim=8, decay=0.9, revive_share=0.0)
    torch.manual_seed(0)
    ours = ResidualQuantiser(c)
    ours.seed(torch.randn(400, 8))
    ours.counts.fill_(1.0)
    ours.sums.copy_(ours.codes)
    theirs = library.ResidualVQ(
        dim=8, num_quantizers=3, codebook_size=16, decay=0.9, kmeans_init=False,
        threshold_ema_dead_code=0, rotation_trick=False,
    )  # fmt: skip
    latent = torch.randn(4, 30, 8)
    unit = 16 / 120  # we count in even uses, they count in tokens
    for layer, codes in zip(theirs.layers, ours.codes, strict=True):
        layer._codebook.embed.copy_(codes[None])
        layer._codebook.embed_avg.copy_(codes[None] / unit)
        layer._codebook.cluster_size.fill_(1 / unit)
    one, two = (latent.clone().requires_grad_() for _ in range(2))
    out = ours.train()(one, torch.ones(4, 30, dtype=torch.bool))
    total, tokens, losses = theirs.train()(two)
    assert torch.equal(out.tokens, tokens)
    torch.testing.assert_close(out.latent, total)
    torch.testing.assert_close(out.commitment, losses.sum())
    out.commitment.backward()
    losses.sum().backward()
    torch.testing.assert_close(one.grad, two.grad)
    moved = torch.stack([layer._codebook.embed[0] for layer in theirs.layers])
    torch.testing.assert_close(ours.codes, moved, rtol=1e-4, atol=1e-4)  # they smooth the counts
    kept = torch.stack([layer._codebook.cluster_size[0] for layer in theirs.layers])
    torch.testing.assert_close(ours.counts, kept * unit)


def _train(rank: int, place: str) -> None:
    """One of two ranks: three steps on its share of the batches, then its codebooks to a file."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{place}/meet", rank=rank, world_size=2
    )
    for shared in (False, True):
        quantiser = seeded(revive_share=0.9, shared=shared).train()
        for step in range(3):
            latent, real = masked(step)
            mine = slice(0, 1) if rank == 0 else slice(1, 3)
            if rank == 0:
                torch.manual_seed(step)  # the other rank's own draws must not count
            quantiser(latent[mine], real[mine], depth=2 if step == 1 and rank == 0 else 3)
        torch.save(quantiser.state_dict(), f"{place}/{rank}-{shared}.pt")
    torch.distributed.destroy_process_group()


def test_two_ranks_hold_the_codebooks_of_one_with_both_batches(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=_train, args=(r, str(tmp_path))) for r in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(60)
        assert rank.exitcode == 0
    for shared in (False, True):
        files = [tmp_path / f"{r}-{shared}.pt" for r in range(2)]
        one, two = (torch.load(file, weights_only=True) for file in files)
        joint = seeded(revive_share=0.9, shared=shared).train()
        for step in range(3):
            latent, real = masked(step)
            torch.manual_seed(step)
            joint(latent, real, depth=2 if step == 1 else 3)
        assert (joint.counts == 1.8).any()  # revived: 2 × the limit
        for name, value in joint.state_dict().items():
            assert torch.equal(one[name], two[name]), name
            torch.testing.assert_close(one[name], value, msg=name)

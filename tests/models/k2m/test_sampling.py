import copy
import dataclasses

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from motionkit.errors import UsageError  # noqa: E402
from motionkit.models.k2m import sampling  # noqa: E402
from motionkit.models.k2m.config import QuantiserConfig  # noqa: E402
from motionkit.models.k2m.quantiser import ResidualQuantiser  # noqa: E402
from motionkit.models.k2m.sampling import (  # noqa: E402
    SamplingConfig,
    predicted_lengths,
    sample_tokens,
)
from tests.models.k2m.tiny import text_model  # noqa: E402

FREELY = SamplingConfig(temperature=1.0, residual_temperature=1.0, top_share=1.0, steps=6)


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_the_same_seed_draws_the_same_tokens_and_another_seed_others() -> None:
    net = text_model().eval()
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
    net = text_model().eval()
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
    net = text_model().eval()
    logits = torch.full((2, 80), -torch.inf)
    logits[0, [19, 29]] = torch.tensor([0.6, 0.4]).log()
    logits[1, [19, 29]] = torch.tensor([0.8, 0.2]).log()
    net.length.forward = lambda text: logits  # type: ignore[method-assign]
    assert predicted_lengths(net, torch.zeros(2, 6)).tolist() == [30, 20]


def test_a_sample_does_not_depend_on_the_others_of_its_batch() -> None:
    net = text_model().eval()
    text, lengths = torch.randn(4, 6), torch.tensor([14, 3, 9, 9])
    together, _ = sample_tokens(
        net,
        text,
        lengths,
        generator=seeded(5, 6, 7, 8),
        config=dataclasses.replace(FREELY, guidance=3.0),
    )
    for row, size in enumerate(lengths.tolist()):
        alone, _ = sample_tokens(
            net, text[row : row + 1], lengths[row : row + 1], generator=seeded(5 + row),
            config=dataclasses.replace(FREELY, guidance=3.0),
        )  # fmt: skip
        assert torch.equal(together[row, :size], alone[0])


def test_one_generator_for_many_samples_gives_each_its_own_draws() -> None:
    net = text_model().eval()
    text = torch.randn(1, 6).expand(3, 6)
    tokens, _ = sample_tokens(
        net, text, torch.tensor([12, 12, 12]), generator=torch.Generator().manual_seed(0),
        config=FREELY,
    )  # fmt: skip
    assert not torch.equal(tokens[0], tokens[1]) and not torch.equal(tokens[1], tokens[2])
    with pytest.raises(ValueError, match="2 generators for 3"):
        sample_tokens(net, text, torch.tensor([4, 4, 4]), generator=seeded(1, 2))


@pytest.mark.parametrize("where", ["first", "last", "both", "scattered"])
def test_given_tokens_stay_in_all_layers_and_the_text_changes_the_rest(where: str) -> None:
    net = text_model().eval()
    steps = 16
    given = torch.randint(12, (1, steps, 3))
    given[0, 2, 2] = -1  # a layer that was not drawn when this was made
    free = torch.zeros(steps, dtype=torch.bool)
    free[{"first": slice(6, 16), "last": slice(0, 10), "both": slice(4, 12),
          "scattered": slice(1, 16, 3)}[where]] = True  # fmt: skip
    asked = given.clone()
    asked[0, free] = -1
    made = [
        sample_tokens(net, text, torch.tensor([steps]), generator=seeded(3), config=FREELY,
                      given=asked)[0][0]
        for text in (torch.full((1, 6), 2.0), torch.full((1, 6), -2.0))
    ]  # fmt: skip
    for tokens in made:
        assert torch.equal(tokens[~free], given[0, ~free])
        assert (tokens[free] >= 0).all()
    assert not torch.equal(made[0][free], made[1][free])


def test_given_tokens_are_seen_by_those_that_are_drawn() -> None:
    net = text_model().eval()
    torch.nn.init.normal_(net.masked.embed.weight)  # of the size that training gives them
    text, made = torch.randn(1, 6), set()
    for code in range(4):
        given = torch.full((1, 60, 3), -1)
        given[:, :20] = code
        tokens, _ = sample_tokens(
            net, text, torch.tensor([60]), generator=seeded(0), config=FREELY, given=given
        )
        made.add(tuple(tokens[0, 20:, 0].tolist()))
    assert len(made) == 4


def test_all_tokens_given_leaves_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    net = text_model().eval()
    given = torch.randint(12, (2, 7, 3))
    for part in (net.masked, net.residual):
        monkeypatch.setattr(part.trunk, "forward", None)
    tokens, _ = sample_tokens(
        net, torch.randn(2, 6), torch.tensor([7, 7]), generator=seeded(0, 1), given=given
    )
    assert torch.equal(tokens, given)


def _watched(net: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The tokens of every pass of the masked transformer."""
    seen: list[torch.Tensor] = []
    embed = net.masked.embed
    forward = embed.forward
    monkeypatch.setattr(embed, "forward", lambda t: seen.append(t.clone()) or forward(t))
    return seen


def test_the_number_hidden_follows_the_cosine_and_kept_tokens_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = text_model().eval()
    seen = _watched(net, monkeypatch)
    config = dataclasses.replace(FREELY, steps=10)
    out, _ = sample_tokens(net, torch.randn(1, 6), torch.tensor([49]), generator=seeded(1),
                           config=config)  # fmt: skip
    hidden = [int((t == 12).sum()) for t in seen]
    assert hidden == [49, 48, 46, 43, 39, 34, 28, 22, 15, 7]
    for before, after in zip(seen, [*seen[1:], out[..., 0]], strict=True):
        assert torch.equal(after[before != 12], before[before != 12])


def test_passes_that_would_keep_nothing_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    net = text_model().eval()
    seen = _watched(net, monkeypatch)
    sample_tokens(net, torch.randn(1, 6), torch.tensor([3]), generator=seeded(1))
    assert len(seen) == 3  # not 20: each pass keeps one of three tokens


def test_guidance_of_features_is_guidance_of_logits() -> None:
    net = text_model().eval()
    y, where = torch.randn(4, 5, 32), torch.rand(2, 5) < 0.5
    logits = net.masked.leave(y)
    wanted = logits[2:] + 3.5 * (logits[:2] - logits[2:])
    got = net.masked.leave(sampling._guided(y, where, 3.5))
    assert torch.allclose(got, wanted[where], atol=1e-5)


def test_without_guidance_the_unconditional_half_is_not_computed() -> None:
    net = text_model().eval()
    forward, sizes = net.masked.trunk.forward, []
    net.masked.trunk.forward = lambda x, *rest: sizes.append(len(x)) or forward(x, *rest)
    for guidance in (1.0, 2.0):
        config = dataclasses.replace(FREELY, guidance=guidance, steps=1)
        sample_tokens(net, torch.randn(2, 6), torch.tensor([5, 5]), generator=seeded(0, 1),
                      config=config)  # fmt: skip
    assert sizes == [2, 4]


def test_draws_follow_the_probabilities() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).expand(20_000, 4)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0))

    def shares(temperature: float = 1.0, **changes: float) -> list[float]:
        codes, sure = sampling._draw(
            logits, uniform, temperature, SamplingConfig(**{"top_share": 1.0, **changes})
        )
        found = torch.bincount(codes, minlength=4) / len(codes)
        for code in codes.unique():
            assert sure[codes == code].mean() == pytest.approx(float(found[code]), abs=0.02)
        return found.tolist()

    assert shares() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.02)
    assert shares(top_share=0.5) == pytest.approx([0.625, 0.375, 0, 0], abs=0.02)
    assert shares(top_p=0.6) == pytest.approx([0.625, 0.375, 0, 0], abs=0.02)
    assert shares(top_p=0.4) == [1, 0, 0, 0]
    assert shares(temperature=0.0) == [1, 0, 0, 0]


def test_the_starting_view_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    net = text_model().eval()
    told: list[torch.Tensor] = []
    condition = net.masked.trunk.condition
    monkeypatch.setattr(
        net.masked.trunk, "condition",
        lambda text, drop, view=None: told.append(view) or condition(text, drop, view),
    )  # fmt: skip
    text, lengths = torch.randn(1, 6), torch.tensor([4])
    sample_tokens(net, text, lengths, generator=seeded(0), config=SamplingConfig(view=7))
    sample_tokens(net, text, lengths, generator=seeded(0), view=torch.tensor([3]))
    sample_tokens(net, text, lengths, generator=seeded(0))
    assert [int(view[0]) for view in told] == [7, 3, int(net.view(text).argmax())]


@pytest.mark.parametrize(
    "changes",
    [{"steps": 0}, {"temperature": -1.0}, {"top_share": 0.0}, {"top_p": 1.5}, {"layers": 0},
     {"view": 12}, {"guidance": float("nan")}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes: dict) -> None:
    with pytest.raises(UsageError, match="sampling"):
        SamplingConfig(**changes)


def test_sampling_leaves_the_model_and_the_global_draws_alone() -> None:
    net = text_model().eval()
    before = copy.deepcopy(net.state_dict())
    torch.manual_seed(1)
    first = torch.rand(1)
    torch.manual_seed(1)
    sample_tokens(
        net, torch.randn(1, 6, generator=seeded(0)[0]), torch.tensor([5]), generator=seeded(0)
    )
    assert torch.equal(torch.rand(1), first)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())

"""Padding never reaches a sequence's own steps, forwards or backwards, in any layer."""

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from motionkit.models.k2m.layers import (  # noqa: E402
    Attention,
    AttentionBlock,
    Halve,
    Recompute,
    ResidualBlock,
    TemporalConv,
)

WIDTH = 8
#: Layer → its output [B, T', ...] for x [B, T, WIDTH] and real [B, T] bool.
Run = Callable[[nn.Module, Tensor, Tensor], Tensor]


def temporal(layer: nn.Module, x: Tensor, real: Tensor) -> Tensor:
    return layer(x, real[..., None].float())


def resized(layer: nn.Module, x: Tensor, real: Tensor) -> Tensor:
    out, mask = layer(x, real[..., None].float())
    assert mask.shape == (*out.shape[:2], 1)
    return out


def attending(layer: nn.Module, x: Tensor, real: Tensor) -> Tensor:
    return layer(x, real)


def side_by_side(layer: nn.Module, x: Tensor, real: Tensor) -> Tensor:
    return layer(torch.stack([x, x.flip(-1), -x], 2), real)


LAYERS: dict[str, tuple[Callable[[], nn.Module], Run, float]] = {
    "conv": (lambda: TemporalConv(WIDTH, 6), temporal, 1),
    "dilated conv": (lambda: TemporalConv(WIDTH, 6, 3, 3), temporal, 1),
    "wide conv": (lambda: TemporalConv(WIDTH, 6, 5, 2), temporal, 1),
    "residual block": (lambda: ResidualBlock(WIDTH, 3), temporal, 1),
    "halve": (lambda: Halve(WIDTH), resized, 0.5),
    "attention": (lambda: AttentionBlock(WIDTH, 2, 12), attending, 1),
    "attention side by side": (lambda: AttentionBlock(WIDTH, 2, 12), side_by_side, 1),
}


def gradients(
    layer: nn.Module, run: Run, x: Tensor, real: Tensor, steps: int
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The first steps' outputs, and what a loss on them gives to input and parameters."""
    given = x.clone().requires_grad_()
    out = run(layer, given, real)[:, :steps]
    weight = torch.linspace(-1, 1, out.numel()).view_as(out)
    found = torch.autograd.grad((out * weight).sum(), [given, *layer.parameters()])
    return out.detach(), found[0], list(found[1:])


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    pairs=st.integers(1, 9), odd=st.booleans(), padding=st.integers(1, 9), seed=st.integers(0, 9)
)
def test_a_padded_sequence_is_the_sequence_alone(
    name: str, pairs: int, odd: bool, padding: int, seed: int
) -> None:
    make, run, scale = LAYERS[name]
    torch.manual_seed(seed)
    layer = make()
    whole = 2 * pairs  # an even number of steps, the last of them padding where `odd`
    length = whole - odd
    x = torch.randn(1, whole + 2 * padding, WIDTH)
    x[:, length:] *= 1e3
    real = torch.arange(x.shape[1])[None] < length
    steps = -(-length // 2) if scale == 0.5 else int(length * scale)
    out, to_input, to_layer = gradients(layer, run, x, real, steps)
    alone = gradients(layer, run, x[:, :whole].clone(), real[:, :whole], steps)
    torch.testing.assert_close(out, alone[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(to_input[:, :whole], alone[1], rtol=1e-4, atol=1e-5)
    assert not to_input[:, length:].any()
    for got, expected in zip(to_layer, alone[2], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_halving_keeps_a_step_of_which_one_frame_is_real() -> None:
    _, real = Halve(WIDTH)(
        torch.randn(1, 6, WIDTH), torch.tensor([1.0, 1, 1, 0, 0, 0])[None, :, None]
    )
    assert real.flatten().tolist() == [1, 1, 0]


def test_sequences_side_by_side_are_each_alone() -> None:
    torch.manual_seed(0)
    attention = Attention(WIDTH, 2)
    x = torch.randn(3, 7, 5, WIDTH)
    keys = torch.arange(7)[None] < torch.tensor([7, 4, 1])[:, None]
    together = attention(x, keys)
    for s in range(5):
        torch.testing.assert_close(together[:, :, s], attention(x[:, :, s].contiguous(), keys))


@pytest.mark.parametrize("how", Recompute)
def test_what_is_computed_again_draws_the_same_dropout(how: Recompute) -> None:
    torch.manual_seed(0)
    block = AttentionBlock(WIDTH, 2, 12, dropout=0.5).double().train()
    x = torch.randn(1, 3, WIDTH, dtype=torch.float64, requires_grad=True)

    def run(given: Tensor) -> Tensor:
        torch.manual_seed(3)
        return block(given, None, how)

    assert torch.autograd.gradcheck(run, x)

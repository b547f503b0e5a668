import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from torch import Tensor  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

from benchmarks.adapter_memory import plain_dstformer  # noqa: E402
from motionkit.models.k2m import dstformer  # noqa: E402
from motionkit.models.k2m.dstformer import DSTformer  # noqa: E402

GROUP = dstformer.GROUP


def small(checkpoint: bool = False) -> DSTformer:
    torch.manual_seed(0)
    model = DSTformer(32, 4, 2.0, checkpoint=checkpoint)
    torch.nn.init.normal_(model.fuse.weight)  # zero at the start, which would hide the streams
    return model


def batch(frames: int = 12) -> tuple[Tensor, Tensor]:
    """Clips of 12, 7, 12, 1 and 9 frames."""
    torch.manual_seed(1)
    real = torch.arange(frames)[None] < torch.tensor([12, 7, 12, 1, 9])[:, None]
    return torch.randn(5, frames, 6, 32), real


def run(model: DSTformer, x: Tensor, real: Tensor, *, obvious: bool = False) -> list[Tensor]:
    """Output on real steps, gradients of input and of every parameter."""
    given = x.clone().requires_grad_()
    y = plain_dstformer(model, given, real) if obvious else model(given, real)
    y = y * real[..., None, None]
    weight = torch.linspace(-1, 1, y.numel()).view_as(y)
    found = torch.autograd.grad((y * weight).sum(), [given, *model.parameters()])
    return [y.detach(), *found]


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("group", [2 * 12 * 6 * 32, GROUP])
def test_equals_the_obvious_form(
    checkpoint: bool, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dstformer, "GROUP", group)
    model, (x, real) = small(checkpoint), batch()
    expected = run(model, x, real, obvious=True)
    for got, wanted in zip(run(model, x, real), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(model(x, real) * real[..., None, None], expected[0])


def test_no_mask_where_all_is_real() -> None:
    model, (x, _) = small(), batch()
    real = torch.ones(5, 12, dtype=torch.bool)
    torch.testing.assert_close(model(x, real), plain_dstformer(model, x, real))


def test_a_clip_is_the_same_alone() -> None:
    model, (x, real) = small(), batch()
    x[~real] = 1e3
    together = model(x, real)
    alone = model(x[1:2, :7], torch.ones(1, 7, dtype=torch.bool))
    torch.testing.assert_close(together[1:2, :7], alone)


def test_its_parts_keep_their_names() -> None:
    names = set(small().state_dict())
    assert {
        "fuse.weight",
        "joints_first.0.attention.qkv.weight",
        "time_first.1.mlp.2.bias",
    } <= names
    assert len(names) == 2 + 4 * 12


def kept(model: DSTformer, x: Tensor, real: Tensor) -> tuple[float, set[str]]:
    """What a forward pass leaves in memory, in tensors of the input's size; the operators used."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        y = model(x, real)
    left = sum(event.self_cpu_memory_usage for event in record.events())
    assert y.requires_grad
    return left / (x.numel() * 4), {event.name for event in record.events()}


def test_what_stays_for_the_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a mask no T × T matrix: of 64 frames and 4 heads it would be 8 inputs' size."""
    torch.manual_seed(0)
    x = torch.randn(2, 64, 18, 32, requires_grad=True)
    real = torch.arange(64)[None] < torch.tensor([64, 40])[:, None]
    whole, names = kept(small(), x, real)
    assert "aten::_scaled_dot_product_attention_math" not in names
    monkeypatch.setattr(dstformer, "GROUP", 1)
    cheap, names = kept(small(), x, real)
    assert "aten::_scaled_dot_product_attention_math" not in names
    least, _ = kept(small(checkpoint=True), x, real)
    assert least < 4 * 2 + 3 < cheap < 3 * 6 + 2 + 3 < whole < 4 * 12 + 5


def test_compiles_as_one_graph_with_what_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dstformer, "GROUP", 2 * 12 * 6 * 32)
    model, (x, real) = small(checkpoint=True), batch()
    expected = model(x, real)
    got = torch.compile(model, backend="eager", fullgraph=True)(x, real)
    torch.testing.assert_close(got[real], expected[real])

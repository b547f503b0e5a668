"""The loss of K2M's second stage on data at the edges."""

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from motionkit.training.k2m_config import TextTraining  # noqa: E402
from motionkit.training.k2m_text import TextStage  # noqa: E402
from motionkit.training.task import Batch  # noqa: E402
from tests.models.k2m.tiny import text_model  # noqa: E402


def batch(lengths: list[int], layers: int) -> Batch:
    size = len(lengths)
    tokens = torch.randint(12, (size, max(lengths), layers))
    return Batch(
        {
            "tokens": tokens, "lengths": torch.tensor(lengths), "text": torch.randn(size, 6),
            "drop": torch.ones(size, 2), "view": torch.zeros(size, dtype=torch.long),
        },
        (),
    )  # fmt: skip


def stage() -> TextStage:
    return TextStage(None, TextTraining(residual_every=1))  # type: ignore[arg-type]


def test_of_a_clip_longer_than_the_longest_motion_the_start_counts() -> None:
    net = text_model(layers=2).eval()
    drawn = batch([200, 30], 2)
    other = Batch({**drawn.tensors, "tokens": drawn["tokens"].clone()}, ())
    other["tokens"][:, net.longest :] = 3
    losses = []
    for each in (drawn, other):
        torch.manual_seed(0)
        loss, numbers = stage().loss(net, each, 0)
        assert torch.isfinite(loss) and "residual" in numbers
        losses.append(loss)
    assert torch.equal(*losses)


def test_a_quantiser_of_one_layer_trains_without_residual_layers() -> None:
    net = text_model(layers=1)
    loss, numbers = stage().loss(net, batch([9, 5], 1), 0)
    loss.backward()
    assert "residual" not in numbers and torch.isfinite(loss)


def test_the_length_predictor_learns_the_lengths_of_a_text() -> None:
    from motionkit.models.k2m.sampling import predicted_lengths

    net = text_model()
    torch.manual_seed(0)
    text = torch.randn(2, 6)
    net.fit_text(text)
    lengths = torch.tensor([[8, 10, 12, 14, 16, 18, 20, 22], [40, 40, 40, 40, 40, 40, 40, 60]])
    optimiser = torch.optim.Adam(net.length.parameters(), lr=1e-2)
    for _ in range(200):
        which = torch.randint(2, (32,))
        drawn = lengths[which, torch.randint(8, (32,))]
        loss = net.length.loss(text[which], drawn - 1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert predicted_lengths(net, text).tolist() in ([18, 40], [20, 40])  # three in four
    share = net.length(text).detach().softmax(-1)
    for row in range(2):
        for length in lengths[row].unique().tolist():
            real = (lengths[row] == length).float().mean()
            assert share[row, length - 1] == pytest.approx(float(real), abs=0.1)

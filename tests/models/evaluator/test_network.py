from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from motionkit.errors import UsageError  # noqa: E402
from motionkit.models.evaluator.config import EvaluatorConfig  # noqa: E402
from motionkit.models.evaluator.network import Evaluator  # noqa: E402
from motionkit.training.k2m_data import padded  # noqa: E402
from tests.training.matched_clips import TEXTS, m2d_of  # noqa: E402

SMALL = EvaluatorConfig(
    dim=16, width=32, layers=2, heads=2, feed_forward=32, text_width=32, text_dim=8
)


@pytest.fixture
def network() -> Evaluator:
    torch.manual_seed(0)
    return Evaluator(SMALL).eval()


def motion(seed: int = 0, frames: int = 40) -> torch.Tensor:
    return torch.from_numpy(m2d_of(TEXTS[seed], seed, frames))


def embed(network: Evaluator, *clips: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network.embed_motion(*padded(list(clips), down=1))


@pytest.mark.parametrize("frames", [4, 5, 6, 7, 33])
def test_padding_changes_nothing(network: Evaluator, frames: int) -> None:
    alone = embed(network, motion(frames=frames))
    beside = embed(network, motion(frames=frames), motion(1, frames=64))
    assert torch.allclose(alone[0], beside[0], atol=2e-5)


def test_what_stands_in_the_padding_is_never_read(network: Evaluator) -> None:
    m2d, real = padded([motion(frames=20), motion(1, frames=40)], down=1)
    with torch.no_grad():
        before = network.embed_motion(m2d, real)[0]
        m2d[0, 20:, :17] = torch.tensor([9e3, -9e3, 1.0])
        after = network.embed_motion(m2d, real)[0]
    assert torch.equal(before, after)


def test_size_and_place_in_the_picture_do_not_matter(network: Evaluator) -> None:
    m2d = motion()
    moved = m2d.clone()
    moved[:, :17, :2] = m2d[:, :17, :2] * 2 + torch.tensor([50.0, -30.0])
    moved[:, 17, :2] *= 2
    assert torch.allclose(embed(network, m2d), embed(network, moved), atol=1e-4)


def test_which_points_were_seen_is_no_input(network: Evaluator) -> None:
    m2d = motion()
    unsure = m2d.clone()
    unsure[:, :17, 2] = torch.linspace(0.51, 1.0, 17)
    assert torch.equal(embed(network, m2d), embed(network, unsure))


def test_a_short_gap_hardly_shows(network: Evaluator) -> None:
    m2d = motion(3)
    gap = m2d.clone()
    gap[10:12, 5, 2] = 0.0
    other = embed(network, motion(8))
    near, far = embed(network, gap) - embed(network, m2d), other - embed(network, m2d)
    assert near.norm() < 0.2 * far.norm()


def test_order_in_time_matters(network: Evaluator) -> None:
    m2d = motion()
    assert not torch.allclose(embed(network, m2d), embed(network, m2d.flip(0)), atol=1e-3)


def test_embeddings_have_length_1(network: Evaluator) -> None:
    found = embed(network, motion(), motion(1))
    words = network.embed_text(torch.randn(3, 8))
    ones = torch.ones(2), torch.ones(3)
    assert torch.allclose(found.norm(dim=-1), ones[0]) and found.shape == (2, 16)
    assert torch.allclose(words.norm(dim=-1), ones[1])


def test_gradients_are_finite_where_nothing_is_seen_or_moves() -> None:
    network = Evaluator(SMALL)
    still = motion(frames=12)[:1].repeat(12, 1, 1)
    hidden = motion(1, frames=9)
    hidden[:, :17, 2] = 0.0
    m2d, real = padded([still, hidden], down=1)
    network.embed_motion(m2d, real).square().sum().backward()
    grads = [p.grad for p in network.motion.parameters() if p.grad is not None]
    assert grads and all(bool(torch.isfinite(g).all()) for g in grads)


def test_widths_that_do_not_fit_the_heads_are_refused() -> None:
    with pytest.raises(UsageError, match="width 30"):
        replace(SMALL, width=30, heads=4)


def test_equal_inputs_give_equal_bytes(network: Evaluator) -> None:
    a, b = (embed(network, motion(), motion(2)).numpy() for _ in range(2))
    assert a.tobytes() == b.tobytes() and np.isfinite(a).all()

import math

import pytest

torch = pytest.importorskip("torch")

from motionkit.models.evaluator.losses import info_nce, margin_loss  # noqa: E402


def unit(*rows: list[float]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows), dim=-1)


NONE = torch.zeros(2, 2, dtype=torch.bool)


def test_info_nce_of_two_pairs_is_the_closed_form() -> None:
    motions, texts = unit([1.0, 0.0], [0.0, 1.0]), unit([1.0, 0.0], [0.0, 1.0])
    found = info_nce(motions, texts, NONE, temperature=0.5)
    assert float(found) == pytest.approx(math.log(1 + math.exp(-2)), rel=1e-5)


def test_pairs_that_say_the_same_are_no_negatives() -> None:
    motions, texts = unit([1.0, 0.0], [1.0, 0.0]), unit([1.0, 0.0], [1.0, 0.0])
    assert float(info_nce(motions, texts, NONE, temperature=0.1)) == pytest.approx(math.log(2))
    assert float(info_nce(motions, texts, ~NONE, temperature=0.1)) == 0.0


def test_a_positive_is_never_left_out() -> None:
    motions, texts = unit([1.0, 0.0], [0.0, 1.0]), unit([0.0, 1.0], [1.0, 0.0])
    alike = torch.eye(2, dtype=torch.bool)  # the diagonal is the positives, whatever it says
    a = info_nce(motions, texts, alike, temperature=0.5)
    b = info_nce(motions, texts, NONE, temperature=0.5)
    assert float(a) == float(b) > 1.0


def test_no_gradient_comes_from_a_pair_that_is_left_out() -> None:
    texts = unit([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    motions = unit([1.0, 0.2, 0.1], [0.3, 1.0, 0.0], [0.1, 0.2, 1.0]).requires_grad_()
    alike = torch.zeros(3, 3, dtype=torch.bool)
    alike[0, 1] = alike[1, 0] = True
    info_nce(motions, texts, alike, temperature=0.1).backward()
    assert motions.grad is not None
    assert float(motions.grad[0, 1]) == 0.0 and float(motions.grad[0, 2]) != 0.0


def test_the_margin_loss_pulls_pairs_and_pushes_negatives_up_to_the_margin() -> None:
    motions, texts = unit([1.0, 0.0], [0.0, 1.0]), unit([1.0, 0.0], [0.0, 1.0])
    assert float(margin_loss(motions, texts, NONE, margin=1.0)) == 0.0  # √2 apart already
    far = margin_loss(motions, texts, NONE, margin=2.0)
    assert float(far) == pytest.approx((2 - math.sqrt(2)) ** 2, rel=1e-5)
    crossed = margin_loss(motions, texts.flip(0), NONE, margin=1.0)
    assert float(crossed) == pytest.approx(2 + 1, rel=1e-4)
    assert float(margin_loss(motions, texts.flip(0), ~NONE, margin=1.0)) == pytest.approx(2)

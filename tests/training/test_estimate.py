from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.errors import TrainingError, UsageError  # noqa: E402
from motionkit.training.estimate import TrainingEstimate, _counted, estimate_stage  # noqa: E402
from motionkit.training.k2m_config import (  # noqa: E402
    DistilTraining,
    K2MTrainConfig,
    check_tokens_per_step,
)
from motionkit.training.k2m_estimate import estimate_on  # noqa: E402
from motionkit.training.ranks import Ranks  # noqa: E402
from tests.training.test_k2m import clips, config  # noqa: E402
from tests.training.toy import ToyModel, ToyTask, options  # noqa: E402


def test_activations_are_counted_once_and_without_the_weights() -> None:
    layer = torch.nn.Linear(10, 20, bias=False)
    x = torch.randn(7, 10, requires_grad=True)
    with _counted(layer) as counter:
        torch.tanh(layer(x)).sum().backward()
    assert counter.bytes == (7 * 10 + 7 * 20) * 4  # the layer's input, tanh's output


def test_a_small_batch_predicts_a_large_one() -> None:
    def at(batch: int) -> float:
        task, model = ToyTask(batch), ToyModel()
        with _counted(model) as counter:
            task.loss(model, task.draw(2), 2)
        return counter.bytes

    whole, model, state = at(512), ToyModel(), torch.get_rng_state()
    found = estimate_stage(
        "line", model, options(batch=512), lambda o: ToyTask(o.batch), Ranks(), at_step=2
    )
    assert found.activations == pytest.approx(whole, rel=0.02)
    assert torch.equal(torch.get_rng_state(), state)
    values = 3 * 4 + 4 + 4 + 1 + 4 + 1
    assert (found.parameters, found.gradients, found.optimiser) == (values, 4 * values, 8 * values)
    assert found.weights == 4 * (values + 1)  # and a buffer
    assert found.memory == found.weights + 12 * values + found.activations
    assert 0 < found.step_seconds < 5 and found.seconds == 12 * found.step_seconds


def test_both_stages_of_k2m_are_estimated() -> None:
    c = config()
    large = replace(c, tokenizer=replace(c.tokenizer, batch=64, accumulate=2))
    small, big = estimate_on(c, clips()), estimate_on(large, clips())
    assert [stage.stage for stage in small.stages] == ["tokenizer", "text"]
    ratio = big.stages[0].activations / small.stages[0].activations
    assert ratio == pytest.approx(16, rel=0.15)
    assert big.stages[0].weights == small.stages[0].weights
    assert small.too_large == () and small.device == "cpu"
    table = small.as_dict()
    assert table["stages"][1]["steps"] == 6 and table["seconds"] > 0
    assert any("ms a step" in line for line in small.lines())


def test_further_rounds_are_counted() -> None:
    c = replace(config(), distil=DistilTraining(steps=5, rounds=3, batch=4))
    found = estimate_on(c, clips())
    assert [(s.stage, s.steps) for s in found.stages] == [
        ("tokenizer", 8), ("distil", 15), ("text", 6),
    ]  # fmt: skip
    assert found.stages[1].activations > found.stages[0].activations / 2


def test_what_does_not_fit_is_said() -> None:
    found = estimate_on(config(), clips())
    tight = TrainingEstimate(found.stages, "cpu", "fp32", 2, int(1.5 * found.stages[0].memory))
    assert "tokenizer" in tight.too_large
    assert any("does not fit: tokenizer" in line for line in tight.lines())
    with pytest.raises(TrainingError, match="no training clips"):
        estimate_on(config(), [])


def test_fewer_tokens_than_codes_are_refused_with_the_remedy() -> None:
    c = config()  # 4 windows of 16 frames, 4 frames a token: 16 tokens for 8 codes
    check_tokens_per_step(c)
    few = replace(c, tokenizer=replace(c.tokenizer, batch=1))
    with pytest.raises(UsageError, match=r"a step sees 4 tokens.*fewer than the 8 codes") as caught:
        check_tokens_per_step(few)
    assert "batch = 2 or more" in str(caught.value.hint)
    check_tokens_per_step(replace(few, tokenizer=replace(few.tokenizer, accumulate=2)))
    check_tokens_per_step(replace(few, devices=2))
    check_tokens_per_step(K2MTrainConfig())  # what `train k2m` does when told nothing

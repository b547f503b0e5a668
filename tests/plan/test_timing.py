"""Hours for a number of workers."""

import numpy as np
import pytest

from motionkit.plan.estimate import QUANTITIES, Totals
from motionkit.plan.population import Population, Video
from motionkit.plan.timing import seconds, slowdown
from motionkit.plan.trial import StepTrial, VideoCost

EVERYTHING = Population(
    tuple(Video(f"/{i}", "file", 1, 1.0, 1.0, 1, 30.0, True) for i in range(1000)), 1000, 0
)


def totals(scale: float = 100, **costs: float) -> Totals:
    zeros = {name: np.zeros(2) for name in QUANTITIES}
    given = {name: np.full(2, value) for name, value in costs.items()}
    return Totals({**zeros, **given}, np.full(2, scale), True)


def trial(mode: str = "items", **about: object) -> StepTrial:
    costs = [VideoCost(items=1, work_s=1.0) for _ in range(10)]
    made = StepTrial("detect", mode, costs, start_s={1: 2.0, 4: 5.0})
    for name, value in about.items():
        setattr(made, name, value)
    return made


def wall(made: StepTrial, what: Totals, workers: int) -> float:
    return float(seconds(made, what, EVERYTHING, workers, 4)[0])


def test_one_worker_takes_the_start_the_work_and_what_the_engine_does() -> None:
    assert wall(trial(gap_s=0.5), totals(work_s=1000), 1) == pytest.approx(2 + 1000 + 50)


def test_workers_share_the_work_but_slow_each_other_down() -> None:
    made = trial(slowdown=1.2)
    assert wall(made, totals(work_s=1000), 4) == pytest.approx(5 + 300)
    assert slowdown(made, 1, 4) == 1
    assert slowdown(made, 2, 4) == pytest.approx(1 + 0.2 / 3)
    assert slowdown(made, 16, 4) == pytest.approx(1.2)


def test_no_number_of_workers_shortens_what_the_engine_does_alone() -> None:
    made = trial(gap_s=3.0)
    assert wall(made, totals(work_s=1000), 1000) == pytest.approx(5 + 300)


def test_no_run_is_shorter_than_its_longest_item() -> None:
    assert wall(trial(longest_s=40.0), totals(work_s=100), 64) == pytest.approx(45)


def test_a_device_is_not_shared_out_to_workers() -> None:
    made = trial("batches", end_s=1.0)
    work = totals(work_s=400, device_s=300)
    assert wall(made, work, 1) == pytest.approx(2 + 400 + 1)
    assert wall(made, work, 4) == pytest.approx(5 + 300 + 1)
    made.device_names = ["cuda:0 fp16", "cuda:1 fp16"]
    assert wall(made, work, 4) == pytest.approx(5 + 150 + 1)


def test_calls_go_out_so_many_at_once() -> None:
    made = trial("calls", at_once=8)
    assert wall(made, totals(work_s=8, call_s=800), 4) == pytest.approx(5 + 100)

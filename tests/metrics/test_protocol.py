import json

import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.metrics.protocol import Items, Settings, beside, interval, row, score_run


def items(count: int = 60, dim: int = 8, apart: float = 0.1) -> Items:
    rng = np.random.default_rng(0)
    motions = rng.normal(size=(count, dim))
    texts = np.repeat(motions, 2, 0) + apart * rng.normal(size=(2 * count, dim))
    names = [(f"a{i}", f"b{i}") for i in range(count)]
    flat = [text for pair in names for text in pair]
    return Items(motions, names, {text: i for i, text in enumerate(flat)}, texts)


def test_the_interval_is_1_96_sigma_over_the_root_of_the_runs() -> None:
    runs = [1.0, 2.0, 3.0, 4.0]
    found = interval(runs)
    assert found.mean == 2.5 and found.half == pytest.approx(1.96 * np.std(runs) / 2)
    assert interval([2.0]).half == 0.0
    assert str(found) == "2.500 ±1.096"


def test_every_run_draws_captions_anew_and_a_seed_repeats_them() -> None:
    made = items()
    assert made.drawn(0, 0) != made.drawn(1, 0)
    assert made.drawn(3, 0) == made.drawn(3, 0)
    assert all(text in own for text, own in zip(made.drawn(0, 0), made.captions, strict=True))


def test_real_motions_match_and_others_do_not() -> None:
    made, settings = items(), Settings(runs=4, pool=16)
    real = [score_run(made, made.motions, run, settings) for run in range(4)]
    other = np.random.default_rng(9).normal(size=made.motions.shape)
    wrong = [score_run(made, other, run, settings) for run in range(4)]
    a, b = row("ground truth", real, 60), row("generated", wrong, 60)
    assert a.scores["top_1"].mean > 0.95 and b.scores["top_1"].mean < 0.3
    assert a.scores["mm_dist"].mean < b.scores["mm_dist"].mean
    assert np.isnan(a.scores["fid"].mean)  # a set's distance from itself says nothing
    assert a.scores["fid_halves"].mean > 0
    again = [score_run(made, made.motions, run, settings) for run in range(4)]
    assert json.dumps(real) == json.dumps(again)


def test_halves_hold_one_half_against_the_other_half_of_the_real_set() -> None:
    made, settings = items(), Settings(runs=1, pool=4)
    shifted = made.motions + 5.0
    floor = score_run(made, made.motions, 0, settings)["fid_halves"]
    found = score_run(made, shifted, 0, settings)
    assert found["fid"] == pytest.approx(25 * 8)
    # the same halves, so the covariances are the floor's; only the means moved
    assert found["fid_halves"] > 100 > floor


def test_what_must_be_read_with_a_score_stands_beside_it() -> None:
    found = beside(items(), Settings(runs=4, pool=16))
    assert found["n"] == 60 and found["pool"] == 16 and found["embedding"] == 8
    assert found["chance"] == {"top_1": 1 / 16, "top_2": 2 / 16, "top_3": 3 / 16}
    assert found["diversity_pairs"] == 30 and found["fid_halves_n"] == 30
    assert found["fid_covariance_full"] is True
    json.dumps(found)


@pytest.mark.parametrize("bad", [{"runs": 0}, {"pool": 1}])
def test_settings_that_measure_nothing_are_refused(bad: dict) -> None:
    with pytest.raises(UsageError):
        Settings(**bad)


def test_nan_is_null_in_files() -> None:
    made = items()
    scored = row("x", [score_run(made, made.motions, 0, Settings(runs=1, pool=4))], 60)
    assert scored.plain()["scores"]["fid"]["mean"] is None
    json.dumps(scored.plain(), allow_nan=False)

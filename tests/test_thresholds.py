"""Names of thresholds, and the values that a sweep tries."""

import dataclasses
from pathlib import Path

import pytest

from motionkit.errors import UsageError
from motionkit.stages.filter import Filter
from motionkit.thresholds import THRESHOLDS, parse_sweep, settings_in_full, sweep_values, threshold


def test_every_parameter_has_one_dotted_name() -> None:
    assert [t.parameter for t in THRESHOLDS] != []
    assert {t.parameter for t in THRESHOLDS} == {f.name for f in dataclasses.fields(Filter)}
    assert len({t.alias for t in THRESHOLDS}) == len(THRESHOLDS)
    for known in THRESHOLDS:
        assert threshold(known.alias) == threshold(known.parameter) == known


def test_settings_take_either_name() -> None:
    given = ["camera.max=0.002", "min_s = 3", "speed.max=1e9"]
    assert settings_in_full(given) == ["camera_max=0.002", "min_s= 3", "speed_max_bh_s=1e9"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [("camera.mx=1", "camera.max"), ("speed_max=1", "speed.max"), ("boxheight.min=1", "box")],
)
def test_an_unknown_name_is_answered_with_the_nearest(text: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{meant}") as error:
        settings_in_full([text])
    assert "clip.max_s" in str(error.value.hint)


def test_a_setting_needs_a_value() -> None:
    with pytest.raises(UsageError, match="THRESHOLD=VALUE"):
        settings_in_full(["camera.max"])


def test_sweeps_go_from_half_to_twice_and_shares_stay_below_one() -> None:
    assert sweep_values(Filter(), threshold("speed.max")) == [2.5, 3.75, 5.0, 7.5, 10.0]
    shares = sweep_values(Filter(), threshold("confident_share.min"))
    assert shares == [0.375, 0.5625, 0.75, 0.8125, 0.875]
    # A clip of 6 s at least would not go into 10 s twice.
    assert sweep_values(Filter(), threshold("clip.min_s")) == [1.0, 1.5, 2.0, 3.0, 4.0]
    assert sweep_values(Filter(min_s=4.0), threshold("clip.min_s")) == [2.0, 3.0, 4.0]


def test_a_sweep_is_one_threshold_with_values_or_all_of_them() -> None:
    assert parse_sweep("camera.max=0.002,0.001", Filter()) == {"camera_max": [0.001, 0.002]}
    assert set(parse_sweep("all", Filter())) == {t.parameter for t in THRESHOLDS}
    for wrong in ("camera.max=a", "nothing", "camera.max=-1", "clip.min_s=9"):
        with pytest.raises(UsageError):
            parse_sweep(wrong, Filter())


def test_the_page_lists_every_threshold_with_its_default() -> None:
    page = (Path(__file__).parent.parent / "docs" / "filter.md").read_text("utf-8")
    for known in THRESHOLDS:
        default = getattr(Filter(), known.parameter)
        assert f"| `{known.alias}` | `{known.parameter}` | {default} |" in page

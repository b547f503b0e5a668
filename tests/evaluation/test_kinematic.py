import pytest

from motionkit.evaluation.kinematic import measure, named
from motionkit.synth.motions import motion


@pytest.mark.parametrize(
    "kind,expected",
    [
        ("walk", ("walks",)),
        ("wave_left", ("waves left",)),
        ("wave_right", ("waves right",)),
        ("squat", ("squats",)),
        ("look_around", ()),
        ("clap", ()),
        ("bow", ()),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_synthetic_motions_are_told_apart(kind: str, expected: tuple[str, ...], seed: int) -> None:
    joints, _ = motion(kind, seed=seed).joints()
    assert named(measure(joints, 30.0)) == expected

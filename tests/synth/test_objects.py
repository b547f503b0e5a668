"""The world of objects: plans, wordings, exact tracks against the pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.synth.objects import phrases
from motionkit.synth.objects.courses import LINEAR, SPEEDS
from motionkit.synth.objects.motions import MOTIONS
from motionkit.synth.objects.painter import _lay, paint, skins_of
from motionkit.synth.objects.relations import RELATED
from motionkit.synth.objects.scene import plan_scene
from motionkit.synth.objects.shapes import REACH, SHAPES, outline
from motionkit.synth.objects.skins import Skin, texel
from motionkit.synth.objects.spec import WorldSpec
from motionkit.synth.objects.truth import OCCLUDED, OUTSIDE, TURNED_AWAY, grid_points, make_truth
from motionkit.synth.objects.warp import Warp
from motionkit.synth.objects.wording import RELATIONS, Look, Speaker

SMALL = WorldSpec(width=240, height=160, frames=12, camera=0.0)


def painted(spec: WorldSpec, number: int):  # type: ignore[no-untyped-def]
    scene = plan_scene(spec, "train", number)
    skins = skins_of(spec, scene)
    pictures, owners = zip(*paint(spec, scene, skins), strict=True)
    none = [[None] * spec.frames for _ in skins]
    return scene, make_truth(spec, scene, skins, none), np.stack(pictures), np.stack(owners)


def test_every_motion_has_words_and_there_are_enough() -> None:
    assert len(MOTIONS) + len(RELATED) >= 40
    assert {m.family for m in MOTIONS.values()} == set(phrases.VERBS)
    assert len(phrases.VERBS) >= 20
    assert {m.direction for m in MOTIONS.values()} - {""} == set(phrases.DIRECTIONS)


@pytest.mark.parametrize(
    "table",
    [phrases.VERBS, phrases.DIRECTIONS, phrases.ADVERBS, phrases.CAMERA, RELATIONS],
)
def test_held_out_words_are_in_no_training_half(table) -> None:  # type: ignore[no-untyped-def]
    trained = {x for first, _ in table.values() for x in first}
    for _, second in table.values():
        assert second and not trained & set(second)
    for halves in (phrases.TEMPLATES, phrases.GROUPS):
        assert not set(halves[0]) & set(halves[1])


def test_a_held_out_sentence_has_a_verb_that_training_never_has() -> None:
    trained = {form for first, _ in phrases.VERBS.values() for pair in first for form in pair}
    look = Look(shape="star", colour="red", pattern="plain")
    for seed in range(60):
        motion = list(MOTIONS.values())[seed % len(MOTIONS)]
        speaker = Speaker(np.random.default_rng(seed), True, "still")
        said = speaker.single(0, look, motion.name, motion.direction, "slow")
        new = [form for pair in phrases.VERBS[motion.family][1] for form in pair]
        assert said.held_out and any(form in said.text for form in new), said.text
        assert not any(f" {form} " in f" {said.text} " for form in trained if " " in form)


def test_training_sentences_state_direction_and_speed() -> None:
    look = Look(shape="circle", colour="orange", pattern="striped")
    for seed in range(40):
        speaker = Speaker(np.random.default_rng(seed), False, "pan_left")
        said = speaker.single(2, look, "move_left", "left", "fast")
        assert said.objects == (2,) and (said.direction, said.speed) == ("left", "fast")
        assert any(word in said.text.split() for word in ["left", "leftwards"])
        assert any(word in said.text for word in phrases.ADVERBS["fast"][0])
        assert any(word in said.text for word in phrases.CAMERA["pan_left"][0])
        assert " a orange" not in f" {said.text}"


@pytest.mark.parametrize("way", ["left", "right", "up", "down"])
@pytest.mark.parametrize("speed", SPEEDS)
def test_speed_words_mean_their_range_and_directions_are_obeyed(way: str, speed: str) -> None:
    spec = WorldSpec(motions=(f"move_{way}",), camera=0.0, deforming=0.0)
    seen = False
    for number in range(12):
        (thing,) = plan_scene(spec, "train", number).things
        if thing.speed != speed:
            continue
        seen = True
        centre = thing.transform[:, :2] / [spec.width, spec.height]
        velocity = (centre[-1] - centre[0]) / (len(centre) - 1) * spec.fps
        axis, sign = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}[way]
        low, high = LINEAR[speed]
        assert low <= velocity[axis] * sign <= high
        assert abs(velocity[1 - axis]) < 1e-9
    assert seen


def test_things_start_inside_the_picture() -> None:
    spec = WorldSpec(camera=0.0)
    for number in range(len(MOTIONS) + len(RELATED)):
        for thing in plan_scene(spec, "train", number).things:
            x, y = thing.transform[0, :2]
            assert 0 <= x <= spec.width and 0 <= y <= spec.height, (number, thing.motion)


def test_a_warp_is_undone_exactly() -> None:
    rng = np.random.default_rng(0)
    affine = rng.normal(0, 30, (5, 2, 3))
    wave = rng.uniform(0.05, 3, (5, 6))
    wave[:, [0, 3]] *= 0.04
    warp = Warp(affine, wave, np.ones(5))
    points = rng.uniform(-1, 1, (20, 2))
    pixels = warp.to_pixels(points)
    for frame in range(5):
        np.testing.assert_allclose(warp.from_pixels(frame, pixels[frame]), points, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_fill_their_square(shape: str) -> None:
    points = np.concatenate(outline(shape, np.random.default_rng(3)))
    assert np.abs(points).max() == pytest.approx(REACH)
    np.testing.assert_allclose(points.min(0) + points.max(0), 0, atol=1e-9)


def test_the_same_number_gives_the_same_pictures_and_another_others() -> None:
    first, second, third = painted(SMALL, 3), painted(SMALL, 3), painted(SMALL, 4)
    assert (first[2] == second[2]).all() and (first[3] == second[3]).all()
    assert first[0].sentences == second[0].sentences
    assert (first[2][0] != third[2][0]).any()


def dotted(place: np.ndarray, side: int = 256) -> Skin:
    """A black square with one soft white dot, small against the waves of a wobble."""
    y, x = np.mgrid[0:side, 0:side]
    u, v = texel(place, side)
    light = 255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 3.0**2))
    coat = np.dstack([light] * 3 + [np.full((side, side), 255.0)]).round().astype(np.uint8)
    levels = tuple(
        cv2.resize(coat, (side >> k, side >> k), interpolation=cv2.INTER_AREA) for k in range(3)
    )
    return Skin(levels, levels)


@pytest.mark.parametrize("deforming", [0.0, 1.0])
def test_tracks_are_exact_to_a_tenth_of_a_pixel(deforming: float) -> None:
    """A dot is drawn where the tracks say that it is: measured by its centre of light."""
    spec = WorldSpec(
        frames=12, camera=1.0, deforming=deforming,
        motions=("move_left", "spin_clockwise", "approach", "swing", "recede", "zigzag_right"),
    )  # fmt: skip
    errors = []
    y, x = np.mgrid[0 : spec.height, 0 : spec.width]
    for number in range(12):
        (thing,) = plan_scene(spec, "train", number).things
        place = np.random.default_rng(number).uniform(-0.5, 0.5, 2)
        skin = dotted(place)
        track = thing.warp.to_pixels(place[None])[:, 0]
        for frame in range(0, spec.frames, 3):
            picture = np.zeros((spec.height, spec.width, 3), np.uint8)
            _lay(picture, np.zeros((spec.height, spec.width), np.uint8), 1, thing, skin, frame)
            light = picture[..., 0].astype(float)
            if not (30 < track[frame, 0] < 610 and 30 < track[frame, 1] < 330):
                continue
            centre = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
            errors.append(np.abs(centre - track[frame]).max())
    assert len(errors) >= 30
    assert max(errors) < 0.1
    assert np.mean(errors) < 0.05


def test_occlusion_agrees_with_the_masks() -> None:
    spec = WorldSpec(width=320, height=180, frames=40, camera=0.0)
    number = [*MOTIONS, *RELATED].index("cross")
    scene, truth, _, owners = painted(spec, number)
    assert [t.motion for t in scene.things] == ["cross", "cross"]
    tracks, hidden = truth.tracks_of(0, grid_points(truth.objects[0].alpha))
    assert (hidden == OCCLUDED).any() and (hidden[0] == 0).all()
    inside = hidden != OUTSIDE
    t, n = np.nonzero(inside)
    x, y = np.round(tracks[inside]).astype(int).T
    agree = (owners[t, y, x] == 1) == (hidden[t, n] == 0)
    assert agree.mean() > 0.98  # but for rounding at the outline


def test_the_side_that_is_turned_away_is_not_visible() -> None:
    spec = WorldSpec(motions=("flip",), camera=0.0, deforming=0.0)
    seen = set()
    for number in range(4):
        _, truth, _, _ = painted(
            WorldSpec(**{**spec.as_dict(), "width": 160, "height": 96}), number
        )
        _, hidden = truth.tracks_of(0, grid_points(truth.objects[0].alpha))
        front = truth.objects[0].warp.facing > 0.15
        assert (hidden[~front] == TURNED_AWAY).all() and (hidden[front] != TURNED_AWAY).all()
        seen |= set(front.tolist())
    assert seen == {True, False}


def test_points_beside_every_object_are_nobodys() -> None:
    _, truth, _, owners = painted(SMALL, 0)
    y, x = np.argwhere(owners[0] == 0)[0]
    tracks, visible, owner = truth.truth_of(np.array([[x, y]], float))
    assert owner[0] == -1 and np.isnan(tracks).all() and not visible.any()


@pytest.mark.parametrize(
    "wrong",
    [{"motions": ("fly",)}, {"width": 10}, {"frames": 1}, {"sentences": 0}, {"objects": 5},
     {"held_out": 1.5}, {"quality": 0}],
)  # fmt: skip
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        WorldSpec(**wrong)  # type: ignore[arg-type]

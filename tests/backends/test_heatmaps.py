"""Heatmaps → keypoints: the same numbers as transformers' own, keypoint by keypoint."""

import numpy as np
import pytest

from motionkit.backends.heatmaps import highest

pytest.importorskip("scipy")


def blobs(people: int, seed: int) -> np.ndarray:
    """Heatmaps [people, 17, 64, 48] with round tops anywhere, also beyond the edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :48]
    at = rng.uniform([-1.5, -1.5], [48.5, 64.5], (people, 17, 2))[..., None, None, :]
    tops = np.exp(-((x - at[..., 0]) ** 2 + (y - at[..., 1]) ** 2) / 8)
    tops *= rng.uniform(0.05, 1.1, (people, 17, 1, 1))
    return (tops + rng.normal(0, 0.003, tops.shape)).astype(np.float32)


def theirs(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pytest.importorskip("transformers")
    from motionkit.backends.vitpose import library_of, processor_class

    library = library_of(processor_class()())
    places, values = library.get_keypoint_predictions(maps)
    return library.post_dark_unbiased_data_processing(places, maps, kernel=11), values[..., 0]


@pytest.mark.parametrize("kind", ["round", "rough", "faint"])
def test_places_and_values_are_those_of_the_library(kind: str) -> None:
    rng = np.random.default_rng(3)
    maps = {
        "round": blobs(24, 1),
        "rough": rng.random((8, 17, 64, 48), dtype=np.float32),
        "faint": np.abs(rng.normal(0, 1e-3, (8, 17, 64, 48))).astype(np.float32),
    }[kind]
    places, values = highest(maps)
    expected, heights = theirs(maps)
    np.testing.assert_allclose(places, expected, rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(values, heights)


def test_a_round_top_is_found_below_a_pixel() -> None:
    y, x = np.mgrid[:64, :48]
    maps = np.exp(-((x - 20.3) ** 2 + (y - 31.6) ** 2) / 8)[None, None].astype(np.float32)
    places, values = highest(np.repeat(maps, 17, 1))
    np.testing.assert_allclose(places[0], np.tile([20.3, 31.6], (17, 1)), atol=0.02)
    assert values[0, 0] == maps.max()


def test_nothing_above_zero_has_no_place_and_moves_nobody_else() -> None:
    maps = blobs(3, 5)
    alone, _ = highest(maps)
    maps[1] = -0.5
    places, values = highest(maps)
    assert not places[1].any() and not values[1].any()
    np.testing.assert_array_equal(places[[0, 2]], alone[[0, 2]])


def test_a_flat_heatmap_stays_where_it_is() -> None:
    places, values = highest(np.full((1, 17, 64, 48), 0.25, np.float32))
    assert not places.any()
    assert (values == 0.25).all()

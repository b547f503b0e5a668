import itertools

import pytest

torch = pytest.importorskip("torch")

from motionkit.generation.windows import Window, overlap_tokens, plan  # noqa: E402


def drawn(free: list[bool], windows: list[Window], texts: list[int]) -> list[int]:
    """Which window draws each token; asserts that it is drawn once, for its text."""
    left = list(free)
    found = [-1] * len(free)
    for i, w in enumerate(windows):
        for place in range(w.start, w.stop):
            if left[place]:
                left[place], found[place] = False, i
                assert texts[place] == w.text
    assert not any(left)
    return found


def test_what_fits_is_drawn_in_one_window() -> None:
    assert plan([True] * 20, [0] * 20, limit=20, overlap=5) == [Window(0, 20, 0)]


@pytest.mark.parametrize("size", [21, 35, 36, 97, 1000])
def test_longer_motions_are_cut_into_even_windows_that_overlap(size: int) -> None:
    windows = plan([True] * size, [0] * size, limit=20, overlap=5)
    owner = drawn([True] * size, windows, [0] * size)
    counts = [owner.count(i) for i in range(len(windows))]
    assert max(w.stop - w.start for w in windows) <= 20
    assert max(counts) - min(counts) <= 1
    assert all(b.start == a.stop - 5 for a, b in itertools.pairwise(windows))
    assert len(windows) <= -(-size // 15) + 1


def test_a_gap_sees_both_sides() -> None:
    free = [False] * 30 + [True] * 8 + [False] * 30
    assert plan(free, [0] * 68, limit=20, overlap=5) == [Window(25, 43, 0)]
    free = [False] * 30 + [True] * 40 + [False] * 30
    windows = plan(free, [0] * 100, limit=20, overlap=5)
    drawn(free, windows, [0] * 100)
    assert windows[0].start == 25 and windows[-1].stop == 75
    assert max(w.stop - w.start for w in windows) <= 20


def test_each_text_has_windows_of_its_own() -> None:
    texts = [0] * 10 + [1] * 30
    windows = plan([True] * 40, texts, limit=20, overlap=5)
    drawn([True] * 40, windows, texts)
    assert windows[0] == Window(0, 10, 0)
    assert windows[1].start == 5 and {w.text for w in windows[1:]} == {1}


def test_nothing_free_needs_no_window() -> None:
    assert plan([False] * 9, [0] * 9, limit=20, overlap=5) == []


def test_overlaps_leave_room_to_draw() -> None:
    assert overlap_tokens(1.0, 7.5, 80) == 8
    assert overlap_tokens(60.0, 7.5, 80) == 26
    assert overlap_tokens(0.01, 7.5, 80) == 1
    with pytest.raises(ValueError, match="leaves nothing"):
        plan([True] * 30, [0] * 30, limit=5, overlap=5)

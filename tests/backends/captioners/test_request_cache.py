"""Answers that were paid for."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from motionkit.backends.captioners import Answer
from motionkit.backends.captioners.request_cache import DamagedAnswerWarning, RequestCache
from motionkit.errors import MotionkitError

KEY = "ab" * 32
ANSWER = Answer("A person waves — twice.", "toy", "stop", 10, 5, None)


def never() -> Answer:
    raise AssertionError("asked")


def test_an_answer_is_asked_for_once_and_found_again(tmp_path: Path) -> None:
    cache = RequestCache(tmp_path / "c")
    assert cache.get(KEY) is None
    assert cache.answer(KEY, lambda: ANSWER, {"prompt": "p"}) == ANSWER
    assert RequestCache(tmp_path / "c").answer(KEY, never) == ANSWER
    (file,) = (tmp_path / "c").rglob("*.json")
    assert file.relative_to(tmp_path / "c").as_posix() == f"ab/{KEY}.json"
    assert json.loads(file.read_text("utf-8"))["request"] == {"prompt": "p"}


def test_what_fails_is_not_kept(tmp_path: Path) -> None:
    cache = RequestCache(tmp_path)
    with pytest.raises(ZeroDivisionError):
        cache.answer(KEY, lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    assert cache.answer(KEY, lambda: ANSWER) == ANSWER


def test_of_many_threads_one_asks(tmp_path: Path) -> None:
    cache, asked = RequestCache(tmp_path), []

    def ask() -> Answer:
        asked.append(1)
        return ANSWER

    with ThreadPoolExecutor(8) as pool:
        keys = [f"{n % 4:02}" * 32 for n in range(64)]
        assert set(pool.map(lambda key: cache.answer(key, ask), keys)) == {ANSWER}
    assert len(asked) == 4
    assert not cache._busy


@pytest.mark.parametrize("text", ["", '{"format": 1, "key"', '{"format": 1, "key": "cd"}', "[]"])
def test_a_damaged_answer_is_set_aside_and_asked_again(text: str, tmp_path: Path) -> None:
    cache = RequestCache(tmp_path)
    cache.put(KEY, Answer("old", "toy"), {})
    (file,) = tmp_path.rglob("*.json")
    file.write_text(text)
    with pytest.warns(DamagedAnswerWarning, match="asked again"):
        assert cache.answer(KEY, lambda: ANSWER) == ANSWER
    assert len(list(tmp_path.rglob("*.damaged"))) == 1
    assert cache.get(KEY) == ANSWER


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = RequestCache(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        cache.put(KEY, ANSWER, {})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_paid(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MotionkitError, match="cannot be kept"):
        RequestCache(tmp_path / "file" / "captions").check()

"""`search`: items, links, and nothing found."""

from __future__ import annotations

from typing import Any

import pytest

from motionkit.errors import UsageError
from motionkit.sources.faults import Fault
from motionkit.sources.web import Link, PageOptions
from motionkit.stage import Dropped, Item, Kept
from motionkit.stages import search as module
from motionkit.stages.search import Search
from tests.stages.fake_tables import FakeTables


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """A platform that knows one word; what it was asked."""
    calls: list[tuple[str, str, int]] = []

    def answer(query: str, platform: str, limit: int, _: PageOptions) -> list[Link]:
        calls.append((query, platform, limit))
        if query == "broken":
            raise Fault("blocked", "no")
        return [Link("https://h/1", "One", "1")] if query == "walk" else []

    monkeypatch.setattr(module, "search", answer)
    return calls


def outcome_of(stage: Search) -> Any:
    (item,) = stage.items(FakeTables())
    return stage.process(item)


def test_links_are_kept_and_an_empty_answer_is_told(asked: list[tuple[str, str, int]]) -> None:
    found = outcome_of(Search(("walk",), limit=7))
    assert isinstance(found, Kept)
    assert found.row == {"links": [{"url": "https://h/1", "title": "One", "platform_id": "1"}]}
    assert outcome_of(Search(("nobody",))) == Dropped("nothing-found")
    assert asked == [("walk", "ytsearch", 7), ("nobody", "ytsearch", 20)]
    with pytest.raises(Fault):
        outcome_of(Search(("broken",)))


def test_another_limit_or_platform_is_another_search() -> None:
    ids = {Search(("walk",), **changes).item_ids() for changes in ({}, {"limit": 3},
           {"platform": "bilisearch"})}  # fmt: skip
    assert len(ids) == 3


def test_what_failed_before_is_listed_as_it_was_asked() -> None:
    row = {"item_id": "q-1", "query": "jump", "platform": "p", "most": 4, "outcome": "failed"}
    (item,) = Search().items(FakeTables(searches=[row]))
    assert item.data == {"query": "jump", "platform": "p", "most": 4}
    assert list(Search().ids(FakeTables(searches=[row]))) == [(item.id, None)]
    assert Search().context(Item("x", item.data)) == item.data


def test_limits_below_one_and_unknown_platforms_are_refused() -> None:
    pytest.importorskip("yt_dlp")
    with pytest.raises(UsageError, match="at least 1"):
        Search(("walk",), limit=0)
    with pytest.raises(UsageError, match="nosearch"):
        Search(("walk",), platform="nosearch").check()

"""`search`: links for search texts, from a platform's own search, through yt-dlp.

Nothing is downloaded and no video's page is opened: `fetch` does that. What was searched once is
not searched again; a larger limit is another search.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar

from motionkit.errors import UsageError
from motionkit.sources.faults import with_retries
from motionkit.sources.parts import Limits
from motionkit.sources.plain import load_cookies
from motionkit.sources.web import PageOptions, check_search_key, need_yt_dlp, search
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables, digest, has_run


@dataclasses.dataclass(frozen=True)
class Search:
    """Search for videos by keyword."""

    queries: tuple[str, ...] = ()
    """Search texts; addresses of lists (a channel, a playlist); in a recipe or on the command
    line also files with one a line, and names of the lists that are shipped."""
    limit: int = 20
    """Links to take for each."""
    platform: str = "ytsearch"
    """yt-dlp's name of the search: ytsearch, ytsearchdate, bilisearch …"""
    workers: int = 1
    """Searches at the same time."""
    sleep_s: float = 1.0
    """Pause before each request, seconds."""
    timeout_s: float = 30.0
    """Longest wait for an answer, seconds."""
    retries: int = 3
    """Further tries after a network error, a server's error, or being asked to slow down."""
    backoff_s: float = 2.0
    """Wait before the first further try, seconds; doubled every time."""
    cookies: str = ""
    """A cookies file in Netscape's format."""
    js_runtime: str = ""
    """A JavaScript runtime (deno, node …) that yt-dlp may run for sites that need one."""

    name: ClassVar[str] = "search"
    version: ClassVar[int] = 1
    table: ClassVar[str] = "searches"
    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise UsageError(f"--limit must be at least 1, not {self.limit}")

    def check(self) -> None:
        """MissingExtraError without yt-dlp; UsageError for an unknown platform or bad cookies."""
        need_yt_dlp()
        check_search_key(self.platform)
        load_cookies(self.cookies or None)

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Nothing: the text, the platform and the limit are the item's; the rest is manners."""
        return {}

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """One item a search text, platform and limit; and those that failed before."""
        for item in self.items(tables):
            yield item.id, None

    def item_ids(self) -> tuple[str, ...]:
        """The ids of the searches, in order."""
        return tuple(_id(query, self.platform, self.limit) for query in self.queries)

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted searches."""
        asked = [(query, self.platform, self.limit) for query in self.queries]
        for query, platform, most in [*asked, *_failed(tables)]:
            name = _id(query, platform, most)
            if wanted is None or name in wanted:
                yield Item(name, {"query": query, "platform": platform, "most": most})

    def context(self, item: Item) -> dict[str, Any]:
        """What a failed row says too: what was asked."""
        return dict(item.data)

    def setup(self) -> None:
        """Switches yt-dlp's plugins off."""
        need_yt_dlp()

    def process(self, item: Item) -> Outcome:
        """Search. Raises `sources.faults.Fault` with its codes."""
        query, platform, most = (item.data[key] for key in ("query", "platform", "most"))
        options = PageOptions(
            limits=Limits(timeout_s=self.timeout_s),
            sleep_s=self.sleep_s,
            cookies=self.cookies or None,
            js_runtime=self.js_runtime,
        )
        links = with_retries(
            lambda: search(query, platform, most, options),
            retries=self.retries,
            backoff_s=self.backoff_s,
            longest_s=120.0,
        )
        if not links:
            return Dropped("nothing-found")
        return Kept({"links": [dataclasses.asdict(link) for link in links]})


def _id(query: str, platform: str, most: int) -> str:
    return f"q-{digest([query, platform, most], 16)}"


def _failed(tables: Tables) -> list[tuple[str, str, int]]:
    """What was searched in vain by other calls: `retry` reaches it."""
    if not has_run(tables, "searches"):
        return []
    rows = tables.rows("searches", ["query", "platform", "most"], outcome="failed")
    return [(row["query"], row["platform"], int(row["most"])) for row in rows]

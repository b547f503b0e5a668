"""`fetch`: files for addresses, into the workspace's ``downloads/``.

An address that ends like a video file is downloaded as it is; other web pages go through yt-dlp;
s3://, gs:// and the like through fsspec. The table is the archive of what was tried: an address
with a row is not asked for again, unless `retry` says so. What is there already stays as it is
when the wanted height changes.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, ClassVar

from motionkit.errors import UsageError
from motionkit.sources.addresses import (
    EXTENSIONS,
    REMOTE,
    check_address,
    expand,
    extension_of,
    is_address,
    item_id,
    scheme_of,
)
from motionkit.sources.faults import Fault, with_retries
from motionkit.sources.manifest import open_index
from motionkit.sources.parts import Limits, Part
from motionkit.sources.plain import (
    AnsweredWithPage,
    download_http,
    download_remote,
    load_cookies,
)
from motionkit.sources.web import PageOptions, fetch_page, need_yt_dlp
from motionkit.stage import Item, Kept, Outcome, Tables, has_run


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Download videos. The defaults are polite: two at a time, a pause before each."""

    addresses: tuple[str, ...] = ()
    """Addresses (http, https, s3, gs …), remote folders and patterns, and manifests with a
    column url. Filled in by `ingest` and `run`."""
    searches: tuple[str, ...] = ()
    """Ids of the searches whose links are fetched. Filled in by `ingest` and `run`."""
    workspace: str = ""
    """The workspace's folder. Filled in by whatever runs the step."""
    folder: str = "downloads"
    """Where files are put, relative to the workspace or absolute."""
    max_height: int = 720
    """The largest picture height taken where a page offers several (the smallest if all are
    larger)."""
    max_filesize: int = 2_000_000_000
    """Larger files are refused, bytes; 0: any size."""
    max_duration_s: float = 0.0
    """Longer videos of pages are refused, seconds; 0: any length."""
    workers: int = 2
    """Downloads at the same time."""
    rate_limit: float = 0.0
    """Bytes a second for each download; 0: no limit."""
    sleep_s: float = 1.0
    """Pause before each request to a web page's site, and between downloads, seconds."""
    timeout_s: float = 30.0
    """Longest wait for an answer or the next bytes, seconds."""
    item_timeout_s: float = 3600.0
    """Longest time for one download with all its tries, seconds."""
    retries: int = 3
    """Further tries after a network error, a server's error, or being asked to slow down."""
    backoff_s: float = 2.0
    """Wait before the first further try, seconds; doubled every time, at least what the server
    asks for (Retry-After)."""
    longest_wait_s: float = 300.0
    """A server that asks for a longer wait is not waited for: the failure is recorded."""
    cookies: str = ""
    """A cookies file in Netscape's format, for pages you may see when logged in. Read only."""
    js_runtime: str = ""
    """A JavaScript runtime (deno, node …) that yt-dlp may run for sites that need one."""

    name: ClassVar[str] = "fetch"
    version: ClassVar[int] = 1
    table: ClassVar[str] = "downloads"
    reads: ClassVar[tuple[str, ...]] = ("searches",)

    def check(self) -> None:
        """Makes the folder. UsageError for a folder or cookies file that cannot be used;
        MissingExtraError where an address named by the user needs a package that is absent."""
        expand.cache_clear()
        load_cookies(self.cookies or None)
        folder = self.place()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error
        web = [a for a in self.addresses if is_address(a) and scheme_of(a) not in REMOTE]
        if self.searches or any(not extension_of(address) for address in web):
            need_yt_dlp()

    def place(self) -> Path:
        """The absolute folder that files are put into."""
        if not Path(self.workspace, self.folder).is_absolute():
            raise UsageError("fetch needs its workspace", hint="run: motionkit ingest ADDRESS")
        return Path(self.workspace, self.folder)

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Nothing: the table is the archive of what was tried, whatever the manners were."""
        return {}

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """One item an address, named now or failed before."""
        for address, _ in self._asked(tables):
            yield item_id(address), None

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted addresses, with the search that found them."""
        for address, query in self._asked(tables):
            name = item_id(address)
            if wanted is None or name in wanted:
                yield Item(name, {"url": address, "query": query})

    def _asked(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        for source in self.addresses:
            if is_address(source):
                yield from ((address, None) for address in expand(source))
            else:
                for key in open_index(Path(source)).keys(addresses=True):
                    yield key, None
        if self.searches:
            only = ("item_id", frozenset(self.searches))
            for row in tables.rows("searches", ["query", "links"], only=only):
                yield from ((link["url"], row["query"]) for link in row["links"])
        if not has_run(tables, "downloads"):
            return
        # What other calls tried in vain: the engine passes it over, and `retry` reaches it.
        for row in tables.rows("downloads", ["url", "query"], outcome="failed"):
            yield row["url"], row["query"]

    def context(self, item: Item) -> dict[str, Any]:
        """What a failed row says too: the address, and the search that found it."""
        return {"url": item.data["url"], "query": item.data["query"]}

    def setup(self) -> None:
        """Nothing: yt-dlp is loaded when the first page comes."""

    def process(self, item: Item) -> Outcome:
        """Download. Raises `sources.faults.Fault` with its codes."""
        address = item.data["url"]
        check_address(address)
        time.sleep(self.sleep_s)
        facts = with_retries(
            lambda: self._download(address, item.id),
            retries=self.retries,
            backoff_s=self.backoff_s,
            longest_s=self.longest_wait_s,
        )
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        return Kept({**self.context(item), **facts, "downloaded": today})

    def _download(self, address: str, name: str) -> dict[str, Any]:
        """Columns of `downloads`, with the file under its final name."""
        folder = self.place()
        limits = Limits(self.rate_limit, self.max_filesize, self.timeout_s)
        part = Part(folder, name)
        cookies = self.cookies or None
        scheme = scheme_of(address)
        facts: dict[str, Any] = {"page_url": address, "platform": scheme}
        try:
            if scheme in REMOTE:
                found = download_remote(address, part, limits)
            elif extension_of(address):
                found = download_http(address, part, limits, cookies)
            else:
                raise AnsweredWithPage(address)
            size, ending, file = found.size_bytes, found.ending, part.path
        except AnsweredWithPage:
            options = PageOptions(
                limits, self.max_height, self.max_duration_s, self.sleep_s, cookies, self.js_runtime
            )
            page = fetch_page(address, folder / f".{name}.page", options, EXTENSIONS)
            size, ending, file, facts = page.size_bytes, page.ending, page.file, page.facts
        target = folder / f"{name}{ending}"
        try:
            file.replace(target)
        except OSError as error:
            raise Fault("cannot-write", f"{target}: {error.strerror or error}") from error
        part.remove()
        for left in folder.glob(f".{name}.page-*"):  # other formats, tried in vain
            left.unlink()
        return {**facts, "path": str(target), "size_bytes": size}

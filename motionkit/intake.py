"""What it takes to bring the named sources in: search, then fetch, then ingest, as needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motionkit.engines.local import EngineOptions
from motionkit.errors import UsageError
from motionkit.recipes import recipe_folder
from motionkit.sources.addresses import is_address
from motionkit.sources.listing import manifests_of
from motionkit.sources.manifest import is_manifest
from motionkit.stages.fetch import Fetch
from motionkit.stages.ingest import Ingest
from motionkit.video.sidecars import clean_text
from motionkit.workspace import Workspace

#: The steps that bring videos in, in order.
INTAKE = ("search", "fetch", "ingest")


def intake_steps(steps: Mapping[str, Any], sources: Sequence[str]) -> dict[str, Any]:
    """``steps`` (name → parameters) with what ``sources`` need filled in: a fetch where there are
    addresses or searches, none of both where there are only files.

    ``sources``, where given, replace those of the step `ingest`. Raises UsageError where there is
    nothing to bring in.
    """
    if not any(step in steps for step in INTAKE):
        return dict(steps)
    ingest: Ingest = steps.get("ingest") or Ingest()
    if sources:
        ingest = dataclasses.replace(ingest, sources=tuple(str(source) for source in sources))
    found: dict[str, Any] = {}
    searches: tuple[str, ...] = ()
    search = steps.get("search")
    if search is not None and search.queries:
        search = dataclasses.replace(search, queries=tuple(read_queries(search.queries)))
        searches = search.item_ids()
        found["search"] = search
    fetch: Fetch = steps.get("fetch") or Fetch()
    addresses = (*fetch.addresses, *addresses_in(ingest.sources))
    if addresses or searches:
        found["fetch"] = dataclasses.replace(
            fetch, addresses=tuple(dict.fromkeys(addresses)), searches=searches
        )
    if not found and not ingest.sources:
        raise UsageError(
            "there is nothing to ingest.",
            hint="name a file, a folder or an address, or search with --search TEXT",
        )
    if "ingest" in steps:
        found["ingest"] = ingest
    return {**found, **{step: steps[step] for step in steps if step not in INTAKE}}


def addresses_in(sources: Sequence[str]) -> list[str]:
    """The addresses among ``sources``, and the manifests (absolute) that name any."""
    found = [source for source in sources if is_address(source)]
    for manifest in manifests_of(sources):
        if next(manifest.keys(addresses=True), None) is not None:
            found.append(str(manifest.path))
    return found


def read_queries(given: Sequence[str]) -> list[str]:
    """Search texts, each once: a file gives one a line (empty lines and lines that begin with #
    left out), the name of a shipped list (``motion-keywords``) its lines, else a text is itself.

    Raises UsageError for a file that is not text, and for none at all.
    """
    found: dict[str, None] = {}
    for text in given:
        shipped = recipe_folder() / f"{text}.txt"
        plain = text.replace("-", "").isalnum()
        if Path(text).is_file():
            lines = _lines(Path(text))
        elif plain and shipped.is_file():
            lines = _lines(shipped)
        else:
            lines = [text]
        for line in lines:
            clean = clean_text(line)
            if clean and not clean.startswith("#"):
                found.setdefault(clean)
    if not found:
        raise UsageError(
            "there is no search text.", hint="--search TEXT, or a file with one a line"
        )
    return list(found)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the list of searches {path} cannot be read: {error}") from error


def at_work(
    workspace: Workspace, step: str, parameters: Any, engine: EngineOptions
) -> tuple[Any, EngineOptions]:
    """A step's parameters and engine as they run in this workspace: `search` and `fetch` are held
    to their own number of workers and time; `fetch`, and `caption` with a captioner, are told where
    the workspace is."""
    place = str(workspace.path.absolute())
    if step == "caption" and parameters.captioner:
        parameters = dataclasses.replace(parameters, workspace=place)
    if step == "fetch":
        parameters = dataclasses.replace(parameters, workspace=place)
        engine = dataclasses.replace(engine, timeout_s=parameters.item_timeout_s)
    if step in ("search", "fetch"):
        engine = dataclasses.replace(engine, workers=max(1, parameters.workers))
    return parameters, engine


def again(workspace: Workspace, step: str, parameters: Any, item_ids: set[str]) -> Any:
    """The parameters that make a step of the intake work on these failed items again, whatever
    its last call named."""
    if step == "search":  # both list what failed before by themselves
        return dataclasses.replace(parameters, queries=())
    if step == "fetch":
        return dataclasses.replace(parameters, addresses=(), searches=())
    return dataclasses.replace(parameters, sources=_sources_of(workspace, item_ids))


def _sources_of(workspace: Workspace, item_ids: set[str]) -> tuple[str, ...]:
    """What `ingest` has to be given for these items: their files where they are there, and the
    manifests that name them. Downloads need no naming."""
    rows = workspace.rows(
        "videos", ["path", "source"], outcome="failed", only=("item_id", item_ids)
    )
    found: dict[str, None] = {}
    for row in rows:
        source = row["source"] or ""
        named = is_manifest(Path(source)) and Path(source).is_file()
        if is_address(source):
            continue
        if named or (row["path"] and Path(row["path"]).exists()):
            found.setdefault(source if named else row["path"])
    return tuple(found)

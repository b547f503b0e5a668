"""The command that lists near-duplicate videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, clean, table
from motionkit.workspace import Workspace

if TYPE_CHECKING:
    from motionkit.duplicates import Pair, Video

Paths = dict[str, str]


@app.command(epilog="Exit codes: 0 done, 1 failed, 2 wrong usage.")
def duplicates(
    context: typer.Context,
    pairs: Annotated[bool, typer.Option("--pairs", help="Pairs with scores, not groups.")] = False,
    limit: Annotated[int, typer.Option(help="Lines to print; 0 prints all.")] = 50,
) -> None:
    """List videos that are copies of each other: re-encoded, rescaled or trimmed.

    Example: motionkit duplicates --pairs
    """
    from motionkit.duplicates import find_pairs, groups_of

    console: Console = context.obj
    workspace = console.workspace()
    names: list[str] = []
    found = find_pairs(_hashes(workspace, names))
    groups: dict[str, list[str]] = {}
    for video, group in sorted(groups_of(names, found).items()):
        groups.setdefault(group, []).append(video)
    groups = {group: videos for group, videos in sorted(groups.items()) if len(videos) > 1}
    paths = _paths(workspace, {video for videos in groups.values() for video in videos})
    lines = _pair_lines(found, paths) if pairs else _group_lines(groups, paths)
    if limit and len(lines) > limit:
        lines = [*lines[:limit], f"({len(lines) - limit} more lines: use --limit 0)"]
    lines.append(f"{len(paths)} of {len(names)} videos have copies, in {len(groups)} groups.")
    data = {
        "videos": len(names),
        "groups": [
            {"group_id": group, "videos": [{"video_id": v, "path": paths[v]} for v in videos]}
            for group, videos in groups.items()
        ],
        "pairs": [dataclasses.asdict(pair) for pair in found],
    }
    console.result(data, lines)


def _hashes(workspace: Workspace, names: list[str]) -> Iterator[Video]:
    """The hashes of every scanned video; its id goes to ``names``."""
    for row in workspace.rows("scans", ["video_id", "hash_times_s", "hashes"]):
        if row["hashes"] is not None:
            names.append(row["video_id"])
            yield row["video_id"], row["hash_times_s"], row["hashes"]


def _paths(workspace: Workspace, videos: set[str]) -> Paths:
    """The path of each video; of a file that was ingested under several names the first."""
    found: dict[str, str] = {}
    rows = workspace.rows("videos", ["video_id", "path"], only=("video_id", videos))
    for row in rows:
        found[row["video_id"]] = min(row["path"], found.get(row["video_id"], row["path"]))
    return {video: found.get(video, video) for video in videos}


def _pair_lines(pairs: list[Pair], paths: Paths) -> list[str]:
    rows = [
        [f"{p.score:.2f}", f"{p.overlap_s:.2f}", f"{p.offset_s:+.2f}",
         "yes" if p.mirrored else "no", clean(paths[p.a]), clean(paths[p.b])]
        for p in pairs
    ]  # fmt: skip
    return table(rows, ["score", "overlap_s", "offset_s", "mirrored", "a", "b"]) if rows else []


def _group_lines(groups: dict[str, list[str]], paths: Paths) -> list[str]:
    lines = []
    for group, videos in groups.items():
        lines += [f"group {group}", *(f"    {clean(paths[video])}" for video in videos)]
    return lines

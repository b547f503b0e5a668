"""Where the clips that `lift` takes come from: the workspace, a shard set, or files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from motionkit.errors import InputError, UsageError
from motionkit.exchange.keypoint_files import SUFFIXES, read_keypoints
from motionkit.exchange.rows import safe_name
from motionkit.generation.lift_inputs import Film, KeypointClip, UnreadClip
from motionkit.shards.reader import ShardSet, open_shards
from motionkit.workspace import Workspace

Clip = KeypointClip | UnreadClip
_VIDEO = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".mpg", ".mpeg", ".wmv", ".gif")


@dataclass(frozen=True)
class Wanted:
    """Which clips: names of a call, sorted into files and ids."""

    files: tuple[Path, ...]
    ids: tuple[str, ...]


def sort_names(names: Sequence[str]) -> Wanted:
    """Files of keypoints and ids. UsageError for a video: it has no keypoints yet, and the error
    names the commands that measure them."""
    files: list[Path] = []
    ids: list[str] = []
    for name in dict.fromkeys(names):
        path = Path(name)
        if path.suffix.lower() in _VIDEO:
            raise UsageError(
                f"{name} is a video; lifting starts from keypoints.",
                hint=f"motionkit run people --source {name}\n       motionkit lift --all",
            )
        if path.suffix.lower() in SUFFIXES or path.is_dir():
            if not path.exists():
                raise UsageError(f"there is no file {name}.")
            files.append(path)
        elif path.exists():
            raise UsageError(
                f"{name} is no file of keypoints.",
                hint=f"keypoints come as {' or '.join(SUFFIXES)}; docs/lift.md",
            )
        else:
            ids.append(name)
    return Wanted(tuple(files), tuple(ids))


def gather(
    names: Sequence[str],
    workspace: Path,
    *,
    shards: Path | None = None,
    split: str | None = None,
    everything: bool = False,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[int, Iterator[Clip]]:
    """The clips that a call names, and how many they are as far as is known.

    Ids are looked up in ``shards`` (or, with ``split`` alone, the workspace's shard set), else
    among the keypoints of the workspace at ``workspace``, which is opened only for them.
    ``everything`` takes all clips there. UsageError where nothing is named.
    """
    wanted = sort_names(names)
    if not (wanted.files or wanted.ids or everything or split):
        raise UsageError(
            "no clip is named.", hint="give ids or files of keypoints, or --all for every clip"
        )
    if wanted.ids and everything:
        raise UsageError("ids and --all exclude each other.")
    total, parts = len(wanted.files), [clips_of_files(wanted.files, fps=fps, size=size)]
    if wanted.ids or everything or split:
        if shards is not None or split is not None:
            folder = shards or workspace / "shards"
            count, found = clips_of_shards(folder, wanted.ids, split=split)
        else:
            count, found = clips_of_workspace(Workspace(workspace), wanted.ids)
        total, parts = total + count, [*parts, found]
    return total, chain.from_iterable(parts)


def clips_of_files(
    files: Sequence[Path], *, fps: float | None = None, size: tuple[int, int] | None = None
) -> Iterator[Clip]:
    """Every person of every file; a file that cannot be read is one `UnreadClip`."""
    names = _Names()
    for path in files:
        stem = path.name if path.is_dir() else path.stem
        try:
            for found in read_keypoints(path, fps=fps, size=size):
                own = f"{stem}-{found.name}" if found.name else stem
                yield KeypointClip(
                    names.new(own),
                    found.m2d,
                    found.fps,
                    {"source": path.name, "person": found.name},
                )
        except InputError as error:
            message = f"{error}; {error.hint}" if error.hint else str(error)
            yield UnreadClip(names.new(stem), error.code, message)


def clips_of_shards(
    folder: Path, ids: Sequence[str] = (), *, split: str | None = None
) -> tuple[int, Iterator[Clip]]:
    """Clips of persons of a shard set: those of ``ids`` (sample or clip ids), or all of a split;
    and how many they are (at most)."""
    opened = open_shards(folder)
    return len(ids) or opened.count(split), _of_shards(opened, ids, split)


def _of_shards(opened: ShardSet, ids: Sequence[str], split: str | None) -> Iterator[Clip]:
    wanted = set(ids)
    found: set[str] = set()
    for sample in opened.samples(split, tracks=False, kind="person"):
        named = {sample.sample_id, sample.clip_id} & wanted
        if wanted and not named:
            continue
        found |= named
        origin = {
            "sample_id": sample.sample_id,
            "clip_id": sample.clip_id,
            "video_id": sample.video_id,
            "source": sample.source,
        }
        yield KeypointClip(safe_name(sample.sample_id), sample.m2d, sample.fps, origin)
    where = opened.path if split is None else f"the split {split} of {opened.path}"
    for name in ids:
        if name not in found:
            yield UnreadClip(
                safe_name(name), "clip-unknown", f"{where} has no clip of a person {name}"
            )


def clips_of_workspace(workspace: Workspace, ids: Sequence[str] = ()) -> tuple[int, Iterator[Clip]]:
    """Clips whose keypoints the workspace holds: those of ``ids``, or all; and how many."""
    wanted = list(ids) or sorted(r["item_id"] for r in workspace.rows("keypoints", ["clip_id"]))
    return len(wanted), _of_workspace(workspace, wanted)


def _of_workspace(workspace: Workspace, ids: Sequence[str]) -> Iterator[Clip]:
    columns = ["video_id", "clip_id", "fps", "width", "height", "frames", "ordinals", "m2d"]
    keypoints = workspace.lookup("keypoints", "clip_id", columns)
    videos = None
    if workspace.current("videos") is not None:
        videos = workspace.lookup("videos", "video_id", ["path", "decoder"])
    for name in ids:
        row = keypoints.get(name)
        if row is None:
            yield UnreadClip(
                safe_name(name),
                "clip-unknown",
                f"the workspace has no keypoints of a clip {name}; motionkit status shows what it "
                "has",
            )
            continue
        video = videos.get(row["video_id"]) if videos is not None else None
        yield _clip(row, video)


def _clip(row: dict[str, Any], video: dict[str, Any] | None) -> Clip:
    name = safe_name(row["clip_id"])
    try:
        m2d = np.array(row["m2d"], np.float32).reshape(-1, 18, 3)
    except ValueError as error:
        return UnreadClip(name, "malformed-sample", str(error))
    film = None
    if video is not None and video["path"]:
        film = Film(video["path"], video["decoder"], np.asarray(row["ordinals"], np.int32))
    origin = {"clip_id": row["clip_id"], "video_id": row["video_id"]}
    return KeypointClip(name, m2d, float(row["fps"]), origin, film)


class _Names:
    """File names that are safe and given once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def new(self, name: str) -> str:
        safe = safe_name(name)
        count = 1
        while (made := safe if count == 1 else f"{safe}-{count}") in self._given:
            count += 1
        self._given.add(made)
        return made

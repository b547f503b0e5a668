"""`expressions`: the sentences of MeViS, each with the mask track of the objects it speaks of.

Splits are found through the folders of frames that `ingest` registered. A sentence is an item: its
masks are the union of its objects' masks, a frame at a time. The mask file of a split, hundreds
of megabytes, is read through once in the parent, and only if there is something to do; workers
then read the byte ranges of their own item.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

from motionkit.backends.mask_index import MaskIndex, index_masks, read_masks
from motionkit.errors import InputError
from motionkit.rle import union_rle
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables, clip_id, digest, has_run
from motionkit.video.mevis import (
    JsonObject,
    MevisSplit,
    is_unicode,
    read_meta,
    readable,
    split_of,
)
from motionkit.video.sidecars import clean_text

_KNOWN: Final = ("exp", "obj_id", "anno_id")
_CORRECTED: Final = "row-corrected"
_VIDEO: Final = ("path", "video_id", "width", "height", "frames_decoded")


@dataclasses.dataclass(frozen=True)
class _Target:
    """One sentence of a split; ``expression`` is None where a video's entry cannot be used, and
    ``fault`` says why."""

    video: str
    expression: str | None
    entry: Any
    frames: int | None  # that the split lists for the video
    fault: str | None = None


@dataclasses.dataclass(frozen=True)
class Expressions:
    """Sentences of MeViS splits among the ingested folders of frames. It has no parameters."""

    name: ClassVar[str] = "expressions"
    version: ClassVar[int] = 1
    table: ClassVar[str] = "expressions"
    reads: ClassVar[tuple[str, ...]] = ("videos",)

    def identity(self, tables: Tables) -> dict[str, Any]:
        """The fingerprint of `videos`; the two JSON files are in the items' stamps."""
        return {"videos": tables.fingerprint("videos")}

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """One item a sentence, one for a video whose entry is unusable, one for a split whose
        file of sentences is. The stamp changes with the two JSON files, and with the frames."""
        splits, videos = _splits(tables)
        there = set()
        for split in splits:
            files = split.stamp()
            for target in _targets(split):
                item_id = _item_id(split, target)
                there.add(item_id)
                yield item_id, _stamp(files, _video_of(split, target, videos))
        for item_id in _failed(tables):
            if item_id not in there:
                yield item_id, _CORRECTED

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted sentences with the places of their masks."""
        splits, videos = _splits(tables)
        there = set()
        for split in splits:
            files = split.stamp()
            index: MaskIndex | None = None  # not read before a sentence is wanted
            for target in _targets(split):
                item_id = _item_id(split, target)
                there.add(item_id)
                if wanted is not None and item_id not in wanted:
                    continue
                if index is None and split.masks.is_file():
                    index = index_masks(split.masks)
                video = _video_of(split, target, videos)
                data = {
                    "split": split,
                    "target": target,
                    "video": video,
                    "masks": None if index is None else _places(target.entry, index),
                }
                yield Item(item_id, data, _stamp(files, video))
        for item_id in list(_failed(tables)):
            if item_id not in there and (wanted is None or item_id in wanted):
                yield Item(item_id, {"split": None}, _CORRECTED)

    def context(self, item: Item) -> dict[str, Any]:
        """What a failed row says too: which sentence it was."""
        if item.data["split"] is None:
            return {}
        split, target, video = item.data["split"], item.data["target"], item.data["video"]
        expression = target.expression
        return {
            "source_split": readable(split.name),
            "source_video": readable(target.video) or None,
            "source_expression": None if expression is None else readable(expression),
            "video_id": video["video_id"] if video else None,
        }

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, item: Item) -> Outcome:
        """Check the sentence, read its masks, join them.

        Raises InputError: meta-unreadable, meta-malformed, text-missing, video-missing,
        changed-file, mask-missing, mask-repeated, mask-unreadable, mask-frames, mask-size.
        """
        if item.data["split"] is None:
            return Dropped(_CORRECTED)
        split, target, video = item.data["split"], item.data["target"], item.data["video"]
        if target.fault is not None:
            code = "meta-malformed" if target.video else "meta-unreadable"
            raise InputError(code, target.fault, hint=f"correct {split.meta}")
        name = f"{split.name}/{readable(target.video)}/{readable(target.expression)}"
        sentence = _sentence(target.entry, name)
        if video is None:
            raise InputError(
                "video-missing",
                f"{name}: the folder of its frames is not among the videos that were kept",
                hint="see: motionkit failures --stage ingest",
            )
        frames = int(video["frames_decoded"])
        if target.frames not in (None, frames):
            raise InputError(
                "changed-file",
                f"{name}: the split lists {target.frames} frames, ingest found {frames}",
                hint="run ingest again",
            )
        masks = _masks(item.data["masks"], split, sentence, video, name)
        person = digest([readable(p) for p in (split.name, target.video, target.expression)], 12)
        return Kept(
            {
                **self.context(item),
                "clip_id": clip_id(video["video_id"], 0, frames - 1, person),
                "text": sentence["text"],
                "object_ids": sentence["objects"],
                "annotation_ids": sentence["annotations"],
                "width": video["width"],
                "height": video["height"],
                "frames": frames,
                "masks": masks,
                "extra": sentence["extra"],
            }
        )


def _splits(tables: Tables) -> tuple[list[MevisSplit], dict[str, dict[str, Any]]]:
    """The splits that any ingested folder of frames belongs to, by path, and folder → its row."""
    only = ("container", frozenset({"frames"}))
    videos = {row["path"]: row for row in tables.rows("videos", _VIDEO, only=only)}
    paths = list(videos)
    # Of a split without a single sound video the sentences are told all the same.
    paths += [row["path"] for row in tables.rows("videos", ["path"], outcome="failed")]
    roots: dict[str, MevisSplit] = {}
    parents: set[Path] = set()
    for path in paths:
        if path is None or Path(path).parent in parents:
            continue
        parents.add(Path(path).parent)
        split = split_of(path)
        if split is not None:
            roots[split.root] = split
    return [roots[root] for root in sorted(roots)], videos


def _failed(tables: Tables) -> Iterator[str]:
    """Items that failed before. Those that are not there any more were damage that is mended."""
    if not has_run(tables, "expressions"):
        return
    for row in tables.rows("expressions", [], outcome="failed"):
        yield row["item_id"]


def _targets(split: MevisSplit) -> Iterator[_Target]:
    try:
        meta = read_meta(split)
    except InputError as error:
        yield _Target("", None, None, None, error.message)
        return
    for video, entry in meta.items():
        name = f"{split.name}/{readable(video)}"
        fault = None
        sentences = entry.get("expressions") if isinstance(entry, JsonObject) else None
        frames = entry.get("frames") if isinstance(entry, JsonObject) else None
        if not video:
            fault = f"{split.name}: a video has no name"
        elif video in meta.repeated or "expressions" in getattr(entry, "repeated", ()):
            fault = f"{name} stands in the file of sentences twice"
        elif not isinstance(sentences, JsonObject):
            fault = f'{name} has no object "expressions"'
        elif not isinstance(frames, (list, type(None))):
            fault = f'{name}: "frames" is no list'
        if fault is not None:
            yield _Target(video or "(no name)", None, None, None, fault)
            continue
        assert isinstance(sentences, JsonObject)
        for expression, said in sentences.items():
            twice = expression in sentences.repeated
            fault = f"{name}/{readable(expression)} stands there twice" if twice else None
            yield _Target(video, expression, said, None if frames is None else len(frames), fault)


def _item_id(split: MevisSplit, target: _Target) -> str:
    expression = None if target.expression is None else readable(target.expression)
    return f"exp-{digest([readable(split.root), readable(target.video), expression], 20)}"


def _video_of(
    split: MevisSplit, target: _Target, videos: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    # The name is looked up among paths that ingest found; it never becomes one.
    return videos.get(f"{split.images}/{target.video}")


def _stamp(files: list[int], video: dict[str, Any] | None) -> str:
    return digest([files, video["video_id"] if video else None], 16)


def _places(entry: Any, index: MaskIndex) -> dict[str, Any]:
    """Annotation id (as the mask file writes it) → byte range, of the ids that an entry names."""
    named = entry.get("anno_id") if isinstance(entry, JsonObject) else None
    ids = [str(i) for i in named if isinstance(i, int)] if isinstance(named, list) else []
    return {
        "ranges": {i: index.ranges[i] for i in ids if i in index.ranges},
        "repeated": sorted(index.repeated.intersection(ids)),
        "damage": index.damage,
    }


def _sentence(entry: Any, name: str) -> dict[str, Any]:
    """Text, object and annotation ids (None where not given), further keys as JSON."""
    if not isinstance(entry, JsonObject):
        raise InputError("meta-malformed", f"{name} is {type(entry).__name__}, not an object")
    if entry.repeated:
        key = readable(min(entry.repeated))
        raise InputError("meta-malformed", f"{name} has the key {key!r} twice")
    if not isinstance(entry.get("exp"), str):
        raise InputError("meta-malformed", f'{name} has no text "exp"')
    if not is_unicode(entry["exp"]):
        raise InputError("meta-malformed", f"{name}: its text is not UTF-8")
    text = clean_text(entry["exp"])
    if not text:
        raise InputError("text-missing", f"{name}: its text is empty")
    extra = {key: value for key, value in entry.items() if key not in _KNOWN}
    return {
        "text": text,
        "objects": _numbers(entry, "obj_id", name),
        "annotations": _numbers(entry, "anno_id", name),
        "extra": json.dumps(extra, sort_keys=True, default=lambda _: None) if extra else None,
    }


def _numbers(entry: JsonObject, key: str, name: str) -> list[int] | None:
    if key not in entry:
        return None
    found = entry[key]
    if isinstance(found, list) and found and all(type(v) is int and v >= 0 for v in found):
        return found
    raise InputError("meta-malformed", f'{name}: "{key}" is not a list of whole numbers')


def _masks(
    places: dict[str, Any] | None,
    split: MevisSplit,
    sentence: dict[str, Any],
    video: dict[str, Any],
    name: str,
) -> list[str | None] | None:
    """Compressed run lengths of the union, or None, a frame; None for a split without masks."""
    annotations = sentence["annotations"]
    if places is None and annotations is None:
        return None
    if places is None:
        raise InputError("mask-missing", f"{name} names masks, and there is no {split.masks}")
    if annotations is None:
        raise InputError("meta-malformed", f'{name} has no "anno_id", and its split has masks')
    frames, size = int(video["frames_decoded"]), [int(video["height"]), int(video["width"])]
    tracks: list[tuple[int, list[Any]]] = []
    for annotation in dict.fromkeys(annotations):
        entries = read_masks(split.masks, _place(places, str(annotation), name))
        if len(entries) != frames:
            raise InputError(
                "mask-frames",
                f"{name}: annotation {annotation} has {len(entries)} masks for {frames} frames",
            )
        tracks.append((annotation, entries))
    joined: list[str | None] = []
    for frame in range(frames):
        seen = []
        for annotation, entries in tracks:
            if entries[frame] is not None:
                _check_size(entries[frame], size, f"{name}: annotation {annotation}, frame {frame}")
                seen.append(entries[frame])
        try:
            union = union_rle(seen) if seen else None
        except ValueError as error:
            raise InputError("mask-unreadable", f"{name}: frame {frame}: {error}") from error
        joined.append(None if union is None else union["counts"])
    return joined


def _place(places: dict[str, Any], annotation: str, name: str) -> tuple[int, int]:
    if annotation in places["repeated"]:
        raise InputError("mask-repeated", f"{name}: the masks of annotation {annotation} are twice")
    if annotation in places["ranges"]:
        return places["ranges"][annotation]
    if places["damage"] is not None:
        raise InputError(
            "mask-unreadable",
            f"{name}: annotation {annotation} is not found in the mask file; {places['damage']}",
            hint="fetch the mask file again",
        )
    raise InputError("mask-missing", f"{name}: there are no masks of annotation {annotation}")


def _check_size(mask: Any, size: list[int], where: str) -> None:
    if not isinstance(mask, JsonObject) or mask.repeated:
        raise InputError("mask-unreadable", f"{where}: not an object with size and counts")
    found = mask.get("size")
    if not isinstance(found, list) or len(found) != 2:
        raise InputError("mask-unreadable", f"{where}: no size")
    if found != size:
        raise InputError(
            "mask-size", f"{where}: size {readable(str(found))[:40]}, the frames' is {size}"
        )

"""Damaged MeViS JSON: splits that are sound but for one thing, for `benchmarks.damaged`.

Every split is a folder of two small videos, `good` and `hurt`, three frames each, with one
sentence and one mask track a video. What is damaged touches the whole file, or `hurt` alone; then
the sentence of `good` must come through.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from motionkit.rle import encode_rle

WIDTH, HEIGHT, FRAMES = 32, 24, 3
KEPT = "kept"
Json = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Split:
    """A split folder and how its two sentences must end: a code, `KEPT`, or None for no row.
    ``whole``: the code of the one row that tells of the whole file of sentences."""

    name: str
    good: tuple[str, ...] = (KEPT,)
    hurt: tuple[str, ...] = (KEPT,)
    whole: str | None = None


def _sound() -> tuple[Json, Json]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[6:18, 8:20] = True
    videos = {
        name: {
            "vid_id": i,
            "frames": [f"{n:05d}" for n in range(FRAMES)],
            "expressions": {"0": {"exp": "a thing moves", "obj_id": [0], "anno_id": [i]}},
        }
        for i, name in enumerate(("good", "hurt"))
    }
    masks = {str(i): [encode_rle(mask), None, encode_rle(mask)] for i in range(2)}
    return {"videos": videos}, masks


def _entries() -> Iterator[tuple[str, Callable[[Json], Any], str]]:
    """Changes of the entry or sentence of `hurt`, and how it must end."""

    def sentence(**new: Any) -> Callable[[Json], Any]:
        return lambda entry: entry["expressions"]["0"].update(new)

    def entry(**new: Any) -> Callable[[Json], Any]:
        return lambda found: found.update(new)

    bad, empty, absent = "meta-malformed", "text-missing", "mask-missing"
    for name, value in (("null", None), ("list", []), ("text", "0"), ("number", 3)):
        yield f"expressions_{name}", entry(expressions=value), bad
        yield f"exp_of_{name}", sentence(exp=value), KEPT if name == "text" else bad
        yield f"sentence_{name}", entry(expressions={"0": value}), bad
    yield "frames_text", entry(frames="00000"), bad
    yield "frames_fewer", entry(frames=["00000"]), KEPT  # the list says which frames there are
    yield "frames_absent", entry(frames=["00000", "00001", "00099"]), "video-missing"
    yield "frames_outside", entry(frames=["../../../etc/passwd", "00001", "00002"]), "video-missing"
    yield "exp_empty", sentence(exp=""), empty
    yield "exp_blank", sentence(exp=" \t\n "), empty
    yield "exp_control", sentence(exp="\x00\x1b\u202e"), empty
    yield "exp_surrogate", sentence(exp="\ud800 moves"), bad
    yield "exp_markup", sentence(exp="<script>alert(1)</script>'; DROP TABLE x; --"), KEPT
    yield "exp_long", sentence(exp="moves " * 40_000), KEPT
    yield "unknown_keys", sentence(colour="red", nested={"a": [1, {"b": None}]}), KEPT
    ids: Json = {"null": None, "text": "1", "negative": [-1], "fraction": [1.5], "nested": [[1]],
                 "true": [True], "none": [], "texts": ["1"]}  # fmt: skip
    for name, value in ids.items():
        yield f"anno_{name}", sentence(anno_id=value), bad
    yield "anno_absent", lambda found: found["expressions"]["0"].pop("anno_id"), bad
    yield "anno_unknown", sentence(anno_id=[77]), absent
    yield "anno_twice", sentence(anno_id=[1, 1]), KEPT
    yield "obj_text", sentence(obj_id="0"), bad
    yield "exp_absent", lambda found: found["expressions"]["0"].pop("exp"), bad


def _tracks() -> Iterator[tuple[str, Any, str]]:
    """What stands in the place of the masks of `hurt`, and how it must end."""
    whole = _sound()[1]["1"]
    broken, size = "mask-unreadable", [HEIGHT, WIDTH]
    yield "track_null", None, broken
    yield "track_text", "masks", broken
    yield "track_object", {}, broken
    yield "track_short", whole[:2], "mask-frames"
    yield "track_long", [*whole, None], "mask-frames"
    yield "track_empty", [], "mask-frames"
    yield "all_null", [None] * FRAMES, KEPT
    yield "mask_number", [3, None, None], broken
    yield "size_other", [{**whole[0], "size": [WIDTH, HEIGHT]}, None, None], "mask-size"
    yield "size_huge", [{**whole[0], "size": [2**31, 2**31]}, None, None], "mask-size"
    yield "size_text", [{**whole[0], "size": ["24", "32"]}, None, None], "mask-size"
    yield "size_absent", [{"counts": whole[0]["counts"]}, None, None], broken
    yield "counts_absent", [{"size": size}, None, None], broken
    for name, counts in (("number", 5), ("null", None), ("empty", ""), ("letters", "héllo"),
                         ("control", "\x01\x02"), ("long", "o" * 100_000), ("cut", "b"),
                         ("endless", "oooooooooooooo"), ("over", encode_rle(
                             np.ones((HEIGHT, WIDTH * 2), bool))["counts"])):  # fmt: skip
        yield f"counts_{name}", [{"size": size, "counts": counts}, None, None], broken


def _files() -> Iterator[tuple[str, Callable[[bytes], bytes], Split]]:
    """Changes of the bytes of the file of sentences (``meta``) or of masks (``masks``)."""
    lost = Split("", good=(), hurt=(), whole="meta-unreadable")
    yield "meta_empty", lambda data: b"", lost
    yield "meta_cut", lambda data: data[: len(data) * 2 // 3], lost
    yield "meta_binary", lambda data: bytes(range(256)), lost
    yield "meta_utf16", lambda data: data.decode().encode("utf-16"), lost
    yield "meta_list", lambda data: b"[" + data + b"]", lost
    yield "meta_null", lambda data: b"null", lost
    yield "meta_nested", lambda data: b"[" * 300_000, lost
    yield "meta_other", lambda data: b'{"films": {}}', lost
    yield "meta_videos_list", lambda data: b'{"videos": []}', lost
    yield "meta_rest", lambda data: data + b"}}", lost
    texts = Split("", good=("meta-malformed",), hurt=("meta-malformed",))
    yield "meta_no_utf8", lambda data: data.replace(b"moves", b"m\xff\xfeves"), texts
    both = ("mask-unreadable", "mask-missing")
    yield "masks_empty", lambda data: b"", Split("", both, both)
    yield "masks_binary", lambda data: bytes(range(256)) * 9, Split("", both, both)
    yield "masks_list", lambda data: b"[]", Split("", both, both)
    yield "masks_cut", lambda data: data[: len(data) * 2 // 3], Split("", hurt=both)
    twice = Split("", hurt=("mask-repeated",))
    yield "masks_twice", lambda data: data[:-1] + b', "1": [null, null, null]}', twice
    yield "masks_rest", lambda data: data + b"]]", Split("", (KEPT, *both), (KEPT, *both))


def mevis_splits(folder: Path) -> list[Split]:
    """Write them all below ``folder``, a folder each."""
    splits = [_written(folder, Split("sound"))]
    for name, change, end in _entries():
        meta, masks = copy.deepcopy(_sound())
        change(meta["videos"]["hurt"])
        # Fewer frames than masks.
        end = "mask-frames" if name == "frames_fewer" else end
        splits.append(_written(folder, Split(name, hurt=(end,)), meta, masks))
    for name, track, end in _tracks():
        meta, masks = copy.deepcopy(_sound())
        masks["1"] = track
        splits.append(_written(folder, Split(name, hurt=(end,)), meta, masks))
    for name, rewrite, ends in _files():
        split = _written(folder, dataclasses.replace(ends, name=name))
        file = "meta_expressions.json" if name.startswith("meta") else "mask_dict.json"
        path = folder / name / file
        path.write_bytes(rewrite(path.read_bytes()))
        splits.append(split)
    split = _written(folder, Split("masks_absent", ("mask-missing",), ("mask-missing",)))
    (folder / "masks_absent" / "mask_dict.json").unlink()
    return [*splits, split]


def _written(
    folder: Path, split: Split, meta: Json | None = None, masks: Json | None = None
) -> Split:
    root, sound = folder / split.name, _sound()
    for number, video in enumerate(("good", "hurt")):
        place = root / "JPEGImages" / video
        place.mkdir(parents=True)
        for frame in range(FRAMES):
            # Every folder has its own pictures: a video is known by its content.
            seed = [number, frame, *split.name.encode()]
            picture = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
            (place / f"{frame:05d}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    meta, masks = sound[0] if meta is None else meta, sound[1] if masks is None else masks
    (root / "meta_expressions.json").write_text(json.dumps(meta))
    (root / "mask_dict.json").write_text(json.dumps(masks))
    return split


def mevis_misses(splits: list[Split], rows: list[Json]) -> list[str]:
    """What is wrong with the rows of `expressions`, a line each."""
    found: dict[tuple[str, str | None], list[str]] = {}
    for row in rows:
        end = KEPT if row["outcome"] == KEPT else str(row["reason"])
        found.setdefault((row["source_split"], row["source_video"]), []).append(end)
    wrong = []
    for split in splits:
        for video, allowed in (("good", split.good), ("hurt", split.hurt)):
            ends = found.pop((split.name, video), [])
            if [end for end in ends if end not in allowed] or len(ends) != bool(allowed):
                wrong.append(f"MeViS {split.name}, {video}: {ends} instead of {allowed}")
        whole = found.pop((split.name, None), [])
        if whole != ([split.whole] if split.whole else []):
            wrong.append(f"MeViS {split.name}: {whole} instead of {split.whole}")
    return wrong + [f"MeViS {key}: {ends}, unlooked for" for key, ends in found.items()]

"""`caption`: texts for every clip, from sidecar files and from the keypoints themselves.

A sidecar caption was written for a whole video. It is given to a clip only where the video is
one single shot: in a video with several, nothing says which of them the text is about, and a
caption on the wrong clip is worse than none. ``several_shots`` takes them all the same. A text
that a manifest gives to a stretch of the video goes to the clips inside that stretch, if it is
one shot. Either way the caption's detail says what it was written for, and how much of that the
clip is.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container, Iterator
from typing import Any, ClassVar

import numpy as np

from motionkit.backends.kinematics import RULES_VERSION, describe
from motionkit.errors import UsageError
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables, digest

#: Presentation times are rounded: containers keep milliseconds.
_TICK_S = 0.002
SOURCES = ("auto", "sidecar", "kinematic")


@dataclasses.dataclass(frozen=True)
class Caption:
    """Write captions."""

    source: str = "auto"
    """'sidecar': the texts found beside the video; 'kinematic': what the keypoints show, by
    rule; 'auto': both. Every caption is marked with its source."""
    most: int = 5
    """Captions a clip gets at most; in 'auto' one place is kept for the kinematic one."""
    several_shots: bool = False
    """Take a video's sidecar texts even where the video has several shots."""

    name: ClassVar[str] = "caption"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "captions"
    reads: ClassVar[tuple[str, ...]] = ("videos", "scans", "keypoints")

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise UsageError(f"--source must be one of {', '.join(SOURCES)}, not '{self.source}'")
        if self.most < 1:
            raise UsageError(f"--most must be at least 1, not {self.most}")

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, the rules' version, and the keypoints. The texts beside a video are a
        clip's own input: its stamp."""
        found: dict[str, Any] = {
            "source": self.source,
            "most": self.most,
            "keypoints": tables.fingerprint("keypoints"),
        }
        if self.source != "sidecar":
            found["rules"] = RULES_VERSION
        if self.source != "kinematic":
            found["several_shots"] = self.several_shots
        return found

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """The clips that have keypoints; the stamp is that of the video's texts and shots."""
        texts = self._texts(tables)
        stamps = {video: _stamp(found) for video, found in texts.items()}
        for row in tables.rows("keypoints", ["video_id"]):
            yield row["item_id"], stamps.get(row["video_id"])

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted clips with their keypoints and the texts of their video."""
        texts = self._texts(tables)
        none: dict[str, Any] = {"captions": [], "ranges": [], "frames": 0, "shots": []}
        columns = ["video_id", "clip_id", "fps", "t0_s", "t1_s", "ordinals", "m2d"]
        only = None if wanted is None else ("item_id", wanted)
        for row in tables.rows("keypoints", columns, only=only):
            ordinals = np.asarray(row["ordinals"])
            found = texts.get(row["video_id"])
            data = {
                **{k: row[k] for k in ("video_id", "clip_id", "fps", "t0_s", "t1_s")},
                "first": int(ordinals[0]),
                "last": int(ordinals[-1]),
                "m2d": np.asarray(row["m2d"], dtype=np.float32),
                **(found or none),
            }
            yield Item(row["clip_id"], data, _stamp(found) if found else None)

    def _texts(self, tables: Tables) -> dict[str, dict[str, Any]]:
        """Video id → its texts, ranges and shots, of the videos that have a text."""
        found: dict[str, dict[str, Any]] = {}
        if self.source == "kinematic":
            return found
        for row in tables.rows("videos", ["video_id", "captions", "ranges", "frames_decoded"]):
            captions, ranges = list(row["captions"] or []), list(row["ranges"] or [])
            if captions or any(r["captions"] for r in ranges):
                first = {"captions": [], "ranges": ranges, "frames": row["frames_decoded"]}
                known = found.setdefault(row["video_id"], {**first, "shots": []})
                known["captions"] += captions  # a copy under another name may have more to say
        for row in tables.rows("scans", ["video_id", "shots"], only=("video_id", found)):
            shots = [(s["t0_s"], s["t1_s"], s["range"]) for s in row["shots"] or []]
            found[row["video_id"]]["shots"] = shots
        return found

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, item: Item) -> Outcome:
        """Collect the clip's captions; dropped as ``no-caption`` where there is none."""
        data = item.data
        sidecar = self._sidecar(data) if self.source != "kinematic" else []
        kinematic = _kinematic(data) if self.source != "sidecar" else []
        room = max(1, self.most - len(kinematic))
        captions, texts = [], set()
        for caption in (sidecar[:room] + kinematic)[: self.most]:
            if caption["text"] not in texts:
                texts.add(caption["text"])
                captions.append(caption)
        if not captions:
            return Dropped("no-caption")
        return Kept(
            {"video_id": data["video_id"], "clip_id": data["clip_id"], "captions": captions}
        )

    def _sidecar(self, data: dict[str, Any]) -> list[dict[str, str]]:
        given = []
        for index, part in enumerate(data["ranges"]):
            inside = [(t0, t1) for t0, t1, range_ in data["shots"] if range_ == index]
            start = max(part["start_s"] or 0.0, min((t0 for t0, _ in inside), default=0.0))
            end = max((t1 for _, t1 in inside), default=0.0)
            if data["t0_s"] < start - _TICK_S or data["t1_s"] > end + _TICK_S:
                continue
            about = {"of": "range", "start_s": part["start_s"], "end_s": part["end_s"]}
            about["clip_share"] = _share(data["t1_s"] - data["t0_s"], end - start)
            given.append((part["captions"] or [], about, len(inside)))
        share = _share(data["last"] - data["first"] + 1, data["frames"] or 0)
        given.append((data["captions"], {"of": "video", "clip_share": share}, len(data["shots"])))
        captions = []
        for texts, about, shots in given:
            if shots > 1 and not self.several_shots:
                continue
            for caption in texts:
                text = " ".join(str(caption["text"]).split())
                if text:
                    detail = _parsed(caption.get("detail")) | about | {"shots": shots}
                    captions.append({"text": text, "source": "sidecar", "detail": _json(detail)})
        return captions


def _stamp(texts: dict[str, Any]) -> str:
    """Version of what a video's texts say."""
    return digest([texts["captions"], texts["ranges"], texts["frames"], len(texts["shots"])], 16)


def _share(part: float, whole: float) -> float:
    return round(min(part / whole, 1.0), 4) if whole > 0 else 1.0


def _kinematic(data: dict[str, Any]) -> list[dict[str, str]]:
    found = describe(np.asarray(data["m2d"]).reshape(-1, 18, 3), float(data["fps"]))
    if found.text is None:
        return []
    return [{"text": found.text, "source": "kinematic", "detail": _json(found.detail)}]


def _parsed(detail: str | None) -> dict[str, Any]:
    """A stored detail as a dict; other text is kept as it is under 'note'."""
    if not detail:
        return {}
    try:
        value = json.loads(detail)
    except ValueError:
        return {"note": detail}
    return value if isinstance(value, dict) else {"note": value}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)

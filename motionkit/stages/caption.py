"""`caption`: texts for every clip, from sidecar files and from the keypoints themselves.

A sidecar caption was written for a whole video. It is given to a clip only where the video is
one single shot: in a video with several, nothing says which of them the text is about, and a
caption on the wrong clip is worse than none. ``several_shots`` takes them all the same. Either
way the caption's detail says that it is the video's, and how much of the video the clip is.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from motionkit.backends.kinematics import RULES_VERSION, describe
from motionkit.errors import UsageError
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables

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
    version: ClassVar[int] = 1
    table: ClassVar[str] = "captions"
    reads: ClassVar[tuple[str, ...]] = ("videos", "scans", "keypoints")

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise UsageError(f"--source must be one of {', '.join(SOURCES)}, not '{self.source}'")
        if self.most < 1:
            raise UsageError(f"--most must be at least 1, not {self.most}")

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, the rules' version, and the tables that the captions come from."""
        found: dict[str, Any] = {
            "source": self.source,
            "most": self.most,
            "keypoints": tables.fingerprint("keypoints"),
        }
        if self.source != "sidecar":
            found["rules"] = RULES_VERSION
        if self.source != "kinematic":
            found["several_shots"] = self.several_shots
            found["videos"] = tables.fingerprint("videos")
            found["scans"] = tables.fingerprint("scans")
        return found

    def items(self, tables: Tables) -> Iterator[Item]:
        """The clips that have keypoints."""
        videos: dict[str, dict[str, Any]] = {}
        if self.source != "kinematic":
            for row in tables.rows("videos", ["video_id", "captions", "frames_decoded"]):
                known = videos.setdefault(
                    row["video_id"], {"captions": [], "frames": row["frames_decoded"], "shots": 1}
                )
                known["captions"] += list(row["captions"] or [])
            for row in tables.rows("scans", ["video_id", "shots"]):
                if row["video_id"] in videos:
                    videos[row["video_id"]]["shots"] = len(row["shots"] or [])
        needed = ["video_id", "clip_id", "fps", "ordinals", "m2d"]
        for row in tables.rows("keypoints", needed):
            video = videos.get(row["video_id"], {"captions": [], "frames": 0, "shots": 1})
            ordinals = np.asarray(row["ordinals"])
            data = {
                "video_id": row["video_id"],
                "clip_id": row["clip_id"],
                "fps": row["fps"],
                "first": int(ordinals[0]),
                "last": int(ordinals[-1]),
                "m2d": np.asarray(row["m2d"], dtype=np.float32),
                **video,
            }
            yield Item(row["clip_id"], data)

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
        if data["shots"] > 1 and not self.several_shots:
            return []
        share = (data["last"] - data["first"] + 1) / max(1, int(data["frames"] or 0))
        captions = []
        for caption in data["captions"]:
            text = " ".join(str(caption["text"]).split())
            if text:
                detail = _parsed(caption.get("detail"))
                detail |= {"of": "video", "clip_share": round(min(share, 1.0), 4)}
                detail |= {"shots": data["shots"]}
                captions.append({"text": text, "source": "sidecar", "detail": _json(detail)})
        return captions


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

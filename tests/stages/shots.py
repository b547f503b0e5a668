"""Shots as the first pass stores them, made for the tests of `filter` and of what reads it."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from motionkit.records import PERSON
from motionkit.stage import fingerprint_of, shot_id
from motionkit.stages.detect import Detect, measured_ordinals, motion_columns
from motionkit.stages.filter import Filter, judged
from motionkit.workspace import Workspace

HEIGHT = 400  # of the picture


def figure(x: float, y: float, size: float) -> np.ndarray:
    """Keypoints [17, 3] of a standing person of ``size`` pixels whose middle is at (x, y)."""
    rows = [0.07, 0.05, 0.05, 0.06, 0.06, 0.18, 0.18, 0.35, 0.35, 0.5, 0.5, 0.5, 0.5]
    rows += [0.73, 0.73, 0.96, 0.96]
    keypoints = np.ones((17, 3))
    keypoints[:, 0] = x + size * 0.1 * np.array([0, *([1, -1] * 8)])
    keypoints[:, 1] = y + size * (np.array(rows) - 0.5)
    return keypoints


@dataclasses.dataclass
class Shot:
    """A shot of ``seconds`` at 30 fps, somebody walking in the middle, measured 10 times a second;
    tests spoil it."""

    seconds: float = 5.0
    size: float = 200.0

    def __post_init__(self) -> None:
        self.count = round(self.seconds * 30)
        self.source_s = np.arange(self.count) / 30
        self.ordinals = measured_ordinals(self.source_s, 10)
        self.times_s = self.source_s[self.ordinals]
        self.camera = np.zeros(self.count, np.float32)
        self.keypoints = np.stack(
            [figure(200 + 100 * np.sin(t), 200, self.size) for t in self.times_s]
        )
        self.person = np.zeros(len(self.ordinals), np.int32)
        self.box_height = np.full(len(self.ordinals), self.size)

    def at(self, t0_s: float, t1_s: float) -> np.ndarray:
        """The measured frames of a stretch of time."""
        return (self.times_s >= t0_s - 1e-6) & (self.times_s <= t1_s + 1e-6)

    def row(self, first: int = 0) -> dict[str, Any]:
        boxes = np.zeros((len(self.ordinals), 5), np.float32)
        boxes[:, 0] = self.keypoints[:, :, 0].min(1)
        boxes[:, 2] = self.keypoints[:, :, 0].max(1)
        boxes[:, 1], boxes[:, 3] = 200 - self.box_height / 2, 200 + self.box_height / 2
        boxes[:, 4] = 1
        boxes[self.person < 0] = 0
        keypoints = np.where((self.person < 0)[:, None, None], 0, self.keypoints)
        return {
            "item_id": "v-shot",
            "outcome": "kept",
            "video_id": "v",
            "first": first,
            "last": first + self.count - 1,
            "height": HEIGHT,
            "ordinals": self.ordinals + first,
            "times_s": self.times_s + first / 30,
            "boxes": boxes.ravel(),
            "keypoints": keypoints.astype(np.float32).ravel(),
            "person": self.person,
            **motion_columns(keypoints, self.person, self.times_s),
            "camera_kind": "static",
            "source_times_s": np.append(self.source_s, self.seconds) + first / 30,
            "source_camera": self.camera,
        }

    def with_others(self, *others: "Shot", first: int = 0) -> dict[str, Any]:
        """The row of a shot of several people, each as that shot of the same length has them."""
        names = [PERSON.field(i).name for i in range(PERSON.num_fields)]
        people = [other.row(first) for other in others]
        flat = [{name: np.ravel(row[name]) for name in names} for row in people]
        return {**self.row(first), "others": flat}

    def verdicts(self, **parameters: Any) -> list[dict[str, Any]]:
        (candidates,) = judged([self.row()], Filter(**parameters))
        return candidates


def workspace_of(folder: Path, shots: dict[str, list[Shot]], **videos: Any) -> Workspace:
    """A workspace in which `detect` has run over videos {id: shots}, which lie end to end; more
    rows of `videos` by item id."""
    workspace = Workspace.create(folder)
    rows = [
        {"item_id": name, "video_id": name, "path": f"/films/{name}.mp4", "outcome": "kept"}
        for name in shots
    ]
    rows += [{"item_id": name, **row} for name, row in videos.items()]
    scans, detections = [], []
    for name, each in shots.items():
        first, cut = 0, []
        for shot in each:
            row = shot.row(first)
            last, ends = first + shot.count - 1, row["source_times_s"]
            row["item_id"] = shot_id(name, first, last)
            detections.append({**row, "video_id": name})
            cut.append({"shot_id": row["item_id"], "first": first, "last": last,
                        "t0_s": float(ends[0]), "t1_s": float(ends[-1]),
                        "camera_kind": "static"})  # fmt: skip
            first = last + 1
        scans.append({"item_id": name, "video_id": name, "outcome": "kept", "shots": cut})
    for table, filled in (("videos", rows), ("scans", scans)):
        put(workspace, table, filled)
    put(workspace, "detections", detections, fingerprint_of(Detect(), workspace))
    return workspace


def put(
    workspace: Workspace, table: str, rows: list[dict[str, Any]], fingerprint: str = "ab" * 16
) -> None:
    """Rows of a table whose stage has run."""
    filled = [{"outcome": "kept", **row, "fingerprint": fingerprint, "attempt": 1} for row in rows]
    if filled:
        workspace.write_part(table, filled)
    workspace.set_current(table, fingerprint, {"parameters": {}})

"""A workspace as the stages would leave it: drawn figures in real, small video files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from motionkit.keypoints import INDEX, LIMBS
from motionkit.stage import clip_id, digest, shot_id
from motionkit.workspace import Workspace

WIDTH, HEIGHT, FPS = 320, 240, 30.0

#: Where the keypoints stand in body heights from the middle of the hips; x to the left side.
POSE = {
    "nose": (0, -0.42),
    "left_eye": (0.02, -0.44),
    "right_eye": (-0.02, -0.44),
    "left_ear": (0.04, -0.43),
    "right_ear": (-0.04, -0.43),
    "left_shoulder": (0.11, -0.3),
    "right_shoulder": (-0.11, -0.3),
    "left_elbow": (0.15, -0.15),
    "right_elbow": (-0.15, -0.15),
    "left_wrist": (0.16, 0.0),
    "right_wrist": (-0.16, 0.0),
    "left_hip": (0.07, 0),
    "right_hip": (-0.07, 0),
    "left_knee": (0.08, 0.24),
    "right_knee": (-0.08, 0.24),
    "left_ankle": (0.08, 0.48),
    "right_ankle": (-0.08, 0.48),
}


def walk(frames: int, *, facing: str = "front", height: float = 150.0) -> np.ndarray:
    """M_2D [frames, 18, 3] of a figure that swings arms and legs while crossing the picture."""
    m2d = np.ones((frames, 18, 3), np.float32)
    width = {"front": 1.0, "back": -1.0, "left": 0.15, "right": 0.15}[facing]
    for name, (x, y) in POSE.items():
        swing = {"wrist": 0.12, "elbow": 0.06, "ankle": 0.14, "knee": 0.07}.get(
            name.split("_")[-1], 0.0
        )
        sign = 1 if name.startswith("left") else -1
        phase = np.sin(np.arange(frames) * 0.3) * swing * sign
        lean = {"left": -0.06, "right": 0.06}.get(facing, 0.0) if name == "nose" else 0.0
        m2d[:, INDEX[name], 0] = 160 + (x * width + phase + lean) * height
        m2d[:, INDEX[name], 1] = 125 + y * height
        m2d[:, INDEX[name], 2] = 0.9
    m2d[:, :17, 0] += np.linspace(-40, 40, frames)[:, None]
    m2d[:, 17] = (WIDTH, HEIGHT, 1)
    return m2d


def film(path: Path, m2d: np.ndarray) -> list[bytes]:
    """Encode the figure as a video; gives three thumbnails."""
    thumbnails = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, points in enumerate(m2d):
            frame = np.full((HEIGHT, WIDTH, 3), (214, 206, 190), np.uint8)
            frame[190:] = (150, 130, 110)
            for a, b in LIMBS:
                ends = [tuple(int(v) for v in points[i, :2]) for i in (a, b)]
                cv2.line(frame, *ends, (60, 80, 120), 12, cv2.LINE_AA)
            cv2.circle(frame, tuple(int(v) for v in points[0, :2]), 12, (200, 160, 130), -1)
            if index in (0, len(m2d) // 2, len(m2d) - 1):
                thumbnails.append(cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes())
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return thumbnails


class Factory:
    """Fills a workspace table by table."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.workspace = Workspace.create(path / "work")

    def write(self, table: str, command: str, rows: list[dict[str, Any]]) -> None:
        fingerprint = digest({"table": table})
        base = {"fingerprint": fingerprint, "outcome": "kept", "attempt": 1}
        self.workspace.write_part(table, [{**base, **row} for row in rows])
        about = {"stage": command, "version": 1, "identity": {"camera_max": 0.02, "table": table}}
        self.workspace.set_current(table, fingerprint, about)

    def fill(self, videos: int = 3, frames: int = 75, caption: str = "") -> Factory:
        """Every table: each video has one kept and one dropped clip; one file failed."""
        facings = ["front", "left", "right", "back"]
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COMMANDS}
        for v in range(videos):
            self._video(rows, v, walk(frames, facing=facings[v % 4]), caption)
        rows["videos"].append(
            {
                "item_id": "broken",
                "outcome": "failed",
                "reason": "corrupt",
                "error_type": "InputError",
                "error_message": '/films/<broken> & "empty".mp4: no picture could be decoded',
            }
        )
        for table, command in COMMANDS.items():
            self.write(table, command, rows[table])
        return self

    def _video(
        self, rows: dict[str, list[dict[str, Any]]], v: int, m2d: np.ndarray, caption: str
    ) -> None:
        video, frames = digest(v, 16), len(m2d)
        path = self.path / f"film {v}.mp4"
        pictures = film(path, m2d)
        shot = shot_id(video, 0, frames - 1)
        clips = [clip_id(video, 0, frames - 1, "a"), clip_id(video, 10, frames - 1, "b")]
        key = {"item_id": clips[0], "video_id": video, "clip_id": clips[0]}
        size = {"fps": FPS, "width": WIDTH, "height": HEIGHT, "frames": frames}
        rows["videos"].append(
            {
                "item_id": f"file{v}",
                "video_id": video,
                "path": str(path),
                "source": str(self.path),
                "duration_s": frames / FPS,
                "decoder": "pyav",
                "licence": "CC BY 4.0",
            }
        )
        span = {"first": 0, "last": frames - 1, "t0_s": 0.0, "t1_s": frames / FPS}
        at = (0, frames // 2, frames - 1)
        rows["scans"].append(
            {
                "item_id": video,
                "video_id": video,
                "frames": frames,
                "shots": [{"shot_id": shot, **span}],
                "thumbnails": [
                    {"ordinal": o, "jpeg": j} for o, j in zip(at, pictures, strict=True)
                ],
            }
        )
        rows["detections"].append({"item_id": shot, "video_id": video})
        scores = {
            "speed_bh_s": 0.6 + 0.1 * v,
            "acceleration_bh_s2": 3.0,
            "confident_share": 0.9,
            "lower_body_share": 1.0,
            "box_height": 0.6,
        }
        camera = 0.05 + 0.01 * v
        rows["verdicts"].append(
            {
                "item_id": shot,
                "video_id": video,
                "candidates": [
                    {"clip_id": clips[0], **span, "outcome": "kept", "camera": 0.004, **scores},
                    {
                        "clip_id": clips[1],
                        **span,
                        "outcome": "dropped",
                        "reason": "camera-moves",
                        "measured": camera,
                        "threshold": 0.02,
                        "camera": camera,
                        **scores,
                    },
                ],
            }
        )
        rows["keypoints"].append(
            {**key, **size, "ordinals": np.arange(frames), "m2d": m2d, "backend": "mediapipe"}
        )
        points = m2d[:30, [5, 6, 11, 12], :2]
        rows["tracks"].append(
            {
                **key,
                **size,
                "frames": 30,
                "grid": 2,
                "points": points,
                "visible": np.ones((30, 4), bool),
                "backend": "lucas-kanade",
            }
        )
        texts = [("kinematic", f"walks to the left, take {v}"), ("sidecar", caption or "A walk.")]
        rows["captions"].append(
            {**key, "captions": [{"source": s, "text": t, "detail": "{}"} for s, t in texts]}
        )

    def train_log(self, steps: int = 200) -> Path:
        path = self.path / "k2m" / "train_log.jsonl"
        path.parent.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        with path.open("w") as stream:
            for stage, scale in (("tokenizer", 1.0), ("masked", 6.0)):
                for step in range(0, steps, 2):
                    loss = scale * (np.exp(-step / 40) + 0.08 + 0.02 * rng.random())
                    record = {"stage": stage, "step": step, "loss": loss, "lr": 1e-3}
                    record |= {"loss_2d": loss / 2, "loss_velocity": loss / 30, "nan": None}
                    if step % 20 == 0:
                        record["val/loss"] = loss * 1.2
                    stream.write(json.dumps(record) + "\n")
            stream.write('{"stage": "masked", "st')
        return path

    def motion(self, text: str = "a person walks", frames: int = 60) -> Path:
        from motionkit.bodies.skeleton import PARENTS, REST_OFFSETS

        rest = np.zeros((24, 3))
        for joint, parent in enumerate(PARENTS):
            rest[joint] = REST_OFFSETS[joint] + (rest[parent] if parent >= 0 else 0)
        joints = np.repeat(rest[None], frames, 0)
        joints[:, :, 2] += np.linspace(0, 1.5, frames)[:, None]
        joints[:, [20, 22], 1] += 0.3 * np.sin(np.arange(frames) * 0.2)[:, None]
        path = self.path / f"{digest(text, 8)}.npz"
        np.savez(path, joints=joints.astype(np.float32), fps=30.0, text=text)
        return path


COMMANDS = {
    "videos": "ingest",
    "scans": "scan",
    "detections": "detect",
    "verdicts": "filter",
    "keypoints": "pose",
    "tracks": "track",
    "captions": "caption",
}


@pytest.fixture
def factory(tmp_path: Path) -> Factory:
    return Factory(tmp_path)


@pytest.fixture(scope="session")
def walk_points() -> Callable[..., np.ndarray]:
    return walk

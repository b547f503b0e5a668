"""Keypoints of motion capture as an estimator gives them: imitated from the true ones, or measured
in painted videos by the embedded backend."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.mocap_motions import VIEWS, Mocap, shot_of
from motionkit.bodies.skeleton import JOINT
from motionkit.keypoints import INDEX
from motionkit.synth.shot import Shot

Float = NDArray[np.float64]

#: Body parts that hide what is behind them: joints at both ends, radius in metres.
_PARTS = [
    ("pelvis", "neck", 0.13), ("head", "head", 0.09),
    *((f"{s}_{a}", f"{s}_{b}", r) for s in ("left", "right")
      for a, b, r in (("shoulder", "elbow", 0.045), ("elbow", "wrist", 0.04),
                      ("hip", "knee", 0.075), ("knee", "ankle", 0.055))),
]  # fmt: skip
#: Error in body heights of a seen and of a hidden point, the share of it that wanders slowly, and
#: confidences: of mediapipe on painted videos of these motions.
SEEN_ERROR, HIDDEN_ERROR = 0.012, 0.10
SLOW_S = 0.4


def imitated(mocap: Mocap, shot: Shot, seed: int) -> NDArray[np.float32]:
    """M_2D [F, 18, 3]: true projected points with the errors and confidences of the estimator."""
    rng = np.random.default_rng([seed, 881, zlib.crc32(mocap.file.encode())])
    true = shot.keypoints()[:, 0]
    frames = len(true)
    hidden = hidden_points(shot)
    share = _smooth(hidden.astype(float), 2)
    height = float(np.median(np.ptp(true[:, :, 1], axis=1)))
    slow = _smooth(rng.normal(size=(frames, 17, 2)), SLOW_S * 30 / 2)
    slow /= max(float(slow.std()), 1e-9)
    quick = rng.normal(size=(frames, 17, 2))
    error = SEEN_ERROR * (0.8 * slow + 0.35 * quick) * height
    bad = HIDDEN_ERROR * slow * height
    limbs = np.array([name.split("_")[-1] in ("elbow", "wrist") for name in INDEX])
    legs = np.array([name.split("_")[-1] in ("knee", "ankle") for name in INDEX])
    # The far arm is guessed wrongly, the far leg is placed well with little confidence.
    wide = np.where(limbs[None, :], share, 0.15 * share)[:, :, None]
    xy = true[:, :, :2] + error + bad * wide
    sure = np.where(legs[None, :], 0.97 - 0.5 * share, 0.95 - 0.85 * share * limbs[None, :])
    sure = np.clip(sure + rng.normal(0, 0.03, sure.shape), 0.0, 1.0) * true[:, :, 2]
    m2d = np.ones((frames, 18, 3), np.float32)
    m2d[:, :17, :2], m2d[:, :17, 2] = xy, sure
    m2d[:, 17, :2] = shot.camera.width, shot.camera.height
    return m2d


def exact(shot: Shot) -> NDArray[np.float32]:
    """M_2D [F, 18, 3] of the true projected points."""
    true = shot.keypoints()[:, 0]
    m2d = np.ones((len(true), 18, 3), np.float32)
    m2d[:, :17] = true
    m2d[:, 17, :2] = shot.camera.width, shot.camera.height
    return m2d


def hidden_points(shot: Shot) -> NDArray[np.bool_]:
    """[F, 17]: whether a part of the own body stands before the point."""
    person = shot.people[0]
    joints, points = shot.camera.to_camera(person.joints), shot.camera.to_camera(person.coco)
    t = np.linspace(0, 1, 7)[:, None, None]
    ends = [(joints[:, JOINT[a]], joints[:, JOINT[b]], a, b, radius) for a, b, radius in _PARTS]
    parts = [(one * (1 - t) + other * t, a, b, radius) for one, other, a, b, radius in ends]
    hidden = np.zeros(points.shape[:2], bool)
    for name, k in INDEX.items():
        if name.split("_")[-1] not in ("elbow", "wrist", "knee", "ankle"):
            continue
        p = points[:, k]
        away = np.linalg.norm(p, axis=1)
        for places, a, b, radius in parts:
            if name in (a, b):
                continue
            # How near the part comes to the line of sight, and how far before the point.
            depth = (places * p).sum(-1) / away**2
            gap = np.linalg.norm(places - depth[..., None] * p, axis=-1)
            hidden[:, k] |= ((gap < radius) & ((1 - depth) * away > 0.06)).any(0)
    return hidden


def measured(
    motions: Sequence[Mocap], count: int, most_frames: int = 150
) -> Iterator[tuple[int, Mocap, str, NDArray[np.float32]]]:
    """Number, motion, view and M_2D of ``count`` painted videos, spread over contents and views."""
    from motionkit.backends.mediapipe_pose import MediapipeDetector

    detector = MediapipeDetector()
    detector.setup()
    by: dict[str, list[int]] = {}
    for number, mocap in enumerate(motions):
        by.setdefault(mocap.content, []).append(number)
    rounds = max(len(group) for group in by.values())
    order = [group[k] for k in range(rounds) for group in by.values() if k < len(group)]
    for place, number in enumerate(order[:count]):
        view = list(VIEWS)[place % 4]
        shot = shot_of(motions[number], view, number, painted=True)
        frames = [frame for _, frame in zip(range(most_frames), shot.frames(), strict=False)]
        detector.reset()
        times = np.arange(len(frames)) / 30.0
        m2d = np.ones((len(frames), 18, 3), np.float32)
        for f, people in enumerate(detector.detect(np.stack(frames), times)):
            m2d[f, :17] = 0.0
            if len(people.boxes):
                area = np.prod(people.boxes[:, 2:4] - people.boxes[:, :2], axis=1)
                m2d[f, :17] = people.keypoints[int(np.argmax(area))]
        m2d[:, 17, :2] = shot.camera.width, shot.camera.height
        yield number, motions[number], view, m2d


def _smooth(values: Float, sigma: float) -> Float:
    from scipy.ndimage import gaussian_filter1d

    found: Float = gaussian_filter1d(values, sigma, axis=0, mode="nearest")
    return found

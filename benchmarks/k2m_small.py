"""How well the small K2M learns 3D from 2D alone, on our own synthetic motions.

    python benchmarks/k2m_small.py [--clips 60] [--steps 900] [--out DIR]

Renders no pictures: the motions of `motionkit.synth` are projected by virtual cameras (all
azimuths, elevation -5..15°, one view a clip), with noise and dropped joints as a pose estimator
makes them. The model is trained on the training clips' 2D; 3D truth is only read to score the
held-out clips (other seeds, other bodies, other views). PA-MPJPE in mm over 12 body joints.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from motionkit.bodies import rotations, skeleton
from motionkit.evaluation import lifting
from motionkit.evaluation.held_out import lifted_points
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.synth.motions import KINDS, STYLE_NAMES, motion
from motionkit.training.k2m import load_model, train_on
from motionkit.training.k2m_config import K2MTrainConfig
from motionkit.training.k2m_data import Clip

WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Truth:
    kind: str
    clip: Clip
    points: np.ndarray  # [F, 17, 3] COCO points in the camera's frame, metres


def view(
    kind: str, *, seed: int, noise: float, seconds: float = 4.0, azimuth: float | None = None
) -> Truth:
    """One clip: a motion, a body, a camera, and 2D keypoints as measured from there."""
    rng = np.random.default_rng(seed)
    made = motion(
        kind,
        seed=seed,
        seconds=seconds,
        style=str(rng.choice(STYLE_NAMES)),
        tempo=float(rng.uniform(0.85, 1.15)),
        betas=rng.normal(0, 1.0, 10).clip(-2, 2),
    )
    joints, world = made.joints()
    points = skeleton.coco_points(joints, world, made.betas)
    turn = rng.uniform(-np.pi, np.pi) if azimuth is None else np.radians(azimuth)
    lift = np.radians(rng.uniform(-5, 15))
    camera = np.diag([1.0, -1, -1]) @ rotations.about("x", lift) @ rotations.about("y", turn)
    middle = (points.reshape(-1, 3).min(0) + points.reshape(-1, 3).max(0)) / 2
    focal = HEIGHT / 2 / np.tan(np.radians(45) / 2)
    distance = max(4.0, 1.3 * np.ptp(points[..., 0]) + 2, 1.3 * np.ptp(points[..., 2]) + 2)
    seen = (points - middle) @ camera.T + np.array([0, 0, distance])
    xy = focal * seen[..., :2] / seen[..., 2:] + np.array([WIDTH, HEIGHT]) / 2
    tall = np.percentile(np.ptp(xy[..., 1], axis=1), 90)
    slow = np.stack(
        [
            np.convolve(c, np.ones(15) / 15, "same") * np.sqrt(15)
            for c in rng.normal(size=(xy.shape[0], 34)).T
        ],
        -1,
    ).reshape(xy.shape)
    xy = xy + tall * noise * (0.7 * slow + 0.7 * rng.normal(size=xy.shape))
    confidence = np.where(rng.random(xy.shape[:2]) < 0.04, 0.2, 0.9)
    m2d = np.concatenate(
        [
            np.concatenate([xy, confidence[..., None]], -1),
            np.tile([[[WIDTH, HEIGHT, 1.0]]], (len(xy), 1, 1)),
        ],
        1,
    )
    clip = Clip(f"{kind}-{seed}", torch.tensor(m2d, dtype=torch.float32), made.captions)
    return Truth(kind, clip, seen)


def data(count: int, *, seed: int, noise: float) -> list[Truth]:
    return [view(KINDS[i % len(KINDS)], seed=seed + i, noise=noise) for i in range(count)]


def scores(model: Tokenizer, train: list[Truth], held: list[Truth]) -> dict[str, float]:
    constant = lifting.mean_pose(np.concatenate([t.points[::4] for t in train]))
    rows: dict[str, list[np.ndarray]] = {}

    def add(name: str, value: np.ndarray) -> None:
        rows.setdefault(name, []).append(value)

    for truth in held:
        true = truth.points[: len(truth.clip.m2d) // model.config.down * model.config.down]
        add("mean_pose", lifting.pa_mpjpe_mm(np.broadcast_to(constant, true.shape), true))
        add(
            "flat_lift",
            lifting.pa_mpjpe_mm(
                lifting.flat_lift(truth.clip.m2d[: len(true), :17, :2].double().numpy()), true
            ),
        )
        for name, quantise in (("without_rvq", False), ("through_rvq", True)):
            points = lifted_points(model, truth.clip.m2d.numpy(), quantise=quantise)
            add(name, lifting.pa_mpjpe_mm(points, true))
            add(name + "_facing_wrong_%", 100.0 * (lifting.facing_error_deg(points, true) > 45))
    return {name: float(np.concatenate(values).mean()) for name, values in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--held", type=int, default=45)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--text-steps", type=int, default=None)
    parser.add_argument("--noise", type=float, default=0.02, help="of a body height")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--set", default="{}", help="JSON merged into [train.k2m]")
    options = parser.parse_args()
    train = data(options.clips, seed=1000 * options.seed, noise=options.noise)
    held = data(options.held, seed=500_000 + 1000 * options.seed, noise=options.noise)
    from motionkit.training.k2m_config import changed

    config = K2MTrainConfig(seed=options.seed, threads=options.threads)
    config = changed(config, json.loads(options.set), "train.k2m")
    if options.steps:
        config = replace(config, tokenizer=replace(config.tokenizer, steps=options.steps))
    if options.text_steps is not None:
        config = replace(config, text=replace(config.text, steps=options.text_steps))
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)
        start = time.monotonic()

        def show(row: dict) -> None:
            if row["step"] % 100 == 0 or "val_reprojection_percent" in row:
                numbers = " ".join(
                    f"{k}={v:.3g}" for k, v in row.items() if k not in ("stage", "step")
                )
                print(f"{time.monotonic() - start:6.1f}s {row['stage']} {row['step']}: {numbers}")

        summary = train_on(
            config,
            clips=[t.clip for t in train],
            val=[t.clip for t in held[:8]],
            data_hash=f"synth-{options.clips}-{options.seed}-{options.noise}",
            out=out,
            log=show,
        )
        model, _, _ = load_model(summary.model)
        print(f"trained in {summary.seconds:.0f} s")
        result = scores(model, train, held)
    for name, value in result.items():
        print(f"{name:32s} {value:7.1f}")
    share = 1 - result["through_rvq"] / result["mean_pose"]
    print(f"through the RVQ the error is {100 * share:.0f} % below the mean pose's")


if __name__ == "__main__":
    main()

"""A whole library of clips: every kind of motion in turn, from many sides."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from motionkit.errors import UsageError
from motionkit.synth.clip import SynthVideo, render_clip
from motionkit.synth.motions import KINDS
from motionkit.synth.spec import SynthSpec

#: The kinds in the order a library takes them: those that look least alike come first.
ORDER: tuple[str, ...] = (
    "walk", "wave_left", "squat", "jump_twice", "kick_right", "raise_both_arms", "run", "bow",
    "wave_right", "side_step_left", "jumping_jacks", "turn_left", "punch_right", "clap",
    "sit_down", "walk_backwards", "throw_right", "lunge", "wave_both", "pick_up",
    "side_step_right", "kick_left", "dance", "march", "stand_up", "jump", "boxing", "turn_right",
    "stretch", "punch_left", "balance_left", "raise_left_arm", "walk_curve_left", "toe_touch",
    "throw_left", "raise_right_arm", "twist", "arm_circles", "jog_in_place", "hands_on_hips",
    "point_left_hand", "walk_curve_right", "balance_right", "point_right_hand", "look_around",
)  # fmt: skip

Progress = Callable[[int, int], None]
"""Called with (done, total) after every clip."""

_COLUMNS = ("name", "kinds", "camera", "people", "frames", "cuts", "captions")


def library_spec(
    index: int,
    *,
    seed: int,
    width: int = 640,
    height: int = 360,
    fps: float = 30.0,
    seconds: float = 4.0,
    static_only: bool = False,
    kinds: Sequence[str] | None = None,
) -> SynthSpec:
    """The spec of clip ``index``; it does not depend on how many clips the library has.

    Of ten clips six are one person before a still camera, two have a moving camera, one has
    cuts, one a second person. ``static_only`` makes all of them the first sort.
    """
    order = tuple(kinds) if kinds else ORDER
    rng = np.random.default_rng([seed, index])
    own_seed = int(rng.integers(1 << 31))
    main = order[index % len(order)]
    shots: tuple[str, ...] = (main,)
    camera, people = "still", 1
    azimuth: float | None = None
    slot = index % 10
    if not static_only:
        if slot == 3:
            camera = str(rng.choice(["pan", "zoom", "shake", "tilt"]))
        elif slot == 9:
            camera = ("shake", "part", "pan", "follow", "zoom")[index // 10 % 5]
            if camera == "follow":  # someone walking by, so that the camera has to turn
                shots = ("walk",)
                azimuth = float(rng.choice([-1, 1]) * rng.uniform(60, 110))
        elif slot == 6:
            more = rng.choice(len(order), size=int(rng.integers(1, 3)))
            shots = (main, *(order[int(k)] for k in more))
        elif slot == 8:
            people = 2
    return SynthSpec(
        kinds=shots,
        seed=own_seed,
        seconds=seconds * (1.0 if len(shots) == 1 else 0.6 * len(shots)),
        fps=fps,
        width=width,
        height=height,
        camera=camera,
        people=people,
        azimuth_deg=azimuth,
    )


def render_library(
    out: Path | str,
    *,
    count: int,
    seed: int,
    width: int = 640,
    height: int = 360,
    fps: float = 30.0,
    seconds: float = 4.0,
    static_only: bool = False,
    workers: int = 1,
    kinds: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[SynthVideo]:
    """Render ``count`` clips into the folder ``out``, with sidecars, truth and index.csv.

    Clip number k depends on ``seed``, k and the parameters alone, so that a larger library
    begins with the smaller one, whatever ``workers`` is. Clips that are there are kept.
    ``kinds`` restricts the motions (default: all, in `ORDER`). `UsageError` for a count below
    1, an unknown kind or an impossible size.
    """
    if count < 1 or workers < 1:
        raise UsageError(
            f"cannot render {count} clips with {workers} workers.", hint="both must be at least 1"
        )
    unknown = [kind for kind in kinds or () if kind not in KINDS]
    if unknown:
        raise UsageError(f"unknown kinds of motion {unknown}.", hint="known: " + ", ".join(KINDS))
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for index in range(count):
        spec = library_spec(
            index,
            seed=seed,
            width=width,
            height=height,
            fps=fps,
            seconds=seconds,
            static_only=static_only,
            kinds=kinds,
        )
        jobs.append((folder / f"{index:04d}-{clip_label(spec)}.mp4", spec))
    videos: list[SynthVideo] = []
    if workers == 1:
        for job in jobs:
            videos.append(_render_job(job))
            if progress:
                progress(len(videos), count)
    else:
        # Fresh interpreters: a forked one may inherit locks of threads it does not have.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for video in pool.map(_render_job, jobs):
                videos.append(video)
                if progress:
                    progress(len(videos), count)
    _write_index(folder / "index.csv", videos)
    return videos


def clip_label(spec: SynthSpec) -> str:
    """Readable part of a clip's file name."""
    if len(spec.kinds) > 1:
        return "cuts"
    label = spec.kinds[0].replace("_", "-")
    if spec.camera != "still":
        label += f"-{spec.camera}"
    return label + ("-two" if spec.people == 2 else "")


def _render_job(job: tuple[Path, SynthSpec]) -> SynthVideo:
    import cv2

    cv2.setNumThreads(1)  # workers are the parallelism; the pictures do not depend on it
    return render_clip(*job)


def _write_index(path: Path, videos: Sequence[SynthVideo]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for video in videos:
        writer.writerow(
            [
                video.path.name,
                " ".join(video.kinds),
                video.camera,
                video.people,
                video.frames,
                " ".join(map(str, video.cuts)),
                " | ".join(video.captions),
            ]
        )
    part = path.with_name(f".{path.name}.part")
    part.write_text(text.getvalue(), encoding="utf-8")
    part.replace(path)

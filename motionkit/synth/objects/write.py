"""Writes a world in MeViS' layout, one video at a time, with the truth beside it.

OUT/README.md, world.json
OUT/SPLIT/JPEGImages/VIDEO/00000.jpg …
OUT/SPLIT/meta_expressions.json, mask_dict.json
OUT/SPLIT/truth/VIDEO.npz
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from motionkit.errors import UsageError
from motionkit.rle import encode_rle
from motionkit.synth.objects.painter import paint, skins_of
from motionkit.synth.objects.readme import readme
from motionkit.synth.objects.scene import plan_scene
from motionkit.synth.objects.spec import SPLITS, WorldSpec
from motionkit.synth.objects.truth import Truth, fingerprint_of, load_truth, make_truth, save_truth

#: Shares of the videos by split.
SHARES: dict[str, float] = {"train": 0.8, "valid_u": 0.15, "valid": 0.05}
Progress = Callable[[int, int], None]
"""Called with (done, total) after every video."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """What was written."""

    folder: Path
    videos: dict[str, int]
    """By split."""
    sentences: dict[str, int]
    rendered: int
    """Videos that were not there yet."""
    fps: float
    """Frames a second, which MeViS' layout does not tell."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**dataclasses.asdict(self), "folder": str(self.folder)}

    def lines(self) -> list[str]:
        """For people."""
        total, said = sum(self.videos.values()), sum(self.sentences.values())
        return [
            f"{total} videos with {said} sentences in {self.folder}, {self.rendered} of them new",
            f"  what the words mean in numbers: {self.folder / 'README.md'}",
            f"  go on with: motionkit run mevis --source {self.folder} "
            f"--set ingest.frame_rate={self.fps:g}",
        ]


@dataclasses.dataclass(frozen=True)
class _Job:
    spec: WorldSpec
    split: str
    number: int
    folder: str


def read_shares(text: str) -> dict[str, float]:
    """'train=0.8,valid_u=0.2' as shares by split. `UsageError` for what does not read so."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share or 1)
        except ValueError as error:
            raise UsageError(
                f"{part!r} is no split with its share.",
                hint="write for example train=0.8,valid_u=0.2",
            ) from error
    return shares


def counts_of(videos: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How many of ``videos`` each split has, by largest remainders; at least one each where there
    are as many videos as splits. `UsageError` for an unknown split or no share."""
    unknown = sorted(set(shares) - set(SPLITS))
    if unknown or not shares:
        raise UsageError(f"unknown splits {unknown}.", hint="known: " + ", ".join(SPLITS))
    if not all(0 < share < float("inf") for share in shares.values()):
        raise UsageError(f"shares {dict(shares)}.", hint="every share must be above 0")
    if videos < len(shares):
        raise UsageError(
            f"{videos} videos are too few for {len(shares)} splits.",
            hint="ask for more videos, or for fewer splits with --splits train",
        )
    whole = sum(shares.values())
    exact = {name: (videos - len(shares)) * share / whole for name, share in shares.items()}
    counts = {name: 1 + int(value) for name, value in exact.items()}
    rest = videos - sum(counts.values())
    for name in sorted(exact, key=lambda name: int(exact[name]) - exact[name])[:rest]:
        counts[name] += 1
    return {name: counts[name] for name in SPLITS if name in counts}


def write_world(
    out: Path | str,
    spec: WorldSpec,
    counts: Mapping[str, int],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> World:
    """Write ``counts`` videos a split into the folder ``out``.

    A video depends on the spec, its split and its number alone: more videos are the same ones
    and further ones, whatever ``workers`` is. Videos that are there are kept. `UsageError` for a
    folder that holds another world or a larger one, and for counts below 1.
    """
    if not counts or min(counts.values()) < 1 or workers < 1:
        raise UsageError(
            f"cannot write {dict(counts)} videos with {workers} workers.",
            hint="all must be at least 1",
        )
    folder = Path(out)
    _check_folder(folder, spec, counts)
    folder.mkdir(parents=True, exist_ok=True)
    _publish(folder / "world.json", _record(spec, counts))
    total, done, rendered = sum(counts.values()), 0, 0
    sentences: dict[str, int] = {}
    for split, count in counts.items():
        root = folder / split
        (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
        (root / "truth").mkdir(exist_ok=True)
        jobs = [_Job(spec, split, number, str(root)) for number in range(count)]
        with _Files(root, masks=SPLITS[split]) as files:
            for name, fresh in _rendered(jobs, workers):
                files.add(name, load_truth(root / "truth" / f"{name}.npz"))
                rendered += fresh
                done += 1
                if progress:
                    progress(done, total)
        sentences[split] = files.sentences
    _publish(folder / "README.md", readme(spec, dict(counts), sentences))
    return World(
        folder=folder, videos=dict(counts), sentences=sentences, rendered=rendered, fps=spec.fps
    )


def _check_folder(folder: Path, spec: WorldSpec, counts: Mapping[str, int]) -> None:
    record = folder / "world.json"
    if not record.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty.", hint="name a new or an empty folder")
        return
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        same = found["fingerprint"] == spec.fingerprint()
        fewer = [name for name, count in found["videos"].items() if counts.get(name, 0) < count]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{record} cannot be read.", hint="name a new or an empty folder"
        ) from error
    if not same or fewer:
        what = "a larger world" if same else "another world"
        raise UsageError(
            f"{folder} holds {what}.", hint="name another folder, or ask for the same parameters"
        )


def _rendered(jobs: list[_Job], workers: int) -> Iterator[tuple[str, bool]]:
    """Names of the videos in order, and whether they are new."""
    if workers == 1:
        yield from map(_render, jobs)
        return
    # Fresh interpreters: a forked one may inherit locks of threads it does not have.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_render, jobs)


def _render(job: _Job) -> tuple[str, bool]:
    """Frames, then truth: where the truth is, the video is whole."""
    import cv2

    name = f"{job.split}_{job.number:05d}"
    root = Path(job.folder)
    frames, truth = root / "JPEGImages" / name, root / "truth" / f"{name}.npz"
    fingerprint = job.spec.fingerprint()
    if frames.is_dir() and fingerprint_of(truth) == fingerprint:
        return name, False
    cv2.setNumThreads(1)  # workers are the parallelism; the pictures do not depend on it
    part = frames.with_name(f".{name}.part")
    for left in (part, frames):  # of a run that was broken off
        if left.exists():
            shutil.rmtree(left)
    part.mkdir()
    scene = plan_scene(job.spec, job.split, job.number)
    skins = skins_of(job.spec, scene)
    masks: list[list[dict[str, Any] | None]] = [[] for _ in skins]
    for number, (picture, owner) in enumerate(paint(job.spec, scene, skins)):
        good, data = cv2.imencode(
            ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_JPEG_QUALITY, job.spec.quality],
        )  # fmt: skip
        assert good
        (part / f"{number:05d}.jpg").write_bytes(data.tobytes())
        for k, track in enumerate(masks):
            own = owner == k + 1
            track.append(encode_rle(own) if own.any() else None)
    part.rename(frames)
    save_truth(truth, make_truth(job.spec, scene, skins, masks), fingerprint)
    return name, True


class _Files:
    """The two JSON files of a split, written as the videos come, published when all are in."""

    def __init__(self, root: Path, *, masks: bool) -> None:
        self.root, self.with_masks = root, masks
        self.videos = self.annotations = self.sentences = 0

    def __enter__(self) -> _Files:
        self.meta = self._part("meta_expressions.json").open("w", encoding="utf-8")
        self.meta.write('{"videos": {')
        if self.with_masks:
            self.masks = self._part("mask_dict.json").open("w", encoding="utf-8")
            self.masks.write("{")
        return self

    def add(self, name: str, truth: Truth) -> None:
        """The next video."""
        said: dict[str, Any] = {}
        for number, sentence in enumerate(truth.sentences):
            entry: dict[str, Any] = {"exp": sentence["text"]}
            if self.with_masks:
                objects = list(sentence["objects"])
                entry["obj_id"] = objects
                entry["anno_id"] = [self.annotations + k for k in objects]
                facts = ("motion", "direction", "speed", "held_out")
                entry.update({key: sentence[key] for key in facts})
            said[str(number)] = entry
        frames = [f"{k:05d}" for k in range(len(truth.objects[0].warp))]
        video = {"expressions": said, "vid_id": self.videos, "frames": frames}
        comma = ", " if self.videos else ""
        self.meta.write(f"{comma}{json.dumps(name)}: {json.dumps(video)}")
        if self.with_masks:
            for k, track in enumerate(truth.masks):
                comma = ", " if self.annotations + k else ""
                self.masks.write(f'{comma}"{self.annotations + k}": {json.dumps(track)}')
        self.videos += 1
        self.annotations += len(truth.objects)
        self.sentences += len(said)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        names = ["meta_expressions.json"]
        if self.with_masks:
            names.append("mask_dict.json")
            self.masks.write("}")
            self.masks.close()
        self.meta.write("}}")
        self.meta.close()
        for name in names:
            if kind is None:
                self._part(name).replace(self.root / name)
            else:
                self._part(name).unlink()

    def _part(self, name: str) -> Path:
        return self.root / f".{name}.part"


def _record(spec: WorldSpec, counts: Mapping[str, int]) -> str:
    record = {"fingerprint": spec.fingerprint(), "videos": dict(counts), "spec": spec.as_dict()}
    return json.dumps(record, indent=1, sort_keys=True) + "\n"


def _publish(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def truth_path(folder: Path | str, split: str, number: int) -> Path:
    """Where the truth of a video lies."""
    return Path(folder) / split / "truth" / f"{split}_{number:05d}.npz"

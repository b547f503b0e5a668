"""`caption`: texts for every clip, from sidecar files, a captioner, and the keypoints themselves.

A sidecar caption was written for a whole video. It is given to a clip only where the video is
one single shot: in a video with several, nothing says which of them the text is about, and a
caption on the wrong clip is worse than none. ``several_shots`` takes them all the same. A text
that a manifest gives to a stretch of the video goes to the clips inside that stretch, if it is
one shot. Either way the caption's detail says what it was written for, and how much of that the
clip is.

A captioner (`backends.captioners`) sees frames sampled evenly over the clip with the person in a
red box, as in MotionWeb. What it answers is stored before a row is written from it, by the hash
of all that was asked: a run that was killed asks nothing twice.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from motionkit.backends.captioners import (
    Answer,
    Captioner,
    Manners,
    Sampling,
    open_captioner,
    whole_sentences,
)
from motionkit.backends.captioners.pictures import PICTURES_VERSION
from motionkit.backends.captioners.prompts import prompt_hash, prompt_text
from motionkit.backends.captioners.request_cache import RequestCache
from motionkit.backends.kinematics import RULES_VERSION, describe
from motionkit.errors import UsageError
from motionkit.stage import Chunk, Dropped, Item, Kept, Outcome, Tables, digest, joined
from motionkit.stages._asking import boxed_frames, shown_of

#: Presentation times are rounded: containers keep milliseconds.
_TICK_S = 0.002
SOURCES = ("auto", "sidecar", "model", "kinematic")


@dataclasses.dataclass(frozen=True)
class Caption:
    """Write captions."""

    source: str = "auto"
    """'sidecar': the texts found beside the video; 'model': what the captioner writes;
    'kinematic': what the keypoints show, by rule; 'auto': all of them, in this order. Every caption
    is marked with its source."""
    most: int = 5
    """Captions a clip gets at most; in 'auto' places are kept for the captioner's and for the
    kinematic one, and the first sidecar text comes before both."""
    several_shots: bool = False
    """Take a video's sidecar texts even where the video has several shots."""
    captioner: str = ""
    """Who looks at the pictures: 'openai:MODEL' (a server, docs/captions.md), 'transformers:REPO'
    (a local model); empty: nobody."""
    captions_each: int = 1
    """Captions the captioner writes of a clip, 1 or 2: the first without chance, the second drawn
    at `temperature`."""
    sampled_frames: int = 8
    """Frames it is shown, evenly over the clip."""
    max_side: int = 768
    """Larger pictures are shrunk to this many pixels on their longer side."""
    prompt: str = "motion-in-red-box"
    """What it is asked, by name: 'motion-in-red-box' is MotionWeb's prompt, word for word."""
    max_new_tokens: int = 160
    """Longest answer, tokens; a sentence that is cut off is left out."""
    temperature: float = 0.7
    """How freely the second caption is drawn."""
    seed: int = 0
    """Another seed gives another second caption."""
    request_extra: str = ""
    """Further fields of a server's request, as a JSON object; null takes a field out."""
    requests: int = 8
    """Requests to a server at the same time."""
    request_timeout_s: float = 120.0
    """Longest wait for one answer of a server, seconds."""
    retries: int = 5
    """Further tries of a request after a failure that may pass."""
    backoff_s: float = 1.0
    """Wait before the first further try, seconds; doubled every time, and at least what the server
    asks for (Retry-After)."""
    workspace: str = ""
    """The workspace's folder, where answers are kept. Filled in by whatever runs the step."""

    name: ClassVar[str] = "caption"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "captions"
    reads: ClassVar[tuple[str, ...]] = ("videos", "scans", "keypoints")

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise UsageError(f"--source must be one of {', '.join(SOURCES)}, not '{self.source}'")
        if self.source == "model" and not self.captioner:
            raise UsageError(
                "--source model needs a captioner", hint="add --captioner openai:MODEL"
            )
        bounds = {"most": 1, "sampled_frames": 1, "max_side": 32, "max_new_tokens": 1}
        bounds |= {"requests": 1, "retries": 0}
        for name, least in bounds.items():
            if getattr(self, name) < least:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} must be at least {least}, not {getattr(self, name)}")
        if self.captions_each not in (1, 2):
            raise UsageError(f"--captions-each is 1 or 2, not {self.captions_each}")
        if not 0 < self.temperature <= 2:
            raise UsageError(f"temperature lies above 0 and not above 2, not {self.temperature}")
        if self.request_timeout_s <= 0 or self.backoff_s < 0:
            raise UsageError("request_timeout_s must be above 0, backoff_s not below 0")
        prompt_text(self.prompt)
        captioner = None
        if self.captioner:  # also where `source` leaves it out: a wrong one is told at once
            manners = Manners(
                self.request_timeout_s, self.retries, self.backoff_s, most_at_once=self.requests
            )
            captioner = open_captioner(self.captioner, extra=self.request_extra, manners=manners)
        object.__setattr__(self, "_model", captioner if self._asks else None)

    def __getstate__(self) -> dict[str, Any]:
        """Without the open cache: every process opens its own in `setup`."""
        return {**self.__dict__, "_cache": None}

    @property
    def _asks(self) -> bool:
        return bool(self.captioner) and self.source in ("auto", "model")

    @property
    def model(self) -> Captioner | None:
        """The captioner, where one is asked; loaded by `setup` only."""
        return getattr(self, "_model")  # noqa: B009 - not a field: it is no parameter

    @property
    def mode(self) -> str:
        """ "calls" where a captioner is asked, else "items"."""
        return "calls" if self._asks else "items"

    @property
    def needs_device(self) -> bool:
        """Whether a model runs in the process that asks."""
        return self.model is not None and self.model.needs_device

    @property
    def at_once(self) -> int:
        """Most clips in work."""
        return self.model.most_at_once if self.model is not None else 1

    def check(self) -> None:
        """What the captioner lacks, where one is asked."""
        if self.model is not None:
            self.model.check()

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, the rules' version, the captioner, and the keypoints. The texts beside a
        video are a clip's own input: its stamp. How a server is asked decides nothing."""
        found: dict[str, Any] = {
            "source": self.source,
            "most": self.most,
            "keypoints": tables.fingerprint("keypoints"),
        }
        if self.source in ("auto", "kinematic"):
            found["rules"] = RULES_VERSION
        if self.source in ("auto", "sidecar"):
            found["several_shots"] = self.several_shots
        if self.model is not None:
            found["captioner"] = {
                **self.model.identity(),
                **{k: getattr(self, k) for k in ("captions_each", "sampled_frames", "max_side")},
                **{k: getattr(self, k) for k in ("max_new_tokens", "temperature", "seed")},
                "prompt": prompt_hash(self.prompt),
                "pictures": PICTURES_VERSION,
            }
            found["videos"] = tables.fingerprint("videos")
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
        videos = None
        if self._asks:
            columns += ["width", "height", "boxes"]
            videos = tables.lookup("videos", "video_id", ["path", "decoder"])
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
            if videos is not None:
                video = videos.get(row["video_id"])
                data.update(shown_of(row, video, self.sampled_frames))
            yield Item(row["clip_id"], data, _stamp(found) if found else None)

    def _texts(self, tables: Tables) -> dict[str, dict[str, Any]]:
        """Video id → its texts, ranges and shots, of the videos that have a text."""
        found: dict[str, dict[str, Any]] = {}
        if self.source not in ("auto", "sidecar"):
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

    def context(self, item: Item) -> dict[str, Any]:
        """What a failed row says too: whose caption it would have been."""
        return {key: item.data[key] for key in ("video_id", "clip_id")}

    def setup(self) -> None:
        """Load the captioner, or find its server. Raises before the first clip where that cannot
        work, and UsageError where nobody said which workspace this is."""
        if self.model is None:
            return
        if not self.workspace:
            raise UsageError("a captioner needs its workspace", hint="run: motionkit caption")
        self.model.setup()
        cache = RequestCache(Path(self.workspace) / "cache" / "captions")
        cache.check()
        object.__setattr__(self, "_cache", cache)

    def setup_reader(self) -> None:
        """OpenCV stays on one thread: the engine has a reader for every core."""
        import cv2

        cv2.setNumThreads(1)

    def read(self, item: Item) -> Iterator[Chunk]:
        """The sampled frames of a clip with the red box, as the captioner takes them; nothing
        where there is no box, or no room for its captions.

        Raises InputError 'video-missing', 'frames-missing'.
        """
        data = item.data
        if self.model is not None and data["shown"] and self._room(data):
            yield self.model.prepare(boxed_frames(data, self.max_side))

    def process(self, item: Item) -> Outcome:
        """Collect the clip's captions; dropped as ``no-caption`` where there is none."""
        return self._collected(item.data, [])

    def call(self, item: Item, chunks: list[Chunk]) -> Outcome:
        """As `process`, with the captioner's answers; dropped as ``no-box`` where it could be shown
        nobody and nothing else gave a caption. Raises InputError with the captioner's codes: a
        clip whose captioner failed has no row of less, `retry` comes back to it."""
        outcome = self._collected(item.data, self._answers(item.data, chunks))
        if isinstance(outcome, Dropped) and not item.data["shown"]:
            return Dropped("no-box")
        return outcome

    def _room(self, data: dict[str, Any]) -> int:
        """Captions to ask for: one that would find no place is not paid for."""
        first = min(1, len(self._sidecar(data))) if self.source == "auto" else 0
        return min(self.captions_each, self.most - first)

    def _answers(self, data: dict[str, Any], chunks: list[Chunk]) -> list[dict[str, str]]:
        model, cache = self.model, getattr(self, "_cache", None)
        if model is None or not chunks:
            return []
        if cache is None:
            raise AssertionError("setup() comes first")
        pictures = joined(chunks)
        found = []
        for number in range(self._room(data)):
            sampling = Sampling(
                self.temperature if number else 0.0, self.seed + number, self.max_new_tokens
            )
            found.append(self._answer(model, cache, data, pictures, sampling))
        return found

    def _answer(
        self,
        model: Captioner,
        cache: RequestCache,
        data: dict[str, Any],
        pictures: Chunk,
        sampling: Sampling,
    ) -> dict[str, str]:
        """One caption: asked, or as it was answered before."""
        prompt = prompt_text(self.prompt)
        key = model.key(prompt, pictures, sampling)
        about = {
            "captioner": self.captioner,
            "prompt": self.prompt,
            "prompt_hash": prompt_hash(self.prompt),
            "max_side": self.max_side,
            "temperature": sampling.temperature,
            "seed": sampling.seed if sampling.temperature else None,
            **({"extra": self.request_extra} if self.request_extra else {}),
        }
        answer = cache.answer(key, lambda: model.describe(prompt, pictures, sampling), about)
        text = whole_sentences(answer.text, answer.finish)
        detail = {**about, **_provenance(answer), "frames": data["shown"], "request": key[:16]}
        return {"text": text, "source": self.captioner, "detail": _json(detail)}

    def _collected(self, data: dict[str, Any], model: list[dict[str, str]]) -> Outcome:
        sidecar = self._sidecar(data) if self.source in ("auto", "sidecar") else []
        kinematic = _kinematic(data) if self.source in ("auto", "kinematic") else []
        room = max(1, self.most - len(model) - len(kinematic))
        captions, texts = [], set()
        for caption in (sidecar[:room] + model + kinematic)[: self.most]:
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


def _provenance(answer: Answer) -> dict[str, Any]:
    usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
    return {
        "model": answer.model,
        "finish": answer.finish,
        "precision": answer.precision,
        "usage": None if answer.prompt_tokens is None else usage,
    }


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

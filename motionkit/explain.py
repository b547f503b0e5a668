"""Why one clip, shot or video was kept or dropped: every stage's word on it, and every filter's
numbers. Read-only; needs no model and no video.

What is asked for may be a clip id, a shot id, a video id, a file's path or name, or an address;
with ``@12.5`` behind it, the moment at 12.5 seconds.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from motionkit.errors import UsageError
from motionkit.stages._checks import checks_of, moment, remedies
from motionkit.stages._judge import judge_shots
from motionkit.stages._scores import COLUMNS, Shots, shots_of_rows
from motionkit.stages.filter import Filter, candidate_rows
from motionkit.words_of_stages import Word, beside_of, ending, sentence, word_of
from motionkit.workspace import STAGE_OF, Workspace

_STRETCH: Final = re.compile(r"(?P<video>.+?)-(?P<first>\d{6,})-(?P<last>\d{6,})(-[0-9a-f]{8})?")
_WORD: Final = ("reason", "measured", "threshold", "error_message", "attempt")
_VIDEO: Final = ("video_id", "path", "duration_s", "page_url", "problems", "outcome")
#: The stages whose items are clips, in order.
_LATER: Final = ("keypoints", "tracks", "captions")


@dataclasses.dataclass(frozen=True)
class Explanation:
    """``kind`` is video, shot, clip or moment. ``words`` tell the way through the stages.
    ``candidates`` are the stretches it has come to (`records.CANDIDATE`); for a single one
    ``checks`` holds every filter, ``before`` and ``after`` what lies beside it, ``remedies`` the
    changes that would have kept it, ``frame`` the scores of the moment asked for. ``people`` are
    stored of the shot, and ``person`` of them (0: the target) the single candidate is. ``summary``
    is one sentence."""

    asked: str
    kind: str
    path: str | None
    words: list[Word]
    candidates: list[dict[str, Any]]
    summary: str
    camera_kind: str | None = None
    checks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    before: str | None = None
    after: str | None = None
    remedies: list[dict[str, float]] = dataclasses.field(default_factory=list)
    frame: dict[str, Any] | None = None
    person: int | None = None
    people: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return dataclasses.asdict(self)


def explain(workspace: Workspace, asked: str) -> Explanation:
    """Explain ``asked`` (see the module's text). UsageError where nothing has that name."""
    name, seconds = _split_moment(workspace, asked)
    stretch = _STRETCH.fullmatch(name)
    video, words = _video(workspace, stretch["video"] if stretch else name)
    if video is None and stretch is None and not words:
        raise UsageError(
            f"nothing in {workspace.path} is called '{name}'.",
            hint="name a clip, shot or video id, a file, or FILE@SECONDS; "
            'motionkit query "SELECT clip_id FROM candidates" lists clips',
        )
    about = _About(workspace, asked, video, words)
    if video is None:
        if stretch is not None:
            raise UsageError(
                f"there is no video '{stretch['video']}' in {workspace.path}.",
                hint='motionkit query "SELECT video_id, path FROM videos" lists them',
            )
        return about.stopped("video")
    shots = about.shots()
    if seconds is not None:
        return about.moment(shots, seconds)
    if stretch is None:
        return about.video_with(shots)
    first, last = int(stretch["first"]), int(stretch["last"])
    holding = [s for s in shots if s["first"] <= first and last <= s["last"]]
    if not holding:
        return about.stopped("clip" if stretch[4] else "shot")
    if name == holding[0]["shot_id"]:
        return about.shot(holding[0])
    return about.clip(holding[0], name, first, last)


class _About:
    """One video, the words said on the way so far, and the kinds of answer."""

    def __init__(
        self, workspace: Workspace, asked: str, video: dict[str, Any] | None, words: list[Word]
    ) -> None:
        self.workspace, self.asked, self.words = workspace, asked, words
        self._known: dict[tuple[str, str], dict[str, Any] | None] = {}
        self.path = video["path"] if video else next((w.item for w in words), None)
        self.video_id = str(video["video_id"]) if video else ""
        current = workspace.current("verdicts")
        known = {field.name for field in dataclasses.fields(Filter)}
        stored = (current or {}).get("parameters", {})
        self.params = Filter(**{k: v for k, v in stored.items() if k in known})

    def stopped(self, kind: str, camera_kind: str | None = None) -> Explanation:
        """An answer for what did not come as far as `filter`."""
        return Explanation(
            self.asked, kind, self.path, self.words, [], ending(self.words), camera_kind
        )

    def shots(self) -> list[dict[str, Any]]:
        """The shots that `scan` cut the video into; its word is added."""
        row = self._say("scans", self.video_id, ["shots"])
        return list(row["shots"] or []) if row and row.get("shots") else []

    def video_with(self, shots: list[dict[str, Any]]) -> Explanation:
        """Every candidate of every shot."""
        candidates: list[dict[str, Any]] = []
        ids = {shot["shot_id"] for shot in shots}
        for table, columns in (("detections", list(COLUMNS)), ("verdicts", [])):
            self._read(table, ids, columns)
        for shot in shots:
            found = self._judged(shot)
            candidates += found[1] if found else []
        kept = sum(c["outcome"] == "kept" for c in candidates)
        hours = sum(c["t1_s"] - c["t0_s"] for c in candidates if c["outcome"] == "kept")
        summary = f"{len(shots)} shots, {len(candidates)} stretches judged, {kept} clips kept"
        summary += f" ({hours:.1f} s)" if kept else ""
        if not candidates:
            summary = ending(self.words)
        most = max((c["person"] for c in candidates), default=0) + 1
        return Explanation(
            self.asked, "video", self.path, self.words, candidates, summary, people=most
        )

    def shot(self, shot: dict[str, Any]) -> Explanation:
        """Every candidate of a shot."""
        found = self._judged(shot)
        if found is None:
            return self.stopped("shot", shot.get("camera_kind"))
        row, candidates = found
        if len(candidates) == 1:
            return self._one("shot", shot, row, candidates, 0)
        kept = sum(c["outcome"] == "kept" for c in candidates)
        summary = f"{len(candidates)} stretches judged, {kept} clips kept"
        return self._several("shot", shot, row, candidates, summary)

    def clip(self, shot: dict[str, Any], name: str, first: int, last: int) -> Explanation:
        """A candidate by its id; one that is none under today's thresholds is told as what has
        come of its frames."""
        found = self._judged(shot)
        if found is None:
            return self.stopped("clip", shot.get("camera_kind"))
        row, candidates = found
        for place, candidate in enumerate(candidates):
            if candidate["clip_id"] == name:
                return self._one("clip", shot, row, candidates, place)
        there = [c for c in candidates if c["first"] <= last and c["last"] >= first]
        told = ", ".join(f"{c['clip_id']} ({c['reason'] or 'kept'})" for c in there) or "nothing"
        summary = f"the thresholds now in force make no such clip; of its frames they make: {told}"
        return self._several("clip", shot, row, there, summary)

    def moment(self, shots: list[dict[str, Any]], seconds: float) -> Explanation:
        """The candidate that is on screen at a time."""
        holding = [s for s in shots if s["t0_s"] <= seconds < s["t1_s"]]
        if not holding:
            if shots:
                end = shots[-1]["t1_s"]
                raise UsageError(f"{seconds:g} s is in no shot of this video of {end:.2f} s.")
            return self.stopped("moment")
        found = self._judged(holding[0])
        if found is None:
            return self.stopped("moment", holding[0].get("camera_kind"))
        row, candidates = found
        places = [i for i, c in enumerate(candidates) if c["t0_s"] <= seconds < c["t1_s"]]
        person = candidates[places[0]]["person"] if places else 0
        frame = moment(row.subset(np.array([person])), seconds, self.params)
        if len(places) == 1:
            one = self._one("moment", holding[0], row, candidates, places[0])
            return dataclasses.replace(one, frame=frame)
        summary = "this moment is in no candidate: one person gives way to another"
        if places:
            summary = f"{len(places)} people are on screen; the scores of person {person}"
        there = [candidates[place] for place in places]
        return dataclasses.replace(
            self._several("moment", holding[0], row, there, summary), frame=frame
        )

    def _judged(self, shot: dict[str, Any]) -> tuple[Shots, list[dict[str, Any]]] | None:
        """The stored scores of a shot, person by person, and its candidates; None where there are
        no scores."""
        row = self._say("detections", shot["shot_id"], list(COLUMNS))
        if row is None or row["outcome"] == "failed" or row["ordinals"] is None:
            return None
        self._say("verdicts", shot["shot_id"], [])
        shots = shots_of_rows([row])
        return shots, candidate_rows(shots, judge_shots(shots, self.params), self.params)

    def _several(
        self,
        kind: str,
        shot: dict[str, Any],
        people: Shots,
        candidates: list[dict[str, Any]],
        summary: str,
    ) -> Explanation:
        """Candidates of a shot, side by side."""
        return Explanation(
            asked=self.asked,
            kind=kind,
            path=self.path,
            words=self.words,
            candidates=candidates,
            summary=summary + (f"; {len(people)} people" if len(people) > 1 else ""),
            camera_kind=shot.get("camera_kind"),
            people=len(people),
        )

    def _one(
        self,
        kind: str,
        shot: dict[str, Any],
        people: Shots,
        candidates: list[dict[str, Any]],
        place: int,
    ) -> Explanation:
        """One candidate with all its numbers."""
        candidate, person = candidates[place], candidates[place]["person"]
        place -= next(i for i, c in enumerate(candidates) if c["person"] == person)
        candidates = [c for c in candidates if c["person"] == person]
        shots = people.subset(np.array([person]))
        verdicts = judge_shots(shots, self.params)
        kept = candidate["outcome"] == "kept"
        if kept:
            for table in _LATER:
                if self._say(table, candidate["clip_id"], [], later=True) is None:
                    break
            self.words.append(self._shards(candidate["clip_id"]))
        found = checks_of(shots, verdicts, place, self.params)
        beside = [beside_of(candidates, place - 1), beside_of(candidates, place + 1)]
        return Explanation(
            asked=self.asked,
            kind=kind,
            path=self.path,
            words=self.words,
            candidates=[candidate],
            summary=sentence(candidate, self.words)
            + (f" (person {person} of 0 to {len(people) - 1})" if len(people) > 1 else ""),
            camera_kind=shot.get("camera_kind"),
            checks=[dataclasses.asdict(check) for check in found],
            before=beside[0],
            after=beside[1],
            remedies=[] if kept else remedies(shots, verdicts, place, self.params),
            person=person,
            people=len(people),
        )

    def _say(
        self, table: str, item: str, columns: list[str], *, later: bool = False
    ) -> dict[str, Any] | None:
        """The row of an item, and the stage's word on it added; None where there is none, or
        (``later``) where it is not kept."""
        stage = STAGE_OF[table]
        if self.workspace.current(table) is None:
            self.words.append(Word(stage, item, "not-run"))
            return None
        if (table, item) not in self._known:
            self._read(table, {item}, columns)
        row = self._known[table, item]
        if row is None:
            self.words.append(Word(stage, item, "pending"))
            return None
        self.words.append(word_of(stage, row))
        return None if later and row["outcome"] != "kept" else row

    def _read(self, table: str, items: set[str], columns: list[str]) -> None:
        """Read the rows of some items in one go."""
        self._known.update({(table, item): None for item in items})
        if self.workspace.current(table) is not None:
            names = [*columns, "outcome", *_WORD]
            for row in self.workspace.rows(table, names, outcome=None, only=("item_id", items)):
                self._known[table, row["item_id"]] = row

    def _shards(self, clip: str) -> Word:
        """Whether the set in the workspace's own folder holds the clip."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        folder = self.workspace.path / "shards"
        if not (folder / "manifest.json").is_file():
            return Word("build-shards", clip, "not-run")
        for shard in sorted(folder.rglob("*.parquet")):
            names = pq.read_schema(shard).names
            if "clip_id" not in names or "split" not in names:
                continue
            data = pq.read_table(shard, columns=["clip_id", "split"])
            split = data.filter(pc.equal(data.column("clip_id"), clip)).column("split")
            if len(split):
                where = f"{shard.relative_to(folder)}, split {split[0]}"
                return Word("build-shards", clip, "kept", message=where)
        message = "left out when the set was built, or not built again since"
        return Word("build-shards", clip, "dropped", self._left_out(clip), message=message)

    def _left_out(self, clip: str) -> str | None:
        captions = next((w for w in self.words if w.stage == "caption" and w.item == clip), None)
        return "no-caption" if captions is None or captions.outcome != "kept" else None


def _split_moment(workspace: Workspace, asked: str) -> tuple[str, float | None]:
    name, at, seconds = asked.rpartition("@")
    if not at:
        return asked, None
    try:
        return name, float(seconds)
    except ValueError:  # an @ of the name's own
        return asked, None


def _video(workspace: Workspace, name: str) -> tuple[dict[str, Any] | None, list[Word]]:
    """The row of `videos` that goes by a name, kept before failed, and the words so far."""
    words = list(_fetched(workspace, name))
    if workspace.current("videos") is None:
        return None, words
    full = str(Path(name).absolute()) if name else ""
    columns = [*_VIDEO, *_WORD]
    found: dict[str, list[dict[str, Any]]] = {"exact": [], "file": []}
    for row in workspace.rows("videos", columns, outcome=None):
        path = row["path"] or ""
        if name in (row["video_id"], row["item_id"], path, row["page_url"]) or full == path:
            found["exact"].append(row)
        elif name and Path(path).name == name:
            found["file"].append(row)
    rows = found["exact"] or found["file"]
    ids = {row["video_id"] or row["item_id"] for row in rows}
    if len(ids) > 1:
        paths = ", ".join(sorted(str(row["path"]) for row in rows)[:4])
        raise UsageError(f"'{name}' may be {len(ids)} videos: {paths}.", hint="give the whole path")
    if not rows:
        return None, words
    rows.sort(key=lambda row: (row["outcome"] != "kept", row["item_id"]))
    words.append(word_of("ingest", rows[0], str(rows[0]["path"])))
    return (rows[0] if rows[0]["outcome"] == "kept" else None), words


def _fetched(workspace: Workspace, name: str) -> Iterator[Word]:
    """What `fetch` says of an address."""
    if "://" not in name or workspace.current("downloads") is None:
        return
    for row in workspace.rows("downloads", ["url", "outcome", *_WORD], outcome=None):
        if name in (row["url"], row["item_id"]):
            yield word_of("fetch", row)

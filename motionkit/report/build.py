"""Write the report: one HTML file that needs nothing else.

Foreign text (captions, paths, error messages) is escaped by the template or by
`embedded_json`; the page's policy forbids every script but ours and every request.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import motionkit
from motionkit.bodies.skeleton import JOINTS, PARENTS
from motionkit.report.drop_pictures import drop_pictures
from motionkit.report.facts import PEOPLE_TABLES, Facts, collect
from motionkit.report.generated import read_motion
from motionkit.report.held_out import held_out_section
from motionkit.report.motion import measure
from motionkit.report.object_motion import measure_objects
from motionkit.report.object_pictures import object_sheets
from motionkit.report.object_section import (
    object_cells,
    object_notes,
    object_sheets_section,
    objects_section,
    shard_time,
)
from motionkit.report.objects import Objects, read_objects
from motionkit.report.pictures import contact_sheets
from motionkit.report.results import shards_section, training_section
from motionkit.report.sections import (
    comparison_section,
    drops_section,
    funnel_section,
    headline_numbers,
    motion_section,
    score_charts,
    sheets_section,
    steps_section,
    words_section,
)
from motionkit.report.trajectory_section import trajectory_section
from motionkit.report.words import read_words
from motionkit.stage import Tables
from motionkit.workspace import publish

#: Examples shown for each reason of dropping.
_EXAMPLES = 4
_MAX_MOTIONS = 12


def build_report(
    tables: Tables,
    out: Path,
    *,
    shards: Path | None = None,
    train_logs: Sequence[Path] = (),
    held_out: Sequence[Path] = (),
    generated: Sequence[Path] = (),
    lang2motion: Path | None = None,
    trajectories: Sequence[Path] = (),
    title: str = "Motion data report",
    max_examples: int = 8,
    recipe: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of a workspace to ``out`` (an .html file) and return its path.

    Stages that have not run, shards, logs and motions that are not there give sections that
    say so. ``held_out`` are held_out.json files: the 3D error of a trained model on clips it did
    not see. ``lang2motion`` is the folder of a trained Lang2Motion, whose trajectories for
    held-out sentences of ``shards`` are drawn; ``trajectories`` are .npz files that it generated.
    ``max_examples`` is the number of clips drawn as contact sheets. ``recipe`` is shown as it is;
    without one the shard manifest's is. The same inputs give the same bytes.
    """
    objects = read_objects(tables)
    facts = collect(
        tables, examples=_EXAMPLES, sentences=None if objects is None else objects.clips
    )
    people = objects is None or any(
        step.fingerprint and step.table in PEOPLE_TABLES for step in facts.steps
    )
    motion = measure(tables)
    words = read_words(tables)
    pictures = drop_pictures(tables, (e for d in facts.drops for e in d.examples))
    sheets = list(contact_sheets(tables, max_examples))
    charts: dict[str, Any] = {}
    training = training_section(train_logs, charts)
    shard_facts, shards_empty, manifest = shards_section(shards)
    about_objects = _about_objects(tables, objects, facts, shards, max_examples)
    time = about_objects.pop("time")
    motions = [read_motion(path) for path in generated[:_MAX_MOTIONS]]
    playable = [m for m in motions if not m.problem]
    used = recipe if recipe is not None else (manifest or {}).get("recipe")
    script = _page_file("script.js")
    context = {
        "title": title,
        "version": motionkit.__version__,
        "policy": _policy(script),
        "style": Markup(_page_file("style.css")),
        "script": Markup(script),
        "data": embedded_json(
            {
                "charts": charts,
                "motions": [{"fps": m.fps, "joints": m.joints_mm} for m in playable],
                "skeleton": {"joints": JOINTS, "parents": PARENTS},
            }
        ),
        "people": people,
        **about_objects,
        "numbers": headline_numbers(facts, motion, words, manifest, people=people, objects=objects),
        "lead": _lead(facts, shard_facts, objects, people),
        "funnel": funnel_section(
            facts, motion, words, manifest, people=people, objects=objects, time=time
        ),
        "comparison": comparison_section(
            motion, words, people=people, of_objects=about_objects["object_cells"]
        ),
        "drops": drops_section(facts, pictures),
        "drops_empty": (
            "Nothing was dropped."
            if any(step.fingerprint for step in facts.steps)
            else "No step has run yet: motionkit ingest is the first."
        ),
        "scores": score_charts(facts),
        "failures": facts.failures,
        "motion": motion_section(motion),
        "words": words_section(words),
        "sheets": sheets_section(sheets, facts.names),
        "training": training,
        "held_out": held_out_section(held_out),
        "motions": [
            {
                "name": m.name,
                "label": m.text or m.name,
                "frames": m.frames,
                "problem": m.problem,
                "index": None if m.problem else playable.index(m),
            }
            for m in motions
        ],
        "point_models": bool(
            objects or trajectories or (lang2motion is not None and lang2motion.exists())
        ),
        "trajectories": trajectory_section(
            lang2motion,
            shards,
            shard_facts["manifest_hash"] if shard_facts else None,
            own=trajectories,
        ),
        "shards": shard_facts,
        "shards_empty": shards_empty,
        "steps": steps_section(facts, people=people),
        "licences": sorted(facts.licences.items(), key=lambda item: (-item[1], item[0])),
        "recipe": json.dumps(used, indent=2, ensure_ascii=False) if used else "",
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    html = environment.from_string(_page_file("page.html.j2")).render(context)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    publish(out, lambda temporary: temporary.write_text(html, "utf-8"))
    return out


def embedded_json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in, whatever text it holds."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    for mark, safe in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(mark, safe)
    return Markup(text)


def _about_objects(
    tables: Tables, objects: Objects | None, facts: Facts, shards: Path | None, examples: int
) -> dict[str, Any]:
    """What the page says of sentences about objects; every value None without any."""
    names = ("time", "objects", "object_words", "object_notes", "object_cells")
    if objects is None:
        return dict.fromkeys(names)
    time = shard_time(shards)
    moved = measure_objects(tables, objects.motions)
    sheets = object_sheets(tables, objects.motions, examples)
    drawn = object_sheets_section(list(sheets), facts.names)
    section = objects_section(objects, moved, drawn)
    said = words_section(objects.words, "sentences")
    values = (time, section, said, object_notes(objects, time), object_cells(objects, moved))
    return dict(zip(names, values, strict=True))


def _lead(
    facts: Facts, shards: Mapping[str, Any] | None, objects: Objects | None, people: bool
) -> str:
    if not facts.names:
        return "This workspace is empty so far. Each section says which command fills it."
    ready = "ready as shards" if shards else "not yet written as shards"
    if not people and objects is not None:
        return (
            f"{len(facts.names):,} videos with {objects.sentences:,} sentences about what moves "
            f"in them. This page shows what was kept, what was dropped and why, and what came of "
            f"it; the samples are {ready}."
        )
    searched = any(step.table == "detections" and step.fingerprint for step in facts.steps)
    what = "were searched for people in motion" if searched else "were taken in"
    return (
        f"{len(facts.names):,} videos {what}. This page shows what was "
        f"kept, what was dropped and why, and what came of it; the clips are {ready}."
    )


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _page_file(name: str) -> str:
    return (resources.files("motionkit.report") / "page" / name).read_text("utf-8")

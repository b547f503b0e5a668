"""The data card of a shard set: README.md for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from motionkit.shards.schema import SPLITS
from motionkit.shards.terms import licence_terms, model_terms

_HEAD: Final = """\
# Motion clips

Clips of one target each: a person with 2D keypoints, or objects with masks; point tracks where
they were made, and captions.
Made with motionkit; `manifest.json` holds every number of this page, the SHA-256 of each
file, the split rule, the recipe and the fingerprints of what was read.
"""

_USE: Final = """\
## Read it

```python
from motionkit.shards.reader import open_shards

for sample in open_shards("PATH").samples("train"):
    sample.m2d  # [F, 18, 3]: x, y in pixels, confidence; last entry (width, height, 1)
```

The files are plain Parquet: pandas, DuckDB, pyarrow and `datasets` read them without motionkit.
List columns are flat; the table below gives their shape. Coordinates are stored in steps of
1/16 pixel, confidences in steps of 1/256.
"""


def data_card(manifest: Mapping[str, Any]) -> str:
    """README.md for a set, from its manifest."""
    models = sorted({*manifest["backends"], *manifest["caption_sources"]})
    parts = [
        _HEAD,
        "## What is in it\n",
        *_contents(manifest),
        *_split_text(manifest["split_rule"]),
        "## Statistics\n",
        *_statistics(manifest["statistics"]),
        "## Captions\n",
        _counts("source", manifest["caption_sources"], "captions"),
        "`kinematic` captions are rules over the keypoints, not human text.\n",
        "## Licences of the clips\n",
        _table(
            ["licence", "clips", "commercial use"],
            [
                [licence, count, _allowed(licence_terms(licence).commercial)]
                for licence, count in manifest["licences"].items()
            ],
        ),
        "## Models that touched the data\n",
        _table(
            ["backend", "licence", "commercial use"],
            [[m, model_terms(m).text, _allowed(model_terms(m).commercial)] for m in models],
        ),
        "The column on commercial use is read off the licence's name; it is no legal advice.\n",
        "## Left out\n",
        _counts("reason", manifest["left_out"]) if manifest["left_out"] else "Nothing.\n",
        "## Dropped before\n",
        _dropped(manifest["dropped"]),
        _USE,
        "## Columns\n",
        _table(
            ["column", "type", "shape", "meaning"],
            [[c["name"], c["type"], c["shape"], c["meaning"]] for c in manifest["columns"]],
        ),
    ]
    return "\n".join(parts)


def _contents(manifest: Mapping[str, Any]) -> list[str]:
    names = ("samples", "videos", "groups", "captions", "frames")
    rows = [
        [split, *(s[name] for name in names), f"{s['hours']:.3f}"]
        for split, s in ((n, manifest["splits"][n]) for n in SPLITS)
    ]
    totals = manifest["totals"]
    kinds = (
        f"{totals['persons']} clips of persons, {totals['objects']} of objects; "
        f"{totals['with_tracks']} have point tracks.\n"
    )
    return [_table(["split", "clips", *names[1:], "hours"], rows), kinds]


def _split_text(rule: Mapping[str, Any]) -> list[str]:
    groups, official = rule["groups"], rule["official"]
    text = (
        f"Split by group of near-duplicate videos: {rule['text']} (salt `{_cell(rule['salt'])}`, "
        f"shares {rule['shares']}). {groups['text']}; `groups.csv` lists them all. To check it "
        f"from the data alone, in this folder (it gives {groups['check_expects']}):\n\n"
        f"```sql\n{groups['check_sql']};\n```\n"
    )
    if not official["groups"]:
        return [text]
    return [
        text,
        f"{official['groups']} groups came with a split of their own "
        f"({', '.join(f'{a} is {b}' for a, b in official['map'].items())}); "
        f"{official['parted']} of them stood on both sides and went to test as a whole.\n",
    ]


def _statistics(found: Mapping[str, Any]) -> list[str]:
    """The numbers as papers report them."""
    captions = f"{found['captions']:,} / {found['unique_words']:,} / "
    time = f"{found['hours']:.2f} h / {found['frames']:,} / "
    views = ", ".join(f"{view} {_percent(s)}" for view, s in found["viewpoints"].items())
    rows = [
        ["clips", f"{found['clips']:,}"],
        [
            "captions / unique words / mean words a caption",
            captions + _number(found["words_per_caption"]),
        ],
        ["hours / frames / mean clip length", time + _number(found["mean_clip_s"]) + " s"],
        ["viewpoint, share of frames", views],
    ]
    speeds = [[name, _number(value)] for name, value in found["speed_px"].items()]
    lengths = [[name, count] for name, count in found["lengths"].items() if count]
    return [
        _table(["", "this set"], rows),
        _table(["clip length", "clips"], lengths),
        _table(["keypoint", "mean movement, pixels a frame"], speeds),
    ]


def _dropped(dropped: Mapping[str, Mapping[str, int]]) -> str:
    rows = [[step, r, n] for step, counts in dropped.items() for r, n in counts.items()]
    return _table(["step", "reason", "stretches"], rows) if rows else "Nothing.\n"


def _allowed(commercial: bool | None) -> str:
    return {True: "allowed", False: "not allowed", None: "not known"}[commercial]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _counts(head: str, counts: Mapping[str, int], of: str = "clips") -> str:
    return _table([head, of], [[*item] for item in counts.items()])


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(v) for v in line) + " |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    """Text that stays inside its table cell: no markup and no new line from foreign text."""
    text = " ".join(str(value).split())
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("`", "'")):
        text = text.replace(mark, safe)
    return text.replace("[", "\\[").replace("]", "\\]")

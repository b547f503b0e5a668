"""The data card of a shard set: README.md for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from motionkit.shards.schema import SPLITS

#: Licence of the code and weights behind a backend's name, by how the name begins.
MODEL_LICENCES: Final[Mapping[str, str]] = {
    "mediapipe": "Apache-2.0 (code and weights)",
    "lucas-kanade": "Apache-2.0 (motionkit's own, on OpenCV)",
    "lk": "Apache-2.0 (motionkit's own, on OpenCV)",
    "kinematic": "Apache-2.0 (motionkit's own rules, no model)",
    "sidecar": "text that came with the videos: see their licence",
    "vitpose": "Apache-2.0 (code and weights)",
    "yolo": "AGPL-3.0 (code and weights)",
    "cotracker": "CC BY-NC 4.0 (code and weights): no commercial use",
}

_HEAD: Final = """\
# Motion clips

Clips of one person each: 2D keypoints, point tracks where they were made, and captions.
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

The files are plain Parquet: pandas, DuckDB and pyarrow read them without motionkit. List
columns are flat; the table below gives their shape.
"""


def data_card(manifest: Mapping[str, Any]) -> str:
    """README.md for a set, from its manifest."""
    splits = [
        [name, s["samples"], s["videos"], s["captions"], s["frames"], f"{s['hours']:.3f}"]
        for name, s in ((n, manifest["splits"][n]) for n in SPLITS)
    ]
    rule = manifest["split_rule"]
    models = sorted({*manifest["backends"], *manifest["caption_sources"]})
    parts = [
        _HEAD,
        "## What is in it\n",
        _table(["split", "clips", "videos", "captions", "frames", "hours"], splits),
        f"Split by source video: {rule['text']} (salt `{_cell(rule['salt'])}`, shares "
        f"{rule['shares']}). {rule['groups']['crossing']} videos stand in two splits; "
        "`groups.csv` lists them all.\n",
        "## Captions\n",
        _counts("source", manifest["caption_sources"]),
        "`kinematic` captions are rules over the keypoints, not human text.\n",
        "## Licences of the clips\n",
        _counts("licence", manifest["licences"]),
        "## Models that touched the data\n",
        _table(["backend", "licence"], [[m, licence_of(m)] for m in models]),
        "## Left out\n",
        _counts("reason", manifest["left_out"]) if manifest["left_out"] else "Nothing.\n",
        _USE,
        "## Columns\n",
        _table(
            ["column", "type", "shape", "meaning"],
            [[c["name"], c["type"], c["shape"], c["meaning"]] for c in manifest["columns"]],
        ),
    ]
    return "\n".join(parts)


def licence_of(backend: str) -> str:
    """Licence of a backend or captioner by its name; says so where it is not known."""
    for start, licence in MODEL_LICENCES.items():
        if backend.startswith(start):
            return licence
    return "not known to motionkit: see the model's page"


def _counts(head: str, counts: Mapping[str, int]) -> str:
    return _table(
        [head, "clips" if head != "source" else "captions"], [[*i] for i in counts.items()]
    )


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(v) for v in line) + " |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    """Text that stays inside its table cell: no markup and no new line from foreign text."""
    text = " ".join(str(value).split())
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("`", "'")):
        text = text.replace(mark, safe)
    return text.replace("[", "\\[").replace("]", "\\]")

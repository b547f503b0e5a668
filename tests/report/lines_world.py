"""A shard set of straight lines with a held-out split, and a Lang2Motion that saw one step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.shards.shard_files import write_shards
from tests.training import lines

SIZES = {
    "grid": 3,
    "frames": 8,
    "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32},
    "decoder": {"hidden": 32},
}


def world(folder: Path, *, held_out: str = "test", says: str = "", **changes: Any) -> Path:
    """20 trajectories with two sentences each, half of them in ``held_out``; ``says`` stands
    behind each of these sentences."""
    rows = lines.rows(20, **changes)
    for row in rows[20:]:
        row["captions"][0]["text"] += says
    path = write_shards(folder, rows)
    file = path / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["shards"][1]["split"] = held_out
    empty = {"samples": 0, "videos": 0, "captions": 0, "hours": 0.0}
    half = {"samples": 20, "videos": 10, "captions": 20, "hours": 0.01}
    manifest |= {
        "totals": {"samples": 40, "with_tracks": 40, "hours": 0.02},
        "splits": {"train": half, "val": empty, "test": empty, held_out: half},
        "left_out": {},
        "split_rule": {"rule": "hash", "salt": "s", "groups": {"crossing": 0}},
    }
    file.write_text(json.dumps(manifest))
    return path


def train(shards: Path, out: Path, patch: pytest.MonkeyPatch) -> Path:
    """A model folder; ``patch`` puts the toy text encoder in the place of all others."""
    from motionkit.training.lang2motion import train_lang2motion
    from motionkit.training.lang2motion_config import Lang2MotionTrainConfig

    encoder = lines.DirectionWords()
    patch.setattr("motionkit.backends.text_encoder.text_encoder", lambda name: encoder)
    config = Lang2MotionTrainConfig(model=SIZES, steps=1, batch=4, pictures="off", picture_every=0)
    train_lang2motion(config, shards=shards, out=out)
    return out

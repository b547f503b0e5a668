"""A model of data that has changed since: kept aside when a recipe trains again."""

from __future__ import annotations

from pathlib import Path

from motionkit.training.checkpoint import load_facts


def set_aside(folder: Path, data: str) -> Path | None:
    """Renames ``folder`` where its checkpoints are of other data than ``data`` (the hash of a
    manifest), to FOLDER-HASH; returns where it is now, or None where nothing was moved.

    TrainingError where a checkpoint cannot be read.
    """
    for path in sorted(folder.glob("*.safetensors")):
        trained_on = load_facts(path).get("data")
        if trained_on is None or trained_on == data:
            continue
        aside = folder.with_name(f"{folder.name}-{str(trained_on)[:8]}")
        number = 2
        while aside.exists():
            aside = folder.with_name(f"{folder.name}-{str(trained_on)[:8]}-{number}")
            number += 1
        folder.rename(aside)
        return aside
    return None

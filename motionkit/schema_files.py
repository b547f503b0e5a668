"""Writes schemas/: JSON files that describe tables, samples and recipes, made from the code.

Run as `python -m motionkit.schema_files schemas`; a test checks that the committed files are
what this makes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from motionkit.recipes import SETTINGS, STEPS, model_of, parameters_of
from motionkit.records import OUTCOME_FIELDS, SAMPLE, SHARDS_VERSION, TABLES, TABLES_VERSION


def schema_files() -> dict[str, str]:
    """File name → text of every schema file."""
    tables = {name: _columns(pa.schema([*OUTCOME_FIELDS, *TABLES[name]])) for name in TABLES}
    files: dict[str, Any] = {
        "tables.json": {"version": TABLES_VERSION, "tables": tables},
        "sample.json": {"version": SHARDS_VERSION, "columns": _columns(SAMPLE)},
        "recipe.schema.json": _recipe(),
    }
    return {name: json.dumps(value, indent=1) + "\n" for name, value in files.items()}


def _columns(schema: pa.Schema) -> list[dict[str, str]]:
    columns = []
    for field in schema:
        column = {"name": field.name, "type": str(field.type)}
        for key, value in (field.metadata or {}).items():
            column[key.decode()] = value.decode()
        columns.append(column)
    return columns


def _recipe() -> dict[str, Any]:
    properties: dict[str, Any] = {"title": {"type": "string"}}
    trainers: dict[str, Any] = {}
    for step in [*STEPS, *SETTINGS]:
        schema = model_of(parameters_of(step)).model_json_schema()
        if step.startswith("train."):
            trainers[step.removeprefix("train.")] = schema
        else:
            properties[step] = schema
    properties["train"] = {
        "type": "object", "properties": trainers, "additionalProperties": False,
    }  # fmt: skip
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "motionkit recipe (TOML)",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def main() -> None:
    """Write every file into the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_files().items():
        (folder / name).write_text(text, "utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()

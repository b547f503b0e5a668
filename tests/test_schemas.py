"""schemas/ is what the code makes, and recipes are what the schema says."""

from pathlib import Path

import pytest

from motionkit.schema_files import schema_files

FOLDER = Path(__file__).parent.parent / "schemas"


@pytest.mark.parametrize("name", ["tables.json", "sample.json", "recipe.schema.json"])
def test_committed_schemas_are_current(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == schema_files()[name], "run: make format"

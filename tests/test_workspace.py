"""What is written comes back: nulls inside lists, empty lists, lists that are null."""

from pathlib import Path

import pytest

from motionkit.workspace import Workspace


@pytest.mark.parametrize("masks", [["ab", None, "c"], [None, None], [], None])
def test_a_frame_without_a_mask_stays_without(
    tmp_path: Path, masks: list[str | None] | None
) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    row = {"item_id": "a", "fingerprint": "f" * 32, "outcome": "kept", "attempt": 1}
    workspace.set_current("masks", "f" * 32, {})
    workspace.write_part("masks", [{**row, "masks": masks}])
    (read,) = workspace.rows("masks", ["masks"])
    assert (None if read["masks"] is None else list(read["masks"])) == masks

"""Which rows count, and reading them by group."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from motionkit.row_index import id_hashes
from motionkit.workspace import Workspace

PRINT = "cd" * 16


def row(item: str, attempt: int = 1, outcome: str = "kept", **payload: Any) -> dict[str, Any]:
    return {
        "item_id": item, "fingerprint": PRINT, "outcome": outcome, "attempt": attempt, **payload,
    }  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace.create(tmp_path / "ws")
    workspace.set_current("scans", PRINT, {})
    return workspace


def test_the_highest_attempt_counts_wherever_it_stands(workspace: Workspace) -> None:
    workspace.write_part("scans", [row("a", 2, video_id="new"), row("b", video_id="b")])
    workspace.write_part("scans", [row("a", 1, video_id="old"), row("c", 3, "failed")])
    workspace.write_part("scans", [row("c", 2, "failed"), row("b", video_id="b")])
    found = {
        r["item_id"]: r for r in workspace.rows("scans", ["video_id", "attempt"], outcome=None)
    }
    assert {k: r["attempt"] for k, r in found.items()} == {"a": 2, "b": 1, "c": 3}
    assert found["a"]["video_id"] == "new"
    done = workspace.done("scans", PRINT)
    assert (done["c"].outcome, done["c"].attempt, done["b"].stamp) == ("failed", 3, None)
    workspace.compact("scans", PRINT)
    assert len(workspace.parts("scans")) == 1
    assert workspace.done("scans", PRINT) == done


def test_stamps_are_kept(workspace: Workspace) -> None:
    workspace.write_part("scans", [row("a", stamp="s1"), row("b", stamp="s2"), row("c")])
    done = workspace.done("scans", PRINT)
    assert [done[k].stamp for k in "abc"] == ["s1", "s2", None]


def test_rows_of_other_groups_are_not_decoded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motionkit.workspace._ROW_GROUP_BYTES", 1)  # 16 rows a group
    rows = [row(f"i{n:03d}", video_id=f"v{n % 4}", camera=np.arange(n)) for n in range(64)]
    workspace.write_part("scans", rows)
    index = workspace.index("scans", PRINT)
    read = []
    real = index.read
    monkeypatch.setattr(index, "read", lambda *a: read.append(a[1]) or real(*a))
    (found,) = workspace.rows("scans", ["camera"], only=("item_id", {"i017"}))
    assert found["camera"].tolist() == list(range(17))
    assert read == [1]
    by_video = list(workspace.rows("scans", ["video_id"], only=("video_id", {"v3"})))
    assert [r["item_id"] for r in by_video] == [f"i{n:03d}" for n in range(3, 64, 4)]


def test_a_lookup_reads_one_group_and_keeps_a_few(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motionkit.workspace._ROW_GROUP_BYTES", 1)
    rows = [row(f"i{n:03d}", video_id=f"v{n:03d}", camera=np.full(3, n)) for n in range(48)]
    workspace.write_part("scans", [*rows, row("x", outcome="dropped", video_id="vx")])
    lookup = workspace.lookup("scans", "video_id", ["camera"])
    for n in (40, 3, 41, 3):
        found = lookup.get(f"v{n:03d}")
        assert found is not None and found["camera"].tolist() == [n] * 3
    assert lookup.get("vx") is None and lookup.get("nobody") is None


def test_elements_give_single_fields_of_listed_structs(workspace: Workspace) -> None:
    def shot(name: str, first: int) -> dict[str, Any]:
        return {"shot_id": name, "first": first, "last": first + 9, "t0_s": 0.0, "t1_s": 1.0}

    workspace.write_part(
        "scans", [row("v", shots=[shot("a", 0), shot("b", 10)]), row("w", shots=[])]
    )
    workspace.write_part("scans", [row("u", outcome="failed"), row("x", shots=[shot("c", 5)])])
    found = sorted(workspace.elements("scans", "shots", ("shot_id", "first")))
    assert found == [("a", 0), ("b", 10), ("c", 5)]


def test_a_damaged_group_loses_its_part_and_no_other(workspace: Workspace) -> None:
    good = workspace.write_part("scans", [row("a", camera=np.arange(5.0))])
    bad = workspace.write_part("scans", [row("b", camera=np.random.default_rng(0).random(5000))])
    workspace.index("scans", PRINT).close()
    data = bytearray(bad.read_bytes())
    keys = data.find(b"item_id")
    middle = len(data) // 2
    assert keys > middle  # the column names stand in the footer; the payload before it is hit
    data[middle - 2000 : middle + 2000] = bytes(4000)
    bad.write_bytes(data)
    fresh = Workspace(workspace.path)
    with pytest.warns(UserWarning, match="set aside|renamed"):
        found = [r["item_id"] for r in fresh.rows("scans", ["camera"])]
    assert found == ["a"]
    assert good.exists() and not bad.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(Workspace(workspace.path).done("scans", PRINT)) == ["a"]


def test_hashes_tell_ids_apart_whatever_their_length() -> None:
    ids = [f"v{n:x}" for n in range(5000)] + [f"v{n:016x}-000000" for n in range(5000)] + ["", "v"]
    mixed = id_hashes(pa.chunked_array([pa.array(ids[:7000]), pa.array(ids[7000:])]))
    assert len(set(mixed.tolist())) == len(ids)
    assert (id_hashes(pa.chunked_array([pa.array(["", *ids]).slice(1)])) == mixed).all()
    same = id_hashes(pa.chunked_array([pa.array(ids[5000:6000])]))
    assert (same == mixed[5000:6000]).all()

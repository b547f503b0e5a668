"""Room, rights and limits, of the container where there is one."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from motionkit.doctor import machine


def usage(monkeypatch: pytest.MonkeyPatch, total: float, free: float) -> None:
    kind: Any = shutil._ntuple_diskusage  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: kind(int(total), 0, int(free)))


def test_a_full_disk_is_wrong_and_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage(monkeypatch, 100e9, 1e9)
    folders = {"workspace": tmp_path / "not" / "there", "models": tmp_path}
    found = machine.disks(folders)
    assert [(f.name, f.state) for f in found] == [("disk: workspace", "wrong")]
    assert "--workspace" in found[0].cure
    assert str(tmp_path) in found[0].found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    found = machine.write_access({"models": tmp_path})
    assert (found[0].state, "MOTIONKIT_MODELS" in found[0].cure) == ("wrong", True)


def test_write_access_leaves_nothing_behind(tmp_path: Path) -> None:
    found = machine.write_access({"workspace": tmp_path / "new", "temporary files": tmp_path})
    assert [f.state for f in found] == ["ok", "ok"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("total", "free", "state", "cure"),
    [
        (64 << 20, 64 << 20, "absent", "--shm-size"),
        (8 << 30, 1 << 20, "absent", "ls -l"),
        (8 << 30, 8 << 30, "ok", ""),
    ],
)
def test_shared_memory_of_a_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, total: int, free: int, state: str, cure: str
) -> None:
    usage(monkeypatch, total, free)
    found = machine.shared_memory(tmp_path)
    assert found.state == state
    assert cure in found.cure


def test_limits_of_both_versions_of_control_groups(tmp_path: Path) -> None:
    assert machine.cpu_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cpu_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine.cpu_quota(tmp_path) == 1.5
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.cpu_quota(tmp_path) is None
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("400000\n")
    assert machine.cpu_quota(tmp_path) == 4
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert machine.memory_limit(tmp_path) == 1 << 30


def test_a_container_with_fewer_cores_is_told_how_many_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    (tmp_path / "cpu.max").write_text("400000 100000\n")
    found = machine.cores(tmp_path)
    assert (found.state, "--workers 4" in found.cure) == ("ok", True)


def test_too_little_memory_for_a_container(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{1 << 30}\n")
    found = machine.memory(tmp_path)
    assert (found.state, "--memory" in found.cure) == ("wrong", True)


def test_few_open_files_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 2048))
    assert machine.open_files().cure == "ulimit -n 2048"

"""Disk, shared memory, write access, open files, cores and memory: of the container, if any."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from motionkit.doctor.finding import Finding

_LOW_DISK: Final = 5e9
#: A container gives 64 MB unless told.
_LOW_SHARED: Final = 1 << 30
_LOW_FILES: Final = 1024
_LOW_MEMORY: Final = 2 << 30
#: What one worker takes, about, with the embedded models (measured by `motionkit plan`).
_A_WORKER: Final = 700 << 20
_CGROUPS: Final = Path("/sys/fs/cgroup")
_SETTING: Final = {
    "workspace": "choose a folder on a larger disk with --workspace",
    "models": "choose a folder on a larger disk with MOTIONKIT_MODELS",
    "temporary files": "choose a folder on a larger disk with TMPDIR",
}


def disks(folders: Mapping[str, Path]) -> list[Finding]:
    """Room on the disk of every folder, each disk once."""
    found, seen = [], set()
    for name, path in folders.items():
        folder = existing(path)
        disk = folder.stat().st_dev
        if disk in seen:
            continue
        seen.add(disk)
        free = shutil.disk_usage(folder).free
        text = f"{free / 1e9:.3g} GB free at {folder}"
        if free < _LOW_DISK:
            found.append(Finding(f"disk: {name}", "wrong", text, _SETTING[name]))
        else:
            found.append(Finding(f"disk: {name}", "ok", text))
    return found


def write_access(folders: Mapping[str, Path]) -> list[Finding]:
    """Whether a file can be written in every folder, or where it would be made."""
    found = []
    for name, path in folders.items():
        folder = existing(path)
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            cure = _SETTING[name].replace(" on a larger disk", " that can be written")
            text = f"{folder}: {error.strerror}"
            found.append(Finding(f"write access: {name}", "wrong", text, cure))
        else:
            found.append(Finding(f"write access: {name}", "ok", str(folder)))
    return found


def shared_memory(place: Path = Path("/dev/shm")) -> Finding:
    """Room in shared memory. No fault where it is small: the engine does without."""
    if not place.is_dir():
        return Finding("shared memory", "ok", "not limited by a file system")
    size = shutil.disk_usage(place)
    text = f"{size.free / 2**30:.3g} of {size.total / 2**30:.3g} GiB free at {place}"
    if size.free >= _LOW_SHARED:
        return Finding("shared memory", "ok", text)
    text += "; loaders with workers (torch's DataLoader over shards) need more"
    cure = "docker run --shm-size=4g …   (outside a container: mount -o remount,size=4g /dev/shm)"
    return Finding("shared memory", "absent", text, cure if size.total < _LOW_SHARED else "ls -l "
                   f"{place}   (what fills it?)")  # fmt: skip


def open_files() -> Finding:
    """How many files a process may hold open."""
    try:
        import resource
    except ImportError:
        return Finding("open files", "ok", "not limited in this way")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _LOW_FILES:
        high = "4096" if hard == resource.RLIM_INFINITY or hard >= 4096 else str(hard)
        return Finding("open files", "wrong", f"at most {soft} a process", f"ulimit -n {high}")
    return Finding("open files", "ok", "not limited" if soft < 0 else f"at most {soft} a process")


def cores(cgroups: Path = _CGROUPS) -> Finding:
    """Cores of the machine, and those that this process may use."""
    there = os.cpu_count() or 1
    allowed = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else there
    quota = cpu_quota(cgroups)
    if quota is not None:
        allowed = min(allowed, quota)
    if allowed < there - 0.5:
        workers = max(1, round(allowed))
        return Finding(
            "cores", "ok", f"{there}, of which this process may use {allowed:g}: a run would "
            f"start {there} workers", f"say --workers {workers}, or in a recipe: [engine] workers "
            f"= {workers}",
        )  # fmt: skip
    return Finding("cores", "ok", str(there))


def memory(cgroups: Path = _CGROUPS) -> Finding:
    """Memory that is free, or that the container may have."""
    total, free = _system_memory()
    limit = memory_limit(cgroups)
    if limit is not None and (total is None or limit < total):
        total, free = limit, min(limit, free) if free is not None else limit
    if total is None:
        return Finding("memory", "ok", "this system does not say")
    text = f"{total / 2**30:.3g} GiB" + (f", {free / 2**30:.3g} GiB free" if free else "")
    if total < _LOW_MEMORY:
        return Finding("memory", "wrong", f"{text}: at least {_LOW_MEMORY >> 30} GiB are needed",
                       "give the container more: docker run --memory=8g …")  # fmt: skip
    workers = os.cpu_count() or 1
    if total < workers * _A_WORKER:
        fit = max(1, int(total / _A_WORKER) - 1)
        return Finding(
            "memory",
            "ok",
            f"{text}: little for {workers} workers, one a core",
            f"say --workers {fit}, or in a recipe: [engine] workers = {fit}",
        )
    return Finding("memory", "ok", text)


def cpu_quota(cgroups: Path = _CGROUPS) -> float | None:
    """Cores that the control group allows; None where it sets no limit."""
    both = _words(cgroups / "cpu.max")  # version 2
    if len(both) == 2 and both[0].isdigit():
        return int(both[0]) / max(1, int(both[1]))
    quota, period = (_words(cgroups / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if quota and period and quota[0].isdigit() and period[0].isdigit():
        return int(quota[0]) / max(1, int(period[0]))
    return None


def memory_limit(cgroups: Path = _CGROUPS) -> int | None:
    """Bytes that the control group allows; None where it sets no limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        said = _words(cgroups / name)
        if said and said[0].isdigit() and int(said[0]) < 1 << 60:  # version 1 writes 2^63 for none
            return int(said[0])
    return None


def _system_memory() -> tuple[int | None, int | None]:
    """Bytes in all, and available."""
    found = {}
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            name, _, rest = line.partition(":")
            found[name] = int(rest.split()[0]) * 1024
        return found.get("MemTotal"), found.get("MemAvailable")
    except (OSError, ValueError, IndexError):
        pass
    if sys.platform != "win32" and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    return None, None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", "replace").split()
    except OSError:
        return []


def existing(path: Path) -> Path:
    """The path, or the first folder above it that is there."""
    folder = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    while not folder.is_dir():
        folder = folder.parent
    return folder

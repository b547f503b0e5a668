"""Python, the packages that are needed, and the extras: by their metadata, nothing is imported."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Final

from motionkit.doctor.finding import Finding

#: What each extra is for. A test holds it against pyproject.toml.
EXTRAS: Final[Mapping[str, str]] = {
    "mediapipe": "embedded poses with their weights: detect, pose",
    "mediapipe-lean": "embedded poses without mediapipe's further packages (docs/install.md)",
    "train": "training and generation",
    "fabric": "training on several devices: train",
    "tensorboard": "curves and pictures of a training: train",
    "smpl": "SMPL's surface, with your model file (docs/bodies.md)",
    "export": "trained generators as ONNX: export k2m",
    "minilm": "embedded text encoder with its weights: train, generate",
    "yolo": "YOLO11-pose and segmentation: detect, masks",
    "vitpose": "ViTPose through transformers: pose",
    "sam2": "SAM 2 masks through transformers: masks",
    "caption": "captions by local image-text-to-text models: caption",
    "clip": "CLIP text and image encoders: train",
    "models": "all of the models: yolo, vitpose, sam2, clip, caption",
    "web": "pages, searches and stores: ingest",
    "cluster": "running on several machines",
    "demo": "the demo: motionkit demo",
}
_NOT_FOR_USERS: Final = ("dev", "test", "docs")
_OPENCV: Final = ("opencv-python-headless", "opencv-python", "opencv-contrib-python")
_REQUIREMENT: Final = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)\s*(?:\[(?P<extras>[^\]]*)\])?\s*\(?(?P<limits>[^;)]*)\)?"
    r"\s*(?:;(?P<marker>.*))?$"
)
_EXTRA: Final = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_LIMIT: Final = re.compile(r"(>=|<=|==|!=|<|>|~=)\s*([0-9][0-9a-z.*+]*)")


@dataclasses.dataclass(frozen=True)
class Requirement:
    """``name`` with ``limits`` (operator, version), wanted by ``extra`` (None: always)."""

    name: str
    limits: tuple[tuple[str, str], ...]
    extra: str | None
    extras: tuple[str, ...] = ()


def python() -> Finding:
    """Python's version."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return Finding("Python", "ok", version)
    return Finding(
        "Python", "wrong", version, "use Python 3.10, 3.11 or 3.12: the embedded poses need it"
    )


def core() -> list[Finding]:
    """The packages without which nothing runs. decord is left to the decoders."""
    found = []
    for wanted in requirements():
        if wanted.extra is None and wanted.name != "decord":
            state, text = _judged(wanted)
            cure = "" if state == "ok" else f"pip install --upgrade '{_text(wanted)}'"
            found.append(Finding(wanted.name, "ok" if state == "ok" else "wrong", text, cure))
    return [*found, _opencv_twins()]


def extras() -> list[Finding]:
    """Every extra with what it is for, and which of its packages are missing."""
    everything = list(requirements())
    names = dict.fromkeys(wanted.extra for wanted in everything if wanted.extra)
    found = []
    for extra in names:
        if extra in _NOT_FOR_USERS or extra is None:
            continue
        wanted = list(_of_extra(extra, everything))
        judged = {one.name: _judged(one) for one in wanted}
        missing = [name for name, (state, _) in judged.items() if state == "absent"]
        unfit = [f"{name} {text}" for name, (state, text) in judged.items() if state == "wrong"]
        purpose = EXTRAS.get(extra, "")
        cure = f"pip install 'motionkit[{extra}]'"
        if missing:
            text = f"not installed: {', '.join(missing)}; {purpose}"
            found.append(Finding(f"extra {extra}", "absent", text, cure))
        elif unfit:
            text = f"{', '.join(unfit)}; {purpose}"
            found.append(Finding(f"extra {extra}", "wrong", text, f"{cure} --upgrade"))
        else:
            found.append(Finding(f"extra {extra}", "ok", purpose))
    return [*found, _mmpose()]


def requirements() -> Iterator[Requirement]:
    """What motionkit's own metadata asks for on this system."""
    try:
        lines = importlib.metadata.requires("motionkit") or []
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return
    for line in lines:
        found = parse(line)
        if found is not None:
            yield found


def parse(line: str) -> Requirement | None:
    """A line of the metadata; None where it is for another system or Python."""
    match = _REQUIREMENT.match(line)
    if match is None:
        return None
    marker = match["marker"] or ""
    extra = _EXTRA.search(marker)
    rest = _EXTRA.sub("", marker)
    if "python_version" in rest and sys.version_info >= (3, 11):  # tomli: for 3.10 alone
        return None
    if "platform_system" in rest and "Darwin" in rest and sys.platform == "darwin":
        return None
    inner = tuple(name.strip() for name in (match["extras"] or "").split(",") if name.strip())
    limits = tuple((op, version) for op, version in _LIMIT.findall(match["limits"] or ""))
    return Requirement(match["name"], limits, extra[1] if extra else None, inner)


def version_of(package: str) -> str | None:
    """The installed version; None where it is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def fits(version: str, limits: tuple[tuple[str, str], ...]) -> bool:
    """Whether a version lies within the limits, compared by its numbers."""
    have = _numbers(version)
    for operator, text in limits:
        bound = _numbers(text)
        size = max(len(have), len(bound))
        a, b = (part + (0,) * (size - len(part)) for part in (have, bound))
        if operator == ">=" and not a >= b:
            return False
        if operator == "<" and not a < b:
            return False
        if operator == "<=" and not a <= b:
            return False
        if operator == ">" and not a > b:
            return False
        if operator == "==" and a[: len(bound)] != bound:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    plain = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(part) for part in plain[0].split(".")) if plain else ()


def _of_extra(extra: str, everything: list[Requirement]) -> Iterator[Requirement]:
    """The packages of an extra, those of the extras that it is made of included."""
    for wanted in everything:
        if wanted.extra == extra and wanted.name == "motionkit":
            for inner in wanted.extras:
                yield from _of_extra(inner, everything)
        elif wanted.extra == extra:
            yield wanted


def _judged(wanted: Requirement) -> tuple[str, str]:
    version = version_of(wanted.name)
    if version is None and wanted.name in _OPENCV:  # any of them is the module cv2
        version = next((found for name in _OPENCV if (found := version_of(name))), None)
    if version is None:
        return "absent", "not installed"
    if not fits(version, wanted.limits):
        limits = ", ".join(operator + bound for operator, bound in wanted.limits)
        return "wrong", f"{version}, and {limits} is needed"
    return "ok", version


def _text(wanted: Requirement) -> str:
    return wanted.name + ",".join(operator + bound for operator, bound in wanted.limits)


def _mmpose() -> Finding:
    """mmpose is no extra: plain pip cannot install it."""
    version = version_of("mmpose")
    if version is not None:
        return Finding("mmpose", "ok", f"{version} (pose --backend mmpose:CONFIG)")
    return Finding(
        "mmpose", "absent", "not installed; pose by mmpose's models: pose",
        "scripts/install-mmpose.sh FOLDER   (an environment of its own; docs/install.md)",
    )  # fmt: skip


def _opencv_twins() -> Finding:
    found = {name: version_of(name) for name in _OPENCV}
    installed = [f"{name} {version}" for name, version in found.items() if version]
    if len({version for version in found.values() if version}) > 1:
        return Finding(
            "OpenCV",
            "wrong",
            "several versions in one folder: " + ", ".join(installed),
            "pip uninstall -y opencv-python opencv-contrib-python && "
            "pip install --force-reinstall --no-deps opencv-python-headless",
        )
    return Finding("OpenCV", "ok", ", ".join(installed) or "not installed")

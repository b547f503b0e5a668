"""torch, torchvision, the driver and the GPUs; and where there is no GPU, why.

``python -m motionkit.doctor.cuda`` imports torch and torchvision and answers with what they say.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from motionkit.doctor import child
from motionkit.doctor.finding import Finding
from motionkit.doctor.packages import version_of

_BOTH: Final = "pip install --upgrade --force-reinstall torch torchvision"


@dataclasses.dataclass(frozen=True)
class Driver:
    """``gpus`` as nvidia-smi lists them; ``version`` of the driver, and the newest ``cuda`` it can
    run; ``on_bus`` NVIDIA cards that the system sees, driver or not."""

    gpus: tuple[str, ...] = ()
    version: str | None = None
    cuda: tuple[int, ...] | None = None
    on_bus: int = 0


def start() -> child.Child:
    """Ask torch, in a process of its own: a broken torchvision ends in an exception or worse."""
    return child.start(__name__)


def driver(bus: Path = Path("/sys/bus/pci/devices")) -> Driver:
    """What the NVIDIA driver says; empty where there is none."""
    on_bus = 0
    for device in bus.glob("*") if bus.is_dir() else ():
        vendor, kind = _word(device / "vendor"), _word(device / "class")
        on_bus += vendor == "0x10de" and kind.startswith("0x03")
    if shutil.which("nvidia-smi") is None:
        return Driver(on_bus=on_bus)
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version",
             "--format=csv,noheader"]  # fmt: skip
    rows = [line.split(", ") for line in _said(query).splitlines() if line.count(", ") == 2]
    newest = re.search(r"CUDA Version:\s*([0-9]+)\.([0-9]+)", _said(["nvidia-smi"]))
    return Driver(
        gpus=tuple(f"{name}, {memory}" for name, memory, _ in rows),
        version=rows[0][2] if rows else None,
        cuda=(int(newest[1]), int(newest[2])) if newest else None,
        on_bus=max(on_bus, len(rows)),
    )


def findings(torch: Mapping[str, Any], there: Driver) -> list[Finding]:
    """Whether torch and torchvision fit, and the GPUs."""
    if torch.get("absent"):
        return [
            Finding("torch", "absent", "not installed; models, training and generation",
                    "pip install 'motionkit[train]'"),
            *([_gpu(torch, there)] if there.gpus else []),
        ]  # fmt: skip
    return [_pair(torch), _gpu(torch, there)]


def _pair(torch: Mapping[str, Any]) -> Finding:
    """torch and torchvision must be of one release, or importing torchvision fails."""
    name = "torch with torchvision"
    if "torch" not in torch:
        error = torch.get("torch_error") or torch.get("died")
        return Finding(name, "wrong", f"torch does not load: {error}", _BOTH)
    version, vision = torch["torch"], torch.get("torchvision")
    unfit = torch.get("torchvision_error") or torch.get("died")
    if unfit:
        return Finding(
            name,
            "wrong",
            f"torch {version} and torchvision {vision} do not fit: {unfit}",
            f"{_BOTH}   (or, where nothing needs it: pip uninstall torchvision)",
        )
    if vision is None:
        return Finding(name, "ok", f"{version}; torchvision is not installed (yolo needs it)")
    return Finding(name, "ok", f"{version} with {vision}")


def _gpu(torch: Mapping[str, Any], there: Driver) -> Finding:
    devices = torch.get("devices") or []
    broken = [device["error"] for device in devices if device.get("error")]
    if broken:
        return Finding("GPU", "wrong", f"a first sum on the device failed: {broken[0]}", _BOTH)
    if devices:
        text = "; ".join(
            f"{d['name']}, {d['total'] / 2**30:.0f} GiB, {d['free'] / 2**30:.0f} GiB free"
            for d in devices
        )
        return Finding("GPU", "ok", f"{text} (torch for CUDA {torch['cuda']}, "
                       f"driver {there.version or 'unknown'})")  # fmt: skip
    found = f"{len(there.gpus)} there ({'; '.join(there.gpus)}, driver {there.version})"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not there.gpus:
        if there.on_bus:
            return Finding(
                "GPU", "wrong", f"{there.on_bus} NVIDIA card(s) on the bus, and no driver answers",
                "install the NVIDIA driver; in a container: start it with --gpus all",
            )  # fmt: skip
        return Finding("GPU", "absent", "no NVIDIA GPU on this machine: models run on the CPU")
    if torch.get("absent"):
        return Finding("GPU", "absent", f"{found}; without torch nothing uses it",
                       "pip install 'motionkit[train]'")  # fmt: skip
    if visible is not None and visible.strip() in ("", "-1"):
        return Finding("GPU", "wrong", f"{found}; CUDA_VISIBLE_DEVICES={visible!r} hides them",
                       "unset CUDA_VISIBLE_DEVICES")  # fmt: skip
    if not torch.get("cuda"):
        return Finding(
            "GPU",
            "wrong",
            f"{found}; this torch ({torch.get('torch')}) was built for the CPU alone",
            f"{_BOTH}   (the build for CUDA, see pytorch.org)",
        )
    wanted = tuple(int(part) for part in str(torch["cuda"]).split(".")[:2])
    if there.cuda is not None and wanted[0] > there.cuda[0]:
        can = ".".join(map(str, there.cuda))
        return Finding(
            "GPU",
            "wrong",
            f"{found}; the driver runs CUDA {can}, torch wants {torch['cuda']}",
            f"update the driver, or install a torch for CUDA {there.cuda[0]} (see pytorch.org)",
        )
    why = torch.get("cuda_error") or "torch.cuda.is_available() is False"
    return Finding("GPU", "wrong", f"{found}; {why}", "nvidia-smi   (does the driver answer?)")


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _word(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def main() -> None:
    """Ask and answer."""
    if version_of("torch") is None:
        child.answer({"absent": True})
        return
    found: dict[str, Any] = {"torchvision": version_of("torchvision")}
    try:
        import torch
    except Exception as error:  # noqa: BLE001 - any error here is the finding
        child.answer({"torch_error": f"{type(error).__name__}: {error}"[:300]})
        return
    found.update(torch=torch.__version__, cuda=torch.version.cuda, devices=[])
    try:
        if torch.cuda.is_available():
            found["devices"] = [_device(torch, i) for i in range(torch.cuda.device_count())]
        elif torch.version.cuda:
            torch.cuda.init()
    except Exception as error:  # noqa: BLE001
        found["cuda_error"] = f"{type(error).__name__}: {error}"[:300]
    if found["torchvision"] is not None:
        child.answer(found)  # it may end this process
        try:
            import torchvision

            boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
            torchvision.ops.nms(boxes, torch.ones(1), 0.5)
        except Exception as error:  # noqa: BLE001
            found["torchvision_error"] = f"{type(error).__name__}: {error}"[:300]
    child.answer(found)


def _device(torch: Any, number: int) -> dict[str, Any]:
    about = torch.cuda.get_device_properties(number)
    found: dict[str, Any] = {"name": about.name, "total": about.total_memory, "free": 0}
    try:
        found["free"] = torch.cuda.mem_get_info(number)[0]
        float((torch.ones(2, device=f"cuda:{number}") * 2).sum())  # a build without this card
    except Exception as error:  # noqa: BLE001
        found["error"] = f"{about.name}: {type(error).__name__}: {error}"[:300]
    return found


if __name__ == "__main__":
    main()

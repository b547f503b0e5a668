"""Why there is no GPU, and a torchvision that does not fit."""

from pathlib import Path
from typing import Any

import pytest

from motionkit.doctor import cuda
from motionkit.doctor.cuda import Driver, findings

CARD = Driver(gpus=("H200, 143771 MiB",), version="550.1", cuda=(12, 4), on_bus=1)


def gpu(torch: dict[str, Any], there: Driver) -> tuple[str, str, str]:
    found = findings(torch, there)[-1]
    assert found.name == "GPU"
    return found.state, found.found, found.cure


def torch(**about: Any) -> dict[str, Any]:
    return {"torch": "2.13.0", "cuda": "12.4", "torchvision": None, "devices": [], **about}


def test_a_gpu_that_works() -> None:
    device = {"name": "H200", "total": 139 << 30, "free": 100 << 30}
    state, text, _ = gpu(torch(devices=[device]), CARD)
    assert state == "ok"
    assert "H200, 139 GiB, 100 GiB free" in text
    assert "550.1" in text


def test_no_gpu_is_no_fault() -> None:
    assert gpu(torch(cuda=None), Driver())[0] == "absent"


@pytest.mark.parametrize(
    ("about", "there", "text", "cure"),
    [
        ({"cuda": None, "torch": "2.13.0+cpu"}, CARD, "built for the CPU alone", "pip install"),
        ({"cuda": "13.2"}, CARD, "the driver runs CUDA 12.4, torch wants 13.2", "driver"),
        ({"cuda_error": "no permission"}, CARD, "no permission", "nvidia-smi"),
        ({}, Driver(on_bus=2), "2 NVIDIA card(s)", "--gpus all"),
        ({"devices": [{"name": "K80", "error": "no kernel image"}]}, CARD, "no kernel", "pip"),
    ],
)
def test_a_gpu_that_is_not_used_is_wrong_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, about: dict[str, Any], there: Driver, text: str, cure: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    state, found, do = gpu(torch(**about), there)
    assert (state, text in found, cure in do) == ("wrong", True, True)


def test_a_gpu_that_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpu(torch(), CARD)[2] == "unset CUDA_VISIBLE_DEVICES"


def test_cards_on_the_bus_are_seen_without_a_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda.shutil, "which", lambda name: None)
    for name, vendor, kind in (
        ("a", "0x10de", "0x030200"), ("b", "0x10de", "0x040300"), ("c", "0x8086", "0x030000"),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n")
        (tmp_path / name / "class").write_text(kind + "\n")
    assert cuda.driver(tmp_path) == Driver(on_bus=1)


def put(folder: Path, name: str, version: str, body: str) -> None:
    """A package that does ``body`` when it is imported."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(body)
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


_TORCH = """
__version__ = "9.9.0"
class version: cuda = None
class cuda:
    is_available = staticmethod(lambda: False)
"""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('raise RuntimeError("operator torchvision::nms does not exist")', "nms does not exist"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ],
)
def test_a_broken_torchvision_is_told_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, text: str
) -> None:
    put(tmp_path, "torch", "9.9.0", _TORCH)
    put(tmp_path, "torchvision", "9.1.0", body)
    monkeypatch.syspath_prepend(str(tmp_path))
    pair = findings(cuda.start().answer(), Driver())[0]
    assert pair.state == "wrong"
    assert text in pair.found
    assert "torch 9.9.0 and torchvision 9.1.0" in pair.found
    assert "pip uninstall torchvision" in pair.cure


def test_a_torch_that_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "torch", "9.9.0", 'raise OSError("libcudart.so.99: no such file")')
    monkeypatch.syspath_prepend(str(tmp_path))
    pair = findings(cuda.start().answer(), Driver())[0]
    assert (pair.state, "libcudart" in pair.found) == ("wrong", True)

"""Importing ultralytics without what it does besides: it asks the network whether it is online,
sends usage figures, installs packages that it misses, and writes settings into the home folder.

Whoever needs the package calls `import_ultralytics`; nothing else here imports it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from motionkit.errors import MissingExtraError
from motionkit.weights import models_folder

#: What is said to ultralytics before it is imported. `ULTRALYTICS_SAFE_LOAD` lets a .pt file make
#: nothing but known classes, in versions that know it (8.4.100 and later, about).
_QUIET = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",
}
#: The same as its modules hold it, for a process in which somebody else imported it before.
_HELD = {"ONLINE": False, "AUTOINSTALL": False, "SAFE_LOAD": True}


def check_ultralytics(needed_for: str) -> None:
    """MissingExtraError where ultralytics or what it cannot be imported without is absent."""
    for package in ("ultralytics", "torch", "torchvision"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "yolo", needed_for=needed_for)


def ultralytics_version() -> str:
    """The installed version; imports nothing."""
    return importlib.metadata.version("ultralytics")


def import_ultralytics(needed_for: str) -> Any:
    """The package, with its telemetry, installer, online check and home-folder writes off.

    Its settings file goes into the models folder, or into a temporary folder where that cannot be
    written. Settings of the process that the import changes (the number of OpenMP threads for
    processes started later, how numpy prints) are as before. Raises as `check_ultralytics`.
    """
    check_ultralytics(needed_for)
    if "ultralytics" not in sys.modules:
        folder = _settings_folder()
        os.environ.update(_QUIET, YOLO_CONFIG_DIR=str(folder))
        os.environ.setdefault("MPLCONFIGDIR", str(folder))
    threads, printing = os.environ.get("OMP_NUM_THREADS"), np.get_printoptions()
    try:
        package = importlib.import_module("ultralytics")
        settings = importlib.import_module("ultralytics.utils").SETTINGS
    finally:
        if threads is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        np.set_printoptions(**printing)
    dict.__setitem__(settings, "sync", False)  # its own way would write the file
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "ultralytics":
            _hold(module)
    return package


def _hold(module: Any) -> None:
    held = vars(module)
    for name in _HELD.keys() & held.keys():
        setattr(module, name, _HELD[name])
    if hasattr(held.get("events"), "enabled"):  # what sends usage figures
        module.events.enabled = False


def _settings_folder() -> Path:
    folder = models_folder() / ".ultralytics"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="motionkit-ultralytics-"))

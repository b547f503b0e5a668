"""Do the packages load? Metadata says what is installed, not whether it is whole.

``python -m motionkit.doctor.imports NAME ...`` imports each and answers with what it raised.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, Final

from motionkit.doctor import child
from motionkit.doctor.finding import Finding
from motionkit.doctor.packages import version_of

#: Module → package. Those of the core with code of their own, that a wrong numpy breaks, say.
_CORE: Final = {
    "numpy": "numpy",
    "scipy.special": "scipy",
    "pyarrow.parquet": "pyarrow",
    "duckdb": "duckdb",
    "cv2": "opencv-python-headless",
    "pydantic": "pydantic",
}
_OPTIONAL: Final = {"google.protobuf": "protobuf", "lap": "lap"}


def start() -> child.Child:
    """Import them all, in a process of their own."""
    optional = [module for module, package in _OPTIONAL.items() if version_of(package)]
    return child.start(__name__, *_CORE, *optional)


def findings(answer: Mapping[str, Any]) -> list[Finding]:
    """One finding for each that does not load, or one that all do."""
    if "died" in answer:
        return [Finding("imports", "wrong", f"importing the packages: {answer['died']}",
                        "pip install --force-reinstall motionkit")]  # fmt: skip
    known = {**_CORE, **_OPTIONAL}
    broken = [
        Finding(f"import {module}", "wrong", str(error),
                f"pip install --force-reinstall {known.get(module, module)}")
        for module, error in answer["errors"].items()
    ]  # fmt: skip
    return broken or [Finding("imports", "ok", "the packages load")]


def main(modules: list[str]) -> None:
    """Import and answer."""
    errors = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - any error here is the finding
            errors[module] = f"{type(error).__name__}: {error}"[:300]
    child.answer({"errors": errors})


if __name__ == "__main__":
    main(sys.argv[1:])

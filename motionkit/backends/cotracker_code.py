"""The checkout of CoTracker3's code, imported from the models folder.

It is no installed package, and its name may be taken: another checkout, or another project's
module. So it is imported by its place, and what it put into the interpreter (the names of its
modules, a seed of torch's random numbers) is put back as it was.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from motionkit.errors import UsageError

NAME = "cotracker"
_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Library:
    """What is used of the checkout."""

    build: Callable[..., Any]
    """``build(offline, window_len, v2)`` gives the network, with random weights."""
    grid: Callable[..., Any]
    """``grid(size, (height, width), device=…)`` gives the supporting points [1, size², 2]."""


@functools.lru_cache(maxsize=2)
def import_library(checkout: str) -> Library:
    """Import what is needed from ``checkout``. Reads nothing else and leaves ``sys.path``,
    ``sys.modules`` and the random state as they were; writes no byte code into the checkout.
    UsageError where it is no checkout that this version knows."""
    import torch

    package = Path(checkout) / NAME
    try:
        with _lock, torch.random.fork_rng(devices=[]), _only_package(package):
            build = importlib.import_module(f"{NAME}.models.build_cotracker")
            points = importlib.import_module(f"{NAME}.models.core.model_utils")
            return Library(build.build_cotracker, points.get_points_on_a_grid)
    except (ImportError, AttributeError, OSError) as error:
        raise UsageError(
            f"{checkout} is no checkout of CoTracker3's code that can be used: {error}",
            hint="motionkit models verify cotracker3:code",
        ) from error


@contextmanager
def _only_package(package: Path) -> Iterator[None]:
    """Inside, ``import cotracker`` is ``package``; after it, whatever it was before."""
    before = _take_modules()
    written = sys.dont_write_bytecode
    try:
        sys.dont_write_bytecode = True  # the checkout's files are hashed
        spec = importlib.util.spec_from_file_location(
            NAME, package / "__init__.py", submodule_search_locations=[str(package)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{package} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
        yield
    finally:
        sys.dont_write_bytecode = written
        _take_modules()
        sys.modules.update(before)


def _take_modules() -> dict[str, ModuleType]:
    """Remove all modules of that name from the interpreter's table; returns them."""
    names = [name for name in sys.modules if name == NAME or name.startswith(NAME + ".")]
    return {name: sys.modules.pop(name) for name in names}

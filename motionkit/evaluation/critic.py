"""MotionCritic, an outside model that scores SMPL motion: handed what it wants, nothing more.

The public checkout has ``MotionCritic/lib/model/critic.py`` with a class ``MotionCritic`` whose
``batch_critic`` takes [batch, frames, 25, 3] and gives a score each, higher is better. 24 rows are
the SMPL joints' axis-angle rotations (radians, the first turns the body into the world), the
25th is the root's place in metres. It was trained on 60 frames, y up, with the root starting at
the origin; that is how motions are handed over here.

Its code is imported and run, so the user has to say that the checkout is trusted. The checkpoint
is *not* loaded by that code (it unpickles whatever it finds): it is read here, as safetensors or
with ``torch.load(weights_only=True)``, which takes tensors and plain containers alone.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionkit.bodies.motion import BodyMotion
from motionkit.errors import UsageError
from motionkit.file_hash import sha256_of

#: What it was trained on.
FRAMES = 60
#: Sizes of the published checkpoint.
_SIZES = {"depth": 3, "dim_feat": 256, "dim_rep": 512, "mlp_ratio": 4}
_MODULE = "lib.model.critic"
_CLASS = "MotionCritic"


@dataclass(frozen=True)
class CriticScores:
    """Scores of a set of motions."""

    scores: tuple[float, ...]
    held: int
    """Motions of under 60 frames whose last pose was held to the end."""
    checkpoint_sha256: str

    def plain(self) -> dict[str, Any]:
        """Mean, extremes and deviation, as the literature gives them; and the counts."""
        found = np.array(self.scores, np.float64)
        return {
            "n": len(found),
            "mean": float(found.mean()),
            "max": float(found.max()),
            "min": float(found.min()),
            "std": float(found.std()),
            "frames": FRAMES,
            "shorter_and_held": self.held,
            "checkpoint_sha256": self.checkpoint_sha256,
        }


def critic_input(motion: BodyMotion, frames: int = FRAMES) -> NDArray[np.float32]:
    """[frames, 25, 3]: 24 axis-angle rotations, and the root in metres from where it starts.

    The first ``frames`` frames; a shorter motion holds its last pose. World: y up.
    """
    root = motion.joints()[:, :1]  # [F, 1, 3]
    rows = np.concatenate([motion.poses, root - root[:1]], 1)[:frames]
    held = np.repeat(rows[-1:], frames - len(rows), 0)
    return np.concatenate([rows, held]).astype(np.float32)


class Critic:
    """A loaded MotionCritic."""

    def __init__(self, checkout: Path, checkpoint: Path, *, trusted: bool) -> None:
        """``checkout``: the repository's folder, or its inner MotionCritic folder.

        UsageError where it is not trusted, not such a checkout, or does not fit the checkpoint.
        """
        if not trusted:
            raise UsageError(
                f"--critic runs Python code from {checkout}.",
                hint="look at it, then add --trust-critic",
            )
        if not checkpoint.is_file():
            raise UsageError(
                f"there is no checkpoint at {checkpoint}.",
                hint="give the critic's motioncritic_pre.pth, or the same as .safetensors",
            )
        self.sha256 = sha256_of(checkpoint)
        self._network = _built(_code_folder(checkout), _weights(checkpoint), checkpoint)
        self._rows: list[NDArray[np.float32]] = []
        self._scores: list[float] = []
        self._held = 0

    def add(self, motion: BodyMotion) -> None:
        """Score one more motion; 32 at a time go through the network."""
        self._held += len(motion.poses) < FRAMES
        self._rows.append(critic_input(motion))
        if len(self._rows) == 32:
            self._run()

    def scores(self) -> CriticScores:
        """Of all motions so far."""
        self._run()
        return CriticScores(tuple(self._scores), self._held, self.sha256)

    @torch.no_grad()
    def _run(self) -> None:
        if not self._rows:
            return
        batch = torch.from_numpy(np.stack(self._rows))  # [B, 60, 25, 3]
        found = self._network.batch_critic(batch)
        values = torch.as_tensor(found).float().flatten().tolist()
        if len(values) != len(self._rows) or not np.isfinite(values).all():
            raise UsageError(
                f"the critic gave {len(values)} scores for {len(self._rows)} motions, or such "
                "that are not finite.",
                hint="is it a checkout that this version knows? see docs/evaluate.md",
            )
        self._scores += values
        self._rows = []


def _code_folder(checkout: Path) -> Path:
    """The folder that holds ``lib``."""
    places = [checkout, checkout / "MotionCritic"]
    for place in places:
        if (place / "lib" / "model" / "critic.py").is_file():
            return place
    looked = " and ".join(str(place / "lib" / "model" / "critic.py") for place in places)
    raise UsageError(
        f"{checkout} is no checkout of MotionCritic: looked for {looked}.",
        hint="give the folder of a clone of its repository",
    )


def _weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The state dict of a checkpoint, without the prefix of DataParallel."""
    if checkpoint.suffix == ".safetensors":
        from safetensors.torch import load_file

        found: Any = load_file(checkpoint)
    else:
        try:
            found = torch.load(checkpoint, map_location="cpu", weights_only=True)
        except Exception as error:
            raise UsageError(
                f"{checkpoint} cannot be read as plain weights: {_first_line(error)}",
                hint="re-save its tensors alone, with safetensors",
            ) from error
    if isinstance(found, Mapping) and "model_state_dict" in found:
        found = found["model_state_dict"]
    tensors = isinstance(found, Mapping) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
    )
    if not tensors or not found:
        raise UsageError(
            f"{checkpoint} holds no table of weights (looked for 'model_state_dict').",
            hint="give the critic's motioncritic_pre.pth",
        )
    return {name.removeprefix("module."): value for name, value in found.items()}


def _built(folder: Path, weights: Mapping[str, torch.Tensor], checkpoint: Path) -> Any:
    """The network of the checkout with these weights, in eval mode."""
    with _importable(folder):
        try:
            module = importlib.import_module(_MODULE)
            network = getattr(module, _CLASS)(**_SIZES)
        except Exception as error:  # whatever the foreign code raises at import
            raise UsageError(
                f"{folder}: {_MODULE}.{_CLASS} cannot be built: {_first_line(error)}",
                hint="install what the checkout needs (docs/evaluate.md)",
            ) from error
    if not callable(getattr(network, "batch_critic", None)):
        raise UsageError(
            f"{folder}: {_MODULE}.{_CLASS} has no method batch_critic.",
            hint="is it a checkout that this version knows? see docs/evaluate.md",
        )
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise UsageError(
            f"{checkpoint} does not fit the checkout's network: {_first_line(error)}",
            hint=f"checkpoint and checkout must be of one version (sizes {_SIZES})",
        ) from error
    return network.eval()


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Inside, ``import lib`` finds the checkout's; afterwards nothing of it can be found."""
    before = _take_modules(("lib",))
    written = sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = written
        sys.path.remove(str(folder))
        _take_modules(("lib",))
        sys.modules.update(before)


def _take_modules(names: Sequence[str]) -> dict[str, ModuleType]:
    found = [m for m in sys.modules if m in names or m.startswith(tuple(f"{n}." for n in names))]
    return {name: sys.modules.pop(name) for name in found}


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"

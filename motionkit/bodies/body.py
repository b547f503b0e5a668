"""One interface for the bodies that a motion moves: the built-in skeleton, and SMPL."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from torch import Tensor

from motionkit.errors import UsageError

BUILT_IN = "motionkit-24"


class Body(Protocol):
    """A body with SMPL's 24 joints. Every body is a torch module; leading axes broadcast.

    ``rotations`` [..., 24, 3, 3] are relative to the parent, the first in the frame of
    ``pelvis`` [..., 3], the pelvis joint's place in metres; ``betas`` [..., 10] are shape values,
    whose meaning is the body's own.
    """

    name: str
    """motionkit-24 | smpl: says whose betas they are."""

    def __call__(
        self, rotations: Tensor, pelvis: Tensor, betas: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Joints [..., 24, 3] and COCO-17 points [..., 17, 3] in metres, and global rotations
        [..., 24, 3, 3]."""
        ...

    def rest_offsets(self, betas: Tensor) -> Tensor:
        """Each joint's place from its parent in the rest pose [..., 24, 3], metres; the first
        from the model's origin."""
        ...

    def pelvis_rest(self, betas: Tensor) -> Tensor:
        """Where the pelvis stands at rest [..., 3]; SMPL's translation is the pelvis minus it."""
        ...

    def vertices(self, rotations: Tensor, pelvis: Tensor, betas: Tensor) -> Tensor:
        """The surface [..., V, 3], metres."""
        ...

    @property
    def faces(self) -> Tensor:
        """Triangles of the surface [T, 3]."""
        ...


def make_body(spec: str = BUILT_IN) -> Body:
    """The body of a setting: "motionkit-24", or "smpl:FILE" with the user's licensed model.

    UsageError for another word; InputError of `smpl_file.read_smpl` for a file that is not SMPL.
    """
    kind, _, file = spec.partition(":")
    if spec == BUILT_IN:
        from motionkit.bodies.body_torch import TorchBody

        return TorchBody()
    if kind == "smpl" and file:
        from motionkit.bodies.smpl import SmplBody

        return SmplBody(Path(file).expanduser())
    raise UsageError(
        f"unknown body {spec!r}.",
        hint="motionkit-24, or smpl:FILE with your SMPL model (basicModel_neutral….pkl or .npz)",
    )
